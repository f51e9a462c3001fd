"""A repository elsewhere, by real git over HTTP: fetched, pushed to, moved, rewritten, refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from core.known_secrets import known_secrets
from core.worker import elsewhere
from core.worker.discretion import learn
from core.worker.git import Repository
from core.worker.remote import fetch_main, push
from core.worker.remote_contract import FetchEnd, FetchMain, Push, PushEnd, PushReport, Remote
from core.worker.worktree import Worktrees
from tests.integration.git_host import TOKEN, GitHost


class Sides:
    """The same history here and there."""

    def __init__(self, host: GitHost, checkout, setup) -> None:
        self.host, self.checkout, self.setup = host, checkout, setup
        self.there = host.create("o/shop")
        checkout.commit({"app.txt": "one\n"}, "first")
        checkout.git("push", "-q", str(self.there), "main")
        self.remote = host.remote("o/shop")

    @property
    def main(self) -> str:
        return self.checkout.git("rev-parse", "main")

    async def fetch(self, remote: Remote | None = None):
        job = FetchMain(project=self.setup, remote=remote or self.remote)
        return await fetch_main(await Repository.open(self.checkout.path), job)

    async def push(
        self, branch: str, commit: str, story: str = "", known: tuple[str, ...] = (), **changes
    ) -> PushReport:
        remote = replace(self.remote, **changes)
        job = Push(
            project=self.setup, remote=remote, branch=branch, commit=commit, story_id=story, known=known
        )
        return await push(await Repository.open(self.checkout.path), job)

    def heads(self) -> dict[str, str]:
        return self.host.heads(self.there)

    async def made(self, text: str, *, parent: str | None = None) -> str:
        """A candidate, as the merge queue keeps it: on no branch."""
        blob = self.host.git(self.checkout.path, "hash-object", "-w", "--stdin", text=text)
        tree = self.host.git(self.checkout.path, "mktree", text=f"100644 blob {blob}\tapp.txt\n")
        base = parent or self.main
        commit = self.host.git(self.checkout.path, "commit-tree", tree, "-p", base, "-m", text)
        repository = await Repository.open(self.checkout.path)
        shop = Worktrees(repository, project="shop", state_path=self.setup.state_path)
        await shop.keep("shop-1", commit)
        return commit


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    made = GitHost(tmp_path / "host")
    yield made
    made.close()


@pytest.fixture
def sides(host: GitHost, checkout, setup) -> Sides:
    return Sides(host, checkout, setup)


# --- fetch


async def test_the_main_branch_follows_with_its_checkout(sides: Sides) -> None:
    new = sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    report = await sides.fetch()
    assert (report.end, report.main_commit, report.remote_commit) == (FetchEnd.FOLLOWED, new, new)
    assert sides.main == new
    assert (sides.checkout.path / "new.txt").read_text() == "new\n"
    assert sides.checkout.git("status", "--porcelain") == ""
    requests = len(sides.host.requests)
    assert (await sides.fetch()).end is FetchEnd.FOLLOWED
    assert not [each for each in sides.host.requests[requests:] if "POST" in each and "receive" in each]


async def test_a_person_s_uncommitted_work_is_not_touched(sides: Sides) -> None:
    before = sides.main
    sides.checkout.write({"app.txt": "mine\n"})
    sides.host.commit(sides.there, "main", {"app.txt": "theirs\n"})
    report = await sides.fetch()
    assert report.end is FetchEnd.BLOCKED
    assert "app.txt" in report.error
    assert (sides.main, (sides.checkout.path / "app.txt").read_text()) == (before, "mine\n")
    sides.checkout.git("checkout", "-q", "app.txt")
    assert (await sides.fetch()).end is FetchEnd.FOLLOWED


async def test_commits_that_are_only_here_are_told_and_kept(sides: Sides) -> None:
    own = sides.checkout.commit({"own.txt": "own\n"})
    report = await sides.fetch()
    assert report.end is FetchEnd.AHEAD
    assert "has 1 commit that is not in o/shop" in report.error
    sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    report = await sides.fetch()
    assert report.end is FetchEnd.DIVERGED
    assert "1 commit only here, 1 commit only there" in report.error
    assert sides.main == own


async def test_a_rewritten_branch_is_told_from_one_that_went_on_also_when_asked_again(sides: Sides) -> None:
    first = sides.main
    sides.host.commit(sides.there, "main", {"gone.txt": "gone\n"})
    await sides.fetch()
    before = sides.main
    rewritten = sides.host.commit(sides.there, "main", {"other.txt": "other\n"}, parent=first)
    for _ in range(2):
        report = await sides.fetch()
        assert report.end is FetchEnd.REWRITTEN
        assert "force-pushed" in report.error
        assert f"reset --keep {rewritten[:10]}" in report.hint
    assert sides.main == before
    sides.checkout.git("reset", "-q", "--keep", rewritten[:10])  # as the hint says
    assert (await sides.fetch()).end is FetchEnd.FOLLOWED
    sides.host.git(sides.there, "update-ref", "refs/heads/main", first)  # back to an older one
    assert (await sides.fetch()).end is FetchEnd.REWRITTEN


async def test_a_renamed_branch_is_said_with_its_new_name(sides: Sides) -> None:
    sides.host.git(sides.there, "branch", "-m", "main", "trunk")
    report = await sides.fetch()
    assert report.end is FetchEnd.MISSING
    assert "its default branch is 'trunk'" in report.error
    assert "branch -m main trunk" in report.hint


async def test_an_empty_repository_is_said(sides: Sides) -> None:
    sides.host.create("o/empty")
    report = await sides.fetch(sides.host.remote("o/empty"))
    assert (report.end, "nothing was ever pushed" in report.error) == (FetchEnd.MISSING, True)


async def test_a_refused_credential_is_no_outage_and_is_not_shown(sides: Sides) -> None:
    wrong = sides.host.remote("o/shop", token="ghp_wrongwrongwrongwrongwrong")
    report = await sides.fetch(wrong)
    assert report.end is FetchEnd.DENIED
    assert wrong.header.rpartition(" ")[2] not in f"{report}"
    assert (await sides.fetch(sides.host.remote("o/other"))).end is FetchEnd.DENIED  # out of its sight


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_faults_are_an_outage(sides: Sides, status: int) -> None:
    sides.host.refuse = status
    assert (await sides.fetch()).end is FetchEnd.UNREACHABLE
    assert (await sides.push("main", sides.main)).end is PushEnd.UNREACHABLE


async def test_nobody_there_and_silence_are_an_outage(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = replace(sides.remote, url="http://127.0.0.1:1/o/shop.git")
    assert (await sides.fetch(nobody)).end is FetchEnd.UNREACHABLE
    monkeypatch.setattr(elsewhere, "SECONDS", 0.0)
    report = await sides.fetch()
    assert (report.end, "did not answer" in report.error) == (FetchEnd.UNREACHABLE, True)


# --- push


async def test_main_goes_forward_and_again_is_nothing_new(sides: Sides) -> None:
    one = await sides.made("two\n")
    assert (await sides.push("main", one)).end is PushEnd.PUSHED
    assert sides.heads() == {"main": one}
    assert (await sides.push("main", one)).end is PushEnd.PUSHED
    later = sides.host.commit(sides.there, "main", {"later.txt": "x\n"})
    report = await sides.push("main", one)  # a push that nobody recorded, and others went on from it
    assert (report.end, report.found) == (PushEnd.PUSHED, later)


async def test_main_is_never_forced(sides: Sides) -> None:
    one = await sides.made("two\n")
    theirs = sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    report = await sides.push("main", one)
    assert (report.end, report.found) == (PushEnd.MOVED, theirs)
    assert sides.heads() == {"main": theirs}


async def test_a_protected_branch_refuses_in_its_own_words(sides: Sides) -> None:
    sides.host.hook(sides.there, "echo 'error: GH006: Required status check is expected.' >&2; exit 1")
    report = await sides.push("main", await sides.made("two\n"))
    assert report.end is PushEnd.REFUSED
    assert "GH006: Required status check is expected." in report.error


async def test_a_refused_credential_at_a_push(sides: Sides) -> None:
    wrong = sides.host.remote("o/shop", token="ghp_wrongwrongwrongwrongwrong")
    assert (await sides.push("main", sides.main, header=wrong.header)).end is PushEnd.DENIED


async def test_a_story_s_branch_is_replaced_where_it_is_orchard_s_own(sides: Sides) -> None:
    one, two = await sides.made("two\n"), await sides.made("three\n")
    branch = "orchard/shop-1"
    assert (await sides.push(branch, one, "shop-1")).end is PushEnd.PUSHED
    assert (await sides.push(branch, two, "shop-1", (one, two))).end is PushEnd.PUSHED
    assert sides.heads()[branch] == two
    theirs = sides.host.commit(sides.there, branch, {"fix.txt": "fix\n"})
    sides.checkout.git("fetch", "-q", str(sides.there), f"{branch}:refs/orchard/made/shop-1/{theirs}")
    report = await sides.push(branch, one, "shop-1", (one, two))  # whatever refs say that Orchard made it
    assert (report.end, report.found) == (PushEnd.MOVED, theirs)
    assert sides.heads()[branch] == theirs


async def test_a_push_that_was_cut_after_it_took_effect_is_found_done(sides: Sides) -> None:
    one, two = await sides.made("two\n"), await sides.made("three\n")
    sides.host.cut = True
    assert (await sides.push("orchard/shop-1", one, "shop-1")).end is PushEnd.UNREACHABLE
    assert (await sides.push("main", one)).end is PushEnd.UNREACHABLE
    assert sides.heads() == {"main": one, "orchard/shop-1": one}
    sides.host.cut = False
    assert (await sides.push("main", one)).end is PushEnd.PUSHED
    assert (await sides.push("orchard/shop-1", two, "shop-1", (one,))).end is PushEnd.PUSHED


# --- what the checkout's configuration could do


async def test_nothing_of_the_checkout_s_configuration_takes_part(sides: Sides, tmp_path: Path) -> None:
    git, marks = sides.checkout.git, tmp_path / "marks"
    marks.mkdir()
    git("config", "url.http://127.0.0.1:1/.insteadOf", sides.remote.url.removesuffix("o/shop.git"))
    git("config", "url.http://127.0.0.1:1/.pushInsteadOf", sides.remote.url)
    git("config", "http.proxy", "http://127.0.0.1:1")
    git("config", "http.extraHeader", "Authorization: Basic d3Jvbmc6d3Jvbmc=")
    git("config", "credential.helper", f"!touch {marks}/helper")
    git("config", "core.sshCommand", f"touch {marks}/ssh")
    git("config", "core.askPass", f"{marks}/askpass")
    git("config", "remote.origin.url", "http://127.0.0.1:1/")
    git("config", "remote.origin.receivepack", f"touch {marks}/receive")
    (tmp_path / "more").write_text(
        f"[http]\n\tproxy = http://127.0.0.1:1\n[core]\n\tgitProxy = touch {marks}/p\n"
    )
    git("config", f"includeIf.gitdir:{sides.checkout.path}/.path", str(tmp_path / "more"))
    hooks = sides.checkout.path / ".git/hooks"
    for name in ("pre-push", "post-merge", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marks}/{name}\n")
        (hooks / name).chmod(0o755)
    sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    assert (await sides.fetch()).end is FetchEnd.FOLLOWED
    made = await sides.made("two\n")
    git("-c", "core.hooksPath=/dev/null", "replace", made, sides.main)  # what another commit is shown as
    (sides.checkout.path / ".git/info/grafts").write_text(f"{made}\n")
    assert (await sides.push("main", made)).end is PushEnd.PUSHED
    assert sides.heads()["main"] == made
    assert sides.host.git(sides.there, "show", f"{made}:app.txt") == "two"
    assert list(marks.iterdir()) == []


class Listener(BaseHTTPRequestHandler):
    """Somebody else's server: serves an empty repository, and notes what it is sent."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._say(b"001e# service=git-upload-pack\n0000000eversion 2\n0013ls-refs=unborn\n0000")

    def do_POST(self) -> None:
        self._say(b"0000")

    def _say(self, content: bytes) -> None:
        self.heard.append(str(self.headers))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


async def test_a_redirect_does_not_take_the_credential_along(sides: Sides) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Listener,), {"heard": (heard := [])}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        sides.host.moved_to = f"http://localhost:{server.server_port}"
        report = await sides.fetch()
        pushed = await sides.push("main", await sides.made("two\n"))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert sides.remote.header.removeprefix("Authorization: ") not in "".join(heard)
    assert heard == [], "nobody else is asked for a repository"
    assert (report.end, pushed.end) == (FetchEnd.UNREACHABLE, PushEnd.UNREACHABLE)
    sides.host.moved_to = ""
    assert (await sides.fetch()).end is FetchEnd.FOLLOWED


async def test_the_credential_is_in_no_argument_and_in_no_file(
    sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = elsewhere.run_git
    seen: list[str] = []

    async def noted(arguments, **options):
        seen.extend(arguments)
        for path in Path(options["cwd"]).rglob("*"):
            if path.is_file():
                seen.append(path.read_text(errors="replace"))
        return await real(arguments, **options)

    monkeypatch.setattr(elsewhere, "run_git", noted)
    sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    await sides.fetch()
    await sides.push("main", await sides.made("two\n"))
    secret = sides.remote.header.rpartition(" ")[2]
    assert seen
    assert not [each for each in seen if secret in each or TOKEN in each]
    for folder, _, files in os.walk(sides.checkout.path):
        for name in files:
            assert secret.encode() not in (Path(folder) / name).read_bytes()
    assert secret not in repr(sides.remote)
    learn(FetchMain(project=sides.setup, remote=sides.remote))
    assert secret not in known_secrets.text(f"it said {secret}")


async def test_a_shallow_checkout_is_pushed_and_fetched(sides: Sides, tmp_path: Path, setup) -> None:
    for number in range(3):
        sides.host.commit(sides.there, "main", {f"{number}.txt": "x\n"})
    shallow = tmp_path / "shallow"
    sides.host.git(tmp_path, "clone", "-q", "--depth=1", f"file://{sides.there}", str(shallow))
    repository = await Repository.open(shallow)
    own = replace(setup, path=shallow)
    new = sides.host.commit(sides.there, "main", {"new.txt": "new\n"})
    report = await fetch_main(repository, FetchMain(project=own, remote=sides.remote))
    assert (report.end, report.main_commit) == (FetchEnd.FOLLOWED, new)
    tree = sides.host.git(shallow, "rev-parse", "HEAD^{tree}")
    made = sides.host.git(shallow, "commit-tree", tree, "-p", new, "-m", "more")
    done = await push(repository, Push(project=own, remote=sides.remote, branch="main", commit=made))
    assert (done.end, sides.heads()["main"]) == (PushEnd.PUSHED, made)
