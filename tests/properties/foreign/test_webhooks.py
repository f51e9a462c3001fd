"""Whatever a delivery of a webhook carries: it says where to look, or is refused."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from bot.web.webhooks import payload_of
from core.errors import InvalidInput
from core.github.webhooks.nudge import EVENTS, EVERYTHING, Nudge, nudge_of, repositories_of

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
NAMES = [
    *("action", "after", "base", "check_run", "check_suite", "full_name", "head", "head_sha", "id", "issue"),
    *("merge_group", "number", "pull_request", "pull_requests", "ref", "ref_type", "repositories"),
    *("repositories_added", "repositories_removed", "repository", "sha", "workflow_job", "workflow_run"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["a" * 40, "0" * 40, "refs/heads/main", "o/r", "\ud800", "../.."]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
payloads = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)


@given(event=st.sampled_from(EVENTS) | st.text(max_size=20), payload=payloads)
def test_any_payload_says_where_to_look(event, payload):
    nudge = nudge_of(event, payload)
    for named in repositories_of(payload):
        assert 0 < named.id < 2**63
        assert named.full_name.isascii()
    if nudge is None:
        return
    assert nudge == EVERYTHING or nudge != Nudge()
    assert all(0 < number < 2**63 for number in nudge.issues | nudge.pulls)
    assert all(len(commit) in (40, 64) and commit.strip("0") for commit in nudge.commits)
    assert all(name.isprintable() for name in nudge.branches)
    for text in nudge.commits | nudge.branches:
        text.encode()


@given(kind=st.sampled_from([JSON, FORM, "", "text/plain"]), body=st.binary(max_size=300))
def test_any_body_is_an_object_or_refused(kind, body):
    with contextlib.suppress(InvalidInput):
        assert isinstance(payload_of(kind, body), dict)


@given(payload=payloads)
def test_what_was_sent_is_what_is_read_in_either_way(payload):
    text = json.dumps(payload)
    assert payload_of(JSON, text.encode()) == payload
    assert payload_of(FORM, urlencode({"payload": text}).encode()) == payload
