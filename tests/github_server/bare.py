"""The repository's commits: a bare git repository on disk."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOTHING = "0" * 40
_NAMES = {
    f"GIT_{whose}_{what}": value
    for whose in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Someone Else"), ("EMAIL", "someone@example.org"))
}


class GitError(Exception):
    """What git said."""


@dataclass(frozen=True, kw_only=True)
class Bare:
    path: Path

    def run(self, *words: str, text: str | None = None, **environment: str) -> str:
        """What git prints. Raises GitError."""
        done = subprocess.run(
            ["git", "-c", "gc.auto=0", *words],
            cwd=self.path,
            input=text,
            capture_output=True,
            text=True,
            env=plain_environment() | _NAMES | environment,
            check=False,
        )
        if done.returncode:
            raise GitError(f"git {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def heads(self) -> dict[str, str]:
        """Branches and their commits."""
        listed = self.run("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")
        rows = (line.split(" ", 1) for line in listed.splitlines())
        return {name: sha for sha, name in rows}

    def has(self, sha: str) -> bool:
        try:
            self.run("cat-file", "-e", f"{sha}^{{commit}}")
        except GitError:
            return False
        return True

    def is_ancestor(self, old: str, new: str) -> bool:
        try:
            self.run("merge-base", "--is-ancestor", old, new)
        except GitError:
            return False
        return True

    def commit(self, parent: str | None, files: dict[str, str | None], message: str) -> str:
        """A commit with those files changed (None: removed); no branch is moved."""
        index = self.path / f"index-{os.getpid()}"
        index.unlink(missing_ok=True)
        where = {"GIT_INDEX_FILE": str(index)}
        try:
            if parent:
                self.run("read-tree", parent, **where)
            for name, content in files.items():
                if content is None:
                    self.run("update-index", "--force-remove", name, **where)
                    continue
                blob = self.run("hash-object", "-w", "--stdin", text=content)
                self.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", **where)
            tree = self.run("write-tree", **where)
        finally:
            index.unlink(missing_ok=True)
        return self.commit_tree(tree, (parent,) if parent else (), message)

    def commit_tree(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        above = [word for parent in parents for word in ("-p", parent)]
        return self.run("commit-tree", tree, *above, "-F", "-", text=message)

    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """The tree of a merge; None when they conflict."""
        try:
            return self.run("merge-tree", "--write-tree", "--no-messages", ours, theirs).splitlines()[0]
        except GitError:
            return None


def create_bare(path: Path, default_branch: str) -> Bare:
    """Empty, and open to pushes over HTTP; what protects its branches is in `protect/`."""
    path.mkdir(parents=True)
    bare = Bare(path=path)
    bare.run("init", "-q", "--bare", f"--initial-branch={default_branch}", ".")
    bare.run("config", "http.receivepack", "true")
    bare.run("config", "core.fsync", "none")
    hook = path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_UPDATE)
    hook.chmod(0o755)
    return bare


def plain_environment() -> dict[str, str]:
    """Nothing of the person's own settings of git."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


# The server writes what holds for a branch before each push: whether it may be forced, whether anyone may
# push to it, and which commits have passed the checks that it wants.
_UPDATE = r"""#!/bin/sh
rules="$GIT_DIR/protect/$1"
test -d "$rules" || exit 0
refuse() { echo "error: GH006: Protected branch update failed for $1." >&2; echo "error: $2" >&2; exit 1; }
case "$3" in 0000000*) refuse "$1" "Cannot delete this branch" ;; esac
test -e "$rules/pull" && refuse "$1" "Changes must be made through a pull request."
case "$2" in
0000000*) ;;
*)
    test -e "$rules/force" || git merge-base --is-ancestor "$2" "$3" ||
        refuse "$1" "Cannot force-push to this branch"
    ;;
esac
if test -e "$rules/green"; then
    grep -q "^$3$" "$rules/green" || refuse "$1" "$(cat "$rules/checks") expected."
fi
exit 0
"""
