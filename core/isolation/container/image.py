"""The image of level `container`: made from this machine's own root tree, with no registry.

It holds what differs from machine to machine and is small: the links of the root folder, users, names,
certificates, and the places to mount at. Programs and libraries are mounted from the machine, read-only: so
it is made in a moment, takes no gigabytes, and no program inside is older than outside. Its name is the hash
of what it holds: it is made again only when that changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path

from core.errors import Unavailable
from core.isolation.container.engine import command
from core.isolation.container.plan import INSIDE, Engine, Image, shared_folders
from core.isolation.plan import Machine

REPOSITORY = "localhost/orchard-host"

_LABEL = "orchard.image"
_IMPORT_SECONDS = 120.0
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "etc", "home", INSIDE.lstrip("/"))
_MADE_BY_ENGINE = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")  # and the machine's would tell of it
_MOST_BYTES = 64 << 20


def host_tree(machine: Machine) -> bytes:
    """A tar of the image: the same bytes for the same machine. Blocks: reads some hundred small files.

    What only some users may read is left out. Raises Unavailable when /etc holds far more than it should.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = {*_FOLDERS, *(str(mount.target).lstrip("/") for mount in shared_folders(machine))}
        links = {str(place).lstrip("/"): content for place, content in machine.links}
        folders |= {str(Path(name).parent) for name in (*folders, *links)} - {"."}
        for name in sorted(folders - links.keys(), key=lambda name: (name.count("/"), name)):
            source = next((m.source for m in shared_folders(machine) if str(m.target) == f"/{name}"), None)
            if source is None or source.is_dir():
                tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
            else:
                tar.addfile(_entry(name, tarfile.REGTYPE, 0o644))
        for name, content in sorted(links.items()):
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = content
            tar.addfile(entry)
        for mount in sorted(machine.system, key=lambda mount: mount.target):
            if mount.target.is_relative_to("/etc") and str(mount.target) not in _MADE_BY_ENGINE:
                _add(tar, mount.source, str(mount.target).lstrip("/"), buffer)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, source: Path, name: str, buffer: io.BytesIO) -> None:
    """A file, link or folder with all below it, as everybody sees it."""
    if buffer.tell() > _MOST_BYTES:
        raise Unavailable(
            "No image can be made from this machine's /etc: what it holds is far too big.",
            why=f"More than {_MOST_BYTES >> 20} MB by {source}.",
            hint="Name an image in the configuration.",
        )
    try:
        found = source.lstat()
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        entry = _entry(name, tarfile.SYMTYPE, 0o777)
        entry.linkname = str(source.readlink())
        tar.addfile(entry)
    elif stat.S_ISDIR(found.st_mode) and found.st_mode & 0o005 == 0o005:
        tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        for child in sorted(os.listdir(source)):  # noqa: PTH208 - names alone
            _add(tar, source / child, f"{name}/{child}", buffer)
    elif stat.S_ISREG(found.st_mode) and found.st_mode & 0o004:
        try:
            content = source.read_bytes()
        except OSError:
            return
        entry = _entry(name, tarfile.REGTYPE, 0o755 if found.st_mode & 0o001 else 0o644)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime, entry.uid, entry.gid = kind, mode, 0, 0, 0
    return entry


def image_name(tree: bytes) -> str:
    return f"{REPOSITORY}:{hashlib.sha256(tree).hexdigest()[:16]}"


async def has_image(program: Path, options: tuple[str, ...], name: str) -> bool:
    return (await command(program, options, "image", "inspect", "--format", "{{.Id}}", name)).fine


async def ensure_host_image(
    engine: Engine, program: Path, options: tuple[str, ...], machine: Machine
) -> Image:
    """The machine's own image, made where it is not there. Raises Unavailable with what the engine says."""
    tree = await asyncio.to_thread(host_tree, machine)
    image = Image(name=image_name(tree), shares_system=True)
    if await has_image(program, options, image.name):
        return image
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        await asyncio.to_thread(file.write, tree)
        file.flush()
        made = await command(
            program, options, "import", "--change", f"LABEL {_LABEL}=host", file.name, image.name,
            timeout_seconds=_IMPORT_SECONDS,
        )  # fmt: skip
    if not made.fine:
        raise Unavailable(
            f"{engine.capitalize()} could not make an image from this machine's root tree.",
            why=made.said[-400:],
            hint="Mend that, or name an image in the configuration.",
        )
    return image


async def prune_images(program: Path, options: tuple[str, ...]) -> None:
    """Removes images of ours that are a month old and that no container uses; of no one else.

    The machine's present one may be among them: it is made again before the next container starts.
    """
    filters = ("--filter", f"label={_LABEL}", "--filter", "until=720h")
    await command(program, options, "image", "prune", "--all", "--force", *filters)
