"""One repository at GitHub: what is read of it and written to it."""

from __future__ import annotations

from core.github.api.hook_calls import HookCalls
from core.github.api.issue_calls import IssueCalls
from core.github.api.plan_calls import PlanCalls
from core.github.api.pull_calls import PullCalls


class Repo(IssueCalls, PullCalls, PlanCalls, HookCalls):
    """Bound to a link (core.github.api.bound). Every method raises GithubError, of which api/trouble.py says
    more, and waits for GitHub's limits by itself where they end soon. What is only read is asked for with the
    ETag of the last time: it costs nothing where nothing has changed."""
