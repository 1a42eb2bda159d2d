"""Finding a circle: two gentle questions and a match, the same by page, by text and by email."""
