"""Who sees which alerts, and who answers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.domain.access import AccessLevel
from core.domain.alert import Alert, AlertFact, AlertState, Severity
from core.errors import NotAllowed
from core.orchestrator.commands import Commands
from core.orchestrator.commands.admission import admitted
from core.security.access import NOBODY, Asker, Face, Levels, Scope
from core.store import alerts
from core.store.database import Store
from core.store.transaction import Transaction

L = AccessLevel
OF_SHOP = Levels(projects={"shop": L.VIEWER})


def asker(levels: Levels, **more) -> Asker:
    return Asker(name="user:x", levels=levels, face=Face.WEB, **more)


def fire(tx: Transaction, project: str | None) -> Alert:
    begun = alerts.begin(
        tx,
        rule="r",
        project=project,
        severity=Severity.WARNING,
        summary=f"of {project}",
        hint="",
        value=1.0,
        count=1,
        worst="",
        routes=(),
    )
    assert begun is not None
    return alerts.move(tx, begun, AlertFact.BREACHED)


@pytest.fixture
async def fired(store: Store, new_project) -> dict[str | None, Alert]:
    def make(tx: Transaction) -> dict[str | None, Alert]:
        for name in ("shop", "blog"):
            new_project(tx, name)
        return {project: fire(tx, project) for project in ("shop", "blog", None)}

    return await store.write(make)


@pytest.fixture
def core(store: Store) -> Commands:
    return Commands(store, None, None)  # type: ignore[arg-type] - alerts need the store only


@pytest.mark.parametrize(("levels", "seen"), [
    (OF_SHOP, {"shop"}),
    (Levels(everywhere=L.VIEWER), {"shop", "blog", None}),
    (Levels(projects={"shop": L.VIEWER, "blog": L.OWNER}), {"shop", "blog"}),
])  # fmt: skip
async def test_alerts_are_seen_where_the_project_is(core, fired, levels: Levels, seen: set) -> None:
    commands = admitted(core, asker(levels))
    assert {alert.project for alert in await commands.alerts()} == seen
    for project, alert in fired.items():
        if project in seen:
            assert await commands.alert(alert.id) == alert
        else:
            with pytest.raises(NotAllowed):
                await commands.alert(alert.id)


ANSWERS = {  # level in shop, level everywhere: may answer that of shop, that of the system
    (None, L.VIEWER): (False, False),
    (L.CONTRIBUTOR, None): (True, False),
    (None, L.CONTRIBUTOR): (True, False),
    (L.OWNER, L.MAINTAINER): (True, False),
    (None, L.ADMIN): (True, True),
}


@pytest.mark.parametrize(("inside", "everywhere"), ANSWERS)
@pytest.mark.parametrize("how", ["acknowledge_alert", "silence_alert"])
async def test_who_answers(core, fired, inside, everywhere, how: str) -> None:
    levels = Levels(everywhere=everywhere, projects={} if inside is None else {"shop": inside})
    commands = admitted(core, asker(levels))
    until = (datetime.now(UTC) + timedelta(hours=1),) if how == "silence_alert" else ()
    for project, allowed in zip(("shop", None), ANSWERS[inside, everywhere], strict=True):
        answer = getattr(commands, how)
        if allowed:
            assert (await answer(fired[project].id, *until, actor="user:x")).by == "user:x"
        else:
            with pytest.raises(NotAllowed):
                await answer(fired[project].id, *until, actor="user:x")
            assert (await core.alert(fired[project].id)).state is AlertState.FIRING


async def test_a_token_needs_the_scope(core, fired) -> None:
    admin = Levels(everywhere=L.ADMIN)
    reading = admitted(core, Asker(name="t", levels=admin, face=Face.API, scopes=frozenset({Scope.READ})))
    assert len(await reading.alerts()) == 3
    with pytest.raises(NotAllowed, match="scope decide"):
        await reading.acknowledge_alert(fired["shop"].id, actor="t")
    scopes = frozenset({Scope.READ, Scope.DECIDE})
    of_blog = Asker(name="t", levels=admin, face=Face.API, scopes=scopes, projects=frozenset({"blog"}))
    deciding = admitted(core, of_blog)
    assert (await deciding.acknowledge_alert(fired["blog"].id, actor="t")).by == "t"
    for project in ("shop", None):
        with pytest.raises(NotAllowed):
            await deciding.acknowledge_alert(fired[project].id, actor="t")


async def test_nobody_learns_nothing_not_even_whether_there_is_one(core, fired) -> None:
    commands = admitted(core, asker(NOBODY))
    for alert_id in (fired["shop"].id, "alert_none"):
        with pytest.raises(NotAllowed):
            await commands.acknowledge_alert(alert_id, actor="user:x")
    with pytest.raises(NotAllowed):
        await commands.alerts()
