"""Repositories that no git made: Orchard reads them or refuses them, and nothing of them gets out."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from core.errors import OrchardError
from core.removal import remove_tree
from core.worker.git import Repository

FILE, LINK, FOLDER, SUBMODULE = b"100644", b"120000", b"40000", b"160000"
_AS = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "x",
    "GIT_AUTHOR_EMAIL": "x@example.org",
    "GIT_COMMITTER_NAME": "x",
    "GIT_COMMITTER_EMAIL": "x@example.org",
}


class Forge:
    """Writes objects as they are asked for, whatever git would say of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, data: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.folder, input=data, env={**os.environ, **_AS}, check=True, stdout=-1
        )
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", data=content)

    def tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(of) for mode, name, of in entries)
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)

    def commit(self, tree: str) -> str:
        made = self.git("commit-tree", tree, "-m", "poisoned")
        self.git("update-ref", "refs/heads/main", made)
        return made


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path / "repository")


def poisoned(forge: Forge, case: str) -> str:
    evil = forge.blob(b"#!/bin/sh\ntouch " + os.fsencode(forge.folder.parent / "ran") + b"\n")
    inside = forge.tree((b"100755", b"evil", evil))
    hooks = forge.tree((FOLDER, b"hooks", forge.tree((b"100755", b"post-checkout", evil))))
    up = forge.blob(b"..")
    return {
        "the folder above": lambda: forge.tree((FOLDER, b"..", inside)),
        "this folder": lambda: forge.tree((FOLDER, b".", inside)),
        "a .git": lambda: forge.tree((FOLDER, b".git", hooks)),
        "a .GIT": lambda: forge.tree((FOLDER, b".GIT", hooks)),
        "a .Git below": lambda: forge.tree((FOLDER, b"deep", forge.tree((FOLDER, b".Git", hooks)))),
        "git~1, its short name elsewhere": lambda: forge.tree((FOLDER, b"git~1", hooks)),
        "a .git with an invisible sign": lambda: forge.tree((FOLDER, ".g\u200cit".encode(), hooks)),
        "a link named .git": lambda: forge.tree((LINK, b".git", up)),
        "a .git file": lambda: forge.tree((FILE, b".git", forge.blob(b"gitdir: ../../x\n"))),
        "a link, and files below it": lambda: forge.tree((LINK, b"a", up), (FOLDER, b"a", inside)),
        "a name with a slash": lambda: forge.tree((FILE, b"../evil", evil)),
        "an absolute name": lambda: forge.tree((FILE, b"/tmp/orchard-evil", evil)),
        "an empty name": lambda: forge.tree((FILE, b"", evil)),
        "an odd mode": lambda: forge.tree((b"104755", b"setuid", evil)),
        "a device": lambda: forge.tree((b"20666", b"null", evil)),
        "the same name twice": lambda: forge.tree((FILE, b"x", evil), (FILE, b"x", up)),
        "an object that is not there": lambda: forge.tree((FILE, b"x", "1" * 40)),
        "a file that is a tree": lambda: forge.tree((FILE, b"x", inside)),
        "a tree that is a file": lambda: forge.tree((FOLDER, b"x", evil)),
        "escapes for a terminal": lambda: forge.tree((FILE, b"\x1b]0;x\x07\x1b[2J\n\xff", evil)),
        "a very long name": lambda: forge.tree((FILE, b"x" * 70_000, evil)),
        "very deep folders": lambda: _deep(forge),
        "submodules from everywhere": lambda: _submodules(forge, evil),
    }[case]()


def _deep(forge: Forge) -> str:
    """In one stream: a call of git each would take long."""
    lines = [
        "blob\nmark :1\ndata 0\n\n",
        "commit refs/heads/deep\ncommitter x <x@example.org> 0 +0000\ndata 0\n",
    ]
    path = "/".join(["d" * 200] * 40)  # longer than a path may be
    lines.append(f"M 100644 :1 {path}/x\n")
    forge.git("fast-import", "--quiet", "--force", data="".join(lines).encode())
    return forge.git("rev-parse", "deep^{tree}")


def _submodules(forge: Forge, evil: str) -> str:
    mark = forge.folder.parent / "ran"
    urls = (f"ext::sh -c touch% {mark}", f"-u./touch {mark}", "file:///etc", f"--upload-pack=touch {mark}")
    paths = ("sub0", "../sub1", ".git/modules/x", "sub3")
    text = "".join(
        f'[submodule "../../x{number}"]\n\tpath = {path}\n\turl = {url}\n\tupdate = !touch {mark}\n'
        for number, (url, path) in enumerate(zip(urls, paths, strict=True))
    )
    own = forge.blob(text.encode())
    return forge.tree(
        (FILE, b".gitmodules", own), (SUBMODULE, b"sub0", "2" * 40), (SUBMODULE, b"sub3", "3" * 40)
    )


CASES = (
    "the folder above", "this folder", "a .git", "a .GIT", "a .Git below", "git~1, its short name elsewhere",
    "a .git with an invisible sign", "a link named .git", "a .git file", "a link, and files below it",
    "a name with a slash", "an absolute name", "an empty name", "an odd mode", "a device",
    "the same name twice", "an object that is not there", "a file that is a tree", "a tree that is a file",
    "escapes for a terminal", "a very long name", "very deep folders", "submodules from everywhere",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_a_poisoned_tree_is_read_or_refused_and_stays_in_its_folder(
    forge: Forge, tmp_path: Path, case: str
) -> None:
    made = forge.commit(poisoned(forge, case))
    before = sorted(path.name for path in tmp_path.iterdir())
    place = tmp_path / "place" / "out"
    place.parent.mkdir()
    said: list[str] = []
    async with asyncio.timeout(60):
        repository = await Repository.open(forge.folder)
        for reading in (
            lambda: repository.entries(made),
            lambda: repository.changes(made, made),
            lambda: repository.diff(made, made),
            lambda: _out_and_in(repository, made, place, tmp_path / "index"),
        ):
            try:
                await reading()
            except OrchardError as error:
                said.append(str(error))
    assert all(len(one) < 5000 for one in said)
    assert {path.name for path in place.parent.iterdir()} <= {"out"}
    top = [path.name.lower() for path in place.iterdir()] if place.is_dir() else []
    assert ".git" not in top
    (tmp_path / "index").unlink(missing_ok=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "place"])
    assert not Path("/tmp/orchard-evil").exists()
    remove_tree(place.parent)
    assert not place.parent.exists()


async def _out_and_in(repository: Repository, commit: str, folder: Path, index: Path) -> None:
    await repository.checkout(commit, folder, index=index)
    await repository.stage(folder, index)
