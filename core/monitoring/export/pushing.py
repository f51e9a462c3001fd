"""Metrics to external_metrics_endpoint, every so often. What could not be sent is not kept: the next time all
is sent again as it stands then, so nothing piles up and nothing waits."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from config.fields import is_secret_address
from config.monitoring_settings import MetricsFormat
from config.settings import Settings
from core.clock import Clock
from core.domain.metric import Count, Sample, Series
from core.monitoring.delivery.answer import origin_of
from core.monitoring.delivery.posting import NoAnswer, post
from core.monitoring.delivery.verdict import Remedy, Verdict, judge, unanswered
from core.monitoring.export.otlp import otlp, plain
from core.monitoring.service import Monitoring
from core.version import program_version
from core.wake import Wake

log = logging.getLogger(__name__)

_MAKERS = {MetricsFormat.OTLP: otlp, MetricsFormat.JSON: plain}
_POST_SECONDS = 10.0
_FIRST_SECONDS = 2.0  # after the start, when the first pass is over


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the thread that writes it down is given: nothing of it changes under its hands."""

    readings: tuple[Sample, ...]
    tallies: Mapping[Series, Count]
    now: datetime


class Pushing:
    """`trouble`: why nothing arrives, in a sentence; empty: it does, or nothing is to be sent."""

    def __init__(self, monitoring: Monitoring, clock: Clock, settings: Callable[[], Settings]) -> None:
        self._monitoring = monitoring
        self._clock = clock
        self._settings = settings
        self._wake = Wake()
        self._failures = 0
        self.trouble = ""

    def wake(self) -> None:
        """The settings may be others."""
        self._failures = 0
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._wake.rest(_FIRST_SECONDS)
        while True:
            settings = self._settings()
            pause = settings.global_.monitoring.external_metrics_seconds
            if settings.global_.external_metrics_endpoint is not None:
                pause = max(pause, (await self.push()).pause_seconds)
            await self._wake.rest(pause)

    async def push(self) -> Verdict:
        """Once. Raises nothing of the other side's."""
        settings = self._settings()
        url = settings.global_.external_metrics_endpoint
        assert url is not None
        seen = _Seen(
            readings=self._monitoring.readings.latest(),
            tallies=dict(self._monitoring.counts),
            now=self._clock.now(),
        )
        make = _MAKERS[settings.global_.monitoring.external_metrics_format]
        body = await asyncio.to_thread(make, seen.readings, seen.tallies, seen.now, program_version())
        headers = {"content-type": "application/json"}
        if settings.external_metrics_token is not None and is_secret_address(url):  # never readable for all
            headers["authorization"] = f"Bearer {settings.external_metrics_token.get_secret_value()}"
        chance = random.random()  # noqa: S311 - against coming again all together
        try:
            answer = await post(url, body, headers, seconds=_POST_SECONDS)
            verdict = judge(answer, url, self._failures, chance, self._clock.now())
        except NoAnswer as error:
            verdict = unanswered(error.reason, self._failures, chance)
        self._note(url, verdict)
        return verdict

    def _note(self, url: str, verdict: Verdict) -> None:
        """Told when it changes, not with every try."""
        if verdict.remedy is Remedy.NONE:
            if self.trouble:
                log.info("metrics reach %s again", origin_of(url))
            self._failures, self.trouble = 0, ""
            return
        self._failures += 1
        if verdict.reason != self.trouble:
            self.trouble = verdict.reason
            log.warning("metrics do not reach external_metrics_endpoint: %s", verdict.reason)
