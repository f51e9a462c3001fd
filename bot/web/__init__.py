"""The web face: pages, the API, and the guards before them, in the bot's own event loop."""
