"""Orchard's own folder, and the variables that stand beside its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from config.loader import Configuration
from core.errors import Unavailable


def state_folder(configuration: Configuration) -> Path:
    """Orchard's own folder, made when it is not there. Raises Unavailable when it cannot be written."""
    path = configuration.state_path
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Unavailable(
            f"Orchard cannot write its folder {path}.",
            why=f"{path} is not a folder." if isinstance(error, FileExistsError) else str(error),
            hint="Mend its rights, or set global.global_state_path.",
        ) from error
    return path


def variables(root: Path) -> Mapping[str, str]:
    """The process's environment over `.env`: where agents find their keys."""
    from_file = {key: value for key, value in dotenv_values(root / ".env").items() if value is not None}
    return {**from_file, **os.environ}
