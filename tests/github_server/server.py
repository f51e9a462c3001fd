"""A GitHub-like server on loopback: REST API below /api/v3, git over HTTP, and webhooks that it sends."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from aiohttp import web

from tests.github_server import app_routes, issue_routes, pull_routes, repository_routes
from tests.github_server.asking import Asking, parse_body
from tests.github_server.credentials import find_app, find_token, known_scopes
from tests.github_server.deliveries import Deliveries
from tests.github_server.faults import Fault
from tests.github_server.git_http import GitHttp
from tests.github_server.repository import (
    Repository,
    create_repository,
    delete_repository,
    move_repository,
)
from tests.github_server.world import App, Rate, Refusal, Token, World

T = TypeVar("T")
API = "/api/v3"
DOCS = "https://docs.github.com/rest"
_TABLES = (issue_routes.routes, repository_routes.routes, pull_routes.routes, app_routes.routes)


@dataclass(eq=False, kw_only=True, slots=True)
class Seen:
    """A request as it was met. `counted`: it cost one of the hour's requests."""

    method: str
    path: str  # without the API's prefix; /repositories/ID as /repos/OWNER/NAME
    query: str
    body: dict[str, Any]
    login: str
    status: int = 0  # 0: not answered
    counted: bool = False
    redirected: bool = False


@dataclass(eq=False, kw_only=True)
class GithubServer:
    """Use as `async with GithubServer(folder=tmp_path) as server`. `folder` takes the bare repositories."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one; the one in use once started
    requests: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    deliveries: Deliveries = field(default_factory=Deliveries)
    world: World = field(init=False)
    _runner: web.AppRunner | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.world = World(folder=self.folder)
        self.world.emit = self.deliveries.due
        self.git = GitHttp(world=self.world)

    @property
    def url(self) -> str:
        """The web address; clone addresses are URL/OWNER/NAME.git."""
        return f"http://{self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """What `github.api_url` is set to."""
        return f"{self.url}{API}"

    async def __aenter__(self) -> GithubServer:
        # Git asks with names and sends bodies that the API would not.
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", API + "{path:/.*}", self._api)
        app.router.add_route("*", "/{owner}/{repo}.git/{service:.*}", self.git.answer)
        # A cut connection takes nobody's work back: what was asked for is finished, as on GitHub.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()
        self.port = self._runner.addresses[0][1]
        self.world.api, self.world.web = self.api_url, self.url
        self.deliveries.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.deliveries.end()
        if self._runner:
            await self._runner.cleanup()

    # What tests set up

    def add_repository(self, name: str, *, of: Path | None = None, **more: Any) -> Repository:
        """OWNER/NAME with one commit, or with what the checkout `of` has; see `create_repository`."""
        repository = create_repository(self.world, name, **more)
        if of is not None:
            branch = repository.default_branch
            repository.git.run("fetch", "-q", str(of), f"+refs/heads/{branch}:refs/heads/{branch}")
            repository.look_at_heads(None)
            return repository
        repository.commit(repository.default_branch, {"README.md": f"# {repository.name}\n"}, "First commit")
        return repository

    def repo(self, name: str) -> Repository:
        """By its present or an older name."""
        return self.world.find(name)

    def rename_repository(self, name: str, new: str) -> Repository:
        """NEW is OWNER/NAME: with another owner it is transferred."""
        repository = self.repo(name)
        move_repository(self.world, repository, new)
        return repository

    def delete_repository(self, name: str) -> None:
        delete_repository(self.world, self.repo(name))

    def add_token(
        self,
        text: str,
        login: str,
        *,
        limit: int = 5000,
        scopes: str | None = "repo",
        ceiling: str = "admin",
        only: Sequence[Repository] | None = None,
    ) -> Token:
        """A person's credential; those of one person share the hour's requests."""
        rate = self.world.rate(login, limit)
        rate.limit = limit
        token = Token(
            text=text,
            account=self.world.account(login),
            rate=rate,
            scopes=scopes,
            ceiling=ceiling,
            repository_ids=None if only is None else frozenset(repository.id for repository in only),
        )
        self.world.tokens[text] = token
        return token

    def revoke(self, text: str) -> None:
        """401 from now on."""
        self.world.tokens[text].revoked = True

    def add_app(
        self, app_id: int, public_key: str, *, installations: dict[int, str], slug: str = "orch"
    ) -> App:
        """A GitHub App. `public_key` is PEM; `installations` are ids and whose repositories they reach."""
        bot = self.world.account(f"{slug}[bot]", "Bot")
        app = App(id=app_id, slug=slug, account=bot, public_key=public_key, installations=dict(installations))
        self.world.apps[app_id] = app
        return app

    def fail(self, fault: Fault) -> Fault:
        """Queued: the next requests that fit meet it."""
        self.faults.append(fault)
        return fault

    def exhaust(self, login: str, *, seconds: float = 3600) -> Rate:
        """Its requests are used up, until that much time has passed."""
        rate = self.world.rate(login)
        rate.used, rate.reset = rate.limit, int(self.world.now().timestamp() + seconds)
        return rate

    def counted(self) -> int:
        """Requests that cost something."""
        return sum(seen.counted for seen in self.requests)

    def asked(self, method: str = "", path: str = "") -> list[Seen]:
        """The requests seen with that method whose path the expression matches wholly."""
        return [
            seen
            for seen in self.requests
            if method in ("", seen.method) and (not path or re.fullmatch(path, seen.path))
        ]

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until it holds; looked at whenever a request was answered."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    # The API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(
            method=request.method,
            path=self._by_name(request.match_info["path"]),
            query=request.query_string,
            body={},
            login="",
        )
        self.requests.append(seen)
        raw = await request.read()
        fault = next((each for each in self.faults if each.fits(seen.method, seen.path)), None) or Fault()
        fault.take()
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.begins is not None:
            await fault.begins.wait()
        if fault.hang:
            await self._for_ever()
        if fault.cut_before:
            return _cut(request)
        answer = self._answered(request, seen, raw, fault)
        if fault.cut_after:
            seen.status = 0
            self._changed.set()
            return _cut(request)
        if fault.delay_after_seconds:
            await asyncio.sleep(fault.delay_after_seconds)
        if fault.answers is not None:
            await fault.answers.wait()
        if fault.hang_after:
            seen.status = 0
            self._changed.set()
            await self._for_ever()
        self._changed.set()
        return answer

    def _by_name(self, path: str) -> str:
        match = re.match(r"/repositories/(\d+)(/.*)?$", path)
        repository = self.world.repositories.get(int(match[1])) if match else None
        return f"/repos/{repository.full_name}{match[2] or ''}" if match and repository else path

    async def _for_ever(self) -> None:
        await asyncio.Event().wait()

    def _answered(self, request: web.Request, seen: Seen, raw: bytes, fault: Fault) -> web.Response:
        rate = self.world.rate("", 60)
        token: Token | None = None
        try:
            app = find_app(self.world, request)
            token = None if app else find_token(self.world, request)
            rate = token.rate if token else self.world.rate(f"app {app.id}") if app else rate
            if token:
                rate = token.rate = self._hour(token)
                seen.login = token.account.login
            if not request.headers.get("user-agent"):
                raise Refusal(403, "Request forbidden by administrative rules. Missing user agent string.")
            if fault.status is not None:
                answer = _failed(fault)
            elif rate.used >= rate.limit and seen.path != "/rate_limit":
                raise Refusal(403, f"API rate limit exceeded for {seen.login or request.remote}.")
            else:
                answer = self._handled(request, seen, raw, token, app)
        except Refusal as refusal:
            answer = _refused(refusal)
        return self._dressed(request, seen, answer, rate, token)

    def _hour(self, token: Token) -> Rate:
        """Its allowance, begun anew when its hour is over."""
        for whose, rate in self.world.rates.items():
            if rate is token.rate:
                return self.world.rate(whose)
        return token.rate

    def _handled(
        self, request: web.Request, seen: Seen, raw: bytes, token: Token | None, app: App | None
    ) -> web.Response:
        path = seen.path
        if path.startswith("/repositories/"):
            raise Refusal(404, "Not Found")
        if match := re.match(r"/repos/([^/]+/[^/]+)(/.*)?$", path):
            repository = self.world.find(match[1])
            if repository.full_name.lower() != match[1].lower():
                query = f"?{request.query_string}" if request.query_string else ""
                address = f"{self.api_url}/repositories/{repository.id}{match[2] or ''}{query}"
                seen.redirected = True
                status = 301 if request.method in ("GET", "HEAD") else 307
                raise Refusal(status, "Moved Permanently", url=address)
        seen.body = parse_body(raw)
        ask = Asking(world=self.world, request=request, path=path, body=seen.body, token=token, app=app)
        for table in _TABLES:
            if found := table.find("GET" if request.method == "HEAD" else request.method, path):
                handler, values = found
                if "repo" in values:
                    if app is None:
                        values["repo"] = ask.repository(values.pop("owner"), values["repo"])
                    else:
                        values["repo"] = self.world.find(f"{values.pop('owner')}/{values['repo']}")
                return handler(ask, **values)
        raise Refusal(404, "Not Found")

    def _dressed(
        self, request: web.Request, seen: Seen, answer: web.Response, rate: Rate, token: Token | None
    ) -> web.Response:
        """With an ETag, and what is left of the hour; unchanged answers are 304 and cost nothing."""
        body = answer.body if isinstance(answer.body, bytes) else b""
        if request.method == "GET" and answer.status == 200:
            # The page's neighbours are part of what is told.
            etag = hashlib.sha256(body + answer.headers.get("link", "").encode()).hexdigest()
            answer.headers["etag"] = f'W/"{etag}"'
            answer.headers["cache-control"] = "private, max-age=60, s-maxage=60"
            answer.headers["vary"] = "Accept, Authorization, Cookie"
            if etag in request.headers.get("if-none-match", ""):
                answer = web.Response(status=304, headers={"etag": f'W/"{etag}"'})
        free = answer.status == 304 and token is not None
        if not free and seen.path != "/rate_limit" and rate.used < rate.limit:
            rate.used, seen.counted = rate.used + 1, True
        told = {
            "x-ratelimit-limit": str(rate.limit),
            "x-ratelimit-remaining": str(max(rate.limit - rate.used, 0)),
            "x-ratelimit-used": str(rate.used),
            "x-ratelimit-reset": str(rate.reset),
            "x-ratelimit-resource": "core",
            "x-github-media-type": "github.v3; format=json",
            "x-github-request-id": f"{len(self.requests):04X}:BEEF",
        }
        if token and token.scopes is not None:
            told |= {"x-oauth-scopes": token.scopes, "x-accepted-oauth-scopes": known_scopes(seen.path)}
        for name, value in told.items():
            answer.headers.setdefault(name, value)
        seen.status = answer.status
        return answer


def _refused(refusal: Refusal) -> web.Response:
    body = {"message": refusal.message} | refusal.more | {"documentation_url": DOCS}
    body["status"] = str(refusal.status)
    headers = {"location": refusal.more["url"]} if refusal.status in (301, 307) else {}
    return web.json_response(body, status=refusal.status, headers=headers)


def _failed(fault: Fault) -> web.Response:
    status = fault.status or 500
    if fault.html:
        page = f"<html><body>{fault.message}</body></html>"
        return web.Response(text=page, content_type="text/html", status=status, headers=fault.headers)
    body = {"message": fault.message, "documentation_url": DOCS}
    return web.json_response(body, status=status, headers=fault.headers)


def _cut(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@dataclass(eq=False, kw_only=True)
class Apart:
    """The server in a thread of its own, for tests that do not run a loop, or block theirs."""

    server: GithubServer
    _loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[GithubServer], T]) -> T:
        """Runs the work where the server answers, so that it meets no request half way."""

        async def done() -> T:
            return work(self.server)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)


@contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """Listens when it is entered."""
    ready: queue.SimpleQueue[Apart] = queue.SimpleQueue()
    stop = asyncio.Event()

    async def serve() -> None:
        async with GithubServer(folder=folder) as server:
            ready.put(Apart(server=server, _loop=asyncio.get_running_loop()))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="github server", daemon=True)
    thread.start()
    found = ready.get(timeout=30)
    try:
        yield found
    finally:
        found._loop.call_soon_threadsafe(stop.set)
        thread.join(30)
