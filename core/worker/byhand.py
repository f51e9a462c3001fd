"""What a person's work leaves in a worktree beside its files: commits, a half-made index, a merge under way.

refs/orchard/hands/<story>/<n>   a person's own commits: the phase's commit squashes them, here they stay
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from core.removal import remove_tree
from core.worker.found import Worktree
from core.worker.git import Repository
from core.worker.gitobjects import NO_OID

HANDS = "refs/orchard/hands"

# What git keeps of a merge, a rebase, a cherry-pick or a bisection that was not ended.
_UNDER_WAY = (
    "AUTO_MERGE", "BISECT_ANCESTORS_OK", "BISECT_EXPECTED_REV", "BISECT_LOG", "BISECT_NAMES", "BISECT_RUN",
    "BISECT_START", "BISECT_TERMS", "CHERRY_PICK_HEAD", "MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "MERGE_RR",
    "REBASE_HEAD", "REVERT_HEAD", "SQUASH_MSG", "rebase-apply", "rebase-merge", "sequencer",
)  # fmt: skip


async def keep_commits(repository: Repository, story: str, commits: Iterable[str]) -> None:
    """Protect a person's commits from pruning, each under a number of its own; known ones keep theirs."""
    kept = await repository.refs(f"{HANDS}/{story}/")
    number = max((int(ref.rpartition("/")[2]) for ref in kept), default=0)
    for commit in commits:
        if commit not in kept.values():
            number += 1
            await repository.update_ref(f"{HANDS}/{story}/{number}", commit, None, reason="made by a person")


async def staged_elsewhere(repository: Repository, worktree: Worktree, head: str, tree: str) -> str | None:
    """The tree of the worktree's own index, when some file in it is neither in `head` nor in `tree`.

    A person may have staged what the file itself no longer says.
    """
    async with repository.private_index() as index:
        try:
            shutil.copyfile(worktree.git_dir / "index", index)
        except OSError:
            return None
        # Entries of a conflict: their sides are commits' files, and no tree can hold them.
        listed = await repository.git("ls-files", "-u", "-z", index=index, check=False)
        names = dict.fromkeys(entry.partition(b"\t")[2] for entry in listed.stdout.split(b"\0") if entry)
        if names:
            gone = b"\0".join([*names, b""])
            await repository.git("update-index", "--force-remove", "-z", "--stdin", index=index, stdin=gone)
        answer = await repository.git("write-tree", index=index, check=False)
    if answer.exit_code != 0:
        return None  # damaged: git itself could make nothing of it either
    staged = answer.stdout.decode().strip()
    unlike_head = {change.path for change in await repository.changes(head, staged)}
    unlike_files = await repository.changes(tree, staged)
    unseen = any(change.path in unlike_head and change.new_oid != NO_OID for change in unlike_files)
    return staged if unseen else None


async def show_as_changes(repository: Repository, worktree: Worktree, commit: str) -> None:
    """Let the worktree's own index say `commit`: git then shows everything since as changes."""
    async with repository.private_index() as index:
        shutil.copyfile(worktree.index, index)
        await repository.git("read-tree", "--reset", commit, index=index)
        fresh = worktree.git_dir / "index.orchard"
        shutil.copyfile(index, fresh)
    fresh.replace(worktree.git_dir / "index")


async def with_file(repository: Repository, tree: str, path: str, content: bytes) -> str:
    """The tree with this file in it."""
    written = await repository.git("hash-object", "-w", "--stdin", "--no-filters", stdin=content)
    entry = b"100644 %b\t%b\0" % (written.stdout.strip(), path.encode(errors="surrogateescape"))
    async with repository.private_index() as index:
        await repository.git("read-tree", tree, index=index)
        await repository.git(
            "update-index", "-z", "--add", "--replace", "--index-info", index=index, stdin=entry
        )
        answer = await repository.git("write-tree", index=index)
    return answer.stdout.decode().strip()


def end_operations(worktree: Worktree) -> None:
    """Forget a merge, a rebase or the like that is under way; files and commits stay as they are."""
    for name in _UNDER_WAY:
        path: Path = worktree.git_dir / name
        remove_tree(path)
