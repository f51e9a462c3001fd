"""The README shows the state tables as they are."""

from pathlib import Path

import pytest

from core.domain.diagrams import SECTIONS, with_diagrams
from core.domain.lifecycles import CYCLE, PROJECT, WORKFLOW
from core.errors import NotFound

README = Path(__file__).parents[2] / "README.md"
TABLES = {"workflow": WORKFLOW, "cycle": CYCLE, "project": PROJECT}
EMPTY = "\n".join(f"<!-- states:{name} -->\n<!-- /states:{name} -->" for name in SECTIONS)


def test_the_readme_is_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_diagrams(text) == text, "run: python -m tests.architecture.write_diagrams"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_transition_can_be_read_off(name: str) -> None:
    shown = SECTIONS[name]()
    for (before, event), after in TABLES[name].items():
        if before is not after and str(event) not in ("aborted", "merged"):  # said in a line
            arrow = next(line for line in shown.splitlines() if f" {before} --> {after}:" in line)
            assert str(event) in arrow
        else:
            assert str(event).removesuffix("ed") in shown or str(after) in shown


def test_an_old_diagram_is_replaced_and_the_rest_of_the_text_kept() -> None:
    old = "before\n" + EMPTY.replace("<!-- states:cycle -->", "<!-- states:cycle -->\nold \\1") + "\nafter\n"
    new = with_diagrams(old)
    assert "old" not in new
    assert new.startswith("before\n")
    assert new.endswith("after\n")
    assert with_diagrams(new) == new


@pytest.mark.parametrize("text", ["", EMPTY + EMPTY, EMPTY.replace("<!-- /states:cycle -->", "")])
def test_missing_or_doubled_markers_are_said(text: str) -> None:
    with pytest.raises(NotFound, match="should have one"):
        with_diagrams(text)
