"""A whole Orchard with its web server on loopback, in a loop of its own thread, and browsers that ask it."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest
import yaml

from bot.app import App, open_app
from bot.configuration import loader
from config.web_settings import WebSettings
from core.domain.access import AccessLevel
from core.domain.approval import Approval, ApprovalKind
from core.runtime import Runtime
from core.security.passwords import Passwords
from core.security.users import Users
from core.store import approvals
from tests.waiting import wait_until

PASSWORD = "an orchard in late autumn"
SECONDS = 40
HOOK_SECRETS = ("the-webhooks-secret-of-this-year", "the-webhooks-secret-of-last-year")
ENVIRON = {"GITHUB_WEBHOOK_SECRET": " ".join(HOOK_SECRETS)}
ROOMY = {"port": 0, "logins_per_minute": 10_000, "calls_per_minute": 100_000}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of a worker's tests starts the Orchard of all of them, which no minute bounds on a busy
    machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(150))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.text)
        assert found, self.text
        return found[1]


@dataclass
class Browser:
    """Keeps cookies and says Origin and Sec-Fetch-Site as browsers do; `headers` come over these."""

    port: int
    host: str = ""
    context: ssl.SSLContext | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"{'https' if self.context else 'http'}://{self.host or f'127.0.0.1:{self.port}'}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str | None] | None = None
    ) -> Answer:
        said: dict[str, str | None] = {"Accept": "text/html" if not path.startswith("/api") else "*/*"}
        said["Host"] = self.host or f"127.0.0.1:{self.port}"
        if method not in ("GET", "HEAD"):
            said |= {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        if self.cookies:
            said["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        said |= self.headers | (headers or {})
        if self.context is None:
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        else:
            line = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=SECONDS, context=self.context)
        try:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in said.items():
                if value is not None:
                    line.putheader(name, value)
            if body is not None:
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            got = line.getresponse()
            answer = Answer(got.status, got.headers, got.read())
        finally:
            line.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, headers={_header(name): value for name, value in headers.items()})

    def post(self, path: str, **fields: str) -> Answer:
        return self.ask(
            "POST", path, urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        )

    def call(self, method: str, path: str, said: Any = None) -> Answer:
        """The API, as a session: with the form's token."""
        headers: dict[str, str | None] = {"Content-Type": "application/json"}
        if self.cookies and method != "GET":
            headers["X-CSRF-Token"] = self.get("/api/whoami").json["csrf"]
        return self.ask(method, f"/api{path}", None if said is None else json.dumps(said).encode(), headers)

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        return self.post("/login", csrf=self.get("/login").csrf, name=name, password=password)

    def enrol(self) -> tuple[pyotp.TOTP, Answer]:
        """A second factor, with the code of now, and the page of recovery codes."""
        begun = self.post("/login/enrol", csrf=self.get("/login/enrol").csrf)
        totp = pyotp.TOTP(re.search(r'<pre class="wrap">([A-Z2-7]+)</pre>', begun.text)[1])
        done = self.post("/login/enrol/confirm", csrf=begun.csrf, code=totp.now())
        return totp, done


def _header(name: str) -> str:
    return name.replace("_", "-")


@dataclass
class House:
    """The running Orchard; `do` runs a coroutine in its loop."""

    root: Path
    loop: asyncio.AbstractEventLoop
    app: App
    port: int
    people: int = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    @property
    def runtime(self) -> Runtime:
        return self.app.runtime

    def browser(self) -> Browser:
        return Browser(self.port)

    def person(self, level: AccessLevel | None = AccessLevel.VIEWER, **projects: AccessLevel) -> str:
        """The name of a new user."""
        self.people += 1
        name = f"person{self.people}"
        users = Users(self.runtime.store, Passwords())

        async def make() -> None:
            await users.create_user(name, f"{name}@example.org", PASSWORD, level)
            for project, granted in projects.items():
                await users.grant_project_access(name, project, granted)

        self.do(make())
        return name

    def logged_in(self, level: AccessLevel | None = AccessLevel.VIEWER, **projects: AccessLevel) -> Browser:
        browser = self.browser()
        assert browser.log_in(self.person(level, **projects)).status == 303
        return browser

    def operator(self, level: AccessLevel | None = AccessLevel.OWNER, **projects: AccessLevel) -> Browser:
        """With a second factor in this session."""
        browser = self.logged_in(level, **projects)
        assert browser.enrol()[1].status == 200
        return browser

    def token(self, level: AccessLevel | None, *scopes: str, only: tuple[str, ...] = ()) -> Browser:
        """Somebody with a token and nothing else, as curl is."""
        made = self.logged_in(level).call(
            "POST", "/tokens", {"name": "ci", "scopes": list(scopes), "projects": list(only)}
        )
        assert made.status == 201, made.text
        headers = {"Authorization": f"Bearer {made.json['token']}", "Origin": None, "Sec-Fetch-Site": None}
        return Browser(self.port, headers=headers)

    @contextmanager
    def serving(self, **settings: Any) -> Iterator[int]:
        """Another server before the same Orchard, with other settings: its port."""
        from bot.web.server import served

        chosen = WebSettings.model_validate({**ROOMY, **settings})
        stop = asyncio.Event()
        port: asyncio.Future[int] = self.loop.create_future()

        async def serve() -> None:
            try:
                async with served(self.runtime, chosen) as found:
                    port.set_result(found.port)
                    await stop.wait()
            except BaseException as error:
                if not port.done():
                    port.set_exception(error)
                raise

        async def known() -> int:
            return await port

        task = asyncio.run_coroutine_threadsafe(serve(), self.loop)
        try:
            yield self.do(known())
        finally:
            self.loop.call_soon_threadsafe(stop.set)
            if not task.done() or task.exception() is None:
                task.result(SECONDS)


def make_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    for words in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Dev"),
        ("config", "user.email", "dev@example.org"),
        ("add", "-A"),
        ("commit", "-q", "-m", "First commit"),
    ):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    return folder


def make_root(root: Path) -> Path:
    """The folder of an Orchard with two projects, which has not been opened yet."""
    projects = {name: {"path": str(make_project(root / name))} for name in ("shop", "bank")}
    # One look at everything, at the start: a later one would end the alerts that tests make up.
    seldom = {"sample_seconds": 3600}
    settings = {"global": {"web": dict(ROOMY), "max_load_per_core": None, "monitoring": seldom}}
    settings["projects"] = projects
    (root / "orch-config.yaml").write_text(yaml.safe_dump(settings))
    return root


@contextmanager
def opened(root: Path) -> Iterator[House]:
    """The Orchard of this folder, while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="orchard", daemon=True)
    thread.start()
    stop = asyncio.Event()
    ready: asyncio.Future[App] = loop.create_future()

    async def run() -> None:
        try:
            async with open_app(loader(root, environ=dict(ENVIRON)), discord=False) as app:
                await app.web.ready.wait()
                ready.set_result(app)
                await stop.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def known() -> App:
        return await ready

    task = asyncio.run_coroutine_threadsafe(run(), loop)
    app = asyncio.run_coroutine_threadsafe(known(), loop).result(SECONDS)
    assert app.web.status.startswith("http://127.0.0.1:"), app.web.status
    wait_until(lambda: bool(app.runtime.monitoring.readings.latest()), "nothing was measured")
    yield House(root, loop, app, int(app.web.status.rpartition(":")[2]))
    loop.call_soon_threadsafe(stop.set)
    task.result(SECONDS)
    asyncio.run_coroutine_threadsafe(_end_all(), loop).result(SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SECONDS)
    loop.close()


async def _end_all() -> None:
    """As `asyncio.run` does: what is left behind would be torn in the middle of another test."""
    others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def new_root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def make_owner(house: House) -> None:
    users = Users(house.runtime.store, Passwords())
    house.do(users.create_first_owner(username="root", email="root@example.org", password=PASSWORD))


@pytest.fixture(scope="session")
def kept_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(make_root(tmp_path_factory.mktemp("orchard"))) as made:
        make_owner(made)
        yield made


@pytest.fixture(scope="module")
def house(kept_house: House) -> Iterator[House]:
    """One for all files here. NiceGUI is one a process, and the next file's own Orchard may want it."""
    yield kept_house
    kept_house.do(kept_house.app.web.application.state.door.let_go())


@pytest.fixture(scope="module")
def own_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Of one file of tests, for what others are not to see."""
    with opened(make_root(tmp_path_factory.mktemp("own"))) as made:
        make_owner(made)
        yield made


@pytest.fixture
def browser(house: House) -> Browser:
    return house.browser()


@pytest.fixture(scope="session")
def operator(kept_house: House) -> Browser:
    return kept_house.operator()


@pytest.fixture
def raw(house: House) -> Callable[..., bytes]:
    """Sends bytes as they are; everything that comes back until the other side closes."""

    def send(
        *parts: bytes,
        port: int | None = None,
        pause: Callable[[], None] = lambda: None,
        enough: bytes = b"\0never",
    ) -> bytes:
        with socket.create_connection(("127.0.0.1", port or house.port), timeout=SECONDS) as line:
            got = b""
            with suppress(ConnectionError):  # it may answer, and close, before it was told everything
                for part in parts:
                    line.sendall(part)
                    pause()
            with suppress(ConnectionError):
                while enough not in got and (piece := line.recv(65536)):
                    got += piece
            return got

    return send


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=DNS:localhost,DNS:orchard.example.org,IP:127.0.0.1")
    files = ("-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    subprocess.run(["openssl", *words.split(), *names, *files], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def question(house: House) -> Iterator[Callable[[str], Approval]]:
    """A question of a project's agent, which waits for an answer; at the test's end no longer."""
    asked: list[Approval] = []

    def ask(project: str) -> Approval:
        async def put() -> Approval:
            story = await house.runtime.commands.add_story(project, "Pay by card", actor="cli")
            return await house.runtime.store.write(
                lambda tx: approvals.ask(
                    tx,
                    project=project,
                    story_id=story.id,
                    kind=ApprovalKind.PERMISSION,
                    subject=f"permission:{story.id}",
                    question="May it?",
                    detail="+1",
                    reasons=("it is large",),
                )
            )

        asked.append(house.do(put()))
        return asked[-1]

    yield ask
    for each in asked:
        house.do(house.runtime.store.write(partial(approvals.cancel_of_story, story_id=each.story_id)))
