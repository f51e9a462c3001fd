"""The live feed: metrics, alerts and events over a WebSocket, to whoever may see them."""
