"""ME TOO: the answer that says "I felt this, too", what both sides hear of it, and the prompts that ask for it."""
