from __future__ import annotations

import pytest

from core.agents.conformance import (
    Conformance,
    Mark,
    Metered,
    Outcome,
    Step,
    usage_outcome,
)

WORD = {"source": "the agent's word", "prompt": {"inputTokens": 10, "output_tokens": 3}}


@pytest.mark.parametrize(
    ("metered", "said", "meaning", "mark", "words"),
    [
        (Metered(calls=2, input_tokens=7, output_tokens=1), WORD, "turn", Mark.OK, "by the gateway"),
        (Metered(calls=2, input_tokens=7, output_tokens=1), {}, "none", Mark.OK, "the agent's word: none"),
        (Metered(calls=0, input_tokens=0, output_tokens=0), WORD, "turn", Mark.FAILED, "saw 0 calls"),
        (None, WORD, "turn", Mark.OK, "inputTokens 10, output_tokens 3"),
        (None, WORD, "none", Mark.NOTE, "inputTokens 10"),
        (None, {}, "turn", Mark.FAILED, "nothing was said"),
        (None, {"prompt": {"output_tokens": True, "total_tokens": 0}}, "none", Mark.NOTE, "nothing was said"),
    ],
)
def test_whose_word_the_tokens_are(metered, said, meaning, mark, words):
    outcome = usage_outcome(metered, said, meaning)
    assert (outcome.mark, outcome.step) == (mark, Step.USAGE)
    assert words in outcome.found


@pytest.mark.parametrize(
    ("mark", "passed"), [(Mark.OK, True), (Mark.NOTE, True), (Mark.FAILED, False), (Mark.SKIPPED, False)]
)
def test_what_failed_or_could_not_be_tried_is_no_pass(mark, passed):
    outcomes = (
        Outcome(step=Step.STARTS, mark=Mark.OK, found=""),
        Outcome(step=Step.EDITS, mark=mark, found=""),
    )
    done = Conformance(agent="a", versions={}, by="x", isolation="process", outcomes=outcomes, seconds=1)
    assert done.passed is passed
