"""Pieces of HTML by key, of which only those that changed are sent again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from markupsafe import Markup
from nicegui import background_tasks
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from bot.web.dashboard.views.said import said_by

Said = Mapping[str, str]
"""What a control says: its `data-` names, and the fields of its form. A browser may say anything."""


class Fragments(Element, component="../static/fragments.js"):
    """Each part is one HTML element, made of what is escaped already (Markup).

    A `<button data-do="...">`, or a `<form data-do="...">` that is sent, is told to `does`, with the other
    `data-` names and the form's fields; a field with `data-typed` when somebody types in it.
    """

    def __init__(
        self,
        parts: Mapping[str, Markup],
        *,
        tag: str = "div",
        does: Callable[[Said], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._shown: dict[str, Markup] = {}
        self._does = does
        with self._props.suspend_updates():
            self._props["tag"] = tag
        self._keep(parts)
        if does is not None:
            self.on("do", self._told)

    def show(self, parts: Mapping[str, Markup]) -> int:
        """In this order. Returns how many were sent."""
        changed = {key: html for key, html in parts.items() if self._shown.get(key) != html}
        if not changed and list(parts) == list(self._shown):
            return 0
        self._keep(parts)
        said = json.dumps([changed, list(parts)])
        self.client.run_javascript(f"getElement({self.id})?.patch(...{said})")
        return len(changed)

    def _keep(self, parts: Mapping[str, Markup]) -> None:
        for key, html in parts.items():
            if not isinstance(html, Markup):
                raise TypeError(f"the part {key!r} is not escaped")
        self._shown = dict(parts)
        with self._props.suspend_updates():  # for a page that is drawn anew; those that are open are patched
            self._props["parts"] = self._shown
            self._props["order"] = list(self._shown)

    def _told(self, event: GenericEventArguments) -> None:
        said = said_by(event.args)
        if said and self._does is not None:
            background_tasks.create(self._answer(said), name="a dashboard's control")

    async def _answer(self, said: Said) -> None:
        assert self._does is not None
        try:
            with self:
                await self._does(said)
        finally:
            if not self.is_deleted:
                self.client.run_javascript(f"getElement({self.id})?.free()")
