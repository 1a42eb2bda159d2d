"""Check-ins as the pulse: rhythms that the clock keeps, what follows an answer, and lines for a harder day."""
