"""What all the terminal's pictures have in common: outside text made safe, signs, hints, tables. Pure.

Text that came from outside (titles, paths, an agent's words) goes through `clean`: it is never read as
markup, and cannot send control sequences to a terminal. 80 columns are enough.
"""

from __future__ import annotations

from datetime import datetime

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.cli.words import typed
from core.domain.story import StoryStatus
from core.domain.untrusted import for_terminal

STORY_STYLE = {
    StoryStatus.PROPOSED: "magenta",
    StoryStatus.RUNNING: "cyan",
    StoryStatus.AWAITING_APPROVAL: "yellow",
    StoryStatus.STOPPED: "yellow",
    StoryStatus.TAKEN: "yellow",
    StoryStatus.BLOCKED: "red",
    StoryStatus.ABORTED: "red",
    StoryStatus.DONE: "green",
}


clean = for_terminal  # without what steers a terminal or turns the reading direction


def one_line(text: str, limit: int = 200) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def indented(text: str, style: str = "", by: int = 2) -> Padding:
    return Padding(Text(clean(text), style=style), (0, 0, 0, by), expand=False)


def following(sentence: str) -> Padding:
    """What to do next."""
    return indented(f"→ {sentence}", "green")


def next_step(what: str, line: str, *, in_shell: bool) -> Padding:
    """What to do next: a sentence's beginning, and a line of the shell for it."""
    said = typed(line, in_shell=in_shell)
    return following(f"{what}: {said}" if what else said)


def done(sentence: str) -> Text:
    return Text.assemble(("✓ ", "green"), clean(sentence))


def table(title: str = "") -> Table:
    heading = Text(clean(title), style="bold") if title else None
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, title=heading, title_justify="left")


def status(value: StoryStatus) -> Text:
    return Text(str(value), style=STORY_STYLE.get(value, ""))


def when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
