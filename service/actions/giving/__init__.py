"""What members give one another: written piece by piece, handed on with PASS, read by a person, only then carried."""
