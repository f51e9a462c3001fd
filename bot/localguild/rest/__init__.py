"""Discord's REST API, version 10: routes by topic, each handler a function of one `Call`."""
