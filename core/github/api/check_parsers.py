"""Check runs and commit statuses of a commit, as GitHub lists them, read into one list of checks. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.github import Check, CheckConclusion
from core.github.api.facts import CheckRun
from core.github.api.parsers import Object, number_of, obj, text_of, time_of

# https://docs.github.com/en/rest/checks/runs: a run has a conclusion once its status is "completed".
_PASSED = frozenset({"success", "neutral", "skipped"})
_LONGEST_SUMMARY = 200


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
        raw=state,
        title=said,
        text="",
        annotations=0,
        started_at=time_of(found.get("created_at")),
        completed_at=time_of(found.get("updated_at")),
    )


def newest(runs: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    """The newest of each name and app, by name: what was run again counts by its last run."""
    found: dict[tuple[str, str], CheckRun] = {}
    for run in runs:
        key = (run.check.name, run.app)
        if key not in found or _age(found[key]) <= _age(run):
            found[key] = run
    return tuple(found[key] for key in sorted(found))


def _age(run: CheckRun) -> tuple[str, str, int]:
    """Ids grow. A queued run has not started, and is newer than the one whose place it takes."""
    return run.started_at or "9999", run.completed_at, run.id or 0


def _line(text: str) -> str:
    line = next((each.strip() for each in text.splitlines() if each.strip()), "")
    return line if len(line) <= _LONGEST_SUMMARY else line[: _LONGEST_SUMMARY - 1] + "…"
