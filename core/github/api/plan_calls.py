"""What is read of milestones and releases, and written to them."""

from __future__ import annotations

from typing import Any

from core.github.api.bound import Bound
from core.github.api.facts import MilestoneFacts, ReleaseFacts
from core.github.api.parsers import parse_milestone, parse_release


class PlanCalls(Bound):
    async def milestones(self) -> tuple[MilestoneFacts, ...]:
        """All, open and closed, by number."""
        found = await self._all("/milestones?state=all", parse_milestone, "read the milestones")
        return tuple(sorted(found, key=lambda each: each.number))

    async def create_milestone(
        self, title: str, *, description: str = "", due_on: str = ""
    ) -> MilestoneFacts:
        """Raises GithubRefused when there is one of the title."""
        said = {"title": title, "description": description, "due_on": due_on}
        said = {name: value for name, value in said.items() if value}
        what = "make a milestone"
        return await self._made("POST", "/milestones", said, parse_milestone, what, again=False)

    async def edit_milestone(
        self,
        number: int,
        *,
        title: str | None = None,
        description: str | None = None,
        is_open: bool | None = None,
        due_on: str | None = None,
    ) -> MilestoneFacts:
        """What is None stays."""
        said: dict[str, Any] = {"title": title, "description": description, "due_on": due_on}
        if is_open is not None:
            said["state"] = "open" if is_open else "closed"
        said = {name: value for name, value in said.items() if value is not None}
        path, what = f"/milestones/{number}", f"edit milestone {number}"
        return await self._made("PATCH", path, said, parse_milestone, what)

    async def releases(self) -> tuple[ReleaseFacts, ...]:
        """All, newest first, drafts among them."""
        return await self._all("/releases", parse_release, "read the releases")

    async def create_release(
        self, tag: str, *, name: str, body: str, draft: bool = True, target: str = ""
    ) -> ReleaseFacts:
        said: dict[str, Any] = {"tag_name": tag, "name": name, "body": body, "draft": draft}
        if target:
            said["target_commitish"] = target
        return await self._made("POST", "/releases", said, parse_release, "make a release", again=False)

    async def edit_release(
        self, release_id: int, *, name: str | None = None, body: str | None = None, draft: bool | None = None
    ) -> ReleaseFacts:
        """What is None stays."""
        said = {"name": name, "body": body, "draft": draft}
        said = {key: value for key, value in said.items() if value is not None}
        path, what = f"/releases/{release_id}", f"edit release {release_id}"
        return await self._made("PATCH", path, said, parse_release, what)
