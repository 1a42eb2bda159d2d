"""Belonging to a circle: a place in it, the line before a full one, and the few words that go with both."""
