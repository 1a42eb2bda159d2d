"""Saying it out loud: VENT, what is written after it, who reads it, and how it is forgotten."""
