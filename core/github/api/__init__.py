"""GitHub's API: credentials, requests, limits, answers as plain values."""
