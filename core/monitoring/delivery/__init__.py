"""Alerts on their way out: to a webhook of the operator's, and to Slack. Discord's posts are its face's."""
