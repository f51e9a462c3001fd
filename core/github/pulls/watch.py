"""Stories' pull requests: pushed and opened, looked at, merged by GitHub where so asked, cleared away.

A look reads what is there and takes it in; it may come at any time, twice or late. What the merge queue wants
stands in the table `pulls`; nothing else is remembered that a restart could lose.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from config.github_settings import MergeBy, MergeMethod, ProjectGithub
from core.clock import Clock
from core.domain.github import Pull, PullState
from core.domain.lifecycles import ProjectStatus
from core.domain.project import Project
from core.domain.story import Story
from core.errors import LostRace, OrchardError
from core.github.api.facts import MergeResult, PullFacts
from core.github.api.gateway import GithubGateway
from core.github.api.repo import Repo
from core.github.api.trouble import GithubMissing, GithubRefused, GithubUnreachable
from core.github.pulls import judging
from core.github.pulls import reports as pull_reports
from core.github.pulls.judging import Facts, Judgement, Outcome, Terms
from core.github.pulls.opening import PullOpening
from core.github.pulls.reading import PullReader, Seen
from core.github.pulls.text import merge_message
from core.orchestrator.publishing import Publishing, may_land
from core.orchestrator.setups import Setups
from core.rpc import PeerGone
from core.store import cycles, github_links, projects, pulls, stories
from core.store.database import Store, Transaction
from core.worker.remote_contract import FetchEnd

log = logging.getLogger(__name__)

_GITHUB_LAGS_SECONDS = 60  # so long after a push the API may still tell of the branch as it was
_SOON_SECONDS = 5.0
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look at a project goes by."""

    project: Project
    settings: ProjectGithub
    repo: Repo


class Pulls:
    def __init__(
        self,
        store: Store,
        gateway: GithubGateway,
        publishing: Publishing,
        setups: Setups,
        clock: Clock,
        *,
        end_run: Callable[[Story], Awaitable[None]],
    ) -> None:
        """`end_run` ends what runs for a story that is done."""
        self._store = store
        self._gateway = gateway
        self._setups = setups
        self._clock = clock
        self._publishing = publishing
        self._end_run = end_run
        self._reader = PullReader(clock)
        self._again: dict[str, float] = {}
        self._opening = PullOpening(store, publishing)

    def again_in(self, project: str) -> float | None:
        """Seconds from the last look after which the next is due even without news; None: with some."""
        return self._again.get(project)

    async def look(self, project: str) -> None:
        """Brings every pull request of the project on as far as it goes now.

        One pull request's own trouble asks people about its story and stops no other's. Raises GithubError
        for what concerns all of them, and Unavailable while the project's worker cannot be had.
        """
        known = await self._store.read(lambda conn: projects.get(conn, project))
        link = await self._store.read(lambda conn: github_links.find(conn, project))
        at_work = await self._store.read(lambda conn: pulls.at_work(conn, project))
        left = await self._store.read(lambda conn: pulls.left_over(conn, project))
        aside = await self._store.read(lambda conn: pulls.set_aside(conn, project))
        if known.status is not ProjectStatus.ACTIVE or not (at_work or left or aside):
            self._again.pop(project, None)
            return
        try:
            settings = self._setups.settings(project).github
            repo = await self._gateway.repo(project)
            if link is None or repo.link.linked_at != link.linked_at:  # the numbers are not that one's
                raise LostRace(f"{project} is linked with another repository by now.")
            look = _Look(project=known, settings=settings, repo=repo)
            soon, faulty = await self._bring_all_on(look, (*at_work, *aside))
        except OrchardError as error:
            await self._say_trouble(at_work, error)
            raise
        if faulty is not None:
            raise faulty
        soon += [await self._clear(look, pull) for pull in left]
        self._again.pop(project, None)
        if (soonest := min(soon)) < _NEVER:
            self._again[project] = soonest

    async def _bring_all_on(
        self, look: _Look, found: Sequence[Pull]
    ) -> tuple[list[float], GithubUnreachable | None]:
        """Seconds until each is due again, and what may be one's own trouble: the others had their turn."""
        soon: list[float] = []
        faulty: GithubUnreachable | None = None
        for pull in found:
            try:
                again = await self._bring_on(look, pull)
            except (LostRace, PeerGone):  # another candidate or way while GitHub was asked; a new worker
                again = _SOON_SECONDS
            except (GithubMissing, GithubRefused) as error:
                await self._ask(pull, str(error))
                again = _NEVER
            except GithubUnreachable as error:
                await self._say_trouble([pull], error)
                faulty, again = faulty or error, _NEVER
            soon.append(again)
        return soon, faulty

    async def _say_trouble(self, found: Sequence[Pull], error: OrchardError) -> None:
        """Why nothing goes on with them, until a look says better."""
        said = f"waits: {error}"
        if new := [pull.story_id for pull in found if pull.waits != said]:
            await self._store.write(lambda tx: [pulls.waits(tx, story, said) for story in new])

    async def _bring_on(self, look: _Look, pull: Pull) -> float:
        """In how many seconds to look again."""
        if pull.state is PullState.CLOSED:
            return await self._look_again(look, pull)
        if await self._store.read(lambda conn: pull_reports.goes_another_way(conn, pull)):
            await self._store.write(lambda tx: pull_reports.leave(tx, pull))
            return _NEVER
        if pull.state is PullState.WANTED:
            opened = await self._opening.open(look.repo, look.project, look.settings, pull)
            return _NEVER if opened is None else await self._judge(look, opened)
        return await self._judge(look, pull)

    async def _look_again(self, look: _Look, pull: Pull) -> float:
        """At one that people closed, or whose story was sent back: they may open it again, or merge it all
        the same."""
        assert pull.number is not None
        facts = await look.repo.pull(pull.number)
        if facts.base_branch != look.project.main_branch:
            return _NEVER
        if facts.is_merged:
            return await self._landed(look, pull, facts.merge_commit, by=facts.merged_by)
        if not facts.is_open or facts.head_sha != pull.head or facts.base_branch != look.project.main_branch:
            return _NEVER
        opened = await self._store.write(lambda tx: pull_reports.record_reopened(tx, pull))
        return _SOON_SECONDS if opened else _NEVER

    # -- one that is open ------------------------------------------------------------------------------------

    async def _judge(self, look: _Look, pull: Pull) -> float:
        seen = await self._reader.read(look.repo, pull, look.settings)
        if (told := await self._over(look, pull, seen.facts)) is not None:
            return told
        waited = self._seconds_since(pull.pushed_at)
        if seen.facts.head_sha == pull.candidate != pull.head:  # pushed, and not recorded before a crash
            await self._store.write(lambda tx: pulls.pushed(tx, pull.story_id, pull.candidate))
            return _SOON_SECONDS
        if seen.facts.head_sha != pull.head:
            if waited < _GITHUB_LAGS_SECONDS:
                return _SOON_SECONDS
            await self._ask(pull, pull_reports.foreign_reason(pull, seen.facts.head_sha))
            return _NEVER
        helped = await self._store.read(lambda conn: cycles.get(conn, pull.story_id))
        since = min(waited, self._seconds_since(helped.updated_at if helped else None))
        terms = Terms(
            approvals=look.settings.approvals,
            checks_begin_seconds=look.settings.checks_begin_seconds,
            checks_minutes=look.settings.checks_minutes,
        )
        facts = Facts(
            number=seen.facts.number,
            checks=seen.checks,
            standing=seen.standing,
            waited_seconds=since,
            draft=seen.facts.is_draft,
            conflicts=seen.facts.is_mergeable is False and seen.facts.mergeable_state == "dirty",
            behind=look.settings.merge_by is MergeBy.GITHUB and seen.facts.mergeable_state == "behind",
        )
        judged = judging.judge(facts, terms)
        return await self._take_in(look, pull, seen, judged)

    async def _take_in(self, look: _Look, pull: Pull, seen: Seen, judged: Judgement) -> float:
        by_github, needed = look.settings.merge_by is MergeBy.GITHUB, look.settings.approvals
        now = pull
        if await self._store.read(
            lambda conn: pull_reports.is_news(conn, pull, seen, judged, approvals=needed)
        ):
            now = await self._store.write(
                lambda tx: pull_reports.take_in(
                    tx,
                    pull,
                    seen,
                    judged,
                    approvals=needed,
                    check_failures=look.settings.check_failures,
                    lands=not by_github,
                )
            )
        if now.state not in (PullState.OPEN, PullState.LANDABLE):
            return _NEVER
        if judged.outcome is Outcome.AGAIN:
            return await self._prove_again(look, now)
        if judged.outcome is Outcome.LANDABLE and by_github:
            return await self._merge(look, now)
        begins = look.settings.checks_begin_seconds - self._seconds_since(pull.pushed_at)
        return max(begins, 0.0) + 1.0 if not now.checks and begins > 0 else _NEVER

    async def _over(self, look: _Look, pull: Pull, facts: PullFacts) -> float | None:
        """None while it is open and goes into the main branch; else that is taken note of."""
        main = look.project.main_branch
        if facts.is_merged and facts.base_branch == main:
            return await self._landed(look, pull, facts.merge_commit, by=facts.merged_by)
        if not (facts.is_open or facts.is_merged):
            reason = pull_reports.closed_reason(pull)
            await self._store.write(lambda tx: pull_reports.ask_people(tx, pull, reason, closed_by=""))
            return _NEVER
        if facts.base_branch != main:
            await self._ask(pull, pull_reports.base_reason(pull, facts.base_branch, main))
            return _NEVER
        return None

    # -- merged by GitHub ------------------------------------------------------------------------------------

    async def _merge(self, look: _Look, pull: Pull) -> float:
        assert pull.number is not None
        if why := await self._store.read(lambda conn: may_land(conn, pull.story_id)):
            await self._store.write(lambda tx: pulls.waits(tx, pull.story_id, f"waits: {why}"))
            return _NEVER  # what changes that is an event, and so a look
        if look.settings.up_to_date:
            main = await self._publishing.fetch_main(pull.project)
            if main.remote_commit not in ("", pull.base):
                await self._store.write(lambda tx: pull_reports.prove_again(tx, pull))
                return _NEVER
        story = await self._store.read(lambda conn: stories.get(conn, pull.story_id))
        outcome = await look.repo.merge_pull(
            pull.number,
            sha=pull.head,
            method=look.settings.merge_method,
            title=""
            if look.settings.merge_method is MergeMethod.REBASE
            else merge_message(story, pull.number),
        )
        if outcome.result is MergeResult.MERGED:
            return await self._landed(look, pull, outcome.commit, by=None)
        await self._refused(look, pull, outcome.why)
        return _SOON_SECONDS if outcome.result is MergeResult.HEAD_MOVED else _NEVER

    async def _refused(self, look: _Look, pull: Pull, why: str) -> None:
        """By GitHub's rules, and told at once. A way of merging that the repository does not allow is for
        people; what may come by itself, such as a check that is required, is waited for as checks are."""
        about = await look.repo.about()
        method = look.settings.merge_method
        allowed = {
            MergeMethod.SQUASH: about.allows_squash,
            MergeMethod.REBASE: about.allows_rebase,
            MergeMethod.MERGE: about.allows_merge,
        }[method]
        late = self._seconds_since(pull.pushed_at) > look.settings.checks_minutes * 60
        if allowed is False or late:
            hint = (
                f"Its settings do not allow the method {method}: set github.merge_method for the project."
                if allowed is False
                else "See what the pull request's page asks for; then /suggest_fix."
            )
            await self._ask(pull, f"GitHub does not merge pull request #{pull.number}: {why} {hint}")
        else:
            await self._store.write(lambda tx: pull_reports.refuse_merge(tx, pull, why))

    async def _landed(self, look: _Look, pull: Pull, commit: str, *, by: str | None) -> float:
        """GitHub's main branch has it: first the checkout's follows, so that what comes next stands on it."""
        followed = await self._publishing.fetch_main(pull.project)
        if followed.end not in (FetchEnd.FOLLOWED, FetchEnd.AHEAD):
            log.warning("%s: the main branch does not follow: %s", pull.project, followed.error)

        def tell(tx: Transaction) -> None:
            if by is not None:
                pull_reports.tell_closed(tx, pull, by=by, why="merged")

        await self._publishing.record_landed(pull.story_id, commit or pull.head, tell)
        if pull.state is PullState.CLOSED:  # its agent may have been at work with what was asked for
            story = await self._store.read(lambda conn: stories.get(conn, pull.story_id))
            await self._end_run(story)
        return _NEVER

    async def _prove_again(self, look: _Look, pull: Pull) -> float:
        """It no longer fits; unless GitHub has only not yet looked at what was pushed a moment ago."""
        main = await self._publishing.fetch_main(pull.project)
        if main.remote_commit == pull.base:
            return _SOON_SECONDS if self._seconds_since(pull.pushed_at) < _GITHUB_LAGS_SECONDS else _NEVER
        await self._store.write(lambda tx: pull_reports.prove_again(tx, pull))
        return _NEVER

    # -- cleared away ----------------------------------------------------------------------------------------

    async def _clear(self, look: _Look, pull: Pull) -> float:
        """The story is over: its pull request is closed unless GitHub has seen that it is merged, and its
        branch deleted unless somebody else's commits are on it."""
        assert pull.number is not None
        merged = pull.state is PullState.MERGED
        try:
            facts = await look.repo.pull(pull.number)
            if facts.is_open and merged and self._seconds_since(pull.updated_at) < _GITHUB_LAGS_SECONDS:
                return _SOON_SECONDS  # GitHub marks it as merged a moment after the push
            if facts.is_open:
                await self._close(look, pull, merged)
            if facts.head_sha == pull.head and facts.head_branch == pull.branch:
                await look.repo.delete_branch(pull.branch)
        except (GithubMissing, GithubRefused) as error:
            log.info("pull request %s of %s could not be cleared away: %s", pull.number, pull.project, error)
        await self._store.write(lambda tx: pulls.cleared(tx, pull.story_id))
        return _NEVER

    async def _close(self, look: _Look, pull: Pull, merged: bool) -> None:
        assert pull.number is not None
        story = await self._store.read(lambda conn: stories.get(conn, pull.story_id))
        why = f"landed as {pull.merge_commit}" if merged else f"its story was {story.state}"
        await look.repo.close_pull(pull.number)
        await self._store.write(lambda tx: pull_reports.tell_closed(tx, pull, by="orchard", why=why))

    async def _ask(self, pull: Pull, reason: str) -> None:
        await self._store.write(lambda tx: pull_reports.ask_people(tx, pull, reason))

    def _seconds_since(self, at: datetime | None) -> float:
        return float("inf") if at is None else max(0.0, (self._clock.now() - at).total_seconds())
