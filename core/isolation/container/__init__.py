"""Level `container`, by Podman or Docker."""
