"""An Orchard of a bench, in a process of its own: it says its address, then answers words with lines."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def running(module: str, root: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """With its port. It ends when its input does."""
    command = [sys.executable, "-m", module, str(root)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            address = json.loads(child.stdout.readline())["address"]
            yield child, int(urlsplit(address).port or 0)
        finally:
            assert child.stdin is not None
            child.stdin.close()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def tell(child: subprocess.Popen[str], word: str) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(word + "\n")
    child.stdin.flush()
    return child.stdout.readline()
