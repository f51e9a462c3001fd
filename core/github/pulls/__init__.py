"""Stories' pull requests."""
