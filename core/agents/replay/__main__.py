"""Runs as a module of Orchard, and also by the path of this folder where nothing else is to be seen."""

from __future__ import annotations

import sys

if not __package__:
    import importlib.util
    import os

    _folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
    _spec = importlib.util.spec_from_file_location(
        "orchard_replay",
        os.path.join(_folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[_folder],
    )
    assert _spec is not None
    sys.modules["orchard_replay"] = importlib.util.module_from_spec(_spec)
    from orchard_replay.agent import main  # type: ignore[import-not-found]
else:
    from core.agents.replay.agent import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
