"""From recorded programs to plain shell scripts that run the same ones again, one script a project."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.recording.relay import PARENT

Record = Mapping[str, Any]

_LEFT_OUT = ("PWD", "OLDPWD", "SHLVL", "_", "ORCHARD_BENCH_RECORD", "ORCHARD_CONTAINED", "PYTHONPATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    project: str
    path: Path
    commands: int


def read_records(folder: Path) -> list[Record]:
    """In the order in which the programs began."""
    found = []
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        record["input"] = str(path.with_suffix(".in"))
        found.append(record)
    return sorted(found, key=lambda record: float(record["began"]))


def write_scripts(records: Iterable[Record], projects: Iterable[str], folder: Path) -> list[Script]:
    """Each notes in `<project>.codes` with what code its programs ended, beside what they ended with then."""
    by_project = _sorted_out(list(records), list(projects))
    scripts = []
    for project, own in by_project.items():
        path = folder / f"{project}.sh"
        codes = folder / f"{project}.codes"
        lines = ["#!/bin/bash", _CONVERSE, f"exec 3>{shlex.quote(str(codes))}"]
        for record in own:
            lines += _lines(record)
        path.write_text("\n".join(lines) + "\n", errors="surrogateescape")
        scripts.append(Script(project=project, path=path, commands=len(own)))
    return scripts


def differing(folder: Path) -> tuple[int, int]:
    """How many programs of the last replay ended with another code than when recorded, and of how many."""
    pairs = [line.split() for path in folder.glob("*.codes") for line in path.read_text().splitlines()]
    return sum(then != now for then, now in pairs), len(pairs)


def _sorted_out(records: list[Record], projects: list[str]) -> dict[str, list[Record]]:
    """A program that names no project is of the same one as others that its worker started."""
    named = re.compile("|".join(map(re.escape, projects)))
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    mentions: list[str | None] = []
    for record in records:
        text = " ".join([*record["argv"], record["cwd"], *record["environment"].values()])
        found = named.search(text)
        mentions.append(found.group() if found else None)
        if found:
            votes[record["parent"]][found.group()] += 1
    sorted_out: dict[str, list[Record]] = {project: [] for project in projects}
    for record, mention in zip(records, mentions, strict=True):
        parent = votes[record["parent"]].most_common(1)
        project = mention or (parent[0][0] if parent else None)
        if project is not None:
            sorted_out[project].append(record)
    return sorted_out


def _lines(record: Record) -> list[str]:
    lines = [f"[ -d {shlex.quote(path)} ] || mkdir -p {shlex.quote(path)}" for path in record["folders"]]
    for path, text in record["files"].items():
        quoted = shlex.quote(path)
        lines.append(f"[ -e {quoted} ] || printf %s {shlex.quote(text)} >{quoted}")
    second = int(record["began"])
    environment = {
        **{key: value for key, value in record["environment"].items() if key not in _LEFT_OUT},
        "GIT_AUTHOR_DATE": f"{second} +0000",
        "GIT_COMMITTER_DATE": f"{second} +0000",
    }
    exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
    opened = " ".join(_opened(record, fd) for fd in record["fds"])
    argv = " ".join("$$" if word == PARENT else shlex.quote(word) for word in record["argv"])
    run = f"cd {shlex.quote(record['cwd'])} && export {exports} && exec {argv}"
    source = shlex.quote(record["input"])
    if b'"session/prompt"' in Path(record["input"]).read_bytes():
        lines += _conversation(run, source, opened)
    else:
        lines.append(f"({run} <{source} >/dev/null 2>&1 {opened})")
    lines.append(f"echo {record['code']} $? >&3")
    return lines


def _opened(record: Record, fd: int) -> str:
    content = record["contents"].get(str(fd))
    if content is None:
        return f"{fd}<>/dev/null"
    path = Path(record["input"]).with_suffix(f".{fd}")
    path.write_bytes(bytes.fromhex(content))
    return f"{fd}<{shlex.quote(str(path))}"


def _conversation(run: str, source: str, opened: str) -> list[str]:
    return [
        f"coproc AGENT {{ {run} 2>/dev/null {opened}; }}",
        'pid=$AGENT_PID; exec 4<&${AGENT[0]} 5>&${AGENT[1]}; eval "exec ${AGENT[0]}<&- ${AGENT[1]}>&-"',
        f"converse {source}",
        "exec 4<&- 5>&-; wait $pid",
    ]


# What a person would write to talk with an agent by hand. Ids of sessions are new in each run; the input of
# an agent ends only after its answer to the prompt, since it works until then.
_CONVERSE = r"""
declare -A session
hear() { while read -r -t 60 line <&4; do [[ $line == *"$1"* ]] && return; done; return 1; }
converse() {
  mapfile -t said <"$1"
  [[ ${said[*]} =~ '"session/prompt","params":{"sessionId":"'([^\"]+)\" ]] && old=${BASH_REMATCH[1]}
  for line in "${said[@]}"; do
    printf '%s\n' "${line//$old/${session[$old]:-$old}}" >&5
    case $line in
      *'"session/new"'*)
        hear '"sessionId"' && [[ $line =~ '"sessionId":"'([^\"]+)\" ]] && session[$old]=${BASH_REMATCH[1]} ;;
      *'"session/prompt"'*) hear '"stopReason"' ;;
    esac
  done
}
"""
