"""From the store to GitHub: one comment a story, labels, issues, milestones, releases."""
