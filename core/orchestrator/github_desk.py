"""What the commands need of the part of Orchard that speaks with GitHub, which stands above them."""

from __future__ import annotations

from typing import Protocol

from core.orchestrator.github_views import FoundRepository, HookView, KeepingView, NotesView


class Taken(Protocol):
    """How many issues one look took in."""

    @property
    def added(self) -> int: ...
    @property
    def edited(self) -> int: ...
    @property
    def closed(self) -> int: ...
    @property
    def reopened(self) -> int: ...
    @property
    def held(self) -> str:
        """Why no issue was taken in; ""."""
        ...


class GithubDesk(Protocol):
    """All but `keeping` and `nudge` raise OrchardError when GitHub does not give what is asked."""

    async def about(self, project: str, repository: str) -> FoundRepository:
        """Who answers to that name, with the project's credential, whether it is linked or not."""
        ...

    async def sync(self, project: str) -> Taken:
        """Looks now, and waits until all of it is taken in."""
        ...

    def nudge(self, project: str) -> None:
        """Something may be new there."""
        ...

    def keeping(self, project: str) -> KeepingView: ...

    async def release_notes(self, project: str, sprint: int | None, publish: bool) -> NotesView:
        """Of a sprint; None: the last one. `publish`: as a draft release at GitHub, once."""
        ...

    async def hook(self, project: str, url: str, make: bool) -> HookView:
        """`url`: of this Orchard as GitHub reaches it. `make`: has GitHub make it, once."""
        ...
