"""`orchard isolation`, as somebody new types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.program import app

pytestmark = pytest.mark.timeout(180)  # many commands, and every sandbox is tried out


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., str]:
    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["--root", str(tmp_path), *words])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_what_is_not_there_is_said_with_what_is(typed, checkout) -> None:
    assert "orchard register NAME PATH" in typed("isolation", "show", "shop", code=1)
    typed("register", "shop", str(checkout("shop")))
    assert "Known: shop." in typed("isolation", "test", "../etc", code=1)
    assert "design, qa, code, data" in typed("isolation", "show", "shop", "--role", "king", code=1)
    said = typed("isolation", "show", "shop", "--level", "bubble", code=1)
    assert "process, filesystem, network, container" in said


@pytest.mark.bwrap
def test_every_role_is_shown_and_the_suite_ends_with_its_sum(typed, checkout) -> None:
    typed("register", "shop", str(checkout("shop")))
    shown = typed("isolation", "show", "shop")
    for role in ("design", "qa", "code", "data"):
        assert f"shop: agents of role {role} at level " in shown
    one = json.loads(typed("isolation", "show", "shop", "--role", "code", "--level", "filesystem", "--json"))
    assert [(view["role"], view["level"]) for view in one] == [("code", "filesystem")]
    said = typed("isolation", "test", "shop", "--role", "code", "--level", "filesystem")
    assert "Reaching out, level filesystem" in said
    assert "An agent of role code, level filesystem" in said
    assert "are open at this level: a stronger one stops them." in " ".join(said.split())
    assert "GOT THROUGH" not in said


@pytest.mark.bwrap
def test_what_gets_through_is_shown_and_ends_with_1(typed, checkout, monkeypatch) -> None:
    from core.isolation.attacks import catalogue as attacks
    from core.isolation.attacks import trial
    from core.isolation.plan import Level

    typed("register", "shop", str(checkout("shop")))
    (open_one,) = (each for each in attacks.ATTACKS if each.name == "reach_api")
    promised = attacks.Attack(
        name="reach_api",
        topic=open_one.topic,
        what=open_one.what,
        outcomes=(attacks.Outcome.STOPPED,) * len(Level),
    )
    monkeypatch.setattr(trial, "BY_NAME", {**attacks.BY_NAME, "reach_api": promised})
    said = typed("isolation", "test", "shop", "--role", "code", "--level", "filesystem", code=1)
    assert "GOT THROUGH" in said
    assert "1 of " in said
