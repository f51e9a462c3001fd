"""Releases as they were published: fetched with pip, read into memory."""

from __future__ import annotations

import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class RealInputError(Exception):
    """What went wrong outside of Orchard: fetching, unpacking, installing. The text is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a release. `link` is set for symbolic links, and `content` then empty."""

    content: bytes = b""
    executable: bool = False
    link: str | None = None


Tree = Mapping[str, File]


def fetch(name: str, version: str, cache: Path) -> Path:
    """The folder with the unpacked source distribution; downloaded unless it is there."""
    place = cache / f"{name}-{version}"
    if not (place / "ready").exists():
        archives = place / "archive"
        archives.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", name, "--dest", str(archives), f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RealInputError(
                f"pip could not fetch the source of {name} {version}:\n{done.stderr.strip()[-2000:]}"
            )
        unpack(next(archives.iterdir()), place / "unpacked")
        (place / "ready").touch()
    return next(path for path in (place / "unpacked").iterdir() if path.is_dir())


def unpack(archive: Path, folder: Path) -> None:
    """Raises RealInputError for what is neither a tar nor a zip file, or reaches outside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        else:
            with tarfile.open(archive) as tarred:
                tarred.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise RealInputError(f"{archive.name} cannot be unpacked: {error}") from error


def read_tree(folder: Path) -> dict[str, File]:
    """All files of a release but those that packing adds (PKG-INFO, *.egg-info), by path with "/"."""
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if _added_by_packing(relative) or ".git" in relative.parts:
            continue
        if path.is_symlink():
            found[relative.as_posix()] = File(link=str(path.readlink()))
        elif path.is_file():
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
            found[relative.as_posix()] = File(content=path.read_bytes(), executable=executable)
    return found


def write_tree(tree: Tree, folder: Path) -> None:
    """Makes `folder` hold exactly `tree`, beside what it has in .git."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if ".git" in path.relative_to(folder).parts:
            continue
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()
    for name, file in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link is not None:
            path.symlink_to(file.link)
        else:
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)


def _added_by_packing(relative: Path) -> bool:
    return relative.name == "PKG-INFO" or any(part.endswith(".egg-info") for part in relative.parts)
