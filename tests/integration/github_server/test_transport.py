"""What the server does around the answers: credentials, ETags, limits, redirects, faults."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import (
    Auth,
    BadCredentialsException,
    Github,
    GithubException,
    GithubIntegration,
    RateLimitExceededException,
)
from github.Repository import Repository

from tests.github_server.faults import Fault, primary_limit, secondary_limit
from tests.github_server.server import GithubServer


async def ask(server: GithubServer, path: str, **headers: str) -> aiohttp.ClientResponse:
    told = {"authorization": "Bearer good-token"} | {k.replace("_", "-"): v for k, v in headers.items()}
    async with aiohttp.ClientSession() as http, http.get(server.api_url + path, headers=told) as answer:
        await answer.read()
        return answer


async def test_unchanged_answers_cost_nothing(github_server: GithubServer) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("A basket")
    first = await ask(github_server, "/repos/acme/shop/issues")
    again = await ask(github_server, "/repos/acme/shop/issues", if_none_match=first.headers["etag"])
    assert again.status == 304
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"] == "1"
    here.comment(1, "News", "mia")
    changed = await ask(github_server, "/repos/acme/shop/issues", if_none_match=first.headers["etag"])
    assert (changed.status, changed.headers["x-ratelimit-used"], github_server.counted()) == (200, "2", 2)


async def test_used_up_hour_refuses_until_it_is_over(
    github_server: GithubServer, client: Github, off: Any
) -> None:
    github_server.exhaust("orch-bot", seconds=50)
    with pytest.raises(RateLimitExceededException) as caught:
        await off(client.get_repo, "acme/shop")
    assert caught.value.headers["x-ratelimit-remaining"] == "0"
    assert int(caught.value.headers["x-ratelimit-reset"]) > time.time()
    github_server.world.advance(51)
    assert (await off(client.get_repo, "acme/shop")).full_name == "acme/shop"


async def test_limit_of_one_person_is_not_anothers(github_server: GithubServer) -> None:
    github_server.add_token("other-token", "mia")
    github_server.exhaust("orch-bot")
    assert (await ask(github_server, "/repos/acme/shop")).status == 403
    assert (await ask(github_server, "/repos/acme/shop", authorization="token other-token")).status == 200


@pytest.mark.parametrize("status", [403, 429])
async def test_scripted_limits(github_server: GithubServer, status: int) -> None:
    github_server.fail(secondary_limit(7, status=status))
    github_server.fail(primary_limit(4102444800, status=status))
    second = await ask(github_server, "/repos/acme/shop")
    first = await ask(github_server, "/repos/acme/shop")
    assert (second.status, second.headers["retry-after"]) == (status, "7")
    assert (first.status, first.headers["x-ratelimit-reset"]) == (status, "4102444800")
    assert (await ask(github_server, "/repos/acme/shop")).status == 200


async def test_renamed_repository_leads_to_the_new_one(
    github_server: GithubServer, client: Github, off: Any
) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("A basket")
    github_server.rename_repository("acme/shop", "mia/market")
    async with (
        aiohttp.ClientSession(headers={"authorization": "Bearer good-token"}) as http,
        http.get(
            f"{github_server.api_url}/repos/acme/shop/issues?state=all", allow_redirects=False
        ) as answer,
    ):
        where = f"{github_server.api_url}/repositories/{here.id}/issues?state=all"
        assert (answer.status, answer.headers["location"]) == (301, where)
    seen = await off(client.get_repo, "acme/shop")
    assert (seen.full_name, seen.id) == ("mia/market", here.id)


async def test_writing_to_an_old_name_is_307(github_server: GithubServer) -> None:
    github_server.rename_repository("acme/shop", "acme/market")
    async with (
        aiohttp.ClientSession(headers={"authorization": "Bearer good-token"}) as http,
        http.post(f"{github_server.api_url}/repos/acme/shop/issues", json={"title": "A basket"}) as answer,
    ):
        assert (answer.status, answer.history[0].status) == (201, 307)
    assert github_server.repo("acme/market").issue(1).title == "A basket"


async def test_deleted_repository_and_lost_permission_are_404(
    github_server: GithubServer, client: Github, off: Any
) -> None:
    secret = github_server.add_repository("acme/secret", private=True)
    with pytest.raises(GithubException) as unseen:
        await off(client.get_repo, "acme/secret")
    secret.grant("orch-bot", "read")
    seen = await off(client.get_repo, "acme/secret")
    with pytest.raises(GithubException) as unwritable:
        await off(seen.create_milestone, "Sprint 1")
    github_server.delete_repository("acme/secret")
    with pytest.raises(GithubException) as deleted:
        await off(client.get_repo, "acme/secret")
    assert [each.value.status for each in (unseen, unwritable, deleted)] == [404, 403, 404]


async def test_revoked_token_is_refused(github_server: GithubServer, shop: Repository, off: Any) -> None:
    github_server.revoke("good-token")
    with pytest.raises(BadCredentialsException):
        await off(shop.get_issue, 1)


async def test_cut_after_it_was_done(github_server: GithubServer, shop: Repository, off: Any) -> None:
    github_server.fail(Fault(method="POST", path="/issues$", cut_after=True))
    with pytest.raises(OSError, match="Connection"):
        await off(shop.create_issue, "A basket")
    assert github_server.repo("acme/shop").issue(1).title == "A basket"


async def test_cut_before_anything_was_done(github_server: GithubServer, shop: Repository, off: Any) -> None:
    github_server.fail(Fault(method="POST", path="/issues$", cut_before=True))
    with pytest.raises(OSError, match="Connection"):
        await off(shop.create_issue, "A basket")
    assert github_server.repo("acme/shop").issues == {}


async def test_answers_that_fail_or_never_come(github_server: GithubServer) -> None:
    github_server.fail(Fault(status=502, html=True, message="Unicorn!"))
    answer = await ask(github_server, "/repos/acme/shop")
    assert (answer.status, answer.content_type) == (502, "text/html")
    github_server.fail(Fault(hang_after=True, method="GET"))
    asking = asyncio.create_task(ask(github_server, "/repos/acme/shop"))
    async with asyncio.timeout(50):
        while github_server.requests[-1].status:  # noqa: ASYNC110 - told by nobody
            await asyncio.sleep(0.01)
    done, _ = await asyncio.wait({asking}, timeout=0.2)
    assert not done
    asking.cancel()


@pytest.fixture(scope="module")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


async def test_app_takes_a_token_of_its_installation(
    github_server: GithubServer, app_key: rsa.RSAPrivateKey, off: Any
) -> None:
    private, public = pem_of(app_key)
    github_server.add_app(7, public, installations={42: "acme"})
    integration = GithubIntegration(auth=Auth.AppAuth(7, private), base_url=github_server.api_url)
    installation = await off(integration.get_repo_installation, "acme", "shop")
    token = await off(integration.get_access_token, installation.id)
    client = Github(auth=Auth.Token(token.token), base_url=github_server.api_url, retry=None)
    made = await off(lambda: client.get_repo("acme/shop").create_issue("A basket"))
    assert (installation.id, made.user.login) == (42, "orch[bot]")
    github_server.world.advance(3601)
    with pytest.raises(BadCredentialsException):
        await off(client.get_repo, "acme/shop")


async def test_jwt_of_another_key_or_too_long_a_life_is_refused(
    github_server: GithubServer, app_key: rsa.RSAPrivateKey
) -> None:
    private, public = pem_of(app_key)
    github_server.add_app(7, public, installations={42: "acme"})
    other, _ = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    now = int(time.time())
    for key, seconds in ((other, 300), (private, int(timedelta(hours=1).total_seconds()))):
        text = jwt.encode({"iss": "7", "iat": now - 5, "exp": now + seconds}, key, algorithm="RS256")
        assert (await ask(github_server, "/app", authorization=f"Bearer {text}")).status == 401
    good = jwt.encode({"iss": "7", "iat": now - 5, "exp": now + 300}, private, algorithm="RS256")
    assert (await ask(github_server, "/app", authorization=f"Bearer {good}")).status == 200
