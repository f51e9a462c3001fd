"""A repository at GitHub: its first sync, webhooks until they are acted on, and what polling costs."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bot.app import App, open_app
from bot.configuration import loader
from tests.bench.figure import Figure, milliseconds, quantile
from tests.github_server.repository import Repository
from tests.github_server.server import Apart, GithubServer, apart

SYNC_SECONDS, SYNC_REQUESTS = 60.0, 100
ACTED_SECONDS = 1.0
HOURLY_SHARE = 0.10
_SECRET = "the secret of the benchmark's webhooks"
_POLL_SECONDS = 3.0  # in place of 60, so that a minute of it shows more than one look
_SHIPPED_POLL_SECONDS = 60.0


def measure(*, issues: int, repositories: int, webhooks: int, seconds: float) -> list[Figure]:
    """`seconds`: how long polling is watched."""
    return [
        *asyncio.run(_first_sync(issues)),
        *asyncio.run(_webhooks(webhooks)),
        *asyncio.run(_polling(repositories, seconds)),
    ]


async def _first_sync(issues: int) -> list[Figure]:
    async with _running(1, poll_seconds=3600, prepare=lambda each: _fill(each, issues)) as bench:
        taken = await bench.until(lambda: bench.taken_in(issues))
        asked = bench.github.do(lambda server: len(server.requests))
        spent = bench.github.do(GithubServer.counted)
    return [
        Figure(
            what=f"first sync of {issues:,} issues, from start",
            value=f"{taken:.1f} s",
            bar=f"<= {SYNC_SECONDS:g} s",
            holds=taken <= SYNC_SECONDS,
            note=f"{taken / issues * 1000:.2f} ms an issue",
        ),
        Figure(
            what="requests that it cost",
            value=f"{spent}",
            bar=f"<= {SYNC_REQUESTS}",
            holds=spent <= SYNC_REQUESTS,
            note=f"{asked} made; {-(-issues // 100)} pages of issues",
        ),
    ]


def _fill(repository: Repository, issues: int) -> None:
    for number in range(issues):
        body = f"Story {number}.\n\n- [ ] it works\n- [ ] it is shown\n"
        repository.add_issue(f"Story {number}", body, labels=["orchard"], author="mia")


async def _webhooks(count: int) -> list[Figure]:
    seconds: list[float] = []
    async with _running(1, poll_seconds=3600) as bench:
        port = urlsplit(bench.app.web.status if bench.app.web else "").port
        url = f"http://127.0.0.1:{port}/webhooks/github"
        name = bench.names[0]
        await bench.until(lambda: bench.is_kept(name))
        bench.github.do(lambda server: server.repo(f"acme/{name}").add_hook(url, secret=_SECRET))
        for number in range(count):
            title = f"Heard {number}"
            bench.github.do(
                lambda server, title=title: server.repo(f"acme/{name}").add_issue(title, labels=["orchard"])
            )
            seconds.append(await bench.until(lambda number=number: bench.taken_in(number + 1)))
        sent = bench.github.do(
            lambda server: [each for one in server.deliveries.sent for each in one.seconds]
        )
    worst = quantile(seconds, 0.99)
    return [
        Figure(
            what="an issue opened at GitHub to its story, by a webhook, p99",
            value=milliseconds(worst),
            bar=f"<= {ACTED_SECONDS:g} s",
            holds=worst <= ACTED_SECONDS,
            note=f"p50 {milliseconds(quantile(seconds, 0.5))}, {count} issues one after the other; "
            f"acknowledged p99 {milliseconds(quantile(sent, 0.99))}",
        )
    ]


async def _polling(repositories: int, seconds: float) -> list[Figure]:
    def prepare(repository: Repository) -> None:
        _fill(repository, 5)

    async with _running(repositories, poll_seconds=_POLL_SECONDS, prepare=prepare) as bench:
        await bench.until(lambda: bench.taken_in(5 * repositories))
        await asyncio.sleep(2 * _POLL_SECONDS)  # what follows a first sync is over
        quiet, looks = await bench.watched(seconds)
        bench.github.do(lambda server: _change(server, bench.names))
        changed, _ = await bench.watched(seconds)
    rounds = looks / max(repositories, 1)
    hourly = quiet / max(rounds, 1e-9) * (3600 / _SHIPPED_POLL_SECONDS)
    share = hourly / 5000
    return [
        Figure(
            what=f"of the hourly limit, polling {repositories} repositories in which nothing changes",
            value=f"{share:.1%}",
            bar=f"<= {HOURLY_SHARE:.0%}",
            holds=share <= HOURLY_SHARE,
            note=f"{quiet} counted in {rounds:.1f} looks at each, shipped: one a minute",
        ),
        Figure(
            what="requests for one edited issue in each of them",
            value=f"{(changed - quiet) / max(repositories, 1):.1f}",
            note="each, beside what is unchanged",
        ),
    ]


def _change(server: GithubServer, names: list[str]) -> None:
    for name in names:
        server.repo(f"acme/{name}").edit_issue(1, body="Edited.\n\n- [ ] it works\n", by="mia")


@dataclass
class _Bench:
    app: App
    github: Apart
    names: list[str]

    async def until(self, holds: Callable[[], object], patience: float = 600) -> float:
        """Seconds that it took; `holds` may be asked for often."""
        began = time.perf_counter()
        async with asyncio.timeout(patience):
            while True:
                found = holds()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return time.perf_counter() - began
                await asyncio.sleep(0.01)

    async def taken_in(self, count: int) -> bool:
        def look(conn: sqlite3.Connection) -> int:
            return int(conn.execute("SELECT count(*) AS n FROM stories").fetchone()["n"])

        return await self.app.runtime.store.read(look) >= count

    def is_kept(self, name: str) -> bool:
        path = f"/repos/acme/{name}/issues"
        return self.github.do(lambda server: any(seen.status for seen in server.asked("GET", path)))

    async def watched(self, seconds: float) -> tuple[int, int]:
        """Requests counted, and how often lists of issues were asked for."""

        def count(server: GithubServer) -> tuple[int, int]:
            return server.counted(), len(server.asked("GET", r"/repos/[^/]+/[^/]+/issues"))

        before = self.github.do(count)
        await asyncio.sleep(seconds)
        after = self.github.do(count)
        return after[0] - before[0], after[1] - before[1]


@asynccontextmanager
async def _running(
    projects: int, *, poll_seconds: float, prepare: Callable[[Repository], None] = lambda repository: None
) -> AsyncIterator[_Bench]:
    """An Orchard with that many linked projects, and the GitHub-like server in a thread of its own."""
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        names = [f"p{number}" for number in range(projects)]
        (root / "github").mkdir()
        with apart(root / "github") as github:
            github.do(lambda server: server.add_token("good-token", "orch-bot"))
            for each in names:
                folder = _checkout(root / each)
                github.do(lambda server, each=each, folder=folder: _set_up(server, each, folder, prepare))
            polls = {"poll_seconds": poll_seconds, "poll_seconds_with_webhooks": poll_seconds}
            settings = {
                "global": {"web": {"port": 0}, "github": {"api_url": github.server.api_url, **polls}},
                "projects": {
                    each: {"path": str(root / each), "github": {"repository": f"acme/{each}"}}
                    for each in names
                },
            }
            (root / "orch-config.yaml").write_text(yaml.safe_dump(settings))
            environ = {"GITHUB_TOKEN": "good-token", "GITHUB_WEBHOOK_SECRET": _SECRET}
            async with open_app(loader(root, environ=environ), discord=False) as app:
                assert app.web is not None
                await app.web.ready.wait()
                yield _Bench(app=app, github=github, names=names)


def _set_up(server: GithubServer, name: str, folder: Path, prepare: Callable[[Repository], None]) -> None:
    repository = server.add_repository(f"acme/{name}", of=folder)
    repository.grant("orch-bot", "write")
    repository.grant("mia", "write")
    prepare(repository)


def _checkout(folder: Path) -> Path:
    folder.mkdir()
    for words in (
        ("init", "-q", "-b", "main"),
        ("-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    return folder
