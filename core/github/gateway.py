"""The way to GitHub: which credential a project's repository is asked with."""

from __future__ import annotations

from core.github.facts import Rate
from core.github.repo import Repo


class GithubGateway:
    async def repo(self, project: str) -> Repo:
        """Of the project's link. Raises NotFound without one, GithubUnauthorized without a credential."""
        raise NotImplementedError

    async def named(self, project: str, repository: str) -> Repo:
        """As `repo`, for a repository (OWNER/NAME) that the project is not linked with yet."""
        raise NotImplementedError

    def rates(self) -> tuple[Rate, ...]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
