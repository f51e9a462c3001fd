"""Agents at work on something else than stories, such as epics: they count among the agents that may run."""

from __future__ import annotations

from collections.abc import Mapping


class ExtraAgents:
    """Names of what works, or wants to, with their projects.

    A wish keeps a place: while it waits, no new phase of a story takes the next one that comes free.
    """

    def __init__(self) -> None:
        self._working: dict[str, str] = {}
        self._wishing: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._working

    def wish(self, name: str, project: str) -> None:
        self._wishing[name] = project

    def enter(self, name: str, project: str) -> None:
        self._wishing.pop(name, None)
        self._working[name] = project

    def leave(self, name: str) -> None:
        self._working.pop(name, None)
        self._wishing.pop(name, None)

    def keep_wishes(self, names: set[str]) -> None:
        """Forgets the wishes of all others."""
        self._wishing = {name: project for name, project in self._wishing.items() if name in names}

    @property
    def working(self) -> Mapping[str, str]:
        return self._working

    @property
    def places(self) -> Mapping[str, str]:
        """Those that work and those that are kept free."""
        return {**self._wishing, **self._working}
