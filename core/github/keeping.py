"""One linked repository, kept: its issues read, its pull requests watched, its stories told.

Three lanes, so that a long first reading holds up no check's result. A nudge or the time only says when to
look; each look takes the truth from the store and from GitHub, so a lost one costs a delay and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from config.settings import Settings
from core.clock import Clock
from core.domain.event import EventKind
from core.domain.github import Link, LinkState
from core.domain.lifecycles import ProjectStatus
from core.errors import InvalidInput
from core.github.api.trouble import GithubError, GithubForbidden, GithubGone, GithubLimited, GithubUnreachable
from core.github.lane import Lane
from core.github.webhooks.nudge import EVERYTHING, Nudge
from core.orchestrator.github_desk import Taken
from core.orchestrator.github_views import FoundRepository, HookView, KeepingView, RateView
from core.store import github_heard, github_links, projects
from core.store.database import Store
from core.store.transaction import Transaction

if TYPE_CHECKING:  # what a start without any link does without
    from core.github.api.facts import Rate, RepositoryFacts
    from core.github.api.repo import Repo
    from core.worker.remote_contract import Remote

_log = logging.getLogger(__name__)

GATHER_SECONDS = 0.3  # a story's events come in bursts
FAULTS_UNSAID = 3  # so often GitHub may not answer before people are told
MEET_AGAIN = timedelta(hours=1)  # a repository may be renamed, and its default branch
WEBHOOKS_FRESH = timedelta(hours=24)
TELL_ALL_SECONDS = 1800.0
_LANES = ("issues", "pull requests", "stories")


class Gateway(Protocol):
    async def repo(self, project: str) -> Repo: ...
    async def named(self, project: str, repository: str) -> Repo: ...
    async def remote(self, project: str) -> Remote | None: ...
    def rate(self, project: str) -> Rate | None: ...
    async def close(self) -> None: ...


class Inbound(Protocol):
    async def sync(self, project: str, look_at: Collection[int] = ()) -> Taken: ...


class Pulls(Protocol):
    async def look(self, project: str) -> None: ...
    def again_in(self, project: str) -> float | None: ...


class Brought(Protocol):
    @property
    def again_in(self) -> float | None: ...
    @property
    def problems(self) -> tuple[str, ...]: ...


class Outbound(Protocol):
    async def bring(self, project: str, story_ids: Collection[str] | None = None) -> Brought: ...


class Hooks(Protocol):
    async def hook(self, project: str, url: str, make: bool) -> HookView: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What speaks with GitHub: made when a project is linked, and not before."""

    gateway: Gateway
    inbound: Inbound
    pulls: Pulls
    outbound: Outbound
    hooks: Hooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What looks took in together. `held`: of the last."""

    added: int = 0
    edited: int = 0
    closed: int = 0
    reopened: int = 0
    held: str = ""

    def plus(self, taken: Taken) -> Counts:
        return Counts(
            added=self.added + taken.added,
            edited=self.edited + taken.edited,
            closed=self.closed + taken.closed,
            reopened=self.reopened + taken.reopened,
            held=taken.held,
        )

    def since(self, before: Counts) -> Counts:
        return Counts(
            added=self.added - before.added,
            edited=self.edited - before.edited,
            closed=self.closed - before.closed,
            reopened=self.reopened - before.reopened,
            held=self.held,
        )


class Keeping:
    """Of one project, as long as it is linked."""

    def __init__(
        self, project: str, parts: Parts, store: Store, clock: Clock, settings: Callable[[], Settings]
    ) -> None:
        self.project = project
        self._parts = parts
        self._store = store
        self._clock = clock
        self._settings = settings
        self._meeting = asyncio.Lock()
        self._met_at: datetime | None = None
        self._all = False  # every story is to be compared with what GitHub shows
        self._all_at: float | None = None  # when that was done last
        self._doubted: set[int] = set()  # issues that no listing may say what became of
        # Lanes whose work failed last, although the repository answers; and, until they have looked, all of
        # one that was in trouble before a restart.
        self._faulty: set[str] | None = None
        self._recoveries = 0
        self._begun: dict[str, int] = {}  # by lane: how many there had been when it asked last
        self.taken = Counts()  # since it is kept

        def lane(
            name: str,
            work: Callable[[], Awaitable[float | None]],
            every: Callable[[], Awaitable[float]],
            pause: float = 0.0,
        ) -> Lane:
            named = f"github: {name} of {project}"
            tried, failed = partial(self._tried, name, work), partial(self._failed, name)
            return Lane(named, tried, every=every, failed=failed, clock=clock, pause=pause)

        self.reading = lane(_LANES[0], self._read, self._poll_seconds)
        self.landing = lane(_LANES[1], self._look, self._poll_seconds)
        self.telling = lane(_LANES[2], self._tell, self._tell_all_seconds, GATHER_SECONDS)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in (self.reading, self.landing, self.telling):
                group.create_task(lane.run(), name=f"github: {self.project}")

    def nudge(self, said: Nudge = EVERYTHING) -> None:
        """Something may be new at GitHub."""
        if said.everything:
            self._met_at = None
        self._doubted |= said.issues
        if said.everything or said.issues or said.pulls:  # a pull request's conversation is an issue's
            self.reading.nudge()
        if said.everything or said.pulls or said.commits or said.branches:
            self.landing.nudge()

    def happened(self, *, everywhere: bool = False) -> None:
        """Something of a story, or of the project, may be another than what was told last."""
        self._all = self._all or everywhere
        self.telling.nudge()
        self.landing.nudge()

    def view(self) -> KeepingView:
        named = ((self.reading, "reads issues"), (self.landing, "looks at pull requests"))
        doing = [words for lane, words in (*named, (self.telling, "tells of stories")) if lane.is_busy]
        times = [lane.next_at for lane, _ in named if lane.next_at is not None]
        return KeepingView(doing=", ".join(doing), next_at=min(times, default=None), rate=self._rate())

    # -- the lanes' work ---------------------------------------------------------------------

    async def _tried(self, lane: str, work: Callable[[], Awaitable[float | None]]) -> float | None:
        """What a lane's work is refused is over when that work succeeds, whatever else is answered: people
        are told once that it is wrong, and once that it is well."""
        self._begun[lane] = self._recoveries
        await self._meet()
        self._begun[lane] = self._recoveries
        assert self._faulty is not None  # it has answered
        try:
            again = await work()
        except GithubError as error:
            if error.state is not LinkState.LINKED and not isinstance(error, GithubLimited):
                self._faulty.add(lane)
            raise
        if lane in self._faulty:
            self._faulty.discard(lane)
            await self._meet()
        return again

    async def _read(self) -> None:
        doubted, self._doubted = self._doubted, set()
        try:
            self.taken = self.taken.plus(await self._parts.inbound.sync(self.project, doubted))
        except BaseException:
            self._doubted |= doubted
            raise
        self.telling.nudge()

    async def _look(self) -> float | None:
        await self._parts.pulls.look(self.project)
        return self._parts.pulls.again_in(self.project)

    async def _tell(self) -> float | None:
        now = self._clock.monotonic()
        everything = self._all or self._all_at is None or now - self._all_at >= TELL_ALL_SECONDS
        self._all = False
        try:
            brought = await self._parts.outbound.bring(self.project, None if everything else ())
        except BaseException:
            self._all = self._all or everything
            raise
        if everything:
            self._all_at = now
        for problem in brought.problems:
            _log.warning("github: %s: %s", self.project, problem)
        return brought.again_in

    async def _meet(self) -> None:
        """Asks who the repository is, where that is not known, or was in trouble, or some time ago. The
        trouble is over when it answers and no lane's work fails."""
        async with self._meeting:
            link = await self._store.read(lambda conn: github_links.get(conn, self.project))
            now = self._clock.now()
            in_trouble = link.state not in (LinkState.NEW, LinkState.LINKED)
            if self._faulty is None:
                self._faulty = set(_LANES if in_trouble else ())
            met = self._met_at is not None and now - self._met_at < MEET_AGAIN
            if met and link.state is LinkState.LINKED:
                return
            self._met_at, is_over = now, False  # a nudge meanwhile wants it to be asked once more
            try:
                is_over = await self._ask()
            finally:
                if not is_over:
                    self._met_at = None

    async def _ask(self) -> bool:
        """Whether all is well."""
        repo = await self._parts.gateway.repo(self.project)
        asked, facts = repo.link, await repo.about()
        usable(facts)

        def write(tx: Transaction) -> bool:
            is_over, recovered = _answered(tx, asked, facts, self._faulty or ())
            self._recoveries += recovered
            return is_over

        try:
            return await self._store.write(write)
        except InvalidInput as error:
            raise GithubGone(error.message, why=error.why, hint=error.hint) from error

    async def _failed(self, lane: str, error: GithubError, times: int) -> None:
        """People are told, once, of what does not mend itself. Not of what was refused before all was well
        again: the next try says whether it still is."""
        if error.state is LinkState.LINKED or (
            isinstance(error, GithubUnreachable) and times < FAULTS_UNSAID
        ):
            return
        self._met_at = None
        said = " ".join(part for part in (error.message, error.why, error.hint) if part)

        def write(tx: Transaction) -> None:
            if self._begun[lane] != self._recoveries:
                return
            link = github_links.find(tx.conn, self.project)
            if link is not None and github_links.troubled(tx, self.project, error.state, said):
                data = {"repository": link.repository, "url": link.html_url, "state": error.state.value}
                if link.state is not error.state:  # in other words it is no news
                    tx.emit(EventKind.GITHUB_TROUBLED, project=self.project, data={**data, "text": said})

        await self._store.write(write)

    # -- when to look ------------------------------------------------------------------------

    async def _poll_seconds(self) -> float:
        settings = self._settings().global_.github

        def look(conn: sqlite3.Connection) -> tuple[str | None, ProjectStatus]:
            return github_heard.last_delivery(conn, self.project), projects.get(conn, self.project).status

        last, status = await self._store.read(look)
        if status is ProjectStatus.ARCHIVED:
            return TELL_ALL_SECONDS
        fresh = last is not None and self._clock.now() - datetime.fromisoformat(last) < WEBHOOKS_FRESH
        return settings.poll_seconds_with_webhooks if fresh else settings.poll_seconds

    async def _tell_all_seconds(self) -> float:
        return TELL_ALL_SECONDS  # events nudge, and are counted by their numbers: none is passed over

    def _rate(self) -> RateView | None:
        rate = self._parts.gateway.rate(self.project)
        if rate is None:
            return None
        return RateView(
            credential=rate.credential,
            remaining=rate.remaining,
            limit=rate.limit,
            resets_at=rate.resets_at,
            requests=rate.requests,
        )


def usable(facts: RepositoryFacts) -> None:
    """Raises GithubError where nothing can be done in it."""
    if facts.is_archived or facts.is_disabled:
        raise GithubForbidden(
            f"{facts.full_name} is {'archived' if facts.is_archived else 'disabled'}.",
            why="Everything in it is read-only.",
            hint="Unarchive it at GitHub, or unlink it: /github unlink.",
        )


def found_of(facts: RepositoryFacts, credential: str) -> FoundRepository:
    """Raises GithubError where nothing can be done in it."""
    usable(facts)
    faults = []
    if facts.rights is not None and not facts.rights.push:
        faults.append("the credential may not push to it")
    if not facts.has_issues:
        faults.append("its issues are switched off")
    return FoundRepository(
        repository=facts.full_name,
        repository_id=facts.id,
        default_branch=facts.default_branch,
        clone_url=facts.clone_url,
        html_url=facts.html_url,
        credential=credential,
        faults=tuple(faults),
    )


def _answered(
    tx: Transaction, asked: Link, facts: RepositoryFacts, faulty: Collection[str]
) -> tuple[bool, bool]:
    """Whether all is well, and whether that is news. It is not well while work is `faulty` in a repository
    that is in trouble, which it may have come into since it was asked. Raises LostRace when the project was
    linked with another one since."""
    github_links.check(tx.conn, asked)
    before = github_links.get(tx.conn, asked.project)
    in_trouble = before.state not in (LinkState.NEW, LinkState.LINKED)
    if in_trouble and faulty:
        return False, False
    link = github_links.answered(
        tx,
        asked.project,
        repository=facts.full_name,
        repository_id=facts.id,
        default_branch=facts.default_branch,
        clone_url=facts.clone_url,
        html_url=facts.html_url,
    )
    if in_trouble:
        data = {"repository": link.repository, "url": link.html_url}
        tx.emit(EventKind.GITHUB_RECOVERED, project=asked.project, data=data)
    return True, in_trouble
