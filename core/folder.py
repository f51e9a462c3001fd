"""Orchard's own folder, and the variables that stand beside its settings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def only_one(state_path: Path) -> Iterator[None]:
    """One running Orchard a state folder; the lock dies with the process, however that ends."""
    with (state_path / "orchard.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise Unavailable(
                f"Orchard already runs with the folder {state_path} (pid {pid}).",
                hint="Stop it first, or use another global_state_path.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
