"""One message, many providers."""
