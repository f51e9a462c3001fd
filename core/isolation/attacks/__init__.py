"""The attacks that every level is tried with: what they are, the program that tries them, what came of it."""
