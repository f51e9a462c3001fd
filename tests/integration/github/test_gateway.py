"""Which credential a project's repository is asked with; a GitHub App's tokens; git's own right."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from config.settings import Settings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.errors import NotFound
from core.github.api.gateway import GithubGateway, git_origin
from core.github.api.trouble import GithubForbidden, GithubGone, GithubUnauthorized
from core.known_secrets import known_secrets
from core.security.audit import AuditKind
from core.security.keys import Key
from core.security.secrets import Secrets
from core.store import audit, github_links, projects
from core.store.auditor import Auditor
from core.store.database import Store
from core.store.transaction import Transaction
from core.worker.remote_contract import Remote
from tests.github_server import shapes
from tests.github_server.server import GithubServer

KEY = Key(bytes(range(32)))


@dataclass
class Rig:
    """`settings` may be changed at any time."""

    server: GithubServer
    store: Store
    secrets: Secrets
    root: Path
    settings: Settings
    gateway: GithubGateway = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = GithubGateway(
            self.store, lambda: self.settings, self.secrets, root=self.root, clock=SystemClock()
        )

    def set(self, *, github: dict[str, Any] | None = None, own: str | None = None, token: str = "") -> None:
        data = {"api_url": self.server.api_url, "request_seconds": 10, **(github or {})}
        project = {"name": "shop", "path": "/srv/shop", "github": {"token_secret": own}}
        blog = {"name": "blog", "path": "/srv/blog"}
        settings = Settings.model_validate(
            {"global": {"github": data}, "projects": {"shop": project, "blog": blog}}
        )
        self.settings = settings.model_copy(update={"github_token": SecretStr(token) if token else None})

    async def login(self) -> str:
        return await (await self.gateway.repo("shop")).me()


def link_shop(tx: Transaction) -> None:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    for name in ("shop", "blog"):
        project = Project(
            name=name,
            path=Path(f"/srv/{name}"),
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.IDLE,
            registered_at=now,
        )
        projects.add(tx, project)
    github_links.put(tx, "shop", "acme/shop", by="cli:ann", configured=False)


@pytest_asyncio.fixture
async def rig(github_server: GithubServer, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        await store.write(link_shop)
        made = Rig(github_server, store, Secrets(store, KEY, Auditor(KEY)), tmp_path, Settings())
        made.set(token="good-token")
        yield made
        await made.gateway.close()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def app(github_server: GithubServer, tmp_path: Path, key: rsa.RSAPrivateKey) -> Callable[..., dict[str, Any]]:
    """An app of GitHub's that is installed for acme: the settings that name it."""

    def make(**more: Any) -> dict[str, Any]:
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        file = tmp_path / "app.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        file.chmod(0o600)
        github_server.add_app(7, public.decode(), installations={70: "acme"}, slug="orchard")
        return {"app_id": 7, "app_private_key_file": "app.pem", **more}

    return make


async def test_the_environments_token_is_the_one_of_all_projects(rig: Rig) -> None:
    assert await rig.login() == "orch-bot"
    assert [rate.credential for rate in rig.gateway.rates()] == ["GITHUB_TOKEN"]
    with pytest.raises(NotFound, match="linked with no repository"):
        await rig.gateway.repo("blog")
    assert (await (await rig.gateway.named("blog", "acme/shop")).about()).full_name == "acme/shop"
    assert len(rig.gateway.rates()) == 1


async def test_without_any_credential_it_says_what_to_do(rig: Rig) -> None:
    rig.set()
    with pytest.raises(GithubUnauthorized, match=r"GITHUB_TOKEN into \.env"):
        await rig.gateway.repo("shop")
    assert rig.gateway.rates() == ()


async def test_a_projects_own_token_comes_first_and_is_audited_once(rig: Rig) -> None:
    rig.server.add_token("own-token-1", "shop-bot")
    rig.server.add_token("own-token-2", "other-bot")
    await rig.secrets.set("shop", "GH", "own-token-1", actor="cli:ann")
    rig.set(own="GH", token="good-token")
    assert await asyncio.gather(*(rig.login() for _ in range(3))) == ["shop-bot"] * 3
    assert await rig.login() == "shop-bot"
    used = await rig.store.read(lambda conn: audit.entries(conn, kind=AuditKind.SECRET_USED))
    assert len(used) == 1
    await rig.secrets.set("shop", "GH", "own-token-2", actor="cli:ann")
    assert await rig.login() == "other-bot"
    assert [rate.credential for rate in rig.gateway.rates()] == ["the secret GH of shop"]


async def test_a_named_secret_that_is_missing_is_not_replaced_by_another_credential(rig: Rig) -> None:
    rig.set(own="GH", token="good-token")
    with pytest.raises(GithubUnauthorized, match="no secret GH"):
        await rig.gateway.repo("shop")


async def test_a_project_whose_settings_are_broken_is_asked_with_no_other_credential(rig: Rig) -> None:
    rig.set(own="GH", token="good-token")
    rig.settings = rig.settings.model_copy(update={"projects": {}})
    for call in (rig.gateway.repo("shop"), rig.gateway.remote("shop")):
        with pytest.raises(GithubUnauthorized, match="settings of shop cannot be used"):
            await call
    assert not rig.server.requests


@pytest.mark.parametrize("token", ["two words", "good-token\nX-Other: 1", "täken"])
async def test_what_can_be_no_token_is_not_sent(rig: Rig, token: str) -> None:
    rig.set(token=token)
    with pytest.raises(GithubUnauthorized, match="GITHUB_TOKEN is no token") as caught:
        await rig.gateway.repo("shop")
    assert token not in str(caught.value)


async def test_a_changed_token_or_address_is_used_at_once(rig: Rig) -> None:
    rig.server.add_token("new-token", "new-bot")
    assert await rig.login() == "orch-bot"
    rig.set(token="new-token")
    assert await rig.login() == "new-bot"
    assert len(rig.gateway.rates()) == 1


async def test_an_app_acts_as_itself_with_a_token_of_its_installation(
    rig: Rig, app: Callable[..., dict[str, Any]]
) -> None:
    rig.set(github=app(), token="good-token")
    repo = await rig.gateway.repo("shop")
    assert (await repo.about()).full_name == "acme/shop"
    assert await repo.me() == "orchard[bot]"
    issue = await repo.create_issue("A basket", "")
    assert (issue.author.login, issue.author.is_bot) == ("orchard[bot]", True)
    assert len(rig.server.asked("POST", ".*/access_tokens")) == 1
    remote = await rig.gateway.remote("shop")
    assert remote is not None
    assert rig.server.repo("acme/shop").head("main") in await listed_by_git(remote)


async def test_an_installations_token_is_renewed_when_it_is_refused(
    rig: Rig, app: Callable[..., dict[str, Any]]
) -> None:
    rig.set(github=app(app_installation_id=70))
    repo = await rig.gateway.repo("shop")
    await repo.about()
    for text in list(rig.server.world.tokens):
        if text != "good-token":
            rig.server.revoke(text)
    assert (await repo.create_issue("A basket", "")).number == 1
    assert len(rig.server.asked("POST", ".*/access_tokens")) == 2


async def test_an_app_that_is_installed_again_is_found(rig: Rig, app: Callable[..., dict[str, Any]]) -> None:
    rig.set(github=app())
    await (await rig.gateway.repo("shop")).about()
    installed = next(iter(rig.server.world.apps.values())).installations
    installed.clear()
    for text in list(rig.server.world.tokens):
        rig.server.revoke(text)
    with pytest.raises(GithubUnauthorized, match=r"installation 70\) is there no more"):
        await (await rig.gateway.repo("shop")).about()
    installed[71] = "acme"
    assert (await (await rig.gateway.repo("shop")).about()).full_name == "acme/shop"


async def test_an_app_that_is_not_installed_says_so(rig: Rig, app: Callable[..., dict[str, Any]]) -> None:
    rig.set(github=app())
    rig.server.add_repository("else/where")
    with pytest.raises(GithubUnauthorized, match="not installed for else/where"):
        await rig.gateway.named("shop", "else/where")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.chmod(0o644), "chmod 600"),
        (lambda file: file.write_text("no key"), "no private key of a GitHub App"),
        (lambda file: file.unlink(), "cannot be read"),
    ],
    ids=["readable", "no key", "gone"],
)
async def test_a_private_key_that_is_none_says_what_to_do(
    rig: Rig, app: Callable[..., dict[str, Any]], spoil: Callable[[Path], object], words: str
) -> None:
    rig.set(github=app())
    spoil(rig.root / "app.pem")
    with pytest.raises(GithubUnauthorized, match=words) as caught:
        await (await rig.gateway.repo("shop")).about()
    assert "PRIVATE KEY" not in str(caught.value)


async def test_gits_right_is_a_header_that_no_log_tells(rig: Rig) -> None:
    facts = await (await rig.gateway.repo("shop")).about()
    assert await rig.gateway.remote("blog") is None
    asked = len(rig.server.requests)
    remote = await rig.gateway.remote("shop")
    assert remote is not None
    assert (remote.repository, remote.url) == ("acme/shop", facts.clone_url)
    await rig.store.write(
        lambda tx: github_links.answered(
            tx,
            "shop",
            repository=facts.full_name,
            repository_id=facts.id,
            default_branch=facts.default_branch,
            clone_url=facts.clone_url,
            html_url=facts.html_url,
        )
    )
    assert await rig.gateway.remote("shop") == remote
    assert len(rig.server.requests) == asked + 1, "GitHub is asked only for what it has not said yet"
    kind, value = remote.header.removeprefix("Authorization: ").split()
    assert (kind, base64.b64decode(value)) == ("Basic", b"x-access-token:good-token")
    assert value not in known_secrets.text(f"git said {remote.header}")
    assert value not in repr(remote)
    assert rig.server.repo("acme/shop").head("main") in await listed_by_git(remote)


@pytest.mark.parametrize(
    ("api", "git"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.acme.ghe.com/", "https://acme.ghe.com"),
        ("https://Git.Acme.example:8443/api/v3", "https://git.acme.example:8443"),
        ("https://api.acme.example/api/v3", "https://api.acme.example"),
    ],
)
def test_git_is_where_its_api_says(api: str, git: str) -> None:
    assert git_origin(api) == git


@pytest.mark.parametrize(
    "url",
    [
        "https://{host}/acme/shop.git",
        "http://evil.example/acme/shop.git",
        "http://{host}@evil.example/acme/shop.git",
        "http://me@{host}/acme/shop.git",
        "http://{host}.evil.example/acme/shop.git",
        "//{host}/acme/shop.git",
        "file:///srv/acme/shop.git",
        "--upload-pack=touch /tmp/x",
        "http://[",
        "",
    ],
)
async def test_git_elsewhere_is_not_shown_the_credential(
    rig: Rig, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, real = url.format(host=rig.server.url.removeprefix("http://")), shapes.of_repository
    monkeypatch.setattr(
        shapes, "of_repository", lambda *those, **more: {**real(*those, **more), "clone_url": said}
    )
    with pytest.raises(GithubForbidden, match="not shown the credential"):
        await rig.gateway.remote("shop")


async def test_git_of_a_repository_that_is_gone_has_no_right(rig: Rig) -> None:
    rig.server.delete_repository("acme/shop")
    with pytest.raises(GithubGone):
        await rig.gateway.remote("shop")


async def test_the_address_of_a_renamed_repository_is_asked_for(rig: Rig) -> None:
    facts = await (await rig.gateway.repo("shop")).about()
    await rig.store.write(
        lambda tx: github_links.answered(
            tx,
            "shop",
            repository=facts.full_name,
            repository_id=facts.id,
            default_branch=facts.default_branch,
            clone_url=facts.clone_url,
            html_url=facts.html_url,
        )
    )
    rig.server.rename_repository("acme/shop", "acme/store")
    remote = await rig.gateway.remote("shop")
    assert remote is not None
    assert remote.url.endswith("/acme/store.git")


async def listed_by_git(remote: Remote) -> str:
    argv = ["git", "-c", f"http.extraHeader={remote.header}", "ls-remote", remote.url, "main"]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    return out.decode()


def test_without_a_linked_project_nothing_of_it_is_imported() -> None:
    program = "import sys, json; import core.github.api.gateway; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"github", "requests", "jwt"} & set(json.loads(done.stdout))
