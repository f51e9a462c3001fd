"""What GitHub sends by itself: whose it is, and where to look then."""
