"""What was shared anew, kept for a while to be leafed through: asked once more it would be another result."""

from __future__ import annotations

from collections import OrderedDict

from cogs.message import Message
from cogs.render_resources import optimization
from core.errors import InvalidInput
from core.ids import new_id
from core.orchestrator.resource_views import Optimization

KEPT = 16


class Results:
    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Optimization, bool]] = OrderedDict()

    def keep(self, done: Optimization, *, may_do: bool = False) -> Message:
        """Its first page. `may_do`: with a button that does what the dry run told."""
        name = new_id("shares")
        self._kept[name] = (done, may_do)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return optimization(done, kept=name, may_do=may_do)

    async def page(self, name: str, page: int) -> Message:
        kept = self._kept.get(name)
        if kept is None:
            raise InvalidInput(
                "This result is not kept any more.",
                why="It is of a moment that is over.",
                hint="/resource_optimize with dry_run tells what is so now.",
            )
        done, may_do = kept
        return optimization(done, page, kept=name, may_do=may_do)
