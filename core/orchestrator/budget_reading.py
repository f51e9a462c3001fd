"""Budgets read from the ledger, as the faces show them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from config.settings import BudgetLimits, BudgetSettings, ProjectSettings
from core.domain.budget import Account, Amounts, Level, Limits, Scope, Unit, day_of, in_force, judge
from core.domain.story import Story
from core.orchestrator.budget_views import (
    BudgetsView,
    BudgetView,
    ProjectBudgets,
    ShareView,
    UnitView,
    total_of,
)
from core.orchestrator.project_terms import hours_of
from core.orchestrator.scheduling.bars import budget_bar
from core.store import ledger, projects, stories


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a project's settings say of budgets."""

    limits: Mapping[Scope, Limits]
    warn_percent: int
    raise_level: str
    zone: tzinfo  # its day's

    @property
    def limited(self) -> bool:
        return any(limits != Limits() for limits in self.limits.values())


def terms_of(settings: ProjectSettings | None) -> Terms:
    """None: a project that is not configured has no limits."""
    budgets = BudgetSettings() if settings is None else settings.budgets
    hours = None if settings is None else hours_of(settings.work_hours)
    return Terms(
        limits={
            Scope.STORY: _limits(budgets.story),
            Scope.PROJECT: _limits(budgets.project),
            Scope.DAY: _limits(budgets.day),
        },
        warn_percent=budgets.warn_percent,
        raise_level=budgets.raise_level,
        zone=UTC if hours is None else hours.zone,
    )


def _limits(settings: BudgetLimits) -> Limits:
    dollars, minutes = settings.dollars, settings.minutes
    return Limits(
        tokens=settings.tokens,
        microdollars=None if dollars is None else round(dollars * 1_000_000),
        turns=settings.turns,
        milliseconds=None if minutes is None else round(minutes * 60_000),
    )


def budgets_view(
    conn: sqlite3.Connection,
    terms: Callable[[str], Terms],
    now: datetime,
    *,
    project: str | None,
    story_id: str | None,
) -> BudgetsView:
    """Of a story, a project, or every project with a limit or with spending. Raises NotFound."""
    if story_id is not None:
        story = stories.get(conn, story_id)
        found = [story_budget(conn, story, terms(story.project), now)]
    elif project is not None:
        name = projects.get(conn, project.strip().lower()).name
        found = [project_budgets(conn, name, terms(name), now)]
    else:
        every = [project_budgets(conn, one.name, terms(one.name), now) for one in projects.every(conn)]
        found = [one for one in every if any(each.limited or each.used for each in one.budgets)]
    return BudgetsView(at=now, projects=tuple(found), total=total_of(found))


def project_budgets(conn: sqlite3.Connection, project: str, terms: Terms, now: datetime) -> ProjectBudgets:
    day = Account(project=project, day=day_of(now, terms.zone))
    accounts = [(day, ""), (Account(project=project), "")]
    accounts += [
        (Account(project=project, story_id=story), title)
        for story, title in ledger.stories_at_work(conn, project)
    ]
    found = tuple(_view(conn, account, terms, now, title) for account, title in accounts)
    return ProjectBudgets(
        project=project,
        raise_level=terms.raise_level,
        warn_percent=terms.warn_percent,
        budgets=tuple(one for one in found if one.scope is not Scope.STORY or one.used),
    )


def story_budget(conn: sqlite3.Connection, story: Story, terms: Terms, now: datetime) -> ProjectBudgets:
    account = Account(project=story.project, story_id=story.id)
    return ProjectBudgets(
        project=story.project,
        raise_level=terms.raise_level,
        warn_percent=terms.warn_percent,
        budgets=(_view(conn, account, terms, now, story.title),),
    )


def _view(conn: sqlite3.Connection, account: Account, terms: Terms, now: datetime, title: str) -> BudgetView:
    spent = ledger.spent(conn, account)
    standing = judge(
        account,
        spent=spent.amounts,
        limits=terms.limits[account.scope],
        raised=in_force(ledger.raises(conn, account.project, now), account, now),
        warn_percent=terms.warn_percent,
    )
    judged = {one.unit: one for one in standing.units}
    waits = next((budget_bar(account, one, terms.zone) for one in standing.units if not one.may_send), "")
    return BudgetView(
        project=account.project,
        scope=account.scope,
        story_id=account.story_id,
        title=title,
        day=None if account.day is None else account.day.date.isoformat(),
        day_ends=None if account.day is None else account.day.end,
        zone="" if account.day is None else str(terms.zone),
        units=tuple(
            UnitView(
                unit=unit,
                spent=spent.amounts.of(unit),
                on_agents_word=spent.on_agents_word.of(unit),
                limit=one.limit if (one := judged.get(unit)) else None,
                raised=one.raised if one else 0,
                percent=one.percent if one else None,
                level=one.level if one else Level.FINE,
                sentence=one.sentence if one else "",
            )
            for unit in Unit
        ),
        calls=spent.calls,
        used=spent.amounts != Amounts(),
        shares=_shares(conn, account),
        waits=waits,
    )


def _shares(conn: sqlite3.Connection, account: Account) -> tuple[ShareView, ...]:
    return tuple(
        ShareView(
            story_id=one.story_id,
            phase=one.phase,
            agent=one.agent,
            model=one.model,
            on_agents_word=one.source is ledger.Source.AGENT,
            calls=one.calls,
            tokens=one.amounts.tokens,
            microdollars=one.amounts.microdollars,
        )
        for one in ledger.shares(conn, account)
    )
