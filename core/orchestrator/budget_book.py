"""What counts for which account, and what was spent there and may be: in memory, judged without a wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from config.settings import ProjectSettings
from core.clock import Clock
from core.domain.budget import (
    Account,
    AccountLimit,
    Amounts,
    Day,
    Limits,
    Raise,
    Standing,
    Unit,
    day_of,
    in_force,
    judge,
)
from core.domain.tally import Tally
from core.orchestrator.budget_raises import with_raises
from core.orchestrator.budget_reading import Terms, terms_of

NO_LIMITS = Limits()


class BudgetBook:
    """`settings_of`: the settings in force of a project; None for one that is not configured. An account
    that is not in the tally raises KeyError where it is judged."""

    def __init__(self, clock: Clock, settings_of: Callable[[str], ProjectSettings | None]) -> None:
        self._clock = clock
        self._settings_of = settings_of
        self.tally = Tally()
        self._raises: dict[str, tuple[Raise, ...]] = {}  # by project; one without an entry is not read yet
        self._made: dict[str, tuple[ProjectSettings | None, Terms]] = {}  # by project: of which settings
        self._days: dict[str, tuple[object, Day]] = {}  # by project: of which zone

    # -- what counts where -------------------------------------------------------------------

    def terms(self, project: str) -> Terms:
        settings = self._settings_of(project)
        known = self._made.get(project)
        if known is None or known[0] is not settings:
            known = (settings, terms_of(settings))
            self._made[project] = known
        return known[1]

    def day(self, project: str, at: datetime) -> Day:
        zone = self.terms(project).zone
        known = self._days.get(project)
        if known is None or known[0] != zone or not known[1].start <= at < known[1].end:
            known = (zone, day_of(at, zone))
            self._days[project] = known
        return known[1]

    def accounts_of(self, project: str, story_id: str | None, at: datetime) -> tuple[Account, ...]:
        """The story (None: none), the day, the project: with or without limit."""
        own = () if story_id is None else (Account(project=project, story_id=story_id),)
        return (*own, Account(project=project, day=self.day(project, at)), Account(project=project))

    def known(self, project: str, story_id: str | None) -> list[Account]:
        """Of those of now the ones that have begun; none for a project without limits."""
        if not self.terms(project).limited:
            return []
        found = self.accounts_of(project, story_id, self._clock.now())
        return [one for one in found if self.tally.knows(one)]

    # -- what is kept ------------------------------------------------------------------------

    def missing(self, accounts: Sequence[Account]) -> tuple[list[Account], set[str]]:
        """Whose sums, and which projects' raises, are still to be read."""
        unread = {account.project for account in accounts} - self._raises.keys()
        return [account for account in accounts if not self.tally.knows(account)], unread

    def keep_raises(self, raises: Mapping[str, tuple[Raise, ...]]) -> None:
        """By project: all that may be in force, now or later."""
        self._raises |= raises

    # -- how it stands -----------------------------------------------------------------------

    def judged(self, account: Account, *, more: Amounts | None = None) -> Standing:
        """`more`: what is under way and certain to be spent."""
        terms = self.terms(account.project)
        spent = self.tally.spent(account)
        return judge(
            account,
            spent=spent if more is None else spent + more,
            limits=terms.limits[account.scope],
            raised=self._raised(account),
            warn_percent=terms.warn_percent,
        )

    def limit(self, account: Account) -> Limits:
        """With what people added."""
        return with_raises(self.terms(account.project).limits[account.scope], self._raised(account))

    def account_limit(self, account: Account) -> AccountLimit:
        return AccountLimit(account=account, spent=self.tally.spent(account), limits=self.limit(account))

    def is_limited(self, account: Account) -> bool:
        return self.terms(account.project).limits[account.scope] != NO_LIMITS

    def is_used_up(self, account: Account) -> bool:
        """As `judged`, without its sentences: this is asked for each story in each pass."""
        limits, spent = self.limit(account), self.tally.spent(account)
        return any((limit := limits.of(unit)) is not None and spent.of(unit) >= limit for unit in Unit)

    def _raised(self, account: Account) -> tuple[Raise, ...]:
        return in_force(self._raises.get(account.project, ()), account, self._clock.now())
