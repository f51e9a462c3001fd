"""What is read of pull requests, their reviews and checks, and written to them."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from config.github_settings import MergeMethod
from core.domain.github import Check
from core.github.api.bound import Bound
from core.github.api.check_parsers import newest, parse_check_run, parse_check_suite, parse_status
from core.github.api.facts import (
    Annotation,
    CheckRun,
    CheckSuite,
    MergeOutcome,
    MergeResult,
    PullFacts,
    ReviewCommentFacts,
    ReviewFacts,
)
from core.github.api.parsers import (
    obj,
    parse_annotation,
    parse_json,
    parse_pull,
    parse_review,
    parse_review_comment,
    text_of,
)
from core.github.api.trouble import GithubError, GithubMissing, GithubRefused


class PullCalls(Bound):
    async def pull(self, number: int) -> PullFacts:
        return await self._one(f"/pulls/{number}", parse_pull, f"read pull request {number}")

    async def pull_of_branch(self, branch: str) -> PullFacts | None:
        """The open pull request of the repository's own branch, else the newest closed one, else None."""
        owner = (await self.about()).full_name.partition("/")[0]
        query = urlencode({"head": f"{owner}:{branch}", "state": "all"})
        listed = await self._all(f"/pulls?{query}", parse_pull, f"read the pull request of {branch}")
        # A server that does not know `head` lists all.
        own = [each for each in listed if each.head_branch == branch and each.head_repository_id == self._id]
        return max(own, key=lambda each: (each.is_open, each.number), default=None)

    async def open_pull(
        self, *, title: str, body: str, branch: str, base: str, draft: bool = False
    ) -> PullFacts:
        """Raises GithubRefused when there is an open one of the branch, or nothing to merge."""
        said = {"title": title, "body": body, "head": branch, "base": base, "draft": draft}
        what = f"open a pull request of {branch}"
        return await self._made("POST", "/pulls", said, parse_pull, what, again=False)

    async def edit_pull(
        self, number: int, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> PullFacts:
        """What is None stays."""
        said = {"title": title, "body": body, "base": base}
        said = {name: value for name, value in said.items() if value is not None}
        return await self._edited(number, said, "edit")

    async def close_pull(self, number: int) -> PullFacts:
        return await self._edited(number, {"state": "closed"}, "close")

    async def _edited(self, number: int, said: object, what: str) -> PullFacts:
        return await self._made(
            "PATCH", f"/pulls/{number}", said, parse_pull, f"{what} pull request {number}"
        )

    async def merge_pull(
        self, number: int, *, sha: str, method: MergeMethod, title: str = "", message: str = ""
    ) -> MergeOutcome:
        """Merges only while the head is `sha`. A refusal is an outcome, not an error; so is what was merged
        by a call whose answer was lost, or by somebody else meanwhile."""
        said = {
            "sha": sha,
            "merge_method": method.value,
            "commit_title": title,
            "commit_message": message,
        }
        said = {name: value for name, value in said.items() if value}
        what = f"merge pull request {number}"
        try:
            answer = await self._changed("PUT", f"/pulls/{number}/merge", said, what, again=False)
        except GithubError as error:
            if not error.unknown and not isinstance(error, GithubRefused):
                raise
            now = await self.pull(number)
            if now.is_merged:
                return MergeOutcome(result=MergeResult.MERGED, commit=now.merge_commit, why="")
            if not isinstance(error, GithubRefused):
                raise
            moved = error.status == 409
            result = MergeResult.HEAD_MOVED if moved else MergeResult.REFUSED
            return MergeOutcome(result=result, commit="", why=error.why)
        commit = text_of(obj(parse_json(answer.text)).get("sha"))
        return MergeOutcome(
            result=MergeResult.MERGED, commit=commit or (await self.pull(number)).merge_commit, why=""
        )

    async def reviews(self, number: int) -> tuple[ReviewFacts, ...]:
        """All, oldest first."""
        what = f"read the reviews on pull request {number}"
        return await self._all(f"/pulls/{number}/reviews", parse_review, what)

    async def review_comments(self, number: int) -> tuple[ReviewCommentFacts, ...]:
        """All, oldest first."""
        what = f"read the remarks on pull request {number}"
        return await self._all(f"/pulls/{number}/comments", parse_review_comment, what)

    async def checks(self, sha: str) -> tuple[Check, ...]:
        """Check runs and commit statuses of a commit, the newest of each name and app, by name."""
        return tuple(each.check for each in await self.check_runs(sha))

    async def check_runs(self, sha: str) -> tuple[CheckRun, ...]:
        """The same with all that they say of themselves."""
        commit, what = f"/commits/{quote(sha, safe='')}", f"read the checks of {sha[:12]}"
        runs = await self._all(
            f"{commit}/check-runs?filter=latest", parse_check_run, what, inside="check_runs"
        )
        statuses = await self._all(f"{commit}/status", parse_status, what, inside="statuses")
        return newest((*runs, *statuses))

    async def check_suites(self, sha: str) -> tuple[CheckSuite, ...]:
        """What each app makes of a commit, beside its runs: whether more of them are to come."""
        path, what = f"/commits/{quote(sha, safe='')}/check-suites", f"read the check suites of {sha[:12]}"
        return await self._all(path, parse_check_suite, what, inside="check_suites")

    async def annotations(self, check_run_id: int) -> tuple[Annotation, ...]:
        path, what = f"/check-runs/{check_run_id}/annotations", "read the annotations of a check"
        return await self._all(path, parse_annotation, what)

    async def delete_branch(self, branch: str) -> bool:
        """Whether it was there."""
        path = f"/git/refs/heads/{quote(branch, safe='/')}"
        try:
            await self._changed("DELETE", path, None, f"delete the branch {branch}")
        except GithubMissing:
            return False
        except GithubRefused as error:
            if "does not exist" in error.why:
                return False
            raise
        return True
