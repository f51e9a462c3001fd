"""How a listing by time of change is read without passing anything over. PURE.

What changes while pages are read moves to the listing's end, and what stood after it one place forward: by
the numbers of pages it would be passed over. So the next page begins at the time at which the last one
ended, a second earlier, since times have whole seconds and `since` may mean "after". Where more than a fifth
of a page would come again (many changed within a second or two), the number counts up instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from core.github.api.facts import PageKey

PER_PAGE = 100  # the most that GitHub gives
_MOST_AGAIN = 5  # a fifth


def first_page(since: str) -> PageKey:
    return PageKey(since=_second_before(since), page=1)


def following(key: PageKey, times: Sequence[str], *, has_next: bool) -> PageKey | None:
    """`times`: when each item of the page changed. None: it was the last page."""
    if not has_next or not times:
        return None
    seam = _second_before(max(times))
    again = sum(time >= seam for time in times)
    if seam > key.since and again * _MOST_AGAIN <= len(times):
        return PageKey(since=seam, page=1)
    return PageKey(since=key.since, page=key.page + 1)


def listing_path(path: str, key: PageKey, **more: str) -> str:
    query = {**more, "sort": "updated", "direction": "asc", "per_page": str(PER_PAGE)}
    if key.since:
        query["since"] = key.since
    if key.page > 1:
        query["page"] = str(key.page)
    return f"{path}?{urlencode(query)}"


def _second_before(time: str) -> str:
    try:
        found = datetime.fromisoformat(time) - timedelta(seconds=1)
    except (ValueError, OverflowError):
        return ""
    return f"{found.replace(tzinfo=None).isoformat()}Z"
