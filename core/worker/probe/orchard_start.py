"""Starts pytest in the project's interpreter with Orchard's plugin, before any file of the project.

    <project's python> orchard_start.py        what to do comes as JSON by standard input

By its own path and not by `-m`: the checkout is not on `sys.path` while pytest and the plugin are imported,
so a `pytest.py` or `sitecustomize.py` in it shadows nothing. Standard library only; Python 3.8 and newer.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, List  # noqa: UP035 - read by Python 3.8

_OLDEST = (7, 0)
_OURS = ("pytest", "_pytest", "py", "__main__")
_STANDARD = getattr(sys, "stdlib_module_names", sys.builtin_module_names)


def main() -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != here] + [here]
    collects = gc.isenabled()
    gc.disable()
    try:
        import pytest
    except ImportError as error:
        return _unavailable(f"pytest cannot be imported by {sys.executable}: {error}")
    version = tuple(int(part) for part in pytest.__version__.split(".")[:2] if part.isdigit())
    if version < _OLDEST:
        return _unavailable(f"pytest {pytest.__version__} of {sys.executable} is older than 7.0")
    import orchard_settings

    settings = orchard_settings.take()
    if settings is None:
        sys.stderr.write("orchard_start: not started by Orchard\n")
        return 4
    roots = [*settings["python_path"], os.getcwd()]
    if any(os.path.isfile(os.path.join(root, "_pytest", "__init__.py")) for root in roots):
        return _unavailable(
            "this project is pytest itself, and its tests would be about the installed pytest, which is "
            "loaded first: set a `test_command` that starts the project's own"
        )
    import orchard_probe

    _enter(settings)
    probe = orchard_probe.start(settings)
    orchard_probe._ready.append(probe)
    send, arguments = probe._send, list(settings["arguments"])
    del settings, probe
    # All that was loaded stays: looking through it again and again is a quarter of what a small suite takes.
    if hasattr(gc, "freeze"):  # not in every implementation of Python
        gc.freeze()
    if collects:
        gc.enable()
    code = int(pytest.main(arguments))
    sys.stdout.flush()
    if send is not None:
        send({"kind": "exit", "code": code})
    return code


def _enter(settings: Any) -> None:
    """The environment as the project's own command would have it."""
    added = [path for path in settings["python_path"] if path]
    if added:
        rest = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(added + ([rest] if rest else []))
        sys.path[0:0] = added
    if settings["cwd_on_path"]:
        sys.path.insert(0, os.getcwd())
    sys.argv[:] = ["pytest", *settings["shown"]]
    _give_way([*added, os.getcwd()])


def _give_way(roots: List[str]) -> None:  # noqa: UP006
    """A project that pytest itself is made with (iniconfig, packaging) must be tested, not the installed
    copy that pytest has imported by now: the tests' own import then finds the checkout's.
    """
    for name in {loaded.partition(".")[0] for loaded in sys.modules}:
        if name in _OURS or name in _STANDARD or name.startswith("orchard_"):
            continue
        paths = [os.path.join(root, name) for root in roots]
        files = [file for path in paths for file in (f"{path}.py", f"{path}/__init__.py")]
        if any(os.path.isfile(file) for file in files):
            for loaded in [one for one in sys.modules if one == name or one.startswith(name + ".")]:
                del sys.modules[loaded]


def _unavailable(reason: str) -> int:
    """Said without the channel, which needs pytest."""
    sys.stderr.write(f"orchard_start: {reason}\n")
    return 77


if __name__ == "__main__":
    sys.exit(main())
