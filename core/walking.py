"""Walks through folders that foreign programs filled: `os.walk` ends at the depth of Python's stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, from the top down: (folder, its folders, its files).

    Folders that are taken out of their list are not entered, nor are links to folders, which stand among
    them. What cannot be read is passed over.
    """
    left = [os.fspath(top)]
    while left:
        here = left.pop()
        folders: list[str] = []
        files: list[str] = []
        links: set[str] = set()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    is_folder = _leads_to_folder(entry)
                    (folders if is_folder else files).append(entry.name)
                    if is_folder and entry.is_symlink():
                        links.add(entry.name)
        except OSError:
            continue
        yield here, folders, files
        left += [f"{here}/{name}" for name in reversed(folders) if name not in links]


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False
