"""`orchard`: one Orchard and one browser for the tests of a file. Each test has contexts of its own, of which
none may load anything from another host or complain in its console.

Pictures of the pages are kept in var/screenshots, which git ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.grounds import CHROMIUM, SECONDS, Grounds, grounds
from tests.integration.discord.house import House, honest, open_house

SHOTS = Path(__file__).parents[2] / "var" / "screenshots"
AXE = Path(__file__).parents[1] / "tools" / "js" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
STEERED = {"steered": True}
expect.set_options(timeout=SECONDS * 1000)


def story(name: str) -> dict[str, Any]:
    """An agent that waits in each phase until a person says that it may go on."""
    return {
        phase: [{"say": f"About {name}: {phase}."}, STEERED, *steps] if phase != "refactor" else steps
        for phase, steps in honest(name).items()
    }


def begin(house: House) -> None:
    house.project("shop", ai_settings={"require_human_review": True})
    house.project("bank", ai_settings={"require_human_review": True})
    house.project("park")
    house.owned |= {"shop": {}, "bank": {}, "park": {}}
    house.play({"Sell apples": story("apple"), "Sell pears": honest("pear")})


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium: make test-tools")
    root = tmp_path_factory.mktemp("house")
    with sync_playwright() as playwright, grounds(lambda: open_house(root), playwright, SHOTS, begin) as made:
        yield made


@pytest.fixture(autouse=True)
def watched(orchard: Grounds) -> Iterator[None]:
    """What pages complained of, or asked other hosts for, fails the test."""
    yield
    for watch in orchard.close_contexts():
        watch.check()


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """`axe(page)`: serious and critical findings of axe-core, one a line; further arguments: only these
    rules."""
    if not AXE.exists():
        pytest.skip("needs axe-core: make test-tools")
    source = AXE.read_text()

    def look(page: Page, *rules: str) -> list[str]:
        if not page.evaluate("typeof axe === 'object'"):
            page.evaluate(source)
        options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
        options["runOnly"] = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": LEVELS}
        found = page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{one['id']}: {one['help']}: {node['html'][:160]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    return look
