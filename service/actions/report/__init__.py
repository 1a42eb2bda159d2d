"""What the community lives: the eight factors in numbers that tell on nobody, and what one member gave and received."""
