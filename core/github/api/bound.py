"""A repository at GitHub as requests find it: by its id, which renames and transfers leave as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from core.domain.github import Link
from core.github.api.answer import Answer
from core.github.api.connection import Connection
from core.github.api.credentials import not_understood
from core.github.api.facts import RepositoryFacts
from core.github.api.pages import PER_PAGE
from core.github.api.parsers import obj, parse_json, parse_repository
from core.github.api.trouble import GithubGone, GithubMissing, GithubRefused

T = TypeVar("T")
_MOST_PAGES = 100  # of what is read whole: comments of an issue, checks of a commit
_MOST_REDIRECTS = 3


class Bound:
    """By name it is only looked up, once: a name may be somebody else's by tomorrow."""

    def __init__(self, connection: Connection, link: Link) -> None:
        self.link = link
        self._connection = connection
        self._id = link.repository_id
        self._name = link.repository

    @property
    def credential(self) -> str:
        """With which it is asked; never itself."""
        return self._connection.credential.name

    async def about(self) -> RepositoryFacts:
        """A renamed one answers with its new name. Raises GithubGone for one that is deleted or hidden."""
        path = f"/repos/{self._name}" if self._id is None else f"/repositories/{self._id}"
        what = f"read the repository {self._name}"
        try:
            answer = await self._connection.read_kept(path, what=what)
            for _ in range(_MOST_REDIRECTS):
                if answer.status < 300 or not (path := self._redirected(answer)):
                    break
                answer = await self._connection.read_kept(path, what=what)
        except GithubMissing as error:
            raise GithubGone(
                f"GitHub shows no repository {self._name}.",
                why=f"It was deleted, or {self._connection.credential.name} may not see it.",
                hint="Give the credential the repository, or link the project with another one.",
                status=error.status,
            ) from error
        found = _understood(answer, parse_repository, what)
        self._id, self._name = found.id, found.full_name
        return found

    async def me(self) -> str:
        """The login that Orchard acts as; of a GitHub App: its slug with "[bot]"."""
        return await self._connection.login()

    async def _root(self) -> str:
        if self._id is None:
            await self.about()
        return f"/repositories/{self._id}"

    def _redirected(self, answer: Answer) -> str:
        return self._connection.local(answer.headers.get("location", ""))

    def _of_it(self, what: str) -> str:
        return f"{what} of {self._name}"

    async def _answer(self, path: str, what: str, *, etag: str | None = None) -> Answer:
        """`path` below the repository's. `etag` None: what is kept will do where nothing has changed."""
        path, what = await self._root() + path, self._of_it(what)
        try:
            if etag is None:
                answer = await self._connection.read_kept(path, what=what)
            else:
                answer = await self._connection.read(path, what=what, etag=etag)
        except GithubMissing:
            await self._is_there()
            raise
        if 300 <= answer.status < 400 and answer.status != 304:
            raise self._moved(answer, what)
        return answer

    async def _changed(
        self, verb: str, path: str, body: Any | None, what: str, *, again: bool = True
    ) -> Answer:
        path, what = await self._root() + path, self._of_it(what)
        try:
            answer = await self._connection.change(verb, path, body, what=what, again=again)
        except GithubMissing:
            await self._is_there()
            raise
        if answer.status >= 300:
            raise self._moved(answer, what)
        return answer

    async def _is_there(self) -> None:
        """Raises GithubGone where not only a part of it is missing."""
        await self.about()

    def _moved(self, answer: Answer, what: str) -> GithubMissing:
        """By its id the repository has not moved, so a part of it has: an issue that was transferred."""
        return GithubMissing(
            f"GitHub does not {what}.",
            why=f"It is in another repository by now: {answer.headers.get('location', '')[:200]}.",
            hint="Orchard leaves it there.",
            status=answer.status,
        )

    async def _one(self, path: str, parse: Callable[[object], T | None], what: str) -> T:
        return _understood(await self._answer(path, what), parse, what)

    async def _made(
        self,
        verb: str,
        path: str,
        body: Any | None,
        parse: Callable[[object], T | None],
        what: str,
        *,
        again: bool = True,
    ) -> T:
        return _understood(await self._changed(verb, path, body, what, again=again), parse, what)

    async def _all(
        self, path: str, parse: Callable[[object], T | None], what: str, *, inside: str = ""
    ) -> tuple[T, ...]:
        """Of all pages. `inside`: the list is that field of an object. Raises GithubError where a page is no
        list, and GithubRefused where there is no end to them, so that nothing is taken for none."""
        found: list[T] = []
        joint = "&" if "?" in path else "?"
        for page in range(1, _MOST_PAGES + 1):
            number = f"&page={page}" if page > 1 else ""
            answer = await self._answer(f"{path}{joint}per_page={PER_PAGE}{number}", what)
            value = parse_json(answer.text)
            items = obj(value).get(inside) if inside else value
            if not isinstance(items, list):
                raise not_understood(self._of_it(what))
            found += [each for item in items if (each := parse(item)) is not None]
            if not answer.has_next:
                return tuple(found)
        raise GithubRefused(
            f"Orchard does not {self._of_it(what)}.",
            why=f"There are more than {_MOST_PAGES * PER_PAGE} of them.",
            hint="Take away at GitHub what is not needed.",
        )


def _understood(answer: Answer, parse: Callable[[object], T | None], what: str) -> T:
    if (found := parse(parse_json(answer.text))) is None:
        raise not_understood(what)
    return found
