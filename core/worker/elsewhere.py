"""`git` with a repository elsewhere, past everything that the checkout's configuration could say of it.

Fetching and pushing are done in an empty repository of the moment, which shares the checkout's objects: no
remote, address, proxy, credential or hook of the checkout takes part. The credential is only in the
environment of the command, bound to the address, and redirects are not followed: git binds a header to the
address that it began with, and sends it on to wherever that redirects. Who renamed a repository says so by
the API, which knows its new address.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.worker.git import GitFailed, Repository
from core.worker.gitcommand import Answer, run_git
from core.worker.remote_contract import Remote

SECONDS = 300.0  # for one command: a first push of a large history over a slow line
_SLOW_SECONDS = "60"  # without any progress

# What says how the machine gets out, and whom it trusts: it is the machine's, not the checkout's.
_WAY_OUT = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)

_DENIED = re.compile(
    r"Authentication failed|could not read Username|could not read Password|Permission to .* denied"
    r"|returned error: 40[1347]|repository .* not found|Repository not found|Write access to repository"
    r"|does not appear to be a git repository|not granted",
    re.IGNORECASE,
)


class Denied(GitFailed):
    """The credential is refused, or what it may see does not hold the repository."""


class Unreachable(GitFailed):
    """No answer, or only faults: whether something took effect there is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Of the branches asked for, the commits there; `default`: the name of the default branch, "" of none."""

    commits: Mapping[str, str]
    default: str


class Elsewhere:
    """The other side of one command or a few. Raises Denied and Unreachable from every method."""

    def __init__(self, repository: Repository, remote: Remote, git_dir: Path) -> None:
        self._repository = repository
        self._remote = remote
        self._git_dir = git_dir

    @classmethod
    @asynccontextmanager
    async def open(cls, repository: Repository, remote: Remote, *known: str) -> AsyncIterator[Elsewhere]:
        """`known`: commits that are here, so that they are not fetched again."""
        with tempfile.TemporaryDirectory(prefix="orchard-remote-", ignore_cleanup_errors=True) as name:
            git_dir = Path(name)
            (git_dir / "refs").mkdir()
            (git_dir / "HEAD").write_text("ref: refs/heads/none\n")
            (git_dir / "config").write_text(_configuration(known))
            refs = [f"{commit} refs/known/{number}\n" for number, commit in enumerate(filter(None, known))]
            (git_dir / "packed-refs").write_text("".join(refs))
            yield cls(repository, remote, git_dir)

    async def heads(self, *branches: str) -> Heads:
        """What is there now."""
        wanted = [f"refs/heads/{branch}" for branch in branches]
        answer = await self.git("ls-remote", "--symref", self._remote.url, "HEAD", *wanted)
        commits: dict[str, str] = {}
        default = ""
        for line in os.fsdecode(answer.stdout).splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: refs/heads/") and name == "HEAD":
                default = value.removeprefix("ref: refs/heads/")
            elif name in wanted:
                commits[name.removeprefix("refs/heads/")] = value
        return Heads(commits=commits, default=default)

    async def fetch(self, branch: str, commit: str) -> None:
        """The commit, which the branch there was seen to hold, with all that it stands on."""
        if await self._repository.resolve(commit) != commit or not await self._whole(commit):
            spec = f"+refs/heads/{branch}:refs/fetched"
            await self.git("fetch", "--no-tags", "--quiet", "--no-write-fetch-head", self._remote.url, spec)
            if await self._repository.resolve(commit) != commit:
                raise Unreachable(
                    f"{branch} of {self._remote.repository} was rewritten this moment.",
                    hint="It is tried again.",
                )

    async def _whole(self, commit: str) -> bool:
        """Whether all that it stands on is here: a fetch that was cut may have left a part."""
        answer = await self._repository.git(
            "rev-list", "--objects", "--quiet", commit, "--not", "--all", ok=(0, 128)
        )
        return answer.exit_code == 0

    async def push(self, *arguments: str) -> Answer:
        """`git push --porcelain`; a refusal by the other side is an answer, with exit code 1."""
        return await self.git("push", "--porcelain", "--no-verify", *arguments, ok=(0, 1))

    @property
    def url(self) -> str:
        return self._remote.url

    async def git(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> Answer:
        try:
            async with asyncio.timeout(SECONDS):
                answer = await run_git(
                    arguments,
                    cwd=self._git_dir,
                    settings=self._settings(),
                    environment=self._environment(),
                    check=False,
                    pass_fds=self._repository.pass_fds,
                )
        except TimeoutError:
            raise Unreachable(
                f"{self._remote.repository} did not answer git {arguments[0]} within {SECONDS:.0f} s.",
                hint="It is tried again.",
            ) from None
        rejected = answer.exit_code == 1 and b"\n!\t" in b"\n" + answer.stdout
        if answer.exit_code in ok and (answer.exit_code == 0 or rejected):
            return answer
        raise self._failed(arguments[0], answer)

    def _failed(self, command: str, answer: Answer) -> GitFailed:
        lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines
        why = " ".join(telling)[:500] or f"exit code {answer.exit_code}"
        if _DENIED.search(answer.stderr):
            return Denied(
                f"{self._remote.repository} refuses Orchard's credential for git {command}.",
                why=why,
                hint="Check that the token is valid and may write the repository's contents: orchard doctor.",
                exit_code=answer.exit_code,
                stderr=answer.stderr,
            )
        return Unreachable(
            f"{self._remote.repository} cannot be reached by git {command}.",
            why=why,
            hint="It is tried again.",
            exit_code=answer.exit_code,
            stderr=answer.stderr,
        )

    def _environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in _WAY_OUT if name in os.environ}
        shallow = self._repository.common_dir / "shallow"
        return {
            **kept,
            "GIT_DIR": str(self._git_dir),
            "GIT_OBJECT_DIRECTORY": str(self._repository.common_dir / "objects"),
            "GIT_ALLOW_PROTOCOL": "https:http",
            **({"GIT_SHALLOW_FILE": str(shallow)} if shallow.exists() else {}),
        }

    def _settings(self) -> tuple[tuple[str, str], ...]:
        found = [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", _SLOW_SECONDS), ("push.gpgSign", "false")]
        found.append(("http.followRedirects", "false"))
        if self._remote.header:
            parts = urlsplit(self._remote.url)
            found.append((f"http.{parts.scheme}://{parts.netloc}/.extraHeader", self._remote.header))
        return tuple(found)


def _configuration(known: tuple[str, ...]) -> str:
    if any(len(commit) == 64 for commit in known):
        return "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    return "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
