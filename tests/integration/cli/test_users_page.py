"""What docs/users.md shows works as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.program import app
from config.loader import load
from core.administration import SecurityDesk
from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotFound, Unavailable

pytestmark = pytest.mark.timeout(180)  # many commands
PAGE = Path(__file__).parents[3] / "docs" / "users.md"
PASSWORD = "wandering ocean lamp tulip"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def orchard(tmp_path: Path):
    """A folder with one project and its first owner."""
    checkout = tmp_path / "my-project"
    checkout.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=checkout, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], cwd=checkout, check=True)

    def run(*words: str, piped: str = "") -> str:
        result = CliRunner().invoke(app, ["--root", str(tmp_path), *words], input=piped)
        assert result.exit_code == 0, result.output
        return result.output

    run("register", "my-project", str(checkout))
    run("users", "create", "ann", "ann@example.org", piped=PASSWORD)
    return run


def test_the_sample_in_python_works_as_it_is_written(orchard, tmp_path) -> None:
    (sample,) = blocks("python")
    source = str(PAGE.parents[1])
    done = subprocess.run(
        [sys.executable, "-c", sample],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (done.returncode, done.stderr) == (0, "")
    [_, made] = json.loads(orchard("users", "list", "--json"))
    assert (made["username"], made["email"], made["level"]) == ("developer", "dev@company.com", "contributor")
    assert made["projects"] == {"my-project": "maintainer"}
    kinds = [row["kind"] for row in json.loads(orchard("audit", "show", "--json"))]
    assert kinds[-2:] == ["user_created", "access_granted"]
    assert "sound" in orchard("audit", "verify")


def test_the_lines_for_a_terminal_are_commands(orchard, tmp_path) -> None:
    lines = blocks("")[0].splitlines()
    assert len(lines) == 4
    for line in lines[1:]:
        _, *words = line.partition("#")[0].split()
        said = orchard(*words, piped=PASSWORD)
    assert "maintainer in my-project" in " ".join(said.split())


def test_the_settings_are_such(tmp_path) -> None:
    (tmp_path / "orch-config.yaml").write_text(blocks("yaml")[0])
    levels = load(tmp_path, environ={}).settings.global_.discord.role_levels
    assert levels["123456789012345678"] == "viewer"
    assert levels["team-leads"] == "maintainer"


def test_a_script_hears_what_is_wrong(orchard, tmp_path) -> None:
    with SecurityDesk(tmp_path) as security:
        with pytest.raises(InvalidInput, match="password"):
            security.create_user("bob", "bob@example.org", "short")
        with pytest.raises(NotFound, match="nowhere"):
            security.grant_project_access("ann", "nowhere", AccessLevel.VIEWER)
        security.create_user("bob", "bob@example.org", PASSWORD)
        assert security.set_level("bob", AccessLevel.VIEWER).level == "viewer"
        assert security.grant_project_access("bob", "my-project", None).projects == {}
        assert security.disable_user("bob").disabled
        assert [user.username for user in security.users()] == ["ann", "bob"]
    with pytest.raises(Unavailable, match="not open"):
        security.users()
