"""Reads a script and finds what to play. Every error names the file, the line and the place."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Any

Steps = list["Step"]


class ScriptError(Exception):
    """A sentence that begins with `file:line:`."""


class Map(dict[str, Any]):
    """A mapping that knows where it was written; line 0 is unknown."""

    line = 0


class Step:
    """One thing to do: `name` and its `value`, already checked. `then` and `other` hold steps inside it."""

    __slots__ = ("file", "line", "name", "other", "then", "value")

    def __init__(self, file: str, line: int, name: str, value: Any) -> None:
        self.file = file
        self.line = line
        self.name = name
        self.value = value
        self.then: Steps = []
        self.other: Steps = []

    def fault(self, message: str) -> ScriptError:
        return ScriptError(f"{self.file}:{self.line}: {self.name}: {message}")


_TEXT, _NUMBER, _LIST, _MAP, _FLAG = (str,), (int, float), (list,), (dict,), (bool,)
_CONTENT = {"text": _TEXT, "base64": _TEXT, "executable": _FLAG}
# What a step's value may be: plain types, or keys with their types when it is a mapping ("!": required).
SHAPES: dict[str, tuple[tuple[type, ...], dict[str, tuple[type, ...]] | None]] = {
    "say": (_TEXT, {"text!": _TEXT, "split": _FLAG}),
    "think": (_TEXT, None),
    "plan": (_LIST, None),
    "usage": ((), {"input": _NUMBER, "output": _NUMBER, "cost": _NUMBER, "used": _NUMBER, "size": _NUMBER}),
    "read": (_TEXT, None),
    "write": ((), {"path!": _TEXT, **_CONTENT}),
    "append": ((), {"path!": _TEXT, "text!": _TEXT}),
    "replace": ((), {"path!": _TEXT, "old!": _TEXT, "new!": _TEXT}),
    "delete": (_TEXT, None),
    "files": (_MAP, None),
    "patch": (_TEXT, None),
    "run": (_TEXT, {"command!": (str, list), "timeout_seconds": _NUMBER, "ask": _FLAG}),
    "ask": (
        (),
        {
            "title": _TEXT,
            "kind": _TEXT,
            "command": _TEXT,
            "paths": _LIST,
            "options": _LIST,
            "bare": _FLAG,
            "then": _LIST,
            "else": _LIST,
        },
    ),
    "spec": (_TEXT, None),
    "sleep": (_NUMBER, None),
    "silent": (_NUMBER, {"seconds!": _NUMBER, "deaf": _FLAG, "busy": _FLAG}),
    "steered": (_FLAG, {"seconds": _NUMBER, "then": _LIST, "else": _LIST}),
    "limit": (_TEXT, {"text!": _TEXT, "seconds": _NUMBER, "times": _NUMBER, "error": _FLAG}),
    "when": (_TEXT, None),
    "client_write": ((), {"path!": _TEXT, "text!": _TEXT}),
    "client_read": (_TEXT, None),
    "send": (_MAP, None),
    "error": (_TEXT, {"code": _NUMBER, "message!": _TEXT, "data": (str, dict, list)}),
    "end": (_TEXT, None),
    "write_outside": ((), {"path!": _TEXT, "text!": _TEXT}),
    "commit": (_TEXT, {"message!": _TEXT, "branch": _TEXT}),
    "spawn_daemon": (_TEXT, {"command!": _TEXT, "keep_stdout": _FLAG}),
    "exit": (_NUMBER, None),
    "crash": (_FLAG, None),
    "hang": (_FLAG, {"ignore": _LIST, "seconds": _NUMBER}),
    "flood": (
        (),
        {"updates": _NUMBER, "stdout_bytes": _NUMBER, "stderr_bytes": _NUMBER, "line_bytes": _NUMBER},
    ),
    "garbage": ((bool, list), None),
}
_INSIDE = {"read", "write", "append", "replace", "delete"}  # their path must stay in the session's folder
_TOP = ("ask", "sessions", "initialize", "start", "stories")
PHASES = ("design", "test_red", "code_green", "refactor", "commit", "epic")
_CONDITION = re.compile(
    r'^(not +)?(?:(feedback|steering|prompt|title) +contains +"(.*)"|(resumed))$', re.DOTALL
)
_BRANCHING = {"ask", "steered"}  # `then` and `else` stand in their value


class Script:
    def __init__(self, file: str, document: Any) -> None:
        """Checks everything at once; raises ScriptError for the first mistake."""
        self.file = file
        top = self._mapping(document, 1, "the script")
        self._known(top, _TOP, "key")
        self.ask: list[str] = list(self._typed(top, "ask", list, []))
        self.sessions: str = self._typed(top, "sessions", str, "resume")
        if self.sessions not in ("fork", "resume", "load", "none"):
            raise self._error(top, f"sessions is fork, resume, load or none, not {self.sessions!r}")
        self.initialize: dict[str, Any] = dict(self._typed(top, "initialize", dict, {}))
        self.start = self._steps(self._typed(top, "start", list, []), _line(top))
        stories = self._mapping(top.get("stories", Map()), _line(top), "stories")
        self.stories = {str(name): self._phases(phases, _line(stories)) for name, phases in stories.items()}

    def find(self, story: str, title: str, phase: str, attempt: int) -> Steps:
        """The steps to play; raises ScriptError when the script has nothing for it."""
        by_name = {" ".join(key.split()).casefold(): phases for key, phases in self.stories.items()}
        for name in (story, " ".join(title.split()), "*"):
            phases = by_name.get(name.casefold())
            attempts = phases and (phases.get(phase) or phases.get("*"))
            if attempts:
                return attempts[min(max(attempt, 1), len(attempts)) - 1]
        known = ", ".join(sorted(self.stories)) or "no story"
        wanted = f"story {story!r} ({title!r}), phase {phase!r}"
        raise ScriptError(f"{self.file}: nothing is recorded for {wanted}; it has {known}")

    def _phases(self, value: Any, line: int) -> dict[str, list[Steps]]:
        phases = self._mapping(value, line, "a story")
        self._known(phases, (*PHASES, "*"), "phase")
        return {name: self._attempts(each, _line(phases)) for name, each in phases.items()}

    def _attempts(self, value: Any, line: int) -> list[Steps]:
        if not isinstance(value, list) or not value:
            raise ScriptError(f"{self.file}:{line}: a phase is a list of attempts, or of steps")
        if all(isinstance(each, list) for each in value):
            return [self._steps(each, line) for each in value]
        return [self._steps(value, line)]

    def _steps(self, value: Any, line: int) -> Steps:
        if not isinstance(value, list):
            raise ScriptError(f"{self.file}:{line}: steps are a list")
        return [self._step(each, line) for each in value]

    def _step(self, value: Any, line: int) -> Step:
        if isinstance(value, str) and value in ("crash", "hang", "garbage", "steered"):
            return Step(self.file, line, value, True)
        step = self._mapping(value, line, "a step")
        if "when" in step:
            self._known(step, ("when", "then", "else"), "key of `when`")
        elif len(step) != 1:
            raise self._error(step, f"a step has one key, not {', '.join(step) or 'none'}")
        name = "when" if "when" in step else next(iter(step))
        if name not in SHAPES:
            near = get_close_matches(name, SHAPES, n=1)
            raise self._error(
                step, f"unknown step {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        found = Step(self.file, _line(step), name, step[name])
        self._check(found)
        branches = step if name == "when" else step[name] if name in _BRANCHING else None
        branches = branches if isinstance(branches, dict) else Map()
        found.then = self._steps(branches.get("then", []), found.line)
        found.other = self._steps(branches.get("else", []), found.line)
        return found

    def _check(self, step: Step) -> None:
        plain, keys = SHAPES[step.name]
        value = step.value
        if isinstance(value, dict) and keys is not None:
            for key in value:
                if key not in keys and f"{key}!" not in keys:
                    names = ", ".join(name.rstrip("!") for name in keys)
                    raise step.fault(f"unknown key {key!r}; it takes {names}")
            for key, types in keys.items():
                name = key.rstrip("!")
                if name not in value and key.endswith("!"):
                    raise step.fault(f"needs {name!r}")
                if name in value and not _is(value[name], types):
                    raise step.fault(f"{name!r} is a {types[0].__name__}, not {value[name]!r:.80}")
        elif not _is(value, plain):
            takes = " or ".join([each.__name__ for each in plain] + (["mapping"] if keys else []))
            raise step.fault(f"takes a {takes}, not {value!r:.80}")
        self._check_meaning(step)

    def _check_meaning(self, step: Step) -> None:
        value = step.value
        if step.name in _INSIDE:
            self._check_inside(step, value if isinstance(value, str) else value["path"])
        if step.name == "write" and ("text" in value) == ("base64" in value):
            raise step.fault("needs either 'text' or 'base64'")
        if step.name == "when" and not _CONDITION.match(value.strip()):
            raise step.fault(
                'a condition is: [not] feedback|steering|prompt|title contains "x", or [not] resumed'
            )
        if step.name == "hang" and isinstance(value, dict):
            odd = [each for each in value.get("ignore", []) if each not in ("cancel", "eof", "term")]
            if odd:
                raise step.fault(f"can ignore cancel, eof and term, not {odd[0]!r}")
        if step.name == "ask":
            kinds = ("allow_once", "allow_always", "reject_once", "reject_always")
            for option in value.get("options", []):
                if not isinstance(option, dict) or "id" not in option or option.get("kind") not in kinds:
                    raise step.fault(f"an option has an id and a kind of {', '.join(kinds)}")
        if step.name == "files":
            for path, content in value.items():
                self._check_inside(step, path)
                if isinstance(content, dict) and ("text" in content) == ("base64" in content):
                    raise step.fault(f"{path}: needs either 'text' or 'base64'")
                if content is not None and not isinstance(content, (str, dict)):
                    raise step.fault(f"{path}: is a text, a mapping or null")

    def _check_inside(self, step: Step, path: Any) -> None:
        if not isinstance(path, str) or not path or path.startswith("/") or ".." in path.split("/"):
            raise step.fault(f"{path!r} is not a path inside the project; write_outside can do that")

    def _mapping(self, value: Any, line: int, what: str) -> Map:
        if not isinstance(value, dict):
            raise ScriptError(f"{self.file}:{line}: {what} is a mapping, not {value!r:.80}")
        found = value if isinstance(value, Map) else Map(value)
        for key in found:
            if not isinstance(key, str):
                raise self._error(found, f"{key!r} is no name; put it in quotes")
        return found

    def _known(self, mapping: Map, names: tuple[str, ...], what: str) -> None:
        for key in mapping:
            if key not in names:
                raise self._error(mapping, f"unknown {what} {key!r}; known are {', '.join(names)}")

    def _typed(self, mapping: Map, key: str, kind: type, default: Any) -> Any:
        value = mapping.get(key, default)
        if not isinstance(value, kind):
            raise self._error(mapping, f"{key} is a {kind.__name__}, not {value!r:.80}")
        return value

    def _error(self, place: Map, message: str) -> ScriptError:
        return ScriptError(f"{self.file}:{_line(place)}: {message}")


def holds(condition: str, *, prompt: str, title: str, resumed: bool) -> bool:
    """Whether a `when` holds. Feedback and steering are the prompt's parts, "" when it has none."""
    match = _CONDITION.match(condition.strip())
    assert match is not None
    negated, where, text, is_resumed = match.groups()
    if is_resumed:
        found = resumed
    else:
        places = {
            "feedback": feedback_of(prompt),
            "steering": steering_of(prompt),
            "prompt": prompt,
            "title": title,
        }
        found = text.casefold() in places[where].casefold()
    return found != bool(negated)


def feedback_of(prompt: str) -> str:
    return _part(prompt, "feedback")


def steering_of(prompt: str) -> str:
    """What a person said to the running turn."""
    return _part(prompt, "a person says")


def _part(prompt: str, name: str) -> str:
    found = re.search(rf"^(=+) {name}: begin \1\n(.*?)\n\1 {name}: end \1$", prompt, re.DOTALL | re.MULTILINE)
    return found.group(2) if found else ""


def load(file: str) -> Script:
    """Read, parse and check; raises ScriptError."""
    try:
        with open(file, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is slow to import
            text = stream.read()
    except (OSError, UnicodeError) as error:
        raise ScriptError(f"{file}: cannot be read: {error}") from error
    return Script(file, _from_json(file, text) if file.endswith(".json") else _from_yaml(file, text))


def _from_json(file: str, text: str) -> Any:
    try:
        return json.loads(text, object_hook=Map)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"{file}: is no JSON: {error}") from error


def _from_yaml(file: str, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ScriptError(f"{file}: reading YAML needs PyYAML; or give the script as .json") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _built(file, loader, node, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ScriptError(f"{file}:{line}: is no YAML: {getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise ScriptError(f"{file}: is nested too deeply, or in itself") from error
    finally:
        loader.dispose()


def _built(file: str, loader: Any, node: Any, known: dict[int, Any]) -> Any:
    """`known`: what is built already, by node. An alias stands for the same value, built once."""
    if id(node) in known:
        return known[id(node)]
    built: Any
    if node.id == "mapping":
        _check_keys(file, loader, node)
        loader.flatten_mapping(node)  # what `<<` brings comes first, so that own keys win
        built = Map()
        built.line = node.start_mark.line + 1
        for key_node, value_node in node.value:
            built[loader.construct_object(key_node)] = _built(file, loader, value_node, known)
    elif node.id == "sequence":
        built = [_built(file, loader, each, known) for each in node.value]
    else:
        built = loader.construct_object(node)
    known[id(node)] = built
    return built


def _check_keys(file: str, loader: Any, node: Any) -> None:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)
        where = f"{file}:{key_node.start_mark.line + 1}"
        if not isinstance(key, (str, int, float, bool)):
            raise ScriptError(f"{where}: {key!r} is no name")
        if key in seen:
            raise ScriptError(f"{where}: {key!r} is there twice")
        seen.add(key)


def _line(value: Any) -> int:
    return getattr(value, "line", 0)


def _is(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types)
