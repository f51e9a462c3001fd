"""Users and their levels for a Python script of whoever sits at the machine: plain calls, no event loop.

The calls go to the Orchard that runs in the folder, or to its store where none does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from config.loader import load
from core.domain.access import AccessLevel
from core.errors import Unavailable
from core.offline import open_commands
from core.orchestrator.commands import Commands
from core.orchestrator.control import connect, socket_path
from core.orchestrator.security_views import UserView

T = TypeVar("T")


class SecurityDesk:
    """`with SecurityDesk(folder) as security:`, with the folder of orch-config.yaml. Not for use inside an
    event loop. Each call raises OrchardError: what happened, why, what to do next."""

    def __init__(self, root: Path | str = ".") -> None:
        self._root = Path(root)
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._commands: Commands | None = None

    def __enter__(self) -> Self:
        try:
            self._commands = self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commands = None
        try:
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.close()

    def create_user(
        self, username: str, email: str, password: str, global_access_level: AccessLevel | None = None
    ) -> UserView:
        """The first one has to be an owner. Without a level they see only what they are granted."""
        level = None if global_access_level is None else global_access_level.name
        return self._do(lambda commands: commands.create_user(username, email, password, level))

    def grant_project_access(self, user: str, project: str, level: AccessLevel | None) -> UserView:
        """Beside the level that they have everywhere; None takes it away."""
        word = "none" if level is None else level.name
        return self._do(lambda commands: commands.grant_project_access(user, project, word))

    def set_level(self, user: str, level: AccessLevel | None) -> UserView:
        """Everywhere."""
        word = "none" if level is None else level.name
        return self._do(lambda commands: commands.set_user_level(user, word))

    def disable_user(self, user: str) -> UserView:
        return self._do(lambda commands: commands.disable_user(user))

    def users(self) -> tuple[UserView, ...]:
        """By name, the disabled too."""
        return self._do(lambda commands: commands.users())

    def _do(self, wish: Callable[[Commands], Coroutine[Any, Any, T]]) -> T:
        if self._commands is None:
            raise Unavailable("This is not open.", hint="Use it within: with SecurityDesk() as security.")
        return self._runner.run(wish(self._commands))

    async def _open(self) -> Commands:
        def again() -> Any:
            return load(self._root, environ=os.environ)

        configuration = again()
        try:
            return await self._stack.enter_async_context(connect(socket_path(configuration.state_path)))
        except Unavailable:
            return await self._stack.enter_async_context(open_commands(configuration, again))
