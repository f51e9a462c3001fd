"""What a story's files hold now, read from beside: real git, real folders, and an agent that means harm."""

from __future__ import annotations

import hashlib
import os

import pytest

from core.domain.lifecycles import Phase
from core.errors import Unavailable
from core.worker import unjudged as module
from core.worker.unjudged import Unjudged, unjudged
from core.worker.worktree import place_of


@pytest.fixture
async def story(odd_checkout, worktrees, state_path):
    """`(folder, look)`: a story's worktree, and what it holds beyond its base."""
    base = odd_checkout.git("rev-parse", "HEAD")
    prepared = await worktrees.ensure("shop-1", base, spec="A design.", phase=Phase.CODE_GREEN)

    async def look() -> Unjudged | None:
        return await unjudged(odd_checkout.path, state_path, "shop", "shop-1", base)

    return prepared.worktree.path, look


async def test_every_kind_of_change_is_shown_committed_or_not(story, odd_checkout) -> None:
    folder, look = story
    assert await look() == Unjudged(text="")
    odd_checkout.write({"plain.txt": "one\nthree\n", "committed.txt": "mine\n"}, at=folder)
    odd_checkout.git("add", "-A", at=folder)
    odd_checkout.git("commit", "-q", "-m", "by its agent", at=folder)
    odd_checkout.write({"new/deep.txt": "fresh\n", "dir/inner.py": None, "ignored/x": "no"}, at=folder)
    (folder / "link").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    os.utime(folder / "-dash")  # looks changed, and is not
    found = await look()
    files = [line.split(" b/")[1] for line in found.text.splitlines() if line.startswith("diff --git")]
    assert files == ["committed.txt", "dir/inner.py", "link", "new/deep.txt", "plain.txt"]
    assert {"-two", "+three", "+mine", "+fresh", "-x = 1", "+/etc/passwd"} <= set(found.text.splitlines())
    assert "root:" not in found.text
    assert found.left_out == ()


async def test_it_writes_nothing_and_starts_nothing_of_the_projects(story, odd_checkout, tmp_path) -> None:
    folder, look = story
    ran = tmp_path / "ran"
    touch = f"touch {ran}"
    for key in (
        "filter.bad.clean",
        "filter.lfs.clean",
        "filter.bad.process",
        "diff.bad.textconv",
        "diff.bad.command",
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
    ):
        odd_checkout.git("config", key, touch)
    odd_checkout.git("config", "diff.noprefix", "true")
    for hook in ("post-index-change", "fsmonitor-watchman", "pre-commit", "post-checkout"):
        path = odd_checkout.path / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\n{touch}\n")
        path.chmod(0o755)
    odd_checkout.write(
        {
            ".gitattributes": "*.txt filter=bad diff=bad\n*.sub filter=lfs\n",
            "plain.txt": "four\n",
            "a.sub": "5\n",
        },
        at=folder,
    )
    git_dir = odd_checkout.path / ".git"
    before = {path: _content(path) for top in (folder, git_dir) for path in top.rglob("*") if path.is_file()}
    found = await look()
    assert "diff --git a/plain.txt b/plain.txt" in found.text
    assert "+four" in found.text
    assert "+5" in found.text
    assert not ran.exists()
    after = {path: _content(path) for top in (folder, git_dir) for path in top.rglob("*") if path.is_file()}
    assert after == before


def _content(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_what_git_would_choke_on_is_named_and_the_rest_is_shown(story, odd_checkout) -> None:
    folder, look = story
    (folder / "plain.txt").unlink()
    os.mkfifo(folder / "plain.txt")
    with (folder / "huge.log").open("wb") as stream:
        stream.truncate(3 << 30)
    odd_checkout.write({"small.txt": "shown\n", "nested/x": "y"}, at=folder)
    odd_checkout.git("init", "-q", at=folder / "nested")
    found = await look()
    assert "+shown" in found.text
    assert found.left_out == (
        "huge.log is not shown: it has 3,221.2 MB.",
        "nested/ is not shown: it is a git repository of its own.",
        "plain.txt is not shown: it is no plain file.",
    )


async def test_it_is_bounded(story, odd_checkout, monkeypatch) -> None:
    folder, look = story
    monkeypatch.setattr(module, "_FILES", 4)
    monkeypatch.setattr(module, "_LIMIT_BYTES", 100_000)
    odd_checkout.write({f"{number}.txt": "line\n" * 60_000 for number in range(6)}, at=folder)
    found = await look()
    assert len(found.text) == 100_000
    assert found.left_out == (
        "2 more changed files are not shown.",
        "Only the first 100 kB of the difference are shown.",
    )
    monkeypatch.setattr(module, "SECONDS", 0.0)
    with pytest.raises(Unavailable, match="could not be read in"):
        await look()


async def test_there_is_nothing_while_the_files_are_being_set_or_are_a_link(story, state_path) -> None:
    folder, look = story
    setting = place_of(state_path, "shop", "shop-1")[2]
    setting.touch()
    assert await look() is None
    setting.unlink()
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    assert await look() is None
