"""The local guild to look at: what is in it, and what somebody types there."""
