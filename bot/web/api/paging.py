"""Lists in pages: `limit` things behind `cursor`, and a header Link that says where the next page is."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from core.errors import InvalidInput

T = TypeVar("T")
MOST = 500
LINK = "A page has `limit` things; the header Link (rel=next) leads to the next one, until there is none."


class Page:
    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = 100,
        cursor: Annotated[
            str | None, Query(max_length=400, description="From the Link of the page before.")
        ] = None,
    ) -> None:
        """Raises InvalidInput for a cursor that never was one."""
        self._request = request
        self._response = response
        self.limit = limit
        self.after = None if cursor is None else text_of(cursor)

    def cut(self, found: Iterable[T], name: Callable[[T], str]) -> list[T]:
        """Of things in the order of their names, those behind the cursor."""
        after = self.after
        rest = [each for each in found if after is None or name(each) > after]
        return self.shown(rest, name)

    def number(self) -> int | None:
        """The cursor, where things are in the order of numbers. Raises InvalidInput."""
        if self.after is None:
            return None
        if not self.after.isascii() or not self.after.isdigit() or len(self.after) > 18:
            raise _no_cursor()
        return int(self.after)

    def shown(self, rest: list[T], name: Callable[[T], str]) -> list[T]:
        """The first of what is left; that there is more is said in the header."""
        page = rest[: self.limit]
        if len(rest) > len(page):
            self._next(cursor_of(name(page[-1])))
        return page

    def _next(self, cursor: str) -> None:
        kept = [(key, value) for key, value in self._request.query_params.multi_items() if key != "cursor"]
        query = urlencode([*kept, ("cursor", cursor)])
        self._response.headers["link"] = f'<{self._request.url.path}?{query}>; rel="next"'


Paged = Annotated[Page, Depends()]


def cursor_of(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def text_of(cursor: str) -> str:
    """Raises InvalidInput for what `cursor_of` has not made."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        raise _no_cursor() from None
    if cursor_of(text) != cursor:
        raise _no_cursor()
    return text


def _no_cursor() -> InvalidInput:
    return InvalidInput("This is no cursor.", hint="Take it from the header Link of the page before.")
