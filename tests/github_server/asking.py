"""One request of the API: who asks, what of, and how lists are answered in pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from tests.github_server.repository import Repository
from tests.github_server.world import PERMISSIONS, Account, App, Refusal, Token, World

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class Asking:
    """A request that was understood. `path` comes after the API's prefix, with the names of today."""

    world: World
    request: web.Request
    path: str
    body: dict[str, Any]
    token: Token | None = None
    app: App | None = None

    @property
    def account(self) -> Account | None:
        return self.token.account if self.token else None

    def repository(self, owner: str, name: str) -> Repository:
        """Raises Refusal: 404 when there is none or it may not be seen."""
        repository = self.world.find(f"{owner}/{name}")
        if self.level(repository) == "none":
            raise Refusal(404, "Not Found")
        return repository

    def level(self, repository: Repository) -> str:
        """What the credential may do there."""
        level = repository.level_of(self.account)
        if self.token is None:
            return level
        if self.token.repository_ids is not None and repository.id not in self.token.repository_ids:
            return "none" if repository.private else "read"
        return min(level, self.token.ceiling, key=PERMISSIONS.index)

    def needs(self, repository: Repository, least: str) -> Account:
        """Who asks. Raises Refusal: 401 nobody, 403 they may not."""
        if self.account is None:
            raise Refusal(401, "Requires authentication")
        if repository.archived and least != "read":
            raise Refusal(403, "Repository was archived so is read-only.")
        if PERMISSIONS.index(self.level(repository)) < PERMISSIONS.index(least):
            raise Refusal(403, "Resource not accessible by personal access token")
        return self.account

    def needs_app(self) -> App:
        if self.app is None:
            raise Refusal(401, "A JSON web token could not be decoded")
        return self.app

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A text of the body. Raises Refusal (422)."""
        value = self.body.get(name)
        if value is None and required:
            raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        if value is not None and not isinstance(value, str):
            raise Refusal(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not a string.")
        return value

    def moment(self, name: str) -> datetime | None:
        """A time of the query. Raises Refusal (422)."""
        return parse_moment(self.request.query.get(name))

    def page(
        self, rows: Sequence[T], shape: Callable[[T], dict[str, Any]], *, within: str = "", most: int = 100
    ) -> web.Response:
        """A page of the rows with its Link header. `within`: the list's name in an object with the count."""
        query = self.request.query
        size = min(max(number_of(query.get("per_page"), 30), 1), most)
        page = max(number_of(query.get("page"), 1), 1)
        last = max(-(-len(rows) // size), 1)
        told = [shape(row) for row in rows[(page - 1) * size : page * size]]
        links = {}
        if page > 1:
            links |= {"prev": page - 1, "first": 1}
        if page < last:
            links |= {"next": page + 1, "last": last}
        headers = {}
        if links:
            headers["link"] = ", ".join(f'<{self._at_page(n)}>; rel="{rel}"' for rel, n in links.items())
        body = {"total_count": len(rows), within: told} if within else told
        return web.json_response(body, headers=headers)

    def _at_page(self, page: int) -> str:
        """By the repository's id, as GitHub gives it."""
        match = re.match(r"/repos/([^/]+/[^/]+)(/.*)?$", self.path)
        path = f"/repositories/{self.world.find(match[1]).id}{match[2] or ''}" if match else self.path
        pairs = [pair for pair in parse_qsl(self.request.query_string) if pair[0] != "page"]
        return f"{self.world.api}{path}?{urlencode([*pairs, ('page', str(page))])}"


def number_of(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise


def parse_moment(text: str | None) -> datetime | None:
    """Raises Refusal (422)."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        raise Refusal(422, "Validation Failed", errors=[{"field": "since", "code": "invalid"}]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_body(raw: bytes) -> dict[str, Any]:
    """Raises Refusal (400)."""
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    if isinstance(body, list):
        return {"": body}
    if not isinstance(body, dict):
        raise Refusal(400, "Body should be a JSON object")
    return body
