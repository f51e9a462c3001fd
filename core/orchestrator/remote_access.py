"""Where a project's commits go, and with what right: GitHub's side knows, the merge queue asks."""

from __future__ import annotations

from typing import Protocol

from core.worker.remote_contract import Remote


class RemoteAccess(Protocol):
    async def remote(self, project: str) -> Remote | None:
        """None for a project that is linked with no repository: asked before each batch, so it should cost
        no query. The credential is one of now, learned by known_secrets (the token and the header's value).

        Raises Unavailable while a linked repository cannot be reached with any right, and says what to do.
        """
        ...


class NoRemotes:
    """Nothing is linked."""

    async def remote(self, project: str) -> Remote | None:
        return None
