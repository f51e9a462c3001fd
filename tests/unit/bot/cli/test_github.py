"""`github` beside no running Orchard: links are kept, and what needs GitHub says so. And how it looks."""

from __future__ import annotations

import pytest

from bot.cli import output_github as output
from core.errors import InvalidInput, NotFound, Unavailable
from core.orchestrator.github_views import HookView, NotesView


@pytest.fixture
async def shop(say, checkout, tmp_path):
    await say(f"register shop {checkout(tmp_path / 'shop')}")
    return say


async def test_a_repository_is_linked_shown_and_unlinked(shop):
    assert "No project is linked" in await shop("github")
    assert "✓ shop is linked with octo/shop." in await shop(
        "github link shop https://github.com/octo/shop.git"
    )
    text = await shop("github status shop")
    assert "octo/shop  not asked yet" in text
    assert "no Orchard runs" in text
    assert "no more" in await shop("github unlink shop")
    with pytest.raises(NotFound, match="linked with no repository"):
        await shop("github status shop")


async def test_a_second_project_cannot_have_it_too(shop, checkout, tmp_path):
    await shop(f"register other {checkout(tmp_path / 'other')}")
    await shop("github link shop octo/shop")
    with pytest.raises(InvalidInput, match="linked with shop already"):
        await shop("github link other Octo/Shop")
    await shop("github link shop octo/bills")
    assert "octo/bills" in await shop("github status")


@pytest.mark.parametrize("name", ["shop", "a/b/c", "-x/y", "octo/..", "octo/sh op", "http://x"])
async def test_what_is_no_repository_is_refused(shop, name):
    with pytest.raises(InvalidInput):
        await shop(f"github link shop '{name}'")


@pytest.mark.parametrize("line", ["sync shop", "notes shop", "hook shop"])
async def test_what_asks_github_takes_a_running_orchard(shop, line):
    await shop("github link shop octo/shop")
    with pytest.raises(Unavailable, match="by a running Orchard only"):
        await shop(f"github {line}")


@pytest.mark.parametrize("line", ["link shop", "bogus", "status a b", "notes shop first", "sync"])
async def test_words_that_fit_no_form_say_how_it_is_said(shop, line):
    with pytest.raises(InvalidInput):
        await shop(f"github {line}")


def test_text_from_outside_steers_no_terminal(shown):
    notes = NotesView(
        project="shop", heading="Sprint 1", text="### New\n\x1b[2J- pay", url="https://x/\x1b]0;a"
    )
    hook = HookView(
        project="shop",
        repository="octo/shop",
        settings_url="https://x/\x1b[1m",
        payload_url="",
        content_type="application/json",
        events=("push",),
        secret="",
        problem="set it",
        made=False,
    )
    for told in (shown(output.notes(notes)), shown(output.hook(hook))):
        assert "\x1b" not in told
    assert "GITHUB_WEBHOOK_SECRET" in shown(output.hook(hook))
