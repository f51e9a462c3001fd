"""The dashboard: pages that stay open and follow what happens (NiceGUI)."""
