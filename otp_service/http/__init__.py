"""The HTTP face: verbs, errors, the edge."""
