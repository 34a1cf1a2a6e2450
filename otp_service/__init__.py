"""A service that proves a person holds a phone number."""
