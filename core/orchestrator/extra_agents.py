"""Agents at work on something else than stories, such as epics: they count among the agents that may run."""

from __future__ import annotations

from collections.abc import Mapping


class ExtraAgents:
    """Names of what works, or wants to, with their projects.

    A wish waits with the stories, and before its project's own: it is granted by who decides what starts.
    """

    def __init__(self) -> None:
        self._working: dict[str, str] = {}
        self._wishing: dict[str, str] = {}
        self._granted: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._working

    def wish(self, name: str, project: str) -> None:
        if name not in self._working:
            self._wishing[name] = project

    def grant(self, name: str) -> None:
        """Its place is taken from now on, whether it has come yet or not."""
        if (project := self._wishing.pop(name, None)) is not None:
            self._working[name] = project
            self._granted.add(name)

    def enter(self, name: str) -> bool:
        """Whether it was granted; once a grant."""
        if name not in self._granted:
            return False
        self._granted.discard(name)
        return True

    def leave(self, name: str) -> None:
        self._working.pop(name, None)
        self._wishing.pop(name, None)
        self._granted.discard(name)

    def keep_wishes(self, names: set[str]) -> None:
        """Forgets the wishes of all others, and what was granted to those that do not want it any more."""
        self._wishing = {name: project for name, project in self._wishing.items() if name in names}
        for name in self._granted - names:
            self.leave(name)

    @property
    def wishes(self) -> Mapping[str, str]:
        return self._wishing

    @property
    def working(self) -> Mapping[str, str]:
        return self._working
