"""What no agent should send, from programs that do little else. Each turn ends, in one clear sentence."""

from __future__ import annotations

import asyncio
import json
import resource
from dataclasses import replace

import pytest

from core.agents.turn import AgentText, PermissionAsked, TurnKind
from core.domain.approval import PermissionAnswer

AGENT = """
import json, os, sys, time
out = sys.stdout.buffer
def raw(data):
    out.write(data)
    out.flush()
def send(**message):
    raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\\n")
def update(text, session="s"):
    content = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    send(method="session/update", params={"sessionId": session, "update": content})
answers = {
    "initialize": {"protocolVersion": 1},
    "session/new": {"sessionId": "s"},
    "session/prompt": {"stopReason": "end_turn"},
}
def before(method, number): pass
def after(method, number): pass
%s
for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if method in answers:
        before(method, number)
        if method == "session/prompt":
            update("done")
        send(id=number, result=answers[method])
        after(method, number)
"""


@pytest.fixture
def mischief(stage):
    """Plays an agent that is changed by some lines of Python."""

    async def play(lines: str, **changes: object):
        agent = replace(stage.program(AGENT % lines), stop_seconds=(0.2, 0.2, 5))
        return await stage.play(agent, stage.turn(**changes))

    return play


AT_PROMPT = "def before(method, number):\n    if method != 'session/prompt': return\n"


@pytest.mark.parametrize(
    "lines",
    [
        "    for deep in [*range(90, 110), *range(150, 1400, 7), 100_000]:\n"
        '        raw(b\'{"jsonrpc":"2.0","method":"session/update","params":\' + b"[" * deep + b"]" * deep '
        '+ b"}\\n")\n'
        '        raw(b\'{"jsonrpc":"2.0","id":1,"method":"x","params":\' + b\'{"a":\' * deep + b"1" '
        '+ b"}" * deep + b"}\\n")',
        "    for wrong in (999, 'abc', -1, None, 0, 1.5, True): send(id=wrong, result={'x': 1})\n"
        "    for wrong in (0, 1): send(id=wrong, result={}); send(id=wrong, error={'code': 'x'})",
        '    raw(b\'NaN\\n[]\\n[{"jsonrpc":"2.0"}]\\n"text"\\n\')\n'
        "    raw(b'\\xff\\xfe\\x00\\n\\r\\n\\xef\\xbb\\xbf{}\\n')\n"
        '    raw(b\'{"id":5,"result":NaN}\\n{"id":5,"result":1e999}\\n\' + b\'9\' * 10_000 + b\'\\n\')',
        "    for odd in ({}, [], 5, None, 'x', {'update': []}, {'sessionId': None, 'update': {}}):\n"
        "        send(method='session/update', params=odd)\n"
        "        send(id=77, method='session/update', params=odd)\n"
        "        send(id=78, method='session/request_permission', params=odd)\n"
        "        send(id=79, method='fs/write_text_file', params=odd)\n"
        "        send(method='session/cancel', params=odd)",
        "    for _ in range(3): update('of another', 'other'); update('of none', None); update('x', ['s'])",
        "    for size in (1 << 16, 1 << 20, 20 << 20): raw(b'{\"x\":\"' + b'y' * size + b'\"}\\n')",
    ],
    ids=["deep", "answers nobody asked for", "no JSON", "wrong shapes", "other sessions", "long lines"],
)
async def test_nonsense_in_the_turn_costs_nothing_but_itself(stage, mischief, lines) -> None:
    end = await mischief(AT_PROMPT + lines)

    assert (end.kind, end.error, end.text) == (TurnKind.IDLE, "", "done")
    for line in stage.transcript.read_text().splitlines():
        json.loads(line)


async def test_a_frame_of_100_megabytes_is_skipped_and_held_by_nobody(stage, mischief) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunks = "    raw(b'{\"x\":\"')\n    for _ in range(100): raw(b'y' * (1 << 20))\n    raw(b'\"}\\n')"

    end = await mischief(AT_PROMPT + chunks)

    assert (end.kind, end.text, end.malformed) == (TurnKind.IDLE, "done", 1)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 250  # twice the reader's limit at most, and what Python keeps of it
    assert stage.transcript.stat().st_size < 1 << 20


async def test_a_line_that_never_ends_is_silence(stage, mischief) -> None:
    lines = AT_PROMPT + "    raw(b'x' * (60 << 20))\n    time.sleep(600)"

    end = await mischief(lines, stall_cancel_seconds=1)

    assert end.kind is TurnKind.FAILED
    assert "odd showed nothing for" in end.error


async def test_half_a_character_is_text_that_can_be_kept(stage, mischief) -> None:
    end = await mischief(AT_PROMPT + "    update('\\ud83d and \\ude00 '); update('\\ud83d\\ude00 ')")

    assert end.text == "? and ? 😀 done"
    "".join(event.text for event in stage.of(AgentText)).encode()


async def test_updates_before_the_session_are_nobody_s_words(mischief) -> None:
    end = await mischief("def before(method, number):\n    if method != 'session/prompt': update('early')\n")

    assert (end.kind, end.text) == (TurnKind.IDLE, "done")


async def test_very_many_questions_at_once_reach_people_a_few_at_a_time(stage) -> None:
    lines = AT_PROMPT + (
        "    option = {'optionId': 'a', 'name': 'a', 'kind': 'allow_once'}\n"
        "    for n in range(300):\n"
        "        tool = {'toolCallId': str(n), 'title': 'rm %d' % n, 'kind': 'fetch'}\n"
        "        send(id='q%d' % n, method='session/request_permission',\n"
        "             params={'sessionId': 's', 'toolCall': tool, 'options': [option]})\n"
        "    answered = 0\n"
        "    while answered < 280: answered += 'q' in str(json.loads(sys.stdin.readline()).get('id'))"
    )
    asked: list[PermissionAsked] = []

    async def ask(question: PermissionAsked) -> PermissionAnswer:
        asked.append(question)
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    end = await stage.play(stage.program(AGENT % lines), ask=ask)

    assert (end.kind, len(asked)) == (TurnKind.IDLE, 20)


@pytest.mark.parametrize(
    ("lines", "said", "began"),
    [
        ("answers['initialize'] = {}", "answered initialize with no ACP message", False),
        ("answers['initialize'] = {'protocolVersion': 0}", "speaks protocol version 0", False),
        ("answers['initialize'] = {'protocolVersion': 2}", "speaks protocol version 2", False),
        ("answers['initialize'] = None", "answered initialize with no ACP message", False),
        ("answers['session/new'] = {}", "answered session with no ACP message", False),
        ("answers['session/new'] = {'sessionId': 5}", "answered session with no ACP message", False),
        ("answers['session/prompt'] = 'yes'", "answered prompt with no ACP message", True),
        ("answers['session/prompt'] = {}", "answered prompt with no ACP message", True),
        ("sys.exit(0)", "exited with code 0 before its turn began", False),
        ("del answers['initialize']", "did not answer `initialize` within 5 s", False),
        ("del answers['session/new']", "did not open a session within 5 s", False),
        ("os.close(1); time.sleep(600)", "closed its output in the middle (initialize)", False),
        (AT_PROMPT + "    os.close(1); time.sleep(600)", "closed its output in the middle (prompt)", True),
        (AT_PROMPT + "    sys.exit(7)", "exited with code 7 in the middle of its turn", True),
        (AT_PROMPT + "    os.kill(os.getpid(), 11)", "was killed by signal 11 in the middle", True),
        (
            AT_PROMPT + '    while True: raw(b\'{"jsonrpc":"2.0","id":5,"method":"x"}\\n\' * 1000)',
            "odd was stopped: it asks and does not read the answers",
            True,
        ),
        (
            AT_PROMPT + "    tool = {'toolCallId': 'x', 'title': 'y', 'kind': 'fetch'}\n"
            "    asks = {'sessionId': 's', 'toolCall': tool, 'options': []}\n"
            "    for n in range(100_000): send(id=n, method='session/request_permission', params=asks)",
            "odd was stopped: it asks and does not read the answers",
            True,
        ),
        (
            AT_PROMPT + '    while True: raw(b\'{"jsonrpc":"2.0","method":"x"}\\n\' * 1000)',
            "odd was stopped: it printed too much",
            True,
        ),
    ],
)
async def test_what_cannot_be_worked_with_ends_in_one_sentence(
    stage, alive, mischief, lines, said, began
) -> None:
    start_seconds = 5 if lines.startswith("del ") else 40
    end = await mischief(lines, start_seconds=start_seconds, output_limit_bytes=1 << 20)

    assert end.kind is TurnKind.FAILED
    assert said in end.error
    assert end.began is began
    assert end.error.endswith(".")
    assert end.error.count(". ") == 0
    assert end.hint
    assert alive(str(stage.root / "agent.py")) == []
