"""Scripts: what is found, and that each mistake names file, line and place."""

from __future__ import annotations

import json

import pytest

from core.agents.replay.script import SHAPES, ScriptError, feedback_of, holds, load


def written(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


FOUND = """
stories:
  demo-1:
    design: [{say: by id}]
  "Say   Hello":
    design:
      - [{say: by title}]
      - [{say: second}]
    "*": [{say: any phase}]
  "*":
    design: [{say: anybody}]
"""


@pytest.mark.parametrize(
    ("story", "title", "phase", "attempt", "said"),
    [
        ("demo-1", "Say hello", "design", 1, "by id"),
        ("demo-9", "say HELLO", "design", 1, "by title"),
        ("demo-9", "say hello", "design", 2, "second"),
        ("demo-9", "say hello", "design", 99, "second"),
        ("demo-9", "say hello", "refactor", 1, "any phase"),
        ("demo-1", "say hello", "refactor", 1, "any phase"),
        ("other", "other", "design", 3, "anybody"),
    ],
)
def test_id_then_title_then_anybody(tmp_path, story, title, phase, attempt, said):
    steps = load(written(tmp_path, FOUND)).find(story, title, phase, attempt)

    assert [step.value for step in steps] == [said]


def test_what_is_not_recorded_is_an_error(tmp_path):
    with pytest.raises(ScriptError, match="nothing is recorded for story 'x' \\('y'\\), phase 'commit'"):
        load(written(tmp_path, FOUND)).find("x", "y", "commit", 1)


HEAD = "stories:\n  x:\n    design:\n      - say: a\n      "


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (HEAD + "- wriet: {path: a, text: b}", 5, "unknown step 'wriet'; did you mean 'write'?"),
        (HEAD + "- write: {path: a}", 5, "write: needs either 'text' or 'base64'"),
        (HEAD + "- write: {text: a}", 5, "write: needs 'path'"),
        (HEAD + "- write: {path: a, text: b, txt: c}", 5, "write: unknown key 'txt'"),
        (HEAD + "- write: {path: a, text: 5}", 5, "write: 'text' is a str, not 5"),
        (HEAD + "- write: {path: ../a, text: b}", 5, "is not a path inside the project"),
        (HEAD + "- delete: /etc/passwd", 5, "is not a path inside the project"),
        (HEAD + "- files: {a: {text: b, base64: c}}", 5, "files: a: needs either"),
        (HEAD + "- sleep: long", 5, "sleep: takes a int or float, not 'long'"),
        (HEAD + "- sleep: true", 5, "sleep: takes a int or float"),
        (HEAD + "- {say: a, think: b}", 5, "a step has one key, not say, think"),
        (HEAD + "- when: it rains\n        then: []", 5, "a condition is:"),
        (HEAD + "- {when: resumed, than: []}", 5, "unknown key of `when` 'than'"),
        (HEAD + "- hang: {ignore: [kill]}", 5, "can ignore cancel, eof and term, not 'kill'"),
        (HEAD + "- ask: {options: [{id: a, kind: allow}]}", 5, "an option has an id and a kind"),
        (HEAD + "- ask: {then: [{sya: x}]}", 5, "unknown step 'sya'"),
        (HEAD + "- say: a\n       - b: c", 6, "is no YAML"),
        ("stories:\n  x:\n    desing: []", 3, "unknown phase 'desing'"),
        ("stories:\n  x:\n    design: []\n    design: []", 4, "'design' is there twice"),
        ("stories:\n  x: {design: 5}", 2, "a phase is a list of attempts, or of steps"),
        ("storys: {}", 1, "unknown key 'storys'"),
        ("sessions: many", 1, "sessions is fork, resume, load or none"),
        ("[]", 1, "the script is a mapping"),
        ("", 1, "the script is a mapping, not None"),
    ],
)
def test_mistakes_name_file_line_and_what_would_be_right(tmp_path, text, line, message):
    path = written(tmp_path, text)

    with pytest.raises(ScriptError) as error:
        load(path)

    assert str(error.value).startswith(f"{path}:{line}: ")
    assert message in str(error.value)


def test_a_script_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ScriptError, match="cannot be read"):
        load(str(tmp_path / "none.yaml"))
    with pytest.raises(ScriptError, match="is no JSON"):
        load(written(tmp_path, "{", "x.json"))


def test_a_script_that_holds_itself_is_said(tmp_path):
    with pytest.raises(ScriptError, match="nested too deeply, or in itself"):
        load(written(tmp_path, "stories: &a\n  x:\n    design:\n      - ask: {then: *a}\n"))


def test_json_scripts_mean_the_same(tmp_path):
    document = {"stories": {"x": {"design": [{"say": "from json"}]}}}

    steps = load(written(tmp_path, json.dumps(document), "x.json")).find("x", "", "design", 1)

    assert steps[0].value == "from json"


def test_anchors_and_merges_work(tmp_path):
    text = "stories:\n  a: &a\n    design: [{say: x}]\n    refactor: [{say: y}]\n"
    text += "  b: &b\n    <<: *a\n    refactor: [{say: z}]\n  c: *b\n"

    script = load(written(tmp_path, text))

    assert [script.find("b", "", phase, 1)[0].value for phase in ("design", "refactor")] == ["x", "z"]
    assert script.find("a", "", "refactor", 1)[0].value == "y"
    assert script.find("c", "", "refactor", 1)[0].value == "z"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('feedback contains "Still FAILS"', True),
        ('not feedback contains "still fails"', False),
        ('feedback contains "unmentioned"', False),
        ('prompt contains "unmentioned"', True),
        ('title contains "hello"', True),
        ("resumed", False),
        ("not resumed", True),
        ('steering contains "a docstring"', True),
        ('steering contains "unmentioned"', False),
    ],
)
def test_conditions(condition, expected):
    prompt = "unmentioned\n====== feedback: begin ======\n- x still fails\n====== feedback: end ======\n"
    prompt += "===== a person says: begin =====\nAdd a docstring.\n===== a person says: end =====\n"

    assert holds(condition, prompt=prompt, title="Say Hello", resumed=False) is expected


def test_an_epic_that_nobody_recorded_is_said(tmp_path):
    script = load(written(tmp_path, "stories:\n  a:\n    design: [{say: x}]\n    epic: [{say: y}]\n"))

    assert script.find("a", "", "epic", 1)[0].value == "y"
    with pytest.raises(
        ScriptError, match="nothing is recorded for story 'shop-e1' \\('A shop'\\), phase 'epic'"
    ):
        script.find("shop-e1", "A shop", "epic", 1)


def test_a_prompt_without_feedback_has_none():
    assert feedback_of("feedback: begin\nx\nfeedback: end") == ""


def test_every_step_of_the_format_is_documented():
    import core.agents.replay as replay

    assert [name for name in SHAPES if f"    {name}: " not in (replay.__doc__ or "")] == []
