"""Comments that speak to Orchard are done as their authors ask, each once, and answered where they stand.

What a comment asks is done in the transaction that notes it as heard. The answer is noted there, too, and
given afterwards: after a crash it is looked for before it is given again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from config.github_settings import Permission, ProjectGithub
from core.clock import Clock
from core.domain.story import Story
from core.errors import NotAllowed, OrchardError
from core.github import quoting
from core.github.api.facts import CommentFacts
from core.github.api.repo import Repo
from core.github.api.trouble import GithubForbidden, GithubMissing, GithubRefused
from core.github.inward.comment_words import HELP, Ask, Request, parse_comment
from core.github.inward.issue_entry import part
from core.github.inward.issue_text import parse_seen
from core.github.inward.steering import Steering, steer
from core.github.inward.taking_in import actor_of, is_same_login
from core.github.markers import marked, marker
from core.known_secrets import known_secrets
from core.orchestrator import overview
from core.orchestrator.commands import backlog
from core.orchestrator.commands.cycles import release_story, skip_story, suggest_fix
from core.orchestrator.commands.interventions import stop_story
from core.orchestrator.commands.topic import Engine
from core.store import cycles, github_heard, github_issues, github_links, pulls, stories
from core.store.database import Store
from core.store.transaction import Transaction

_log = logging.getLogger(__name__)

PERMISSION_SECONDS = 300.0  # so long a person's permission is believed
REFUSED_SECONDS = 3600.0
ANSWER = "answer"  # begins the intents, and marks the comments
_DONE, _NO = "+1", "confused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reaction to a comment, and words where there is something to say."""

    comment: int
    issue: int
    reaction: str
    text: str

    def to_intent(self) -> str:
        return f"{ANSWER}:{json.dumps([self.comment, self.issue, self.reaction, self.text])}"


def parse_intent(what: str) -> Answer | None:
    kind, _, rest = what.partition(":")
    if kind != ANSWER:
        return None
    comment, issue, reaction, text = json.loads(rest)
    return Answer(comment=comment, issue=issue, reaction=reaction, text=text)


class Permissions:
    """What people may do, remembered for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Permission]] = {}
        self._refused: dict[tuple[str, str], float] = {}

    async def of(self, repo: Repo, project: str, login: str) -> Permission:
        now = self._clock.monotonic()
        key = (project, login.casefold())
        self._known = {each: said for each, said in self._known.items() if now - said[0] < PERMISSION_SECONDS}
        if key not in self._known:
            self._known[key] = (now, await repo.permission(login))
        return self._known[key][1]

    def is_refused_first(self, project: str, login: str) -> bool:
        """Whether the person was not told so within the last hour: who may say nothing to Orchard cannot have
        it fill an issue with answers either."""
        now = self._clock.monotonic()
        key = (project, login.casefold())
        self._refused = {each: at for each, at in self._refused.items() if now - at < REFUSED_SECONDS}
        return now == self._refused.setdefault(key, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What was done of one comment, and what follows the commit."""

    answer: Answer
    story: Story | None = None
    steers: bool = False
    cancels: bool = False
    nudges: bool = False


class Hearing:
    """Of one project, for one look."""

    def __init__(
        self,
        store: Store,
        repo: Repo,
        project: str,
        settings: ProjectGithub,
        permissions: Permissions,
        engine: Engine,
        steering: Steering,
        *,
        me: str,
        not_before: str,
    ) -> None:
        """`not_before`: when the project was linked, as GitHub writes times; what was said before is none of
        Orchard's."""
        self._store = store
        self._repo = repo
        self._project = project
        self._settings = settings
        self._permissions = permissions
        self._engine = engine
        self._steering = steering
        self._me = me
        self._not_before = not_before

    async def hear(self, comments: Collection[CommentFacts]) -> int:
        """How many were acted on. Raises GithubError, before the one that it could not decide on."""
        heard = 0
        for comment in comments:
            request = self._asked(comment)
            if request is None or comment.issue_number is None:
                continue
            number = comment.issue_number
            story_id = await self._store.read(partial(_story_of, project=self._project, number=number))
            if story_id is None:
                continue
            heard += await self._act(comment, number, story_id, request)
        return heard

    async def answer_all(self) -> None:
        """Answers that are noted and not known to be given. Raises GithubError."""
        noted = await self._store.read(lambda conn: github_heard.intended(conn, self._project))
        for what in noted:
            if (answer := parse_intent(what)) is not None:
                await self._answer(answer, again=True)

    def _asked(self, comment: CommentFacts) -> Request | None:
        if comment.author.is_bot or is_same_login(self._me, (comment.author.login,)):
            return None
        if comment.created_at < self._not_before:
            return None
        return parse_comment(known_secrets.text(comment.body), self._me)

    async def _act(self, comment: CommentFacts, number: int, story_id: str, request: Request) -> int:
        login, least = comment.author.login, self._settings.steer_permission
        refusal: str | None = None  # "": in no words
        if least is not Permission.NONE:
            has = await self._permissions.of(self._repo, self._project, login)
            if not Permission.WRITE.reaches(least) and comment.updated_at > comment.created_at:
                refusal = "This comment was edited, which more people may than may ask me: say it anew."
            elif not has.reaches(least):
                first = self._permissions.is_refused_first(self._project, login)
                refusal = (
                    f"Only people whose permission here is `{least}` can ask that of me." if first else ""
                )

        def act(tx: Transaction) -> _Heard | None:
            github_links.check(tx.conn, self._repo.link)  # the number is one of that repository
            if not github_heard.comment(tx, self._project, "issue", comment.id):
                return None
            heard = self._do(tx, comment, number, story_id, request, refusal)
            github_heard.intend(tx, self._project, heard.answer.to_intent())
            return heard

        done = await self._store.write(act)
        if done is None:
            return 0
        await self._follow_up(done)
        await self._answer(done.answer)
        return 1

    def _do(
        self,
        tx: Transaction,
        comment: CommentFacts,
        number: int,
        story_id: str,
        request: Request,
        refusal: str | None,
    ) -> _Heard:
        def answer(reaction: str, text: str = "") -> Answer:
            return Answer(comment=comment.id, issue=number, reaction=reaction, text=text)

        if refusal is not None:
            return _Heard(answer=answer(_NO, refusal))
        try:
            with part(tx):
                return self._carry_out(tx, story_id, request, actor_of(comment.author.login), answer)
        except OrchardError as error:
            said = " ".join(each for each in (error.message, error.why, error.hint) if each)
            return _Heard(answer=answer(_NO, quoting.paragraphs(said)))

    def _carry_out(self, tx: Transaction, story_id: str, request: Request, actor: str, answer: Any) -> _Heard:
        match request.ask:
            case Ask.HELP:
                return _Heard(answer=answer(_DONE, HELP))
            case Ask.STATUS:
                view = overview.story_view(tx.conn, stories.get(tx.conn, story_id), self._engine.why)
                said = f"{story_id} is {view.status}. {view.why}".strip()
                return _Heard(answer=answer(_DONE, quoting.paragraphs(said)))
            case Ask.STOP:
                return _Heard(answer=answer(_DONE), story=stop_story(tx, story_id, actor=actor), cancels=True)
            case Ask.START:
                return _Heard(
                    answer=answer(_DONE), story=release_story(tx, story_id, actor=actor), nudges=True
                )
            case Ask.SKIP:
                skipped = skip_story(tx, story_id, request.text, actor=actor)
                return _Heard(answer=answer(_DONE), story=skipped, cancels=True)
            case Ask.PRIORITIZE:
                moved = backlog.prioritize_story(tx, story_id, request.priority, actor=actor)
                return _Heard(answer=answer(_DONE), story=moved)
            case Ask.ACCEPT:
                _accept(tx, story_id, request.text)
                return _Heard(answer=answer(_DONE))
            case Ask.STEER:
                return self._steer(tx, story_id, request.text, actor, answer)

    def _steer(self, tx: Transaction, story_id: str, text: str, actor: str, answer: Any) -> _Heard:
        cycle = cycles.get(tx.conn, story_id)
        if cycle is not None and cycle.blocked_reason:  # what is said of it is how it may go on
            fixed = suggest_fix(tx, story_id, text, actor=actor)
            return _Heard(answer=answer(_DONE), story=fixed, nudges=True)
        return _Heard(answer=answer(_DONE), story=steer(tx, story_id, text, actor=actor), steers=True)

    async def _follow_up(self, done: _Heard) -> None:
        """The store has it; this is for what runs now, and its failure loses nothing."""
        if done.story is None:
            return
        try:
            if done.steers:
                await self._steering.pass_on(self._project)
            if done.cancels:
                await self._engine.cancel(self._project, done.story.id)
            if done.nudges:
                self._engine.nudge(done.story.id)
        except OrchardError as error:
            _log.warning("%s: what a comment asked did not reach what runs: %s", done.story.id, error)

    async def _answer(self, answer: Answer, *, again: bool = False) -> None:
        name = str(answer.comment)
        try:
            await self._repo.react(answer.comment, answer.reaction)
            if answer.text:
                said = await self._repo.issue_comments(answer.issue) if again else ()
                if not any(
                    is_same_login(self._me, (each.author.login,)) and marked(each.body, ANSWER, name)
                    for each in said
                ):
                    await self._repo.create_comment(answer.issue, f"{answer.text}\n\n{marker(ANSWER, name)}")
        except (GithubMissing, GithubRefused, GithubForbidden) as error:  # deleted meanwhile, or locked
            _log.info("comment %d of %s cannot be answered: %s", answer.comment, self._project, error)
        await self._store.write(lambda tx: github_heard.settle(tx, self._project, answer.to_intent()))


def _accept(tx: Transaction, story_id: str, version: str) -> None:
    """The words of that version are taken in when the issue is read again. Raises NotAllowed."""
    link = github_issues.of_story(tx.conn, story_id)
    seen = parse_seen(link.seen) if link is not None else None
    if link is None or seen is None or seen.held != version:
        others = seen is not None and seen.held
        raise NotAllowed(
            "No such words of this issue wait.",
            why="Other words wait by now." if others else "Nothing waits.",
            hint="Read the issue again, and name the version of what it says now." if others else "",
        )
    text = replace(seen, accepted=version).to_text()
    github_issues.took_in(tx, story_id, updated_at=link.updated_at, seen=text, is_open=link.is_open)


def _story_of(conn: Any, project: str, number: int) -> str | None:
    """The story that the issue is, or whose pull request it is."""
    if (link := github_issues.of_number(conn, project, number)) is not None:
        return link.story_id
    pull = pulls.of_number(conn, project, number)
    return None if pull is None else pull.story_id
