"""The element in which somebody types: offers come from the server, keys are the browser's."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

from nicegui import background_tasks
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from bot.web.dashboard.chat.typed import Help, Offer

_LONGEST = 6000  # characters of a line


class CommandLine(Element, component="../../static/commandline.js"):
    """`typed` is told of each change, `run` of what is sent; `run` returns what is wrong with it, or ""."""

    def __init__(
        self,
        place: str,
        typed: Callable[[str], Awaitable[None]],
        run: Callable[[str], Awaitable[str]],
    ) -> None:
        super().__init__()
        self._typed = typed
        self._run = run
        self._props["words"] = place
        self.on("typed", lambda event: self._heard(event, self._typed_now))
        self.on("run", lambda event: self._heard(event, self._run_now))

    def offer(self, line: str, told: Help, offers: Sequence[Offer]) -> None:
        """For this line; a browser where another stands by now shows nothing of it."""
        self._call(
            "offer",
            {
                "stamp": line,
                "offers": [{"label": one.label, "detail": one.detail, "line": one.line} for one in offers],
                "usage": told.usage,
                "about": told.about,
                "eager": told.eager,
            },
        )

    def name_place(self, words: str) -> None:
        self._call("name", words)

    def _call(self, method: str, said: object) -> None:
        # Not as properties: whatever element is sent anew has the whole page drawn anew.
        if not self.is_deleted:
            self.client.run_javascript(f"getElement({self.id})?.{method}({json.dumps(said)})")

    def _heard(self, event: GenericEventArguments, then: Callable[[str], Awaitable[None]]) -> None:
        said = event.args
        if isinstance(said, str) and len(said) <= _LONGEST:
            background_tasks.create(then(said), name="the guild's command line")

    async def _typed_now(self, line: str) -> None:
        with self:
            await self._typed(line)

    async def _run_now(self, line: str) -> None:
        problem = "This did not work."
        try:
            with self:
                problem = await self._run(line)
        finally:
            self._call("ran", problem)
