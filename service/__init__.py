"""Hearthline: keeps a peer-support community warm between its meetings, by email and text message."""

__version__ = "0.1.0"
