"""`orchard approve`, with a question that waits in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.approval import ApprovalKind, Asking, Circle, Unanswered
from core.store import approvals
from core.store.database import Store
from core.store.transaction import Transaction

pytestmark = pytest.mark.timeout(180)  # many processes
DIFF = "".join(f"+line {number} of the change\n" for number in range(400))


@pytest.fixture
def question(orchard, checkout) -> Callable[[str], str]:
    """Asks about a story of a registered project; gives the approval's id."""

    def asked(tx: Transaction, detail: str) -> str:
        return approvals.ask(
            tx,
            project="shop",
            story_id="shop-1",
            kind=ApprovalKind.PERMISSION,
            subject="permission:shop-1",
            question="May it?",
            detail=detail,
            reasons=("it deletes files",),
            asking=Asking(
                circle=Circle(roles=("qa",)), within=timedelta(minutes=30), unanswered=Unanswered.DENY
            ),
        ).id

    async def ask(detail: str) -> str:
        path = orchard.root / ".orch-global" / "orchard.db"
        async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
            return await store.write(lambda tx: asked(tx, detail))

    def make(detail: str) -> str:
        done = orchard("shell", input=f"register shop {checkout('shop')}\nadd shop Sell\nexit\n")
        assert "shop-1" in done.stdout, done.stdout + done.stderr
        return asyncio.run(ask(detail))

    return make


def test_the_list_says_who_may_answer_until_when_and_what_then(orchard, question):
    approval = question("rm -rf build")
    said = orchard("approve").stdout
    assert approval in said
    assert "Why you: it deletes files" in said
    assert "Who may answer in Discord: the role qa, administrators and higher" in said
    assert "unanswered by then, it is denied" in said
    assert orchard("approve", approval, "--show").stdout.startswith("rm -rf build\n")
    assert orchard("approve", "shop-1", "--reject", "not now").returncode == 0
    [kept] = [line for line in orchard("approve", approval, "--show").stdout.splitlines() if "by cli" in line]
    assert kept.strip().startswith("Rejected by cli")
    late = orchard("approve", approval)
    assert late.returncode == 1
    assert "already rejected by cli" in late.stderr


def test_a_long_diff_goes_through_the_pager_of_a_terminal_only(orchard, question, terminal):
    approval = question(DIFF)
    assert orchard("approve", approval, "--show").stdout.startswith("+line 0 of the change\n+line 1 ")
    pager = orchard.root / "pager"
    pager.write_text("#!/bin/sh\necho BEGIN $1; cat; echo END\n")
    pager.chmod(0o755)
    paged = terminal("approve", approval, "--show", PAGER=f"{pager} 'of ours'")
    paged.expect("BEGIN of ours")
    assert "+line 399 of the change" in paged.expect("END")
    assert paged.wait() == 0


@pytest.mark.parametrize("pager", ["", "/no/such/pager"])
def test_without_a_pager_a_long_diff_is_printed(question, terminal, pager):
    printed = terminal("approve", question(DIFF), "--show", PAGER=pager)
    printed.expect("+line 0 of the change")
    printed.expect("+line 399 of the change")
    assert printed.wait() == 0


def test_what_fits_on_the_screen_is_not_paged(question, terminal):
    printed = terminal("approve", question("rm -rf build"), "--show", PAGER="false")
    printed.expect("rm -rf build")
    assert printed.wait() == 0
