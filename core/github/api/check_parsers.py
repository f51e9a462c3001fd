"""Check runs and commit statuses of a commit, as GitHub lists them, read into one list of checks. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from core.domain.github import Check, CheckConclusion
from core.github.api.facts import CheckRun, CheckSuite
from core.github.api.parsers import Object, number_of, obj, text_of, time_of

# https://docs.github.com/en/rest/checks/runs: a run has a conclusion once its status is "completed".
_PASSED = frozenset({"success", "neutral", "skipped"})
_GIVEN_UP = frozenset({"cancelled", "stale"})  # by somebody or by GitHub: it says nothing of the commit
_LONGEST_SUMMARY = 200

K = TypeVar("K")


def parse_check_run(value: object) -> CheckRun | None:
    found = obj(value)
    if not (name := text_of(found.get("name"))):
        return None
    output = obj(found.get("output"))
    title, summary = text_of(output.get("title")), text_of(output.get("summary"))
    conclusion, word = _conclusion(found)
    return CheckRun(
        check=Check(
            name=name,
            conclusion=conclusion,
            summary=_line(title or summary),
            url=text_of(found.get("html_url")) or text_of(found.get("details_url")),
        ),
        id=number_of(found.get("id")),
        app=text_of(obj(found.get("app")).get("slug")),
        suite=number_of(obj(found.get("check_suite")).get("id")),
        raw=word,
        title=title,
        text="\n\n".join(part for part in (summary, text_of(output.get("text"))) if part),
        annotations=number_of(output.get("annotations_count")) or 0,
        started_at=time_of(found.get("started_at")),
        completed_at=time_of(found.get("completed_at")),
    )


def _conclusion(found: Object) -> tuple[CheckConclusion, str]:
    """What is completed and did not pass has failed, also by a word that is new to Orchard."""
    status, word = text_of(found.get("status")), text_of(found.get("conclusion"))
    if status != "completed" and not word:
        return CheckConclusion.RUNNING, status or "queued"
    passed = word in _PASSED
    return (CheckConclusion.PASSED if passed else CheckConclusion.FAILED), word or "no conclusion"


def parse_check_suite(value: object) -> CheckSuite | None:
    """https://docs.github.com/en/rest/checks/suites"""
    found = obj(value)
    if number_of(found.get("id")) is None:
        return None
    app = obj(found.get("app"))
    return CheckSuite(
        app=text_of(app.get("name")) or text_of(app.get("slug")) or "an app",
        is_done=text_of(found.get("status")) == "completed" or bool(text_of(found.get("conclusion"))),
        runs=number_of(found.get("latest_check_runs_count")) or 0,
    )


def to_come(suites: Iterable[CheckSuite]) -> tuple[Check, ...]:
    """For apps that are not done though all their runs are, as between two jobs of which one `needs` the
    other: a check that runs, in place of those that nobody can name yet.

    A suite without any run says nothing: GitHub makes one, queued for ever, for each app that could check.
    """
    apps = {suite.app: suite for suite in suites if not suite.is_done and suite.runs}
    return tuple(
        Check(
            name=f"more of {name}",
            conclusion=CheckConclusion.RUNNING,
            summary="It is not done; its next check has not begun.",
            url="",
        )
        for name in sorted(apps)
    )


def parse_status(value: object) -> CheckRun | None:
    """A commit status: of CI services that came before check runs. Its `context` is its name."""
    found = obj(value)
    if not (name := text_of(found.get("context"))):
        return None
    state, said = text_of(found.get("state")), text_of(found.get("description"))
    known = {"success": CheckConclusion.PASSED, "pending": CheckConclusion.RUNNING}
    return CheckRun(
        check=Check(
            name=name,
            conclusion=known.get(state, CheckConclusion.FAILED),
            summary=_line(said),
            url=text_of(found.get("target_url")),
        ),
        id=None,
        app="",
        suite=None,
        raw=state,
        title=said,
        text="",
        annotations=0,
        started_at=time_of(found.get("created_at")),
        completed_at=time_of(found.get("updated_at")),
    )


def newest(runs: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    """The newest of each name, app and suite, by name: what was run again counts by its last run.

    Two workflows, or one that begins at a push and at a pull request, may each have a job of the same name on
    one commit: those are two suites, and both count. Only one that was given up gives way to a newer suite's.
    """
    found: dict[tuple[str, str, int], CheckRun] = {}
    last: dict[tuple[str, str], CheckRun] = {}
    for run in runs:
        _keep(found, (run.check.name, run.app, run.suite or 0), run)
        _keep(last, (run.check.name, run.app), run)
    return tuple(
        run
        for (name, app, _), run in sorted(found.items(), key=lambda each: each[0])
        if run.raw not in _GIVEN_UP or run is last[name, app]
    )


def _keep(found: dict[K, CheckRun], key: K, run: CheckRun) -> None:
    if key not in found or _age(found[key]) <= _age(run):
        found[key] = run


def _age(run: CheckRun) -> tuple[str, str, int]:
    """Ids grow. A queued run has not started, and is newer than the one whose place it takes."""
    return run.started_at or "9999", run.completed_at, run.id or 0


def _line(text: str) -> str:
    """The first that is to be read: apps keep notes of their own in comments."""
    lines = (each.strip() for each in text.splitlines())
    line = next((each for each in lines if each and not each.startswith("<!--")), "")
    return line if len(line) <= _LONGEST_SUMMARY else line[: _LONGEST_SUMMARY - 1] + "…"
