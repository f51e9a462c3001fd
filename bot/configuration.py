"""Where the faces get the configuration from; apart from `app`, which imports everything that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from config.loader import Configuration, load


def loader(
    root: Path, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Callable[[], Configuration]:
    """Reads the configuration that stands in `root`, anew at each call."""
    return lambda: load(root, environ=os.environ if environ is None else environ, overrides=overrides)
