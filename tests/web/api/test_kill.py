"""Orchard is killed while it answers: whoever asks again under the same keys finds everything done once."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
from bot.app import open_app
from bot.configuration import loader
from core.security.access import Scope

async def main(root, first):
    async with open_app(loader(root, environ={}), discord=False) as app:
        await app.web.ready.wait()
        house, token = app.web.application.state.house, ""
        if first:
            await house.users.create_first_owner(
                username="root", email="root@example.org", password="an orchard in late autumn"
            )
            token, _ = await house.tokens.make("root", "ci", [Scope.READ, Scope.WORK])
        print(app.web.status.rpartition(":")[2], token, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "first"))
"""
ASKERS, EACH = 4, 200


class Running:
    def __init__(self, root: Path, *, first: bool) -> None:
        argv = [sys.executable, "-c", PROGRAM, str(root), "first" if first else "again"]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3], start_new_session=True
        )
        assert self.process.stdout is not None
        port, _, self.token = self.process.stdout.readline().strip().partition(" ")
        self.port = int(port)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def ask(port, token, method, path, said=None, key=""):
    """Status, body and whether it was answered before; None: no answer came."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=45)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    try:
        line.request(method, f"/api{path}", None if said is None else json.dumps(said), headers)
        answer = line.getresponse()
        return answer.status, answer.read(), answer.headers.get("Idempotency-Replayed")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        line.close()


@pytest.mark.timeout(180)
def test_a_kill_loses_no_task_and_makes_none_twice(new_root):
    first = Running(new_root, first=True)
    answered, sent, enough = {}, set(), threading.Event()

    def work(number: int) -> None:
        for turn in range(EACH):
            key = f"{number}-{turn}"
            sent.add(key)
            got = ask(first.port, first.token, "POST", "/projects/shop/tasks", {"title": key}, key)
            if got is None:
                return
            assert got[0] == 201, got
            answered[key] = got[1]
            if len(answered) >= 20:
                first.process.send_signal(signal.SIGKILL)  # now: whoever waits may be late
                enough.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(ASKERS)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    first.kill()
    for thread in threads:
        thread.join(60)
    assert len(answered) < ASKERS * EACH  # else nothing was cut off
    again = Running(new_root, first=False)
    try:
        for key in sorted(sent):
            got = ask(again.port, first.token, "POST", "/projects/shop/tasks", {"title": key}, key)
            assert got is not None
            assert got[0] == 201
            if key in answered:
                assert (got[1], got[2]) == (answered[key], "true")
        path, titles = "/projects/shop/tasks?limit=500", []
        status, body, _ = ask(again.port, first.token, "GET", path)
        assert status == 200
        titles = [task["title"] for task in json.loads(body)]
        assert sorted(titles) == sorted(sent)
    finally:
        again.kill()
