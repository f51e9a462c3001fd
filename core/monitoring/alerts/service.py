"""Watching: after each pass of the probes every rule is judged, and what changed is in the store at once.

What is open is read from the store with each look, so a person's answer and a restart need nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Protocol

from config.alert_settings import AlertSettings
from core.clock import Clock
from core.domain.alert import Alert, Rule
from core.domain.metric import Sample
from core.errors import OrchardError
from core.monitoring.alerts.evaluation import Verdict, evaluate, joined
from core.monitoring.alerts.learning import History, Learning
from core.monitoring.alerts.observing import Observing
from core.monitoring.alerts.planning import Group, Timer, plan
from core.monitoring.alerts.recording import record
from core.monitoring.readings import Readings
from core.store import alerts
from core.store.database import Store

log = logging.getLogger(__name__)

_LEARN_SECONDS = 3600.0
_LATELY = timedelta(hours=6)
_AT_ONCE = timedelta(hours=1)  # what begins in so many projects within this has one cause
_IDLE_SECONDS = 30.0  # also without news something may be over, or be missing
_SETTLE_SECONDS = 0.5  # the probes of one pass publish one after the other


class Measured(Protocol):
    """What is watched: core.monitoring.service.Monitoring."""

    @property
    def readings(self) -> Readings: ...
    @property
    def history(self) -> History: ...


class Alerting:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        monitoring: Measured,
        settings: Callable[[], AlertSettings],
        sample_seconds: Callable[[], float],
    ) -> None:
        self._store = store
        self._clock = clock
        self._readings = monitoring.readings
        self._settings = settings
        self._sample_seconds = sample_seconds
        self._learning = Learning(store, clock, monitoring.history)
        self._observing = Observing(
            monitoring.readings, monitoring.history, self._learning, clock, began=clock.monotonic()
        )
        self._followed: AlertSettings | None = None
        self._following = asyncio.Lock()
        self._rules: Mapping[str, Rule] = {}
        self._timers: Mapping[Group, Timer] = {}
        self._news = asyncio.Event()
        self._troubles: dict[str, str] = {}  # what was told of what fails

    async def run(self) -> None:
        """Until it is cancelled. What a look cannot do is logged, and done by the next."""
        with self._readings.subscribe() as batches:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear(batches), name="alerts: hear")
                # The first pass counts what happened while nobody did: spans begin with it.
                await self._wait_for_news()
                group.create_task(self._watch(), name="alerts: watch")
                group.create_task(self._learn_hourly(), name="alerts: learn")

    async def look(self) -> tuple[Alert, ...]:
        """Judges everything once. Returns what changed so that somebody may hear of it. Raises OrchardError
        when the store fails; then nothing changed."""
        await self._follow()
        now, steady = self._clock.now(), self._clock.monotonic()
        since = now - _LATELY
        found, lately = await self._store.read(
            lambda conn: (alerts.unresolved(conn), alerts.lately(conn, since))
        )
        opened = {(alert.rule, alert.project): alert for alert in found}
        verdicts = self._judge(opened)
        planned = plan(self._rules, verdicts, opened, self._timers, lately, steady=steady, now=now)
        self._timers = planned.timers
        if not planned.moves:
            return ()
        return await self._store.write(lambda tx: record(tx, planned.moves))

    async def learn(self) -> None:
        """What is normal, from the history; and what has been over for long enough is forgotten."""
        await self._follow()
        await self._learning.learn(self._rules.values())
        self._observing.forget()
        until = self._clock.now() - timedelta(days=self._settings().kept_days)
        await self._store.write(lambda tx: alerts.prune(tx, until))

    def hear(self, batch: Collection[Sample]) -> None:
        self._observing.hear(batch, self._clock.monotonic())

    def _judge(self, opened: Mapping[Group, Alert]) -> dict[Group, Verdict]:
        now = self._clock.now()
        open_in: dict[str, set[str | None]] = {}
        recent: Counter[str] = Counter()
        for (rule_id, project), alert in opened.items():
            open_in.setdefault(rule_id, set()).add(project)
            recent[rule_id] += project is not None and abs(now - alert.since) < _AT_ONCE
        look = self._observing.look(now, self._clock.monotonic())
        most = self._settings().join_from
        found: dict[Group, Verdict] = {}
        for rule in self._rules.values():
            where = open_in.get(rule.id, frozenset[str | None]())
            verdicts = evaluate(rule, self._observing.of(rule, look), where)
            for project, verdict in joined(verdicts, where, most, recent[rule.id]).items():
                found[rule.id, project] = verdict
        return found

    async def _follow(self) -> None:
        """Settings that changed hold from the next look on."""
        async with self._following:  # looks and learning both do: what one begins, the other goes on with
            settings = self._settings()
            self._observing.sample_seconds = self._sample_seconds()
            if settings is self._followed:
                return
            rules = {rule.id: rule for rule in settings.watched if rule.enabled and settings.enabled}
            await self._observing.follow(rules.values())
            self._rules, self._followed = rules, settings

    async def _hear(self, batches: AsyncIterator[tuple[Sample, ...]]) -> None:
        async for batch in batches:
            self.hear(batch)
            self._news.set()

    async def _watch(self) -> None:
        while True:
            await self._try(self.look, "a look at the alerts")
            if await self._wait_for_news():
                await asyncio.sleep(_SETTLE_SECONDS)
                self._news.clear()

    async def _wait_for_news(self) -> bool:
        """False: there were none for long."""
        try:
            async with asyncio.timeout(max(_IDLE_SECONDS, 2 * self._sample_seconds())):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _learn_hourly(self) -> None:
        while True:
            await self._try(self.learn, "learning what is normal")
            await asyncio.sleep(_LEARN_SECONDS)

    async def _try(self, work: Callable[[], Awaitable[object]], what: str) -> None:
        try:
            await work()
            self._troubles.pop(what, None)
        except OrchardError as error:  # the store is away, the disk is full: told once, not with every look
            if self._troubles.get(what) != str(error):
                self._troubles[what] = str(error)
                log.warning("%s failed: %s", what, error)
        except Exception:  # edge: the next one does it
            log.exception("%s failed, incident %s", what, secrets.token_hex(4))
