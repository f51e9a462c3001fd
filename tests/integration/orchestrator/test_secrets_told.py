"""A secret that an agent and the tests give away in every way they can is found nowhere afterwards."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from core.domain.event import EventKind
from core.known_secrets import known_secrets
from core.logs import logging_to
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

AGENTS = 'agents-"secret" of/the+shop'
TESTS = "tests-$ecret-value&77"
FORMS = (
    "printenv {name}",
    "printenv {name} | base64",
    "printenv {name} | xxd -p 2>/dev/null || true",
    "printf 'in the middle %s of a line' \"${name}\" | base64 -w0",
    'echo "error: password=${name};" >&2',
)
TOLD = """\
import base64, json, os, sys, urllib.parse
value = os.environ["TEST_DATABASE"]
sys.stdout.write(value[:7]); sys.stdout.flush(); sys.stdout.write(value[7:] + "\\n")
print(base64.b64encode(value.encode()).decode(), value.encode().hex())
print(urllib.parse.quote(value), json.dumps(value))
print("x" * 4093 + value, file=sys.stderr)
raise AssertionError("the database is at " + value)
"""


def spellings(value: str) -> list[bytes]:
    """Written apart from the product's own list of them."""
    found = [value, base64.b64encode(value.encode()).decode(), value.encode().hex(), quote(value)]
    return [each.encode() for each in (*found, value[:-3], value[3:])]


def assert_nowhere(folder: Path) -> None:
    needles = [each for value in (AGENTS, TESTS) for each in spellings(value)]
    looked = 0
    for file in folder.rglob("*"):
        # What an agent itself writes, in its own HOME, is seen by no other process.
        if not file.is_file() or file.name == "orchard.key" or "homes" in file.relative_to(folder).parts:
            continue
        looked += 1
        data = file.read_bytes()
        if data.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as conn:
                data = "\n".join(conn.iterdump()).encode("utf-8", "surrogatepass")
        for needle in needles:
            assert needle not in data, (file, needle, data[max(0, data.find(needle) - 200) :][:400])
    assert looked


def holders() -> dict[int, str]:
    """Our own processes that have a value on their command line or in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        for name in ("environ", "cmdline"):
            try:
                data = (folder / name).read_bytes()
            except OSError:
                continue
            if any(each.encode() in data for each in (AGENTS, TESTS)):
                try:
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                found[int(folder.name)] = f"{name}: {line}"
    return found


@pytest.mark.parametrize("level", ["process", pytest.param("filesystem", marks=pytest.mark.bwrap)])
async def test_what_is_given_away_is_found_nowhere(quick_farm, tmp_path, level):
    quick_farm.add("calc")
    quick_farm.add("other")
    quick_farm.settings = {"ai_settings": {"max_auto_retry": 1}, "isolation": level}
    quick_farm.own_settings["calc"] = {
        "agent_secrets": ["SHOP_PASSWORD"],
        "test_secrets": ["TEST_DATABASE"],
    }
    runs = [{"run": form.replace("{name}", "SHOP_PASSWORD")} for form in FORMS]
    encoded = base64.b64encode(AGENTS.encode()).decode()
    spoken = [{"say": f"The password is {AGENTS}, in base 64 {encoded}."}]
    split = [{"say": AGENTS[:9]}, {"say": AGENTS[9:]}, {"think": f"so {AGENTS}"}]
    asked = [{"ask": {"title": f"curl -u x:{AGENTS} host", "kind": "execute", "command": f"curl {AGENTS}"}}]
    broken = {"write": {"path": "tests/test_told.py", "text": TOLD}}
    named = [{"write": {"path": "tests/test_multiply.py", "text": TOLD}}]
    quick_farm.script["stories"]["Multiply"]["test_red"] = [*runs, *spoken, *split, *asked, broken, *named]
    seen: dict[int, str] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for pid, line in holders().items():
                if not seen.get(pid, "").startswith("cmdline"):
                    seen[pid] = line

    with logging_to(tmp_path / "logs", debug=True):
        async with quick_farm.running() as orchard:
            commands = orchard.runtime.commands
            await commands.set_secret("calc", "SHOP_PASSWORD", AGENTS)
            await commands.set_secret("calc", "TEST_DATABASE", TESTS)
            watching = asyncio.create_task(asyncio.to_thread(watch))
            try:
                await orchard.sprint("calc", "Multiply")
                question = await orchard.until(EventKind.APPROVAL_REQUESTED)
                await until(lambda: any("replay" in line for line in list(seen.values())), "it to be seen")
                (waiting,) = await commands.approvals()
                await commands.answer_approval(waiting.id, False, reason=f"no: {AGENTS}", actor="cli")
                end = await orchard.until(EventKind.GATE_REFUSED, EventKind.STORY_BLOCKED)
                shown = str(await commands.run_tests("calc", end.story_id, actor="cli"))
                events = await commands.events(after=0, limit=5000)
            finally:
                over.set()
                await watching
            state = orchard.runtime.configuration().state_path
    assert "[redacted" in str(question.data)
    assert AGENTS not in shown
    assert TESTS not in shown
    assert "[redacted" in shown
    for each in (AGENTS, TESTS):
        assert each not in str(events)
        assert each not in known_secrets.text(f"again {each}")
    assert_nowhere(state)
    assert_nowhere(tmp_path / "logs")
    for line in seen.values():
        assert line.startswith("environ:"), line
        assert not any(word in line for word in ("core.gateway", "core.worker ", "core/worker/template"))
