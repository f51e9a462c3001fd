"""What is read of a repository's webhooks, and written to them. It takes the right to administer it."""

from __future__ import annotations

from collections.abc import Collection

from core.github.api.bound import Bound
from core.github.api.facts import HookFacts
from core.github.api.parsers import number_of, obj, text_of


class HookCalls(Bound):
    async def hooks(self) -> tuple[HookFacts, ...]:
        """Raises GithubMissing for a credential that may not administer the repository."""
        return await self._all("/hooks", _parse_hook, "read the webhooks")

    async def create_hook(self, url: str, *, secret: str, events: Collection[str]) -> HookFacts:
        """Raises GithubRefused where there is one of that URL."""
        said = {"name": "web", "active": True, "events": sorted(events), "config": _config(url, secret)}
        return await self._made("POST", "/hooks", said, _parse_hook, "make a webhook", again=False)

    async def edit_hook(self, hook_id: int, url: str, *, secret: str, events: Collection[str]) -> HookFacts:
        said = {"active": True, "events": sorted(events), "config": _config(url, secret)}
        return await self._made("PATCH", f"/hooks/{hook_id}", said, _parse_hook, "edit the webhook")


def _config(url: str, secret: str) -> dict[str, str]:
    return {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}


def _parse_hook(raw: object) -> HookFacts | None:
    found = obj(raw)
    if (number := number_of(found.get("id"))) is None:
        return None
    return HookFacts(
        id=number, url=text_of(obj(found.get("config")).get("url")), events=_names(found.get("events"))
    )


def _names(raw: object) -> tuple[str, ...]:
    return tuple(one for one in raw if isinstance(one, str)) if isinstance(raw, list) else ()
