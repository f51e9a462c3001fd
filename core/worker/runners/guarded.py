"""What a run left behind, read so that nothing in it can end the worker's phase."""

from __future__ import annotations

import logging
from collections.abc import Callable

from core.domain.evidence import Outcome, RunState, TestResult
from core.worker.runners.contract import Reading
from core.worker.runners.session import FOREIGN

logger = logging.getLogger(__name__)


def read_guarded(read: Callable[[], Reading]) -> Reading:
    """What `read` makes of a run.

    Records that are signed, and yet not what Orchard's own plugins write, come of code under test that has
    got at the key: that is tampering, and no error of the worker.
    """
    try:
        reading = read()
        if all(_is_plain(result) for result in reading.results):
            return reading
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        logger.exception("the records of a test run could not be read")
    return Reading(state=RunState.CRASHED, tampering=(FOREIGN,))


def _is_plain(result: TestResult) -> bool:
    texts = (result.id, result.file or "", result.message, result.detail, result.skipped_by)
    if not all(isinstance(text, str) for text in texts) or not isinstance(result.outcome, Outcome):
        return False
    why = result.failure
    return why is None or all(
        isinstance(text, str)
        for text in (why.exception, why.missing, why.owner, why.message, *why.files, *why.functions)
    )
