"""The only room that imports redis."""
