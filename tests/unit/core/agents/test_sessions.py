"""How a turn gets its session: taken up, loaded, branched off, or new and told of what was before."""

from __future__ import annotations

import hashlib
import json

import pytest

from core.agents.digest import SHOWN, ReadTurn, digest
from core.agents.prompts import earlier_session
from core.agents.redaction import Redactor
from core.agents.transcript import read_prompt
from core.agents.turn import TurnKind, TurnStarted
from core.domain.session import How

KEY = "sk-ant-api03-" + "Zz9_" * 12
RECORD = "It wrote src/a.py."
SAY = [{"say": "I begin."}, {"write": {"path": "src/a.py", "text": "x = 1\n"}}, {"say": "All done."}]


async def seed() -> str:
    return earlier_session(RECORD)


def started(stage) -> TurnStarted:
    return stage.of(TurnStarted)[-1]


def notes(stage) -> list:
    entries = [json.loads(line) for line in stage.transcript.read_text().splitlines()]
    return [entry["message"] for entry in entries if entry["way"] == "note"]


@pytest.mark.parametrize(("offered", "how"), [("resume", How.RESUMED), ("load", How.LOADED)])
async def test_a_session_is_taken_up_as_the_agent_can_and_told_nothing_again(stage, offered, how):
    agent = stage.replay(stage.steps(*SAY, sessions=offered))
    first = await stage.play(agent)

    second = await stage.play(agent, stage.turn(session_id=first.session_id, seed=seed))

    assert (second.kind, second.session_id) == (TurnKind.IDLE, first.session_id)
    assert (started(stage).how, started(stage).why) == (how, "")
    assert RECORD not in stage.transcript.read_text()
    assert second.text == "[replay] All done."  # and none of the words that loading replays


async def test_an_agent_without_sessions_is_told_in_a_new_one(stage):
    agent = stage.replay(stage.steps(*SAY, sessions="none"))
    first = await stage.play(agent)

    second = await stage.play(agent, stage.turn(session_id=first.session_id, seed=seed))

    assert second.session_id != first.session_id
    assert (started(stage).how, started(stage).why) == (
        How.SEEDED,
        "replay cannot take a session up again.",
    )
    assert "it_was: x" not in stage.transcript.read_text()
    assert stage.transcript.read_text().count(RECORD) == 1


async def test_a_session_that_is_gone_costs_itself_and_not_the_turn(stage):
    gone = "replay-0123456789abcdef"
    agent = stage.replay(stage.steps(*SAY))

    end = await stage.play(agent, stage.turn(session_id=gone, seed=seed))

    assert end.kind is TurnKind.IDLE
    assert started(stage).how is How.SEEDED
    assert started(stage).why == f"Session {gone} could not be loaded: Resource not found."
    assert [note for note in notes(stage) if isinstance(note, str)] == [
        f"Session {gone} could not be resumed: Resource not found.",
        f"Session {gone} could not be loaded: Resource not found.",
    ]


DEAF = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    method, answer = message.get("method"), None
    if method == "initialize":
        answer = {"protocolVersion": 1, "agentCapabilities": {"sessionCapabilities": {"resume": {}}}}
    elif method == "session/new":
        answer = {"sessionId": "new"}
    elif method == "session/prompt":
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Heard."}}
        params = {"sessionId": "new", "update": update}
        print(json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": params}), flush=True)
        answer = {"stopReason": "end_turn"}
    if answer is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
"""


async def test_an_agent_that_never_answers_a_resume_gets_a_new_session(stage):
    turn = stage.turn(session_id="old", seed=seed, start_seconds=9)

    end = await stage.play(stage.program(DEAF), turn, changed=_yes)

    assert (end.kind, end.session_id, end.text) == (TurnKind.IDLE, "new", "Heard.")
    assert started(stage).how is How.SEEDED
    assert started(stage).why == "Session old could not be resumed: no answer in time."


async def _yes() -> bool:
    return True


async def test_another_storys_session_is_branched_off_where_the_agent_can(stage):
    script = stage.steps(
        {"when": "resumed", "then": [{"say": "I know of it."}], "else": [{"say": "New here."}]},
        sessions="fork",
    )
    agent = stage.replay(script)
    source = await stage.play(agent, changed=_yes)

    branch = await stage.play(agent, stage.turn(fork_from=source.session_id, seed=seed), changed=_yes)
    again = await stage.play(agent, stage.turn(session_id=source.session_id), changed=_yes)

    assert branch.session_id not in (None, source.session_id)
    assert branch.text.endswith("I know of it.")
    assert again.session_id == source.session_id  # which it left as it was
    assert [event.how for event in stage.of(TurnStarted)] == [How.FRESH, How.FORKED, How.RESUMED]
    assert RECORD not in stage.transcript.read_text()


async def test_where_it_cannot_a_new_one_is_told_of_the_others(stage):
    agent = stage.replay(stage.steps(*SAY))
    source = await stage.play(agent)

    await stage.play(agent, stage.turn(fork_from=source.session_id, seed=seed))

    assert (started(stage).how, started(stage).why) == (How.SEEDED, "replay cannot branch a session off.")


async def test_a_plain_command_is_told_too(stage):
    script = "import sys; open('src.txt', 'w').write(sys.stdin.read())"
    agent = stage.program(script)
    agent = type(agent)(
        **{**{name: getattr(agent, name) for name in agent.__dataclass_fields__}, "kind": "command"}
    )

    end = await stage.play(agent, stage.turn(seed=seed), changed=_yes)

    assert end.kind is TurnKind.IDLE
    assert RECORD in (stage.worktree / "src.txt").read_text()
    assert started(stage).how is How.SEEDED


async def test_the_prompt_is_kept_whole_with_its_digest(stage):
    turn = stage.turn(body="x" * 150_000, heading={"story": "demo-1", "generation": 3})

    await stage.play(stage.replay(stage.steps(*SAY)), turn)

    assert read_prompt(stage.transcript) == turn.prompt
    assert started(stage).prompt_sha256 == hashlib.sha256(turn.prompt.encode()).hexdigest()
    assert notes(stage)[0] == {"turn": {"story": "demo-1", "generation": 3}}
    assert notes(stage)[1]["prompt_sha256"] == started(stage).prompt_sha256


async def test_neither_transcript_nor_stderr_holds_a_secret_however_it_comes(stage):
    secret = "correct-horse-battery"
    script = stage.steps(
        {"say": {"text": f"The key is {KEY}, or {secret} here.", "split": True}},
        {"write": {"path": "src/a.py", "text": f"KEY = '{KEY}'\n"}},
        {"say": "Done."},
    )
    turn = stage.turn(redactor=Redactor((secret,)), body=f"Use {secret}.")

    await stage.play(stage.replay(script), turn)

    kept = stage.transcript.read_text()
    assert KEY not in kept
    assert secret not in kept
    assert "[redacted: an Anthropic key]" in kept
    assert (stage.worktree / "src/a.py").read_text() == f"KEY = '{KEY}'\n"  # the work itself stays


LOUD = """
import sys, time
for piece in ({first!r}, {second!r}, " and more\\n"):
    sys.stderr.write(piece); sys.stderr.flush(); time.sleep(0.1)
sys.exit(3)
"""


async def test_a_secret_in_two_pieces_of_stderr_is_neither_kept_nor_told(stage):
    end = await stage.play(stage.program(LOUD.format(first=f"bad key {KEY[:20]}", second=KEY[20:])))

    kept = stage.transcript.with_suffix(".stderr").read_text()
    assert kept == "bad key [redacted: an Anthropic key] and more\n"
    assert KEY not in f"{end.error} {end.hint}"
    assert "[redacted: an Anthropic key]" in f"{end.error} {end.hint}"


# What is told of earlier turns


async def test_a_digest_says_what_was_asked_done_and_said(stage):
    await stage.play(stage.replay(stage.steps(*SAY)), stage.turn(body="Do it well."))

    told = digest([ReadTurn(heading="code_green, attempt 1, by replay", jsonl=stage.transcript.read_text())])

    assert told.splitlines() == [
        "[code_green, attempt 1, by replay]",
        "Asked: code_green, attempt 1.",
        "Did:",
        "- Write src/a.py",
        "Said last: [replay] All done.",
        "Ended: idle",
    ]


def entry(way: str, message: object) -> str:
    return json.dumps({"at": "2026-03-01T12:00:00+00:00", "way": way, "message": message})


def prompt(text: str) -> str:
    blocks = [{"type": "text", "text": text}]
    return entry("out", {"method": "session/prompt", "id": 1, "params": {"prompt": blocks}})


def said(text: str) -> str:
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    return entry("in", {"method": "session/update", "params": {"update": update}})


def test_a_digest_is_bounded_and_keeps_the_newest():
    turns = [
        ReadTurn(
            heading=f"turn {number}", jsonl="\n".join([prompt("Orchard-Phase: design"), said("w" * 9_000)])
        )
        for number in range(30)
    ]

    told = digest(turns)

    assert len(told) <= SHOWN
    assert "[turn 29]" in told
    assert "[turn 0]" not in told
    assert told.index("[turn 28]") < told.index("[turn 29]")
    assert digest(turns[:1], limit=50) == digest(turns[:1])[:50]


@pytest.mark.parametrize(
    "jsonl",
    ["", "\n\n", "no json", '{"way": "in"}', "[1, 2]", '{"at": 1, "way": "out", "message": "x"}', '{"way'],
)
def test_what_is_no_transcript_tells_nothing(jsonl):
    assert digest([ReadTurn(heading="a turn", jsonl=jsonl)]) == ""


def test_what_was_said_of_the_work_is_told_and_what_a_load_replays_is_not():
    marks = "===== feedback: begin =====\nIt failed.\n===== feedback: end =====\n"
    feedback = f"Orchard-Phase: code_green\nOrchard-Attempt: 2\n\nx\n{marks}"

    told = digest([ReadTurn(heading="t", jsonl="\n".join([said("replayed"), prompt(feedback), said("new")]))])

    assert "Asked: code_green, attempt 2. It was told: It failed." in told
    assert "replayed" not in told
    assert "Said last: new" in told
