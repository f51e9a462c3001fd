"""Issues, comments, reactions, labels and milestones over HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.github_server import shapes
from tests.github_server.asking import Asking, parse_moment
from tests.github_server.issue_desk import UNSET
from tests.github_server.repository import Repository
from tests.github_server.routing import Routes
from tests.github_server.things import Issue
from tests.github_server.world import PERMISSIONS, Refusal

routes = Routes()
_ISSUES = "/repos/{owner}/{repo}/issues"
_ONE = _ISSUES + "/{number:int}"


@routes.get(_ISSUES)
def list_issues(ask: Asking, repo: Repository) -> web.Response:
    if not repo.has_issues:
        raise Refusal(410, "Issues has been disabled in this repository.")
    query, since = ask.request.query, ask.moment("since")
    state, sort = query.get("state", "open"), query.get("sort", "created")
    if state not in ("open", "closed", "all") or sort not in ("created", "updated", "comments"):
        raise Refusal(422, "Validation Failed")
    rows = [issue for issue in repo.issues.values() if state in ("all", issue.state)]
    if since:
        rows = [issue for issue in rows if issue.updated_at >= since]
    if wanted := [name.lower() for name in query.get("labels", "").split(",") if name]:
        rows = [i for i in rows if set(wanted) <= {label.name.lower() for label in i.labels}]
    if milestone := query.get("milestone"):
        rows = [issue for issue in rows if _in_milestone(issue, milestone)]
    if assignee := query.get("assignee"):
        rows = [issue for issue in rows if assignee.lower() in {a.login.lower() for a in issue.assignees}]
    keys = {
        "created": lambda issue: (issue.created_at, issue.number),
        "updated": lambda issue: (issue.updated_at, issue.number),
        "comments": lambda issue: (len(issue.comments), issue.number),
    }
    rows.sort(key=keys[sort], reverse=query.get("direction", "desc") == "desc")
    return ask.page(rows, lambda issue: shapes.of_issue(repo, issue))


def _in_milestone(issue: Issue, wanted: str) -> bool:
    if wanted in ("*", "none"):
        return (issue.milestone is None) == (wanted == "none")
    return issue.milestone is not None and str(issue.milestone.number) == wanted


@routes.post(_ISSUES)
def create_issue(ask: Asking, repo: Repository) -> web.Response:
    author = ask.needs(repo, "read")
    trusted = ask.level(repo) not in ("none", "read")  # what others ask for here is dropped silently
    issue = repo.add_issue(
        ask.text("title", required=True) or "",
        ask.text("body"),
        labels=_names(ask.body.get("labels")) if trusted else (),
        milestone=ask.body.get("milestone") if trusted else None,
        assignees=ask.body.get("assignees") or () if trusted else (),
        author=author,
    )
    told = shapes.of_issue(repo, issue)
    return web.json_response(told, status=201, headers={"location": told["url"]})


def _names(rows: Any) -> list[str]:
    return [row["name"] if isinstance(row, dict) else str(row) for row in rows or ()]


@routes.get(_ONE)
def get_issue(ask: Asking, repo: Repository, number: int) -> web.Response:
    return web.json_response(shapes.of_issue(repo, repo.issue(number)))


@routes.patch(_ONE)
def edit_issue(ask: Asking, repo: Repository, number: int) -> web.Response:
    issue = repo.issue(number)
    by = ask.needs(repo, "read")
    may = PERMISSIONS.index(ask.level(repo)) >= PERMISSIONS.index("triage")
    if not may and issue.author is not by:
        raise Refusal(403, "Must have admin rights to Repository.")
    body = ask.body
    issue = repo.edit_issue(
        number,
        title=ask.text("title"),
        body=body.get("body", UNSET),
        state=ask.text("state"),
        state_reason=ask.text("state_reason"),
        milestone=body.get("milestone", UNSET) if may else UNSET,
        assignees=body.get("assignees") if may else None,
        labels=_names(body["labels"]) if may and "labels" in body else None,
        by=by,
    )
    return web.json_response(shapes.of_issue(repo, issue))


# Comments


@routes.get(_ISSUES + "/comments")
def list_comments(ask: Asking, repo: Repository) -> web.Response:
    """Of all issues. Without `sort` by id, whatever `direction` says."""
    query, since = ask.request.query, ask.moment("since")
    rows = [comment for issue in repo.issues.values() for comment in issue.comments]
    if since:
        rows = [comment for comment in rows if comment.updated_at >= since]
    if sort := query.get("sort"):
        updated = sort == "updated"
        rows.sort(
            key=lambda each: (each.updated_at if updated else each.created_at, each.id),
            reverse=query.get("direction", "desc") == "desc",
        )
    else:
        rows.sort(key=lambda each: each.id)
    return ask.page(rows, lambda comment: shapes.of_comment(repo, comment))


@routes.get(_ONE + "/comments")
def list_issue_comments(ask: Asking, repo: Repository, number: int) -> web.Response:
    since = ask.moment("since")
    rows = [each for each in repo.issue(number).comments if not since or each.updated_at >= since]
    return ask.page(rows, lambda comment: shapes.of_comment(repo, comment))


@routes.post(_ONE + "/comments")
def create_comment(ask: Asking, repo: Repository, number: int) -> web.Response:
    author = ask.needs(repo, "read")
    comment = repo.comment(number, ask.text("body", required=True) or "", author)
    return web.json_response(shapes.of_comment(repo, comment), status=201)


@routes.get(_ISSUES + "/comments/{comment:int}")
def get_comment(ask: Asking, repo: Repository, comment: int) -> web.Response:
    return web.json_response(shapes.of_comment(repo, repo.find_comment(comment)))


@routes.patch(_ISSUES + "/comments/{comment:int}")
def edit_comment(ask: Asking, repo: Repository, comment: int) -> web.Response:
    by = ask.needs(repo, "read" if repo.find_comment(comment).author is ask.account else "write")
    found = repo.edit_comment(comment, ask.text("body", required=True) or "", by)
    return web.json_response(shapes.of_comment(repo, found))


@routes.delete(_ISSUES + "/comments/{comment:int}")
def delete_comment(ask: Asking, repo: Repository, comment: int) -> web.Response:
    by = ask.needs(repo, "read" if repo.find_comment(comment).author is ask.account else "write")
    repo.delete_comment(comment, by)
    return web.Response(status=204)


@routes.post(_ISSUES + "/comments/{comment:int}/reactions")
def react_to_comment(ask: Asking, repo: Repository, comment: int) -> web.Response:
    by = ask.needs(repo, "read")
    reaction, new = repo.react(repo.find_comment(comment), ask.text("content", required=True) or "", by)
    return web.json_response(shapes.of_reaction(ask.world, reaction), status=201 if new else 200)


@routes.get(_ISSUES + "/comments/{comment:int}/reactions")
def list_comment_reactions(ask: Asking, repo: Repository, comment: int) -> web.Response:
    return ask.page(repo.find_comment(comment).reactions, lambda each: shapes.of_reaction(ask.world, each))


@routes.post(_ONE + "/reactions")
def react_to_issue(ask: Asking, repo: Repository, number: int) -> web.Response:
    by = ask.needs(repo, "read")
    reaction, new = repo.react(repo.issue(number), ask.text("content", required=True) or "", by)
    return web.json_response(shapes.of_reaction(ask.world, reaction), status=201 if new else 200)


# Labels


@routes.get("/repos/{owner}/{repo}/labels")
def list_labels(ask: Asking, repo: Repository) -> web.Response:
    return ask.page(list(repo.labels.values()), lambda label: shapes.of_label(repo, label))


@routes.post("/repos/{owner}/{repo}/labels")
def create_label(ask: Asking, repo: Repository) -> web.Response:
    ask.needs(repo, "write")
    label = repo.add_label(
        ask.text("name", required=True) or "", ask.text("color") or "ededed", ask.text("description")
    )
    return web.json_response(shapes.of_label(repo, label), status=201)


@routes.get("/repos/{owner}/{repo}/labels/{name}")
def get_label(ask: Asking, repo: Repository, name: str) -> web.Response:
    if not (label := repo.label(name)):
        raise Refusal(404, "Not Found")
    return web.json_response(shapes.of_label(repo, label))


@routes.patch("/repos/{owner}/{repo}/labels/{name}")
def edit_label(ask: Asking, repo: Repository, name: str) -> web.Response:
    ask.needs(repo, "write")
    if not (label := repo.label(name)):
        raise Refusal(404, "Not Found")
    label.color = ask.text("color") or label.color
    label.description = ask.body.get("description", label.description)
    if new := ask.text("new_name"):
        del repo.labels[label.name.lower()]
        label.name = new
        repo.labels[new.lower()] = label
    return web.json_response(shapes.of_label(repo, label))


@routes.delete("/repos/{owner}/{repo}/labels/{name}")
def delete_label(ask: Asking, repo: Repository, name: str) -> web.Response:
    ask.needs(repo, "write")
    repo.delete_label(name)
    return web.Response(status=204)


def _labels_of(repo: Repository, issue: Issue) -> web.Response:
    return web.json_response([shapes.of_label(repo, label) for label in issue.labels])


def _wanted_labels(ask: Asking) -> list[str]:
    """`{"labels": [...]}`, or the bare list."""
    return _names(ask.body.get("labels", ask.body.get("")))


@routes.get(_ONE + "/labels")
def list_labels_of_issue(ask: Asking, repo: Repository, number: int) -> web.Response:
    return ask.page(repo.issue(number).labels, lambda label: shapes.of_label(repo, label))


@routes.post(_ONE + "/labels")
def add_labels(ask: Asking, repo: Repository, number: int) -> web.Response:
    by = ask.needs(repo, "triage")
    return _labels_of(repo, repo.add_labels(number, *_wanted_labels(ask), by=by))


@routes.put(_ONE + "/labels")
def set_labels(ask: Asking, repo: Repository, number: int) -> web.Response:
    by = ask.needs(repo, "triage")
    return _labels_of(repo, repo.set_labels(number, _wanted_labels(ask), by=by))


@routes.delete(_ONE + "/labels/{name}")
def remove_label(ask: Asking, repo: Repository, number: int, name: str) -> web.Response:
    by = ask.needs(repo, "triage")
    return _labels_of(repo, repo.remove_label(number, name, by=by))


@routes.delete(_ONE + "/labels")
def remove_labels(ask: Asking, repo: Repository, number: int) -> web.Response:
    repo.set_labels(number, [], by=ask.needs(repo, "triage"))
    return web.Response(status=204)


# Milestones


@routes.get("/repos/{owner}/{repo}/milestones")
def list_milestones(ask: Asking, repo: Repository) -> web.Response:
    state = ask.request.query.get("state", "open")
    rows = [each for each in repo.milestones.values() if state in ("all", each.state)]
    return ask.page(rows, lambda milestone: shapes.of_milestone(repo, milestone))


@routes.post("/repos/{owner}/{repo}/milestones")
def create_milestone(ask: Asking, repo: Repository) -> web.Response:
    ask.needs(repo, "write")
    milestone = repo.add_milestone(
        ask.text("title", required=True) or "",
        ask.text("description"),
        parse_moment(ask.text("due_on")),
        ask.text("state") or "open",
    )
    return web.json_response(shapes.of_milestone(repo, milestone), status=201)


@routes.get("/repos/{owner}/{repo}/milestones/{number:int}")
def get_milestone(ask: Asking, repo: Repository, number: int) -> web.Response:
    return web.json_response(shapes.of_milestone(repo, repo.milestone(number)))


@routes.patch("/repos/{owner}/{repo}/milestones/{number:int}")
def edit_milestone(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "write")
    due = parse_moment(ask.text("due_on")) if "due_on" in ask.body else UNSET
    milestone = repo.edit_milestone(
        number,
        title=ask.text("title"),
        description=ask.body.get("description", UNSET),
        state=ask.text("state"),
        due_on=due,
    )
    return web.json_response(shapes.of_milestone(repo, milestone))


@routes.delete("/repos/{owner}/{repo}/milestones/{number:int}")
def delete_milestone(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "write")
    repo.delete_milestone(number)
    return web.Response(status=204)
