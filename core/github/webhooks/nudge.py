"""What a webhook's delivery says has changed: where to look, never what is there. PURE.

A delivery may be late, doubled, out of order, or of what was changed again since; so nothing of it is taken
over. It names what is to be read anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.github_settings import check_repository

_LARGEST = 2**63 - 1  # what a column holds
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LONGEST_BRANCH = 255
_MOST = 100  # of a kind; beyond that everything is read, which is less than reading each


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Numbers of issues and pull requests, full hashes of commits, names of branches; or everything."""

    everything: bool = False
    issues: frozenset[int] = frozenset()
    pulls: frozenset[int] = frozenset()
    commits: frozenset[str] = frozenset()
    branches: frozenset[str] = frozenset()

    def __or__(self, other: Nudge) -> Nudge:
        """Both; for those that come while one is looked into."""
        both = Nudge(
            everything=self.everything or other.everything,
            issues=self.issues | other.issues,
            pulls=self.pulls | other.pulls,
            commits=self.commits | other.commits,
            branches=self.branches | other.branches,
        )
        return EVERYTHING if both.everything or both._is_long else both

    @property
    def _is_long(self) -> bool:
        return any(len(each) > _MOST for each in (self.issues, self.pulls, self.commits, self.branches))


EVERYTHING = Nudge(everything=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A repository, as a payload names it. `full_name` is "" where it can be none."""

    id: int
    full_name: str


def nudge_of(event: str, payload: Mapping[str, Any]) -> Nudge | None:
    """Of an event's payload; None: nothing that Orchard looks at. Whatever the payload lacks is left out, and
    where nothing is left, everything is to be looked at."""
    read = _READERS.get(event)
    if read is None:
        return None
    if (found := read(payload)) is None:
        return None
    return EVERYTHING if found == Nudge() else found | Nudge()


def repositories_of(payload: Mapping[str, Any]) -> tuple[Named, ...]:
    """The repository that a delivery is of, or those of an installation; each once."""
    found: dict[int, Named] = {}
    lists = ("repositories", "repositories_added", "repositories_removed")
    for each in (payload.get("repository"), *(one for name in lists for one in _list(payload.get(name)))):
        if (named := _named(each)) is not None:
            found.setdefault(named.id, named)
    return tuple(found.values())


def _named(raw: Any) -> Named | None:
    if (number := _number(_object(raw).get("id"))) is None:
        return None
    try:
        name = check_repository(_text(_object(raw).get("full_name")))
    except ValueError:
        name = ""
    return Named(id=number, full_name=name)


def _issue(payload: Mapping[str, Any]) -> Nudge:
    issue = _object(payload.get("issue"))
    numbers = _numbers(issue)
    # To GitHub a pull request is an issue, too; then a comment is of the pull request.
    return Nudge(pulls=numbers) if _object(issue.get("pull_request")) else Nudge(issues=numbers)


def _pull(payload: Mapping[str, Any]) -> Nudge:
    pull = _object(payload.get("pull_request"))
    head = _object(pull.get("head"))
    return Nudge(pulls=_numbers(pull), commits=_commits(head.get("sha")), branches=_branches(head.get("ref")))


def _checks(name: str) -> Callable[[Mapping[str, Any]], Nudge]:
    """Of what has a `head_sha`, and perhaps names pull requests."""

    def read(payload: Mapping[str, Any]) -> Nudge:
        check = _object(payload.get(name))
        pulls = [number for each in _list(check.get("pull_requests")) for number in _numbers(each)]
        return Nudge(commits=_commits(check.get("head_sha")), pulls=frozenset(pulls))

    return read


def _status(payload: Mapping[str, Any]) -> Nudge:
    return Nudge(commits=_commits(payload.get("sha")))


def _push(payload: Mapping[str, Any]) -> Nudge | None:
    ref = _text(payload.get("ref"))
    if ref.startswith("refs/tags/"):
        return None
    return Nudge(commits=_commits(payload.get("after")), branches=_branches(ref.removeprefix("refs/heads/")))


def _ref(payload: Mapping[str, Any]) -> Nudge | None:
    if payload.get("ref_type") == "tag":
        return None
    return Nudge(branches=_branches(payload.get("ref")))


def _everything(_: Mapping[str, Any]) -> Nudge:
    return EVERYTHING


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Nudge | None]] = {
    "issues": _issue,
    "issue_comment": _issue,
    "pull_request": _pull,
    "pull_request_review": _pull,
    "pull_request_review_comment": _pull,
    "pull_request_review_thread": _pull,
    "check_run": _checks("check_run"),
    "check_suite": _checks("check_suite"),
    "workflow_run": _checks("workflow_run"),
    "workflow_job": _checks("workflow_job"),
    "merge_group": _checks("merge_group"),
    "status": _status,
    "push": _push,
    "create": _ref,
    "delete": _ref,
    # What the repository is, who may do what there, what its labels and milestones are called.
    "ping": _everything,
    "meta": _everything,
    "repository": _everything,
    "public": _everything,
    "label": _everything,
    "milestone": _everything,
    "member": _everything,
    "installation": _everything,
    "installation_repositories": _everything,
    "installation_target": _everything,
    "branch_protection_rule": _everything,
    "branch_protection_configuration": _everything,
    "repository_ruleset": _everything,
}
EVENTS = tuple(_READERS)
"""Those that mean something here."""
OF_AN_APP = frozenset({"installation", "installation_repositories", "installation_target"})
"""Those that may name no repository and mean every one of an installation."""


def _object(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> Iterator[Any]:
    return iter(raw if isinstance(raw, list) else ())


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""


def _number(raw: Any) -> int | None:
    fits = isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= _LARGEST
    return raw if fits else None


def _numbers(raw: Any) -> frozenset[int]:
    number = _number(_object(raw).get("number"))
    return frozenset() if number is None else frozenset({number})


def _commits(raw: Any) -> frozenset[str]:
    """None of the hash of zeros, by which GitHub says that a branch was deleted."""
    text = _text(raw)
    return frozenset({text}) if _COMMIT.fullmatch(text) and text.strip("0") else frozenset()


def _branches(raw: Any) -> frozenset[str]:
    name = _text(raw)
    return frozenset({name}) if 0 < len(name) <= _LONGEST_BRANCH and name.isprintable() else frozenset()
