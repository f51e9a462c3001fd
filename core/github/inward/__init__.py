"""From GitHub to the backlog: issues, comments, milestones."""
