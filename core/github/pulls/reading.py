"""What GitHub says of a story's pull request now: its checks, its reviews, what people want changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from config.github_settings import Permission, ProjectGithub
from core.clock import Clock
from core.domain.github import Check, CheckConclusion, ChecksState, Pull, checks_state
from core.github.api.check_parsers import to_come
from core.github.api.facts import CheckRun, Person, PullFacts, ReviewCommentFacts, ReviewFacts, ReviewVerdict
from core.github.api.repo import Repo
from core.github.api.trouble import GithubMissing
from core.github.pulls.judging import Opinion, Review, Standing, standing
from core.github.pulls.text import Annotation, FailedCheck, Remark
from core.store.github_heard import CommentKind

_RIGHTS_KEPT = timedelta(minutes=10)  # a person's rights are not asked for again meanwhile
_RIGHTS_MOST = 1000
_ANNOTATED = 5  # failed checks whose annotations are read
_OPINIONS = {
    ReviewVerdict.APPROVED: Opinion.APPROVED,
    ReviewVerdict.CHANGES_REQUESTED: Opinion.CHANGES_REQUESTED,
    ReviewVerdict.DISMISSED: Opinion.DISMISSED,
}
_DECIDED = (ReviewVerdict.APPROVED, ReviewVerdict.CHANGES_REQUESTED)


NOBODY = Standing(approved_by=(), wanting=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A review that decides something; people are told of it once."""

    id: int
    by: str
    verdict: ReviewVerdict
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A remark that goes to the story's agent, once."""

    kind: CommentKind
    id: int
    remark: Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`failed`: all that its failed checks say of themselves."""

    facts: PullFacts
    checks: tuple[Check, ...] = ()
    standing: Standing = NOBODY
    votes: tuple[Vote, ...] = ()
    wishes: tuple[Wish, ...] = ()
    failed: tuple[FailedCheck, ...] = ()


class PullReader:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rights: dict[tuple[str, str], tuple[float, Permission]] = {}

    async def read(self, repo: Repo, pull: Pull, settings: ProjectGithub) -> Seen:
        """Of one that has a number. What is over, or holds another commit than Orchard's, is not looked into
        further. Raises GithubError."""
        assert pull.number is not None
        facts = await repo.pull(pull.number)
        if not facts.is_open or facts.head_sha != pull.head:
            return Seen(facts=facts)
        runs = await repo.check_runs(pull.head)
        reviews = await repo.reviews(pull.number)
        comments = await repo.review_comments(pull.number)
        me = await repo.me() if reviews or comments else ""
        people = {who.login: who for who in _authors(reviews, comments) if who.login != me}
        rights = {login: await self._right(repo, who) for login, who in people.items()}
        least = settings.steer_permission
        may_wish = {login for login, right in rights.items() if right.reaches(least)}
        may_write = {login for login, right in rights.items() if right.reaches(Permission.WRITE)}
        return Seen(
            facts=facts,
            checks=await _with_those_to_come(repo, pull.head, tuple(run.check for run in runs)),
            standing=standing(
                [
                    Review(
                        by=each.author.login,
                        opinion=_OPINIONS.get(each.verdict, Opinion.COMMENTED),
                        counts=each.author.login in may_wish | may_write,
                        approves=each.author.login in may_write,
                    )
                    for each in reviews
                ]
            ),
            votes=tuple(
                Vote(id=each.id, by=each.author.login, verdict=each.verdict, text=each.body)
                for each in reviews
                if each.verdict in _DECIDED and each.author.login in may_wish | may_write
            ),
            wishes=_wishes(reviews, comments, may_wish),
            failed=await _evidence(repo, runs),
        )

    async def _right(self, repo: Repo, who: Person) -> Permission:
        """A bot has none that it could be asked by: what checks have to say comes as checks."""
        if who.is_bot:
            return Permission.NONE
        key, now = (repo.link.project, who.login), self._clock.monotonic()
        kept = self._rights.get(key)
        if kept is not None and now - kept[0] < _RIGHTS_KEPT.total_seconds():
            return kept[1]
        try:
            right = await repo.permission(who.login)
        except GithubMissing:  # the account was deleted
            right = Permission.NONE
        if len(self._rights) >= _RIGHTS_MOST:
            self._rights.clear()
        self._rights[key] = (now, right)
        return right


async def _with_those_to_come(repo: Repo, head: str, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Asked only where it decides: as long as one runs or has failed, nothing lands."""
    if checks_state(checks) is not ChecksState.PASSED:
        return checks
    return (*checks, *to_come(await repo.check_suites(head)))


async def _evidence(repo: Repo, runs: Sequence[CheckRun]) -> tuple[FailedCheck, ...]:
    """All that the failed ones say of themselves."""
    failed = [run for run in runs if run.check.conclusion is CheckConclusion.FAILED]
    return tuple([await _said(repo, run, place < _ANNOTATED) for place, run in enumerate(failed)])


async def _said(repo: Repo, run: CheckRun, annotated: bool) -> FailedCheck:
    annotations: tuple[Annotation, ...] = ()
    if annotated and run.id is not None and run.annotations:
        annotations = tuple(
            Annotation(
                file=each.path, line=each.line, said=": ".join(filter(None, (each.title, each.message)))
            )
            for each in await repo.annotations(run.id)
        )
    return FailedCheck(
        name=run.check.name,
        summary=run.check.summary or run.title or run.raw,
        url=run.check.url,
        text=run.text,
        annotations=annotations,
    )


def _authors(reviews: Sequence[ReviewFacts], comments: Sequence[ReviewCommentFacts]) -> list[Person]:
    return [*(each.author for each in reviews), *(each.author for each in comments)]


def _wishes(
    reviews: Sequence[ReviewFacts], comments: Sequence[ReviewCommentFacts], may_wish: set[str]
) -> tuple[Wish, ...]:
    """Reviews that want changes, and comments on lines but for those of an approval: who approves has seen
    to it that they can wait."""
    approved = {each.id for each in reviews if each.verdict is ReviewVerdict.APPROVED}
    lines = [
        Wish(
            kind="review_comment",
            id=each.id,
            remark=Remark(by=each.author.login, said=each.body, file=each.path, line=each.line),
        )
        for each in comments
        if each.author.login in may_wish and each.review_id not in approved
    ]
    with_lines = {each.review_id for each in comments}
    wholes = [
        Wish(
            kind="review",
            id=each.id,
            remark=Remark(by=each.author.login, said=each.body or "They want changes, and say no more."),
        )
        for each in reviews
        if each.verdict is ReviewVerdict.CHANGES_REQUESTED
        and each.author.login in may_wish
        and (each.body.strip() or each.id not in with_lines)
    ]
    return (*wholes, *lines)
