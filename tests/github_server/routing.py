"""Which function answers which method and path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

Handler = Callable[..., web.Response]


@dataclass(kw_only=True, slots=True)
class Routes:
    """`{owner}/{repo}` arrive as the repository, `{x:int}` as numbers, all else as text."""

    table: list[tuple[str, re.Pattern[str], Handler]] = field(default_factory=list)

    def add(self, method: str, pattern: str) -> Callable[[Handler], Handler]:
        regex = re.sub(r"\{(\w+):int\}", r"(?P<\1_int>\\d+)", pattern)
        regex = re.sub(r"\{(\w+):rest\}", r"(?P<\1>.+)", regex)
        regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", regex)

        def take(handler: Handler) -> Handler:
            self.table.append((method, re.compile(regex), handler))
            return handler

        return take

    def get(self, pattern: str) -> Callable[[Handler], Handler]:
        return self.add("GET", pattern)

    def post(self, pattern: str) -> Callable[[Handler], Handler]:
        return self.add("POST", pattern)

    def put(self, pattern: str) -> Callable[[Handler], Handler]:
        return self.add("PUT", pattern)

    def patch(self, pattern: str) -> Callable[[Handler], Handler]:
        return self.add("PATCH", pattern)

    def delete(self, pattern: str) -> Callable[[Handler], Handler]:
        return self.add("DELETE", pattern)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, Any]] | None:
        """The handler and its arguments; None: there is no such thing."""
        for known, regex, handler in self.table:
            if known == method and (match := regex.fullmatch(path)):
                found = match.groupdict()
                numbers = {k.removesuffix("_int"): int(v) for k, v in found.items() if k.endswith("_int")}
                texts = {k: unquote(v) for k, v in found.items() if not k.endswith("_int")}
                return handler, texts | numbers
        return None
