"""What the terminal shows of agents' sessions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, duration, indented, next_step, one_line, table, when
from core.agents.reading import since_last_prompt

if TYPE_CHECKING:
    from core.orchestrator.session_views import (
        ForkView,
        LinkView,
        SearchView,
        SessionDetail,
        SessionView,
        TurnView,
    )

_END_LINES = 40
_PROMPT_LINES = 400


def query_of(words: Sequence[str]) -> str:
    """What was one word of the command line with spaces in it is searched as it stands."""
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words)


def sessions(views: Sequence[SessionView], *, in_shell: bool = False) -> RenderableType:
    if not views:
        return Text("No agent has had a session here yet.")
    shown = table("Sessions")
    shown.add_column("Id", no_wrap=True)
    shown.add_column("Agent", no_wrap=True)
    shown.add_column("Turns", justify="right")
    shown.add_column("Last turn", overflow="fold")
    shown.add_column("Tokens", justify="right", no_wrap=True)
    for view in views:
        last = view.session.last
        ended = f"{last.phase} {last.attempt}, {last.outcome}, {when(last.ended_at)}"
        shown.add_row(
            view.id,
            Text(one_line(view.session.agent, 20)),
            str(len(view.session.turns)),
            Text(f"{ended}\n{one_line(view.title, 60)}"),
            f"{view.tokens:,}" if view.tokens else "",
        )
    return Group(shown, next_step("Look at one", f"session {views[0].id}", in_shell=in_shell))


def session(detail: SessionDetail, *, whole: bool = False, in_shell: bool = False) -> RenderableType:
    view, last = detail.view, detail.turns[-1]
    parts: list[RenderableType] = [
        Text.assemble((view.session.subject, "bold"), f"  {one_line(view.title, 100)}"),
        indented(f"{view.session.agent}, session {view.session.session_id or 'none'}"),
    ]
    parts += [_turn(turn) for turn in detail.turns]
    if detail.fork is not None:
        parts.append(
            indented(f"Its first turn goes on from {detail.fork.turn_id} (by {clean(detail.fork.by)}).")
        )
    parts += [indented(f"Linked to {link.linked_id} (by {clean(link.by)}).") for link in detail.links]
    if detail.gone:
        parts.append(Text(f"\n{clean(detail.gone)}", style="yellow"))
    if last.prompt:
        parts += _prompt(last, whole=whole)
    if detail.transcript:
        parts += _words(detail, whole=whole, in_shell=in_shell)
    return Group(*parts)


def _turn(view: TurnView) -> RenderableType:
    turn = view.turn
    took = duration((turn.ended_at - turn.started_at).total_seconds())
    cost = f", {view.tokens:,} tokens" if view.tokens else ""
    did = f"{turn.outcome}, {took}, {turn.tools} tools{cost}"
    own = f" of {turn.template_source}" if turn.template_source else ""
    lines = [
        f"{turn.turn_id}  {turn.phase}, attempt {turn.attempt}: {did}",
        f"  {when(turn.started_at)}, {turn.how.words}{f': {turn.why}' if turn.why else ''}",
        f"  prompt {turn.template} version {turn.template_version}{own}, "
        f"sha256 {turn.prompt_sha256[:16] or 'none'}",
    ]
    if turn.error:
        lines.append(f"  {one_line(turn.error, 300)}")
    if turn.pruned_at is not None:
        lines.append(f"  its transcript was pruned, {when(turn.pruned_at)}")
    return indented("\n".join(lines))


def _prompt(view: TurnView, *, whole: bool) -> list[RenderableType]:
    lines = view.prompt.splitlines()
    shown = lines if whole else lines[:_PROMPT_LINES]
    left = [f"[{len(lines) - len(shown)} more lines: --all]"] if len(lines) > len(shown) else []
    title = Text(f"\nPrompt of {view.turn.turn_id}, sha256 {view.turn.prompt_sha256}", style="bold")
    return [title, indented("\n".join([*shown, *left]))]


def _words(detail: SessionDetail, *, whole: bool, in_shell: bool) -> list[RenderableType]:
    text = detail.transcript if whole else since_last_prompt(detail.transcript)
    lines = [line for line in clean(text).strip().splitlines() if line.strip()]
    shown = lines if whole else lines[-_END_LINES:]
    parts: list[RenderableType] = [Text("\nWhat was said", style="bold"), indented("\n".join(shown))]
    if len(shown) < len(lines):
        parts.append(next_step("All of it", f"session {detail.view.id} all", in_shell=in_shell))
    return parts


def found(view: SearchView, *, in_shell: bool = False) -> RenderableType:
    parts: list[RenderableType] = []
    for hit in view.hits:
        turn = hit.turn
        about = f"  {turn.phase} {turn.attempt}, {turn.agent}, {when(turn.ended_at)}"
        parts.append(Text.assemble((turn.turn_id, "bold"), one_line(about)))
        parts.append(indented(one_line(hit.snippet, 400)))
    if view.hits:
        parts.append(next_step("Look at one", f"session {view.hits[0].turn.turn_id}", in_shell=in_shell))
    else:
        parts.append(Text(f"Nothing was found among {view.indexed} turns: {one_line(view.query)}"))
    if view.waiting:
        turns = "turn is" if view.waiting == 1 else "turns are"
        parts.append(
            indented(f"{view.waiting} {turns} not indexed yet; the running Orchard does that.", "yellow")
        )
    return Group(*parts)


def forked(view: ForkView, *, in_shell: bool = False) -> RenderableType:
    return done(view.sentence)


def linked(view: LinkView, *, in_shell: bool = False) -> RenderableType:
    links = ", ".join(link.linked_id for link in view.links) or "none"
    return Group(done(view.sentence), indented(f"Links of {view.story_id}: {links}."))
