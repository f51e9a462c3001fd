"""One call's way through the gateway, in the journal and on its run's accounts."""

from __future__ import annotations

import functools
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import resources

import yaml

from core.domain.budget import MOST, Amounts
from core.gateway.answer import Answer, AnswerReader
from core.gateway.calls import Ending, MeteredCall
from core.gateway.journal import JournalWriter
from core.gateway.prices import PriceRow, cost_of, price_rows, rows_of
from core.gateway.runs import Run
from core.gateway.usage import Usage
from core.gateway.wire import Route

_BYTES_A_TOKEN = 4  # about; of JSON text
_USUAL_OUTPUT = 2000  # tokens
_TOLD_AGAIN_SECONDS = 1.0
_MODELS_KEPT = 1000
_HEAD, _TAIL = 16 << 10, 4 << 10
_MODEL = re.compile(rb'"model"\s*:\s*"([A-Za-z0-9][^"\\\x00-\x1f]{0,199})"')
_MOST_OUTPUT = re.compile(
    rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d{1,7})\b|"maxOutputTokens"\s*:\s*(\d{1,7})\b'
)


@functools.lru_cache(maxsize=1)
def load_prices() -> tuple[PriceRow, ...]:
    """Raises ValueError for a file that is wrong."""
    return price_rows(yaml.safe_load((resources.files("config") / "prices.yaml").read_text("utf-8")))


def model_in(body: bytes, route: Route) -> str:
    """What a request asks for, without reading all of it; only names the call until its answer does."""
    if route.model:
        return route.model
    found = _MODEL.search(body, 0, _HEAD) or _MODEL.search(body, max(0, len(body) - _TAIL))
    return found[1].decode("utf-8", "replace") if found else ""


class Prices:
    def __init__(self, rows: Sequence[PriceRow]) -> None:
        self._rows = rows
        self._of: dict[tuple[str, date], tuple[PriceRow, ...]] = {}

    def cost(self, usage: Usage, model: str, at: datetime) -> int:
        """Micro-dollars; 0 without a known price."""
        key = (model, at.date())
        rows = self._of.get(key)
        if rows is None:  # looking through all globs takes longer than all else about a call
            if len(self._of) >= _MODELS_KEPT:
                self._of.clear()
            rows = self._of[key] = rows_of(model, key[1], self._rows)
        return min(cost_of(usage, model, key[1], rows).micro_dollars, MOST) if rows else 0

    def estimate(self, body: bytes, model: str) -> Amounts:
        """About what a call takes: its words, and as much of an answer as is usual or asked for."""
        found = _MOST_OUTPUT.search(body, max(0, len(body) - _TAIL)) or _MOST_OUTPUT.search(body, 0, _HEAD)
        most = int(found[1] or found[2]) if found else _USUAL_OUTPUT
        usage = Usage(input_tokens=len(body) // _BYTES_A_TOKEN, output_tokens=min(most, _USUAL_OUTPUT))
        return Amounts(tokens=usage.total_tokens, microdollars=self.cost(usage, model, datetime.now(UTC)))


class Meter:
    """Of one call that is metered. The first `end` counts; what was not begun is not written down."""

    def __init__(
        self, run: Run, provider: str, route: Route, model: str, prices: Prices, journal: JournalWriter
    ) -> None:
        start = run.start
        self._prices = prices
        self._journal = journal
        self._began = time.monotonic()
        self._first_byte: float | None = None
        self._told_at = float("-inf")
        self._told_complete = False
        self._begun = False
        self.call = MeteredCall(
            call_id=f"call_{secrets.token_hex(10)}",
            run_id=start.run_id,
            project=start.project,
            story_id=start.story_id,
            phase=start.phase,
            agent=start.agent,
            provider=provider,
            wire=route.format.value,
            model=model,
            at=datetime.now(UTC),
        )

    def begin(self) -> None:
        """Writes the call down: it is sent next. Raises OSError: then it must not be."""
        self._began = time.monotonic()
        self.call = replace(self.call, at=datetime.now(UTC))
        self._journal.begun(self.call)
        self._begun = True

    def first_byte(self) -> None:
        if self._first_byte is None:
            self._first_byte = time.monotonic()

    def heard(self, reader: AnswerReader) -> None:
        """After each piece of a stream, before it is passed on: what the provider has said so far is known
        even if this process is killed now."""
        if not reader.told:
            return
        if reader.complete:
            if not self._told_complete:
                self._told_complete = True
                self._note(reader.so_far(), Ending.ANSWERED)
        elif time.monotonic() - self._told_at >= _TOLD_AGAIN_SECONDS:
            self._note(reader.so_far(), Ending.CUT)

    def end(self, answer: Answer | None, ending: Ending) -> Amounts:
        """What the call took, as far as that is certain."""
        if self._begun:
            self._begun = False
            self.call = self._known(answer, ending)
            self._journal.ended(self.call)
        return self.call.took

    def _note(self, answer: Answer, ending: Ending) -> None:
        self._told_at = time.monotonic()
        self._journal.told(self._known(answer, ending))

    def _known(self, answer: Answer | None, ending: Ending) -> MeteredCall:
        now, at = time.monotonic(), datetime.now(UTC)
        first = self._first_byte
        call = replace(
            self.call,
            at=at,
            ending=ending,
            first_byte_ms=None if first is None else round((first - self._began) * 1000),
            total_ms=round((now - self._began) * 1000),
        )
        if answer is None:
            return call
        model = answer.model or call.model
        cost = self._prices.cost(answer.usage, model, at)
        return replace(call, model=model).using(answer.usage, cost)
