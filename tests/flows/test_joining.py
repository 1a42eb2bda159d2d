"""Whole stories of coming in, being left in peace, and going."""
