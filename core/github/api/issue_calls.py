"""What is read of issues and their comments, and written to them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar
from urllib.parse import quote

from config.github_settings import Permission
from core.github.api.answer import Answer
from core.github.api.bound import Bound
from core.github.api.credentials import not_understood
from core.github.api.facts import CommentFacts, IssueFacts, NotModified, Page, PageKey
from core.github.api.pages import first_page, following, listing_path
from core.github.api.parsers import every, parse_comment, parse_issue, parse_json, parse_permission
from core.github.api.trouble import GithubMissing, GithubRefused

T = TypeVar("T", IssueFacts, CommentFacts)


class IssueCalls(Bound):
    async def permission(self, login: str) -> Permission:
        """A person's; NONE for who is no collaborator, or nobody."""
        path = f"/collaborators/{quote(login, safe='')}/permission"
        try:
            answer = await self._answer(path, f"say what {login} may do in the issues")
        except GithubMissing:
            return Permission.NONE
        return parse_permission(parse_json(answer.text))

    async def issues(
        self, since: str = "", etag: str = "", *, after: PageKey | None = None
    ) -> Page[IssueFacts] | NotModified:
        """Issues and pull requests that changed at or after `since` (a cursor; "": all), oldest change first,
        100 a page. `after`: the last page's `next`. NotModified only for the first page, with an `etag`."""
        key = after or first_page(since)
        path = _issues_path(key)
        answer = await self._answer(path, "read the issues", etag="" if after else etag)
        return _page(answer, path, key, since, parse_issue)

    async def comments(
        self, since: str = "", etag: str = "", *, after: PageKey | None = None
    ) -> Page[CommentFacts] | NotModified:
        """Likewise the comments of all its issues and pull requests."""
        key = after or first_page(since)
        path = _comments_path(key)
        answer = await self._answer(path, "read the comments", etag="" if after else etag)
        return _page(answer, path, key, since, parse_comment)

    def issues_path(self, since: str = "") -> str:
        """The path under which the ETag of the first page is kept."""
        return _issues_path(first_page(since))

    def comments_path(self, since: str = "") -> str:
        return _comments_path(first_page(since))

    async def issue(self, number: int) -> IssueFacts:
        """Raises GithubMissing for one that was deleted, or is in another repository by now (transferred)."""
        return await self._one(f"/issues/{number}", parse_issue, f"read issue {number}")

    async def issue_comments(self, number: int) -> tuple[CommentFacts, ...]:
        """All, oldest first."""
        return await self._all(
            f"/issues/{number}/comments", parse_comment, f"read the comments on issue {number}"
        )

    async def create_issue(
        self, title: str, body: str, *, labels: Collection[str] = (), milestone: int | None = None
    ) -> IssueFacts:
        said: dict[str, Any] = {"title": title, "body": body, "labels": list(labels)}
        if milestone is not None:
            said["milestone"] = milestone
        return await self._made("POST", "/issues", said, parse_issue, "make an issue", again=False)

    async def edit_issue(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        is_open: bool | None = None,
        state_reason: str | None = None,
        milestone: int | None = None,
        no_milestone: bool = False,
    ) -> IssueFacts:
        """What is None stays."""
        said: dict[str, Any] = {"title": title, "body": body, "milestone": milestone}
        if is_open is not None:
            said |= {"state": "open" if is_open else "closed", "state_reason": state_reason}
        said = {name: value for name, value in said.items() if value is not None}
        if no_milestone:
            said["milestone"] = None
        path = f"/issues/{number}"
        return await self._made("PATCH", path, said, parse_issue, f"edit issue {number}")

    async def set_labels(
        self, number: int, *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> None:
        """Other labels stay. A label that is to be removed and is not there is no error."""
        path, what = f"/issues/{number}/labels", f"label issue {number}"
        if add:
            await self._changed("POST", path, {"labels": list(add)}, what)
        for name in remove:
            try:
                await self._changed("DELETE", f"{path}/{quote(name, safe='')}", None, what)
            except GithubMissing:
                await self.issue(number)  # it is the label that is missing, or this raises

    async def ensure_label(self, name: str, *, color: str, description: str) -> None:
        """Makes the label where there is none of the name; one that is there stays as it is."""
        said = {"name": name, "color": color.removeprefix("#"), "description": description}
        try:
            await self._changed("POST", "/labels", said, f"make the label {name!r}")
        except GithubRefused:
            await self._answer(f"/labels/{quote(name, safe='')}", f"read the label {name!r}")

    async def create_comment(self, number: int, body: str) -> CommentFacts:
        path, what = f"/issues/{number}/comments", f"comment on issue {number}"
        return await self._made("POST", path, {"body": body}, parse_comment, what, again=False)

    async def edit_comment(self, comment_id: int, body: str) -> CommentFacts:
        """Raises GithubMissing for one that was deleted."""
        path, what = f"/issues/comments/{comment_id}", f"edit comment {comment_id}"
        return await self._made("PATCH", path, {"body": body}, parse_comment, what)

    async def delete_comment(self, comment_id: int) -> None:
        """One that is gone is no error."""
        try:
            await self._changed(
                "DELETE", f"/issues/comments/{comment_id}", None, f"delete comment {comment_id}"
            )
        except GithubMissing:
            return

    async def react(self, comment_id: int, content: str) -> None:
        """ "+1", "eyes", "confused", ... to an issue's comment; a second time changes nothing."""
        path = f"/issues/comments/{comment_id}/reactions"
        await self._changed("POST", path, {"content": content}, f"react to comment {comment_id}")


def _issues_path(key: PageKey) -> str:
    return listing_path("/issues", key, state="all")


def _comments_path(key: PageKey) -> str:
    return listing_path("/issues/comments", key)


def _page(
    answer: Answer, path: str, key: PageKey, since: str, parse: Callable[[object], T | None]
) -> Page[T] | NotModified:
    if answer.status == 304:
        return NotModified(path=path)
    value = parse_json(answer.text)
    if not isinstance(value, list):
        raise not_understood("list what changed")
    items = every(value, parse)
    times: list[str] = [each.updated_at for each in items]
    return Page(
        items=items,
        path=path,
        etag=answer.etag,
        cursor=max([*times, since]),
        next=following(key, times, has_next=answer.has_next),
    )
