"""PURE: what the watched runs of `node --test` say, from their channel."""

from __future__ import annotations

import re

from core.domain.evidence import RunState
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.jsfiles import File, Record, files_in, read_files
from core.worker.runners.session import FOREIGN, read_channel

_ERROR = re.compile(r"^(?:Uncaught )?(\w*(?:Error|Exception))(?: \[(\w+)\])?: (.*)$", re.MULTILINE)


def read_node_session(ended: Ended, secret: Secret, *, cwd: str, checkout: str) -> Reading:
    """Results and signs of tampering. `cwd` is the project's folder in `checkout`, both absolute."""
    channel = read_channel(ended.channel, secret.key)
    if channel.foreign:
        return Reading(state=RunState.CRASHED, tampering=(FOREIGN,))
    kinds = {record["kind"] for record in channel.records}
    if "began" not in kinds:
        return _crashed(f"node ended with exit code {ended.exit_code} before the tests began", ended)
    if "ended" not in kinds or ended.exit_code != 0:
        return _crashed(f"node ended with exit code {ended.exit_code} in the middle of the tests", ended)
    files = files_in(channel.records)
    for file in files:
        _take_out_whole(file)
    return read_files(files, cwd=cwd, checkout=checkout)


def _crashed(problem: str, ended: Ended) -> Reading:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.match(line)] or lines
    return Reading(state=RunState.CRASHED, problem=f"{problem}{': ' + telling[-1][:300] if telling else ''}")


def _take_out_whole(file: File) -> None:
    """Node tells of the file itself as of a test when its process ended otherwise than its tests."""
    whole = next((test for test in file.tests if _is_whole(file, test)), None)
    file.tests = [test for test in file.tests if not _is_whole(file, test)]
    if whole is not None and not whole["passed"] and not file.own():
        file.error = _of_stderr(file)


def _is_whole(file: File, test: Record) -> bool:
    """Node calls a file by its path, absolute or, in some versions, relative to where it runs."""
    name = str(test["names"][0])
    return len(test["names"]) == 1 and (file.path == name or file.path.endswith(f"/{name}"))


def _of_stderr(file: File) -> Record:
    """Why a file could not be loaded: node tells it in words only."""
    found = _ERROR.search(file.stderr)
    if found is None:
        return {"name": "", "message": file.stderr.strip()[-500:], "stack": file.stderr}
    return {"name": found[1], "message": found[3], "stack": file.stderr}
