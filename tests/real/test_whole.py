"""The whole of Orchard on two tiny releases: what `make real` does, without fetching anything."""

from pathlib import Path

import pytest

from tests.real import report
from tests.real.drive import drive
from tests.real.stage import git, set_stage
from tests.real.table import Pair

TINY = Pair(name="tiny", old="1.0", new="1.1")


@pytest.mark.timeout(240)
async def test_a_release_becomes_the_next_by_way_of_every_gate(releases, tmp_path: Path) -> None:
    said: list[str] = []
    stage = set_stage(TINY, *releases, tmp_path / "stage", said.append, install=False)
    outcome = await drive(stage, said.append, timeout_seconds=200)
    told = "\n".join(report.lines(outcome))
    assert outcome.held, told
    assert outcome.differing == ()
    assert git(stage.checkout, "rev-parse", "main^{tree}") == stage.later_tree
    assert [gate.phase for gate in outcome.detail.gates if gate.verdict.passed][:3] == [
        "design",
        "test_red",
        "code_green",
    ]
    report.write_text(outcome, tmp_path / "report.txt")
    text = (tmp_path / "report.txt").read_text()
    assert "tests/test_triple.py" in text
    assert "a person's own commit, first (configures the test runner): pyproject.toml" in text
    assert "byte for byte" in text
