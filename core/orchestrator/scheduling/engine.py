"""The resource engine: what starts now and why the rest waits, shared anew from time to time, and told."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.clock import Clock
from core.domain.event import EventKind
from core.errors import NotAllowed
from core.orchestrator.resource_views import Optimization, ResourcesView
from core.orchestrator.scheduling.ages import Ages
from core.orchestrator.scheduling.candidates import Candidate, share_out
from core.orchestrator.scheduling.changes import told_changes
from core.orchestrator.scheduling.history import Held, History
from core.orchestrator.scheduling.picture import (
    demand_of,
    snapshot_of,
    used_by,
)
from core.orchestrator.scheduling.pressure import ONE_START_SECONDS, load_pressure
from core.orchestrator.scheduling.showing import held_back, resources_view
from core.orchestrator.scheduling.strategist import Strategist, Verdict, asked_once
from core.orchestrator.scheduling.surveyor import Survey, Surveyor, with_times
from core.orchestrator.scheduling.words import Words, wait_words, words_of
from core.scheduler.decision import Decision, Preemption
from core.scheduler.quota import Quota, quotas
from core.scheduler.resources import Resources, total
from core.scheduler.snapshot import Reclaimed, Snapshot
from core.store import locks
from core.store.database import Store, Transaction
from core.worker.contract import PhaseEnd

log = logging.getLogger(__name__)

_ROUNDS = 4  # decisions in one pass, while places of shared resources lie with who cannot start
_RECLAIMED = 1000  # pre-emptions that are remembered
_KEPT_SECONDS = 7200.0
_CUT_SHORT = frozenset({PhaseEnd.PARKED, PhaseEnd.CANCELLED, PhaseEnd.LIMITED})


class LiveFences(Protocol):
    """Of core.orchestrator.fencing.Fencing, what is asked here."""

    @property
    def enforcement(self) -> tuple[str, ...]: ...
    def apply(self) -> None: ...
    def problems(self, project: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What starts now, in this order, and who is asked to make place."""

    start: tuple[Candidate, ...] = ()
    park: tuple[Preemption, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """A survey and what was decided on it."""

    survey: Survey
    snapshot: Snapshot
    verdict: Verdict
    words: Mapping[str, Words] = field(default_factory=dict)  # story or epic to what it waits for
    pressure: str = ""
    start: tuple[Candidate, ...] = ()

    @property
    def decision(self) -> Decision:
        return self.verdict.decision

    @property
    def park(self) -> tuple[Preemption, ...]:
        return () if self.pressure else self.decision.preemptions


class ResourceEngine:
    """One a running Orchard. A decision is made in a thread, and nothing that it meets comes out of it.
    `folder`: the configuration's, where a strategy of the user's stands."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        surveyor: Surveyor,
        history: History,
        fences: LiveFences,
        *,
        folder: Path | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._surveyor = surveyor
        self._history = history
        self._fences = fences
        self._folder = folder
        self._strategist = Strategist("fair_share", folder)
        self._ages = Ages(store)
        self._last_start = -math.inf
        self._reclaimed: deque[Reclaimed] = deque(maxlen=_RECLAIMED)
        self._words: Mapping[str, Words] = {}
        self._rest: Mapping[str, str] = {}
        self._refused = False
        self._fault = ""
        self._places: Mapping[str, int] | None = None  # of shared resources, as they were defined last
        self._told: Mapping[str, Quota] = {}
        self._rebalancing = asyncio.Lock()

    async def load(self) -> None:
        """Goes on from the last run."""
        await self._history.load()
        self._ages.go_on_from(self._history.recorded_at)

    async def close(self) -> None:
        await self._strategist.close()

    # -- deciding ----------------------------------------------------------------------------

    async def choose(self) -> Choice:
        """What starts now. Whatever goes wrong is logged, told by `view`, and starts nothing."""
        try:
            await self._define(self._surveyor.settings().shared_resources)
            judgement = await self._judge()
            self._remember(judgement)
            await self._tell_refusal(judgement.verdict, judgement.survey)
        except Exception as error:  # edge: as a tick of the reconciler; the next pass comes
            incident = secrets.token_hex(4)
            log.exception("nothing could be decided, incident %s", incident)
            self._fault = f"Nothing could be decided lately: {error} (incident {incident})."
            return Choice()
        self._fault = ""
        return Choice(start=judgement.start, park=judgement.park)

    def reclaimed(self, preemption: Preemption) -> None:
        """Its task was asked to park: for some time nobody takes it back the other way."""
        self._reclaimed.append(
            Reclaimed(taker=preemption.taker, victim=preemption.victim, at=self._clock.monotonic())
        )

    def observe_phase(self, project: str, seconds: float, end: PhaseEnd) -> None:
        """After so long. One that was cut short says nothing of how long phases take."""
        if end not in _CUT_SHORT:
            self._history.observe_phase(project, seconds)

    def asked_to_park(self, story_id: str) -> None:
        self._surveyor.asked_to_park(story_id)

    async def _judge(self, strategy: str | None = None, *, whole: bool = False) -> _Judgement:
        """By the strategy in force, or by another one, which is made for this question alone."""
        survey = await self._surveyor.survey(whole=whole)
        name = strategy or survey.settings.resource_allocation_strategy
        now = survey.picture.now
        await self._ages.recall(survey.offered, now)
        since = {each.id: self._ages.since(each, now) for each in survey.offered}
        pressure = load_pressure(survey.settings, survey.picture.reading)
        recent = tuple(one for one in self._reclaimed if now - one.at < _KEPT_SECONDS)
        picture = with_times(survey.picture, since, recent)
        behind: set[str] = set()
        for _ in range(_ROUNDS):
            order = sorted(survey.offered, key=lambda each: (each.id in behind, since[each.id], each.id))
            able, bars = share_out(order, picture.shared)
            snapshot = await asyncio.to_thread(snapshot_of, picture, able)
            if strategy is None:
                verdict = await self._strategist.decide(name, snapshot)
            else:
                verdict = await asyncio.to_thread(asked_once, name, snapshot, self._folder)
            # Places that were kept for who cannot start now go to those who might.
            started = {start.task_id for start in verdict.decision.starts}
            idle = {each.id for each in able if each.wants and each.id not in started} - behind
            if not idle or not bars:
                break
            behind |= idle
        rests = now - self._last_start >= ONE_START_SECONDS and not picture.uses_processor
        most = None if not pressure else int(rests or not picture.runs)
        return await asyncio.to_thread(self._digest, survey, snapshot, verdict, able, bars, pressure, most)

    @staticmethod
    def _digest(
        survey: Survey,
        snapshot: Snapshot,
        verdict: Verdict,
        able: tuple[Candidate, ...],
        bars: Mapping[str, str],
        pressure: str,
        most: int | None,
    ) -> _Judgement:
        """`most`: starts that the machine's load allows; None: it sets no bound."""
        by_id = {candidate.id: candidate for candidate in able}
        start = [by_id[one.task_id] for one in verdict.decision.starts if one.task_id in by_id]
        words = {name: words_of(said) for name, said in {**survey.waits, **bars}.items()}
        for wait in verdict.decision.waits:
            said = wait_words(wait)
            for name in wait.task_ids:
                words |= dict.fromkeys(_names(by_id[name]), said) if name in by_id else {name: said}
        if most is not None:
            then = "it has less to do, or nothing that is at work here uses it"
            words |= {
                story: words_of(f"waits: {pressure}; next when {then}.")
                for each in start[most:]
                for story in _names(each)
            }
            start = start[:most]
        return _Judgement(
            survey=survey,
            snapshot=snapshot,
            verdict=verdict,
            words=words,
            pressure=pressure,
            start=tuple(start),
        )

    def _remember(self, judgement: _Judgement) -> None:
        survey, now = judgement.survey, judgement.survey.picture.now
        if judgement.start:
            self._last_start = now
        under_way = {task.id for project in survey.picture.projects.values() for task in project.at_work}
        self._ages.keep(survey.offered, now, starting=judgement.start, under_way=under_way)
        self._words, self._rest = judgement.words, survey.rest

    async def _tell_refusal(self, verdict: Verdict, survey: Survey) -> None:
        """Once, until it is right again."""
        if bool(verdict.refused) == self._refused:
            return
        self._refused = bool(verdict.refused)
        if not verdict.refused:
            return
        data = {
            "strategy": survey.settings.resource_allocation_strategy,
            "why": verdict.refused,
            "kept": verdict.kept,
        }
        log.warning("%s Until it is right, %s.", verdict.refused, verdict.kept)
        await self._store.write(lambda tx: tx.emit(EventKind.STRATEGY_REFUSED, data=data))

    async def _define(self, shared: Mapping[str, int]) -> None:
        """The shared resources that the settings name now; one that is held stays until it is given back."""
        wanted = dict(shared)
        if self._places == wanted:
            return

        def define(tx: Transaction) -> bool:
            for name, places in wanted.items():
                locks.define(tx, name, places)
            whole = True
            for gone in {one.name for one in locks.every(tx.conn)} - wanted.keys():
                try:
                    locks.forget(tx, gone)
                except NotAllowed:
                    whole = False
            return whole

        if await self._store.write(define):
            self._places = wanted

    # -- why ---------------------------------------------------------------------------------

    def why(self, story_id: str) -> str:
        """What it waits for by the last decision, in one sentence; empty when nothing is known."""
        if (words := self._words.get(story_id)) is not None:
            return words.sentence
        project, _, number = story_id.rpartition("-")
        return self._rest.get(project, "") if number.isdigit() else ""

    async def explain(self, story_id: str) -> tuple[str, tuple[str, ...], str]:
        """Of what could start: the sentence, what is behind it, what has to happen next. As of now."""
        judgement = await self._judge()
        words = judgement.words.get(story_id)
        project = story_id.rpartition("-")[0]
        if words is None:
            starts = {start.task_id: start.reason for start in judgement.decision.starts}
            words = words_of(starts.get(story_id) or judgement.survey.rest.get(project, ""))
        return words.sentence, (*words.details, *held_back(judgement.survey, story_id, project)), words.next

    # -- sharing anew ------------------------------------------------------------------------

    async def tick(self) -> None:
        """A rebalancing on a timer; one that fails is logged, and the next one comes."""
        try:
            await self.rebalance()
        except Exception:  # edge: as a tick of the reconciler
            log.exception("rebalancing failed, incident %s", secrets.token_hex(4))

    async def settle(self) -> None:
        """Waits for a rebalancing that is under way."""
        async with self._rebalancing:
            return

    async def rebalance(self, *, by: str = "orchard") -> Optimization:
        """Measures, remembers, puts the present limits around what lives, and tells what is different."""
        async with self._rebalancing:
            began = self._clock.monotonic()
            judgement = await self._judge(whole=True)
            before = self._quotas_before(judgement)
            after = self._quotas_of(judgement)
            strategy = judgement.decision.strategy
            self._fences.apply()
            await self._store.write(locks.expire)
            await self._history.record(judgement.survey.at, _held(judgement), after, strategy)
            changes, self._told = told_changes(self._told or before, after)
            if changes or by != "orchard":
                data = {"strategy": strategy, "changes": list(changes), "by": by}
                await self._store.write(
                    lambda tx: tx.emit(EventKind.RESOURCES_REBALANCED, actor=by, data=data)
                )
            return Optimization(
                strategy=strategy,
                dry_run=False,
                seconds=max(self._clock.monotonic() - began, 0.0),
                changes=changes,
                before=tuple(before[name] for name in sorted(before)),
                after=after,
                problems=self._problems_of(judgement),
            )

    async def dry_run(self, strategy: str | None = None) -> Optimization:
        """What a strategy would do now; None: the one in force. Nothing is changed, started or told."""
        began = self._clock.monotonic()
        judgement = await self._judge(strategy, whole=True)
        before, after = self._quotas_before(judgement), self._quotas_of(judgement)
        changes, _ = told_changes(before, after)
        started = {each.id for each in judgement.start}
        return Optimization(
            strategy=judgement.decision.strategy,
            dry_run=True,
            seconds=max(self._clock.monotonic() - began, 0.0),
            changes=changes,
            before=tuple(before[name] for name in sorted(before)),
            after=after,
            starts=tuple(
                f"{one.task_id} {one.reason}" for one in judgement.decision.starts if one.task_id in started
            ),
            parks=tuple(f"{one.task_id}: {one.reason}" for one in judgement.park),
            problems=self._problems_of(judgement),
        )

    async def view(self) -> ResourcesView:
        """Shares, limits, locks and what holds starts back, as of now."""
        judgement = await self._judge(whole=True)
        survey = judgement.survey
        shared = await self._store.read(locks.every)
        return await asyncio.to_thread(
            lambda: resources_view(
                survey,
                judgement.snapshot,
                judgement.decision,
                self._quotas_of(judgement),
                words={name: words.sentence for name, words in judgement.words.items()},
                shared=shared,
                pressure=judgement.pressure,
                enforcement=self._fences.enforcement,
                problems=self._problems_of(judgement),
                problems_of=self._fences.problems,
                rebalanced_at=self._history.recorded_at,
            )
        )

    def _quotas_of(self, judgement: _Judgement) -> tuple[Quota, ...]:
        return quotas(judgement.decision.allocations, judgement.snapshot.capacity)

    def _quotas_before(self, judgement: _Judgement) -> Mapping[str, Quota]:
        found = {name: self._history.allocation(name) for name in judgement.survey.picture.projects}
        return {name: quota for name, quota in found.items() if quota is not None}

    def _problems_of(self, judgement: _Judgement) -> tuple[str, ...]:
        return (*([self._fault] if self._fault else []), *judgement.decision.problems)


def _names(candidate: Candidate) -> tuple[str, ...]:
    return tuple(cycle.story_id for cycle in candidate.cycles) or (candidate.id,)


def _held(judgement: _Judgement) -> Mapping[str, Held]:
    """What each project holds, for the history; its allocation as amounts."""
    survey = judgement.survey
    allocated = {one.project: one.amounts for one in judgement.decision.allocations}
    found = {}
    for name, project in survey.picture.projects.items():
        asked = total([demand_of(project.terms, task.kind) for task in project.at_work])
        measured = project.measured
        known = measured.memory_mb is not None or measured.disk_mb is not None
        found[name] = Held(
            used=asked,
            measured=Resources(
                agents=asked.agents,
                cycles=asked.cycles,
                cpu=_or_unknown(measured.cpu),
                memory_mb=_or_unknown(measured.memory_mb),
                disk_mb=_or_unknown(measured.disk_mb),
            )
            if known
            else None,
            allocated=allocated.get(name, used_by(project)),
            waiting=survey.backlog.get(name, 0),
            most_agents=project.terms.limit.agents,
        )
    return found


def _or_unknown(amount: float | None) -> float:
    """Nothing used would be another thing than nothing known."""
    return math.inf if amount is None else amount
