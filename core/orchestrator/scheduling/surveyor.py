"""Looks at all that a decision is made from: the store, the settings, the machine, what is under way."""

from __future__ import annotations

import asyncio
import functools
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from config.settings import GlobalSettings
from core.agents.roles import ROLE_OF, Role
from core.clock import Clock
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.isolation.limits import ProjectUse
from core.orchestrator.floor import Floor
from core.orchestrator.pull_words import pull_wait
from core.orchestrator.scheduling.bars import hours_bar
from core.orchestrator.scheduling.candidates import Candidate, Kind, candidates_of, needs_agent
from core.orchestrator.scheduling.demand import Terms
from core.orchestrator.scheduling.look import Look, look
from core.orchestrator.scheduling.picture import AtWork, Measured, Picture, ProjectPicture
from core.orchestrator.scheduling.pressure import Reading
from core.scheduler.resources import Resources
from core.scheduler.snapshot import Reclaimed
from core.store.database import Store

_EXPECTED_SECONDS = 30.0  # an expectation serves for so long: it is made of hours
_ASKED_SECONDS = 30.0  # who was asked to park, and could not yet, is not asked again before


class Fences(Protocol):
    """Of core.orchestrator.fencing.Fencing, what is asked here; `measured` from another thread."""

    def measured(self, project: str) -> ProjectUse | None: ...
    def over_disk(self, project: str) -> str: ...


class Past(Protocol):
    """Of core.orchestrator.scheduling.history.History, what is asked here."""

    def decayed_use(self, project: str) -> Resources: ...
    def expected(
        self, project: str, *, now: datetime, backlog_phases: int, each: Resources, most_agents: float
    ) -> tuple[Resources, str]: ...


class Purse(Protocol):
    """Of core.orchestrator.budgets.Budgets, what is asked here."""

    async def prepare(self, wanted: Mapping[str, Iterable[str]]) -> None: ...
    def why_not(self, project: str, story_id: str | None) -> str: ...
    def turns_left(self, project: str) -> tuple[float, str]: ...
    def barred_stories(self) -> Mapping[str, int]: ...


class Providers(Protocol):
    """Of core.orchestrator.provider_holds.ProviderHolds, what is asked here."""

    def why_not(self, project: str, role: Role) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`picture.projects` hold what may be offered; `waits`: what may not, and why; `rest`: by project, why
    its stories wait that nobody looked at."""

    at: datetime
    settings: GlobalSettings
    picture: Picture
    waits: Mapping[str, str] = field(default_factory=dict)
    rest: Mapping[str, str] = field(default_factory=dict)
    backlog: Mapping[str, int] = field(default_factory=dict)  # stories that could start, as far as was looked

    @property
    def offered(self) -> tuple[Candidate, ...]:
        return tuple(each for project in self.picture.projects.values() for each in project.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What changes while a thread works, taken at once."""

    at: datetime
    monotonic: float
    found: Look
    reading: Reading
    settings: GlobalSettings
    terms: Mapping[str, Terms]  # of projects that have left the settings, and have work, the last ones
    gone: frozenset[str]  # projects that have left the settings
    batches: Mapping[str, int]  # stories that are merged together at most, by project
    starting: Mapping[str, str]
    merging: Mapping[str, tuple[str, ...]]
    designing: Mapping[str, str]
    wishes: Mapping[str, str]
    pulls: Mapping[str, str]  # story to sentence: what its pull request waits for
    pauses: Mapping[str, str]  # story to sentence
    bars: Mapping[str, str]  # of projects that want something: a sentence, or empty
    unable: Mapping[str, str]  # story, or project with epics, to a sentence: no agent may begin for it
    turns: Mapping[str, tuple[float, str]]  # how many may begin in each project, and what the others hear
    measured: Mapping[str, Measured]
    parking: frozenset[str]


class Surveyor:
    """`settings` and `terms` give those in force now."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        floor: Floor,
        *,
        settings: Callable[[], GlobalSettings],
        terms: Callable[[], Mapping[str, Terms]],
        batch_size: Callable[[str], int],
        read_machine: Callable[[], Reading],
        fences: Fences,
        past: Past,
        purse: Purse,
        providers: Providers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._floor = floor
        self.settings = settings
        self._terms = terms
        self._batch_size = batch_size
        self._read_machine = read_machine
        self._fences = fences
        self._past = past
        self._purse = purse
        self._providers = providers
        self._last_terms: dict[str, Terms] = {}  # a project may leave the settings while it has work
        self._expected: dict[str, tuple[float, tuple[Resources, str]]] = {}
        self._cpu_seconds: dict[str, tuple[float, float, float | None]] = {}
        self._asked: dict[str, float] = {}  # story to when it was asked to park

    async def survey(self, *, whole: bool = False) -> Survey:
        """`whole`: what bars a project is looked up also where nothing of it waits."""
        terms, settings = dict(self._terms()), self.settings()
        self._last_terms |= terms
        batches = {name: self._batch_size(name) for name in terms}
        busy = Counter(self._floor.starting.values())
        paused = self._floor.pauses.count_by_project()
        most = {
            name: (own.cycles + busy[name] + paused[name], batches[name] + busy[name] + paused[name])
            for name, own in terms.items()
        }
        found = await self._look(most)
        reading, uses = await asyncio.to_thread(self._read, self._named(found, terms))
        moment = self._moment(found, reading, uses, settings, terms, batches, whole=whole)
        return await asyncio.to_thread(self._draw, moment)

    async def _look(self, most: Mapping[str, tuple[int, int]]) -> Look:
        """Further than those whose budget is used up: they must not hide the others."""
        barred = self._purse.barred_stories()
        while True:
            wider = {
                name: (stories + barred.get(name, 0), merges) for name, (stories, merges) in most.items()
            }
            found = await self._store.read(functools.partial(look, most=wider))
            wanted = {name: [one.cycle.story_id for one in ready] for name, ready in found.ready.items()}
            for name in self._floor.extra_agents.wishes.values():
                wanted.setdefault(name, [])
            await self._purse.prepare(wanted)
            before, barred = barred, self._purse.barred_stories()
            if barred == before:
                return found

    def asked_to_park(self, story_id: str) -> None:
        now = self._clock.monotonic()
        self._asked = {story: at for story, at in self._asked.items() if now - at < _ASKED_SECONDS}
        self._asked[story_id] = now

    # -- on the event loop -------------------------------------------------------------------

    def _moment(
        self,
        found: Look,
        reading: Reading,
        uses: Mapping[str, ProjectUse],
        settings: GlobalSettings,
        terms: Mapping[str, Terms],
        batches: Mapping[str, int],
        *,
        whole: bool,
    ) -> _Moment:
        floor, now, at = self._floor, self._clock.monotonic(), self._clock.now()
        pauses = {
            one.cycle.story_id: why
            for ready in found.ready.values()
            for one in ready
            if (why := floor.pauses.why(one.cycle.story_id))
        }
        wanting = {name for name, ready in found.ready.items() if ready}
        wanting |= set(floor.extra_agents.wishes.values())
        if whole:
            wanting |= found.active & terms.keys()
        named = self._named(found, terms)
        leased = [lease.story_id for lease, _ in found.leases]
        return _Moment(
            at=at,
            monotonic=now,
            found=found,
            reading=reading,
            settings=settings,
            terms={name: self._last_terms[name] for name in named if name in self._last_terms},
            gone=(found.active | set(floor.extra_agents.wishes.values())) - terms.keys(),
            batches=batches,
            starting=dict(floor.starting),
            merging=dict(floor.merging),
            designing=dict(floor.extra_agents.working),
            wishes=dict(floor.extra_agents.wishes),
            pulls={pull.story_id: pull_wait(pull) for pull in found.pulls},
            pauses=pauses,
            bars={name: self._bar(name) for name in wanting},
            unable=self._unable(found),
            turns={name: self._purse.turns_left(name) for name in wanting},
            measured={name: self._measured(name, uses.get(name), now) for name in named},
            parking=frozenset(story for story in leased if floor.is_parking(story)),
        )

    def _unable(self, found: Look) -> Mapping[str, str]:
        epics = {
            name: why
            for name in self._floor.extra_agents.wishes.values()
            if (why := self._purse.why_not(name, None) or self._providers.why_not(name, Role.DESIGN))
        }
        return epics | {
            one.cycle.story_id: why
            for name, ready in found.ready.items()
            for one in ready
            if needs_agent(one.cycle) and (why := self._why_unable(name, one.cycle))
        }

    def _why_unable(self, project: str, cycle: Cycle) -> str:
        assert cycle.state.phase is not None  # what is over is not ready
        role = ROLE_OF[cycle.state.phase]
        return self._purse.why_not(project, cycle.story_id) or self._providers.why_not(project, role)

    def _bar(self, project: str) -> str:
        if bar := self._fences.over_disk(project):
            return f"waits: {bar}"
        return self._floor.why_not(project)

    def _named(self, found: Look, terms: Mapping[str, Terms]) -> set[str]:
        """Projects that there are, or that still have something under way."""
        floor = self._floor
        at_work = {lease.project for lease, _ in found.leases}
        return {*terms, *floor.starting.values(), *floor.extra_agents.working.values(), *at_work}

    def _measured(self, project: str, use: ProjectUse | None, now: float) -> Measured:
        if use is None:
            self._cpu_seconds.pop(project, None)
            return Measured()
        return Measured(
            memory_mb=use.memory_mb, disk_mb=use.disk_mb, cpu=self._cores(project, now, use.cpu_seconds)
        )

    def _cores(self, project: str, now: float, seconds: float | None) -> float | None:
        """The mean since the last measurement but one, so that it is of a second at least."""
        if seconds is None:
            return None
        known = self._cpu_seconds.get(project)
        if known is None:
            self._cpu_seconds[project] = (now, seconds, None)
            return None
        since, before, cores = known
        if now - since >= 1.0:
            cores = max(seconds - before, 0.0) / (now - since)
            self._cpu_seconds[project] = (now, seconds, cores)
        return cores

    # -- in a thread -------------------------------------------------------------------------

    def _read(self, projects: Collection[str]) -> tuple[Reading, Mapping[str, ProjectUse]]:
        """The machine, and what of it each of these takes: half a millisecond for each that has a fence."""
        uses = {name: self._fences.measured(name) for name in projects}
        return self._read_machine(), {name: use for name, use in uses.items() if use is not None}

    def _draw(self, moment: _Moment) -> Survey:
        at_work = self._at_work(moment)
        waits: dict[str, str] = {**moment.pulls, **moment.pauses}
        rest: dict[str, str] = {}
        projects: dict[str, ProjectPicture] = {}
        for name, terms in moment.terms.items():
            own = tuple(at_work.get(name, ()))
            if name not in moment.found.active and not own:
                continue
            project = self._project(moment, terms, own)
            if name not in moment.gone:
                project = self._with_work(moment, project, waits, rest)
            projects[name] = project
        gone = {
            name: f"waits: {name} is not configured any more; next when it is again." for name in moment.gone
        }
        rest |= gone
        waits |= {epic: gone[project] for epic, project in moment.wishes.items() if project in gone}
        settings = moment.settings
        return Survey(
            at=moment.at,
            settings=settings,
            picture=Picture(
                now=moment.monotonic,
                ceilings=settings,
                reading=moment.reading,
                projects=projects,
                shared=moment.found.shared,
                max_concurrent_projects=float(settings.max_concurrent_projects),
            ),
            waits=waits,
            rest=rest,
            backlog={name: len(ready) for name, ready in moment.found.ready.items()},
        )

    def _at_work(self, moment: _Moment) -> Mapping[str, list[AtWork]]:
        found: dict[str, list[AtWork]] = {}
        merging = {name: stories[0] for name, stories in moment.merging.items()}
        seen = set()
        for lease, priority in moment.found.leases:
            seen.add(lease.story_id)
            if lease.phase is Phase.COMMIT:
                merging.setdefault(lease.project, lease.story_id)
                continue
            asked = self._asked.get(lease.story_id)
            task = AtWork(
                id=lease.story_id,
                project=lease.project,
                kind=Kind.PHASE,
                # The lease was written by the wall clock, which may have jumped since.
                since=moment.monotonic - max((moment.at - lease.claimed_at).total_seconds(), 0.0),
                priority=priority,
                parking=lease.story_id in moment.parking,
                preemptible=asked is None or moment.monotonic - asked >= _ASKED_SECONDS,
            )
            found.setdefault(lease.project, []).append(task)
        batched = {story for stories in moment.merging.values() for story in stories}
        for story, project in moment.starting.items():
            if story not in seen and story not in batched:
                found.setdefault(project, []).append(_unpreempted(moment, story, project, Kind.PHASE))
        for project, story in merging.items():
            found.setdefault(project, []).append(_unpreempted(moment, story, project, Kind.MERGE))
        for epic, project in moment.designing.items():
            found.setdefault(project, []).append(_unpreempted(moment, epic, project, Kind.DESIGN))
        return found

    def _project(self, moment: _Moment, terms: Terms, at_work: tuple[AtWork, ...]) -> ProjectPicture:
        ready = len(moment.found.ready.get(terms.name, ()))
        expected, forecast = self._expect(terms, moment, ready)
        return ProjectPicture(
            terms=terms,
            at_work=at_work,
            measured=moment.measured.get(terms.name, Measured()),
            decayed_use=self._past.decayed_use(terms.name),
            expected=expected,
            forecast=forecast,
            barred=_barred(moment, terms),
        )

    def _expect(self, terms: Terms, moment: _Moment, ready: int) -> tuple[Resources, str]:
        known = self._expected.get(terms.name)
        if known is not None and moment.monotonic - known[0] < _EXPECTED_SECONDS:
            return known[1]
        found = self._past.expected(
            terms.name, now=moment.at, backlog_phases=ready, each=terms.phase, most_agents=terms.agents
        )
        self._expected[terms.name] = (moment.monotonic, found)
        return found

    def _with_work(
        self, moment: _Moment, project: ProjectPicture, waits: dict[str, str], rest: dict[str, str]
    ) -> ProjectPicture:
        """With what of it may be offered; why the rest waits goes into `waits` and `rest`."""
        terms, name = project.terms, project.terms.name
        ready = [
            one
            for one in moment.found.ready.get(name, ())
            if one.cycle.story_id not in moment.starting and one.cycle.story_id not in moment.pauses
        ]
        wishes = sorted(epic for epic, owner in moment.wishes.items() if owner == name)
        if project.barred:
            waits |= dict.fromkeys([*(one.cycle.story_id for one in ready), *wishes], project.barred)
            rest[name] = project.barred
            return project
        if name not in moment.found.active:
            waits |= dict.fromkeys(wishes, f"waits: {name} is not started; next when it is.")
            return project
        waits |= {one.cycle.story_id: why for one in ready if (why := moment.unable.get(one.cycle.story_id))}
        ready = [one for one in ready if one.cycle.story_id not in moment.unable]
        if why := moment.unable.get(name):
            waits |= dict.fromkeys(wishes, why)
            wishes = []
        stories = sum(1 for task in project.at_work if task.kind is not Kind.DESIGN)
        merging = next((task.id for task in project.at_work if task.kind is Kind.MERGE), "")
        chosen = candidates_of(
            terms,
            ready,
            stories_running=stories,
            merging=merging or moment.found.merging.get(name, ""),
            batch_size=moment.batches[name],
        )
        waits |= chosen.waits
        rest[name] = chosen.rest
        designs = tuple(_design(terms, epic) for epic in wishes)
        offered = _within(moment, project, (*designs, *chosen.candidates), waits)
        return replace(project, candidates=offered)


def _within(
    moment: _Moment, project: ProjectPicture, offered: tuple[Candidate, ...], waits: dict[str, str]
) -> tuple[Candidate, ...]:
    """No more of these than there are turns left, those under way counted."""
    left, said = moment.turns.get(project.terms.name, (math.inf, ""))
    left -= sum(1 for task in project.at_work if task.kind is not Kind.MERGE)
    able = []
    for one in offered:
        if one.kind is Kind.MERGE or (one.cycles and not needs_agent(one.cycles[0])):
            able.append(one)
        elif left >= 1:
            left -= 1
            able.append(one)
        else:
            waits[one.id] = said
    return tuple(able)


def _barred(moment: _Moment, terms: Terms) -> str:
    bar = moment.bars.get(terms.name)
    return "" if bar is None else hours_bar(terms.name, terms.hours, moment.at) or bar


def _unpreempted(moment: _Moment, name: str, project: str, kind: Kind) -> AtWork:
    return AtWork(id=name, project=project, kind=kind, since=moment.monotonic, preemptible=False)


def _design(terms: Terms, epic: str) -> Candidate:
    return Candidate(id=epic, project=terms.name, kind=Kind.DESIGN, demand=terms.design)


def with_times(picture: Picture, since: Mapping[str, float], reclaimed: tuple[Reclaimed, ...]) -> Picture:
    return replace(picture, since=since, reclaimed=reclaimed)
