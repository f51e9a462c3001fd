"""Webhooks that the server sends, received by a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest_asyncio
from aiohttp import web

from tests.github_server.server import GithubServer

Got = list[tuple[dict[str, str], bytes]]


class Receiver:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.got: Got = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=202)

    def actions(self) -> list[str]:
        return [f"{told['x-github-event']}:{json.loads(body).get('action', '')}" for told, body in self.got]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/webhooks/github", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/github"
    yield receiver
    await runner.cleanup()


async def test_deliveries_are_signed_and_say_what_happened(
    github_server: GithubServer, receiver: Receiver
) -> None:
    here = github_server.repo("acme/shop")
    here.add_hook(receiver.url, secret="s3cret")
    here.add_issue("A basket", labels=["orchard"], author="mia")
    await github_server.deliveries.settled()
    assert receiver.actions() == ["ping:", "label:created", "issues:opened", "issues:labeled"]
    told, body = receiver.got[-1]
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert told["x-hub-signature-256"] == f"sha256={signature}"
    payload = json.loads(body)
    assert (payload["sender"]["login"], payload["repository"]["full_name"]) == ("mia", "acme/shop")
    assert (payload["issue"]["title"], payload["label"]["name"]) == ("A basket", "orchard")
    assert [each.statuses for each in github_server.deliveries.sent] == [[202]] * 4


async def test_forms_and_chosen_events(github_server: GithubServer, receiver: Receiver) -> None:
    here = github_server.repo("acme/shop")
    here.add_hook(receiver.url, secret="k", events=("issue_comment",), content_type="form")
    here.add_issue("A basket")
    here.comment(1, "Ünïcode & more", "mia")
    await github_server.deliveries.settled()
    assert [told["x-github-event"] for told, _ in receiver.got] == ["ping", "issue_comment"]
    told, body = receiver.got[-1]
    assert told["content-type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(body.decode())["payload"][0])["comment"]["body"] == "Ünïcode & more"


async def test_doubled_late_and_out_of_order(github_server: GithubServer, receiver: Receiver) -> None:
    here, deliveries = github_server.repo("acme/shop"), github_server.deliveries
    here.add_hook(receiver.url, events=("issues",))
    await deliveries.settled()
    deliveries.hold()
    here.add_issue("A basket")
    here.close_issue(1)
    deliveries.copies = 2
    deliveries.release(lambda held: held[::-1])
    await deliveries.settled()
    assert receiver.actions()[1:] == ["issues:closed"] * 2 + ["issues:opened"] * 2
    guids = [told["x-github-delivery"] for told, _ in receiver.got]
    assert guids[1] == guids[2] != guids[3]
    deliveries.copies = 1
    deliveries.redeliver(deliveries.sent[-1])
    await deliveries.settled()
    assert receiver.got[-1][0]["x-github-delivery"] == deliveries.sent[-1].guid


async def test_pushes_are_told_of(github_server: GithubServer, receiver: Receiver) -> None:
    here = github_server.repo("acme/shop")
    here.add_hook(receiver.url, events=("push", "pull_request"))
    here.commit("orchard/shop-1", {"basket.py": "apples = 3\n"}, onto=here.head())
    here.open_pull("orchard/shop-1")
    here.force_push("orchard/shop-1", {"README.md": "anew\n"})
    here.delete_branch("orchard/shop-1")
    await github_server.deliveries.settled()
    bodies = [json.loads(body) for _, body in receiver.got]
    pushes = [(b["created"], b["forced"], b["deleted"]) for b in bodies if "ref" in b]
    assert pushes == [(True, False, False), (False, True, False), (False, False, True)]
    assert [action for action in receiver.actions() if action.startswith("pull_request:")] == [
        "pull_request:opened",
        "pull_request:synchronize",
        "pull_request:closed",
    ]


async def test_nobody_there_is_noted(github_server: GithubServer) -> None:
    github_server.repo("acme/shop").add_hook("http://127.0.0.1:9/webhooks/github")
    await github_server.deliveries.settled()
    assert github_server.deliveries.sent[-1].statuses == [0]
