"""`orchard do`, `story`, `log` and `import`, as processes beside no running Orchard."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.timeout(180)  # many processes
WAITS = "Nothing runs now; what you change waits for: orchard run\n"


@pytest.fixture
def shop(orchard, checkout):
    path = checkout("shop")
    assert orchard("register", "shop", path).returncode == 0
    return path


def test_a_line_of_the_shell_is_done_and_scripts_get_its_value(orchard, shop):
    done = orchard("do", "add", "shop", "Pay by card", "estimate", "3")
    assert (done.returncode, done.stderr) == (0, WAITS)
    assert done.stdout == "✓ shop-1: Pay by card\n  3 points\n"
    edited = orchard.json("do", "edit", "shop-1", "title", "Pay by any card")
    assert (edited["story"]["title"], edited["story"]["estimate"]) == ("Pay by any card", 3)
    looked = orchard("do", "backlog", "shop")
    assert (looked.returncode, looked.stderr) == (0, "")
    assert "Pay by any card" in looked.stdout
    assert orchard.json("story", "SHOP-1")["view"]["story"]["id"] == "shop-1"
    assert "Pay by any card (backlog)" in orchard("story", "shop-1").stdout
    log = orchard.json("log", "shop-1")
    assert [event["kind"] for event in log["events"]] == ["story_added", "story_edited"]
    assert log["transcript"] == ""
    assert "story edited by cli" in orchard("log", "shop-1", "--all").stdout


def test_words_that_begin_with_a_dash_are_words(orchard, shop):
    orchard("do", "add", "shop", "Pay")
    assert orchard.json("do", "edit", "shop-1", "text", "-x marks --the spot")["story"]["body"] == (
        "-x marks --the spot"
    )
    assert orchard.json("do", "edit", "shop-1", "text", "-")["story"]["body"] == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["do", "bogus"], 2, "✗ There is no command 'bogus'.\n  → orchard do help shows them all.\n"),
        (["do", "plan"], 2, "✗ Something is missing.\n  → Use: orchard do plan <project> [stories...]\n"),
        (["do", "help", "bogus"], 2, "There is no command 'bogus'."),
        (["do", "add", "shop", "Two words", "price", "3"], 2, "'price' is no field of a story."),
        (["do", "phase", "shop-1", "lunch"], 2, "'lunch' is no phase."),
        (["do", "plan", "nope"], 1, "There is no project named 'nope'."),
        (["do", "go", "shop-9"], 1, "There is no story 'shop-9'."),
        (["story", "shop-9"], 1, "There is no story 'shop-9'."),
        (["log", "shop-9"], 1, "There is no story 'shop-9'."),
        (["do", "epics", "shop-e9"], 1, "There is no epic 'shop-e9'."),
        (["do", "tests", "shop"], 1, "Start it: orchard run."),
        (["plan", "shop"], 2, "orchard do plan shop"),
        (["import", "nope"], 1, "There is no project named 'nope'."),
        (["import", "shop"], 1, "There is no project named 'shop'."),
    ],
)
def test_a_mistake_gets_a_sentence_and_an_exit_code(orchard, words, code, said):
    done = orchard(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_mistake_is_json_for_a_script(orchard):
    for words, error in ((["do", "bogus"], "invalid_input"), (["do", "plan", "nope"], "not_found")):
        done = orchard(*words, "--json")
        assert (done.returncode, done.stderr) == (2 if error == "invalid_input" else 1, "")
        assert json.loads(done.stdout)["error"] == error


def test_what_can_be_said_is_listed(orchard):
    for words in (["do"], ["do", "help"]):
        done = orchard(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "  takeover <story>" in done.stdout
        assert "exit/quit" not in done.stdout
    assert orchard("do", "help", "plan").stdout.startswith("plan <project> [stories...]\n")


def test_looking_leaves_nothing_behind(orchard):
    for words in (["status"], ["projects"], ["history"], ["approvals"]):
        assert orchard("do", *words).returncode == 0
    assert list(orchard.root.iterdir()) == []


def test_a_project_is_filled_from_another_tools_state(orchard, shop):
    state = shop / ".orch-state"
    (state / "sprints").mkdir(parents=True, exist_ok=True)
    wishes = [
        {"id": "S-1", "title": "Sign in", "acceptance_criteria": ["It opens"]},
        {"id": "S-2", "title": "Sign out", "status": "done"},
        {"id": "S-3", "title": ""},
    ]
    (state / "backlog.json").write_text(json.dumps({"stories": wishes}))
    look = orchard("import", "shop", "--dry-run")
    assert (look.returncode, look.stderr) == (0, "")
    assert look.stdout.splitlines()[:2] == [
        "✓ 1 story would come into the backlog of shop, 1 done there already.",
        "  + Sign in",
    ]
    assert "S-3 has no title" in look.stdout
    assert "→ Take it over: orchard import shop" in look.stdout
    assert orchard.json("do", "backlog", "shop") == []
    took = orchard.json("import", "shop")
    assert (took["waiting"], took["done"], took["known"]) == (["Sign in"], 1, 0)
    assert took["kept"].endswith("/imported/1")
    [story] = orchard.json("do", "backlog", "shop")
    assert (story["story"]["title"], story["story"]["acceptance_criteria"]) == ("Sign in", ["It opens"])
    again = orchard("import", "shop")
    assert again.returncode == 1
    assert "holds no other tool's state" in again.stderr


def test_a_state_that_is_no_json_changes_nothing(orchard, shop):
    (shop / ".orch-state").mkdir(exist_ok=True)
    backlog = shop / ".orch-state" / "backlog.json"
    backlog.write_text("{bad")
    done = orchard("import", "shop")
    assert done.returncode == 1
    assert "backlog.json is no JSON." in done.stderr
    assert "Mend it or move it away." in done.stderr
    assert backlog.read_text() == "{bad"
