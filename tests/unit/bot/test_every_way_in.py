"""Every way into Orchard asks the access matrix: commands slashed and typed, buttons, selects, forms, pages
and suggestions of Discord, words of the shell, requests over the local socket, controls of the dashboard's
pages. Walked, not listed."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args
from unittest.mock import AsyncMock, MagicMock

import discord
import pytest
from discord import app_commands
from discord.ext import commands as text

import bot.discord
import cogs
from bot.cli import admission as cli
from bot.cli.command import Asked
from bot.cli.topics import COMMANDS
from bot.discord.client import OrchardBot
from bot.discord.form import Form
from bot.discord.views import Counter
from bot.web import dashboard
from bot.web.dashboard.views.controls import ACTIONS as OF_CONTROLS
from cogs import desk as desks
from cogs.access import ACTIONS, LINK, AccessPolicy, Linked, Person, asker_of, control
from cogs.completion import Completion
from cogs.desk import Desk
from cogs.outgoing import OrchardControl
from cogs.storyform import StoryForm
from config.loader import load
from core import runtime
from core.clock import SystemClock
from core.domain.access import AccessLevel
from core.errors import NotAllowed
from core.offline import open_commands
from core.orchestrator import control as socket
from core.orchestrator.commands import Commands
from core.orchestrator.commands.admission import Admitted, admitted
from core.security.access import (
    AT_THE_MACHINE,
    NOBODY,
    RULES,
    Action,
    Asker,
    Face,
    Levels,
    Scope,
    Seat,
    may,
)
from core.security.requests import ACTION_OF

STRANGER = Asker(name="discord:5", levels=NOBODY, face=Face.CHAT)
OWNER = Asker(name="user:ann", levels=Levels(everywhere=AccessLevel.OWNER), face=Face.CHAT)
OF_THE_DESK = {"linked_account", "note_denied"}  # what it asks of the core itself, before and after deciding


class Core:
    """What is asked of it is noted and comes to nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.discord_status = ""

    def __getattr__(self, name: str) -> Any:
        real = getattr(Commands, name)

        async def method(*args: Any, **kwargs: Any) -> Any:
            inspect.signature(real).bind(None, *args, **kwargs)
            self.asked.append(name)
            if name in OF_THE_DESK:
                return None
            raise LookupError(name)

        method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            list(inspect.signature(real).parameters.values())[1:]
        )
        return method

    @property
    def touched(self) -> list[str]:
        return [name for name in self.asked if name not in OF_THE_DESK]


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
async def orchard(core: Core) -> OrchardBot:
    async def at_once() -> None: ...

    channels = SimpleNamespace(project_of=lambda _: "shop", story_of=lambda _: "shop-1")
    desk = Desk(
        core=core,  # type: ignore[arg-type]
        channels=channels,
        completion=Completion(core, SystemClock()),  # type: ignore[arg-type]
        guild_id=lambda: 1,
        role_levels={"helper": AccessLevel.CONTRIBUTOR},
    )
    made = OrchardBot(desk, Counter(desk), guild_id=1, before_identify=at_once)
    await made._async_setup_hook()
    await made.setup_hook()
    return made


@pytest.fixture
def as_(monkeypatch: pytest.MonkeyPatch) -> Callable[[Asker | None], None]:
    """Whom the test's task is for, as if a desk had admitted them."""
    return lambda asker: desks._ASKER.set(asker) and None


def press(**more: Any) -> Any:
    """An interaction of somebody without any role."""
    made = MagicMock(spec=discord.Interaction)
    made.user = SimpleNamespace(id=5)
    made.guild, made.guild_id, made.message = None, 1, None
    made.data = {"values": ["shop-1"]}
    made.response = MagicMock(is_done=lambda: False)
    for name in ("send_message", "send_modal", "defer", "edit_message"):
        setattr(made.response, name, AsyncMock())
    made.followup.send = made.edit_original_response = AsyncMock()
    for name, value in more.items():
        setattr(made, name, value)
    return made


def context() -> Any:
    ctx = MagicMock()
    ctx.author, ctx.guild, ctx.interaction = SimpleNamespace(id=5), SimpleNamespace(id=1, owner_id=9), None
    ctx.send, ctx.defer = AsyncMock(), AsyncMock()
    ctx.view.read_rest = lambda: "shop"
    return ctx


def arguments(command: text.Command[Any, ..., Any]) -> dict[str, Any]:
    """Something for each parameter that must be given, and for texts."""
    found = {}
    for name, parameter in command.clean_params.items():
        if name in {"session", "source", "story", "other", "stories"}:
            found[name] = "shop-1"
        elif name == "start":
            found[name] = "off"
        elif parameter.required:
            words = [word for word in get_args(parameter.annotation) if isinstance(word, str)]
            found[name] = words[0] if words else {"amount": "3", "unit": "turns"}.get(name, "shop")
    return found


def every_typed(made: OrchardBot) -> Iterator[text.Command[Any, ..., Any]]:
    seen = {id(command): command for command in (*made.walk_commands(), *made.all_commands.values())}
    yield from seen.values()


# -- Discord ---------------------------------------------------------------------------------------------


async def test_everything_that_discord_offers_has_a_rule(orchard: OrchardBot) -> None:
    offered = {command.qualified_name for command in orchard.tree.walk_commands()}
    typed = {command.qualified_name for command in every_typed(orchard)}
    assert {"epic", "backlog add_story", "budget raise", "link"} <= offered <= typed
    assert typed <= ACTIONS.keys()
    verbs = {*orchard._forms.presses, *orchard._forms.submits, *orchard._forms.fills}
    assert {control(verb) for verb in verbs} <= ACTIONS.keys()
    assert ACTIONS.keys() == typed | {control(verb) for verb in verbs}  # and no rule is of nothing
    for kind in (discord.AppCommandType.user, discord.AppCommandType.message):
        assert orchard.tree.get_commands(type=kind) == []  # a menu would come past the walk


async def test_no_command_comes_past_the_global_check(orchard: OrchardBot) -> None:
    assert orchard._checks == [orchard.desk.check]
    for command in orchard.tree.walk_commands():
        assert isinstance(command, text.hybrid.HybridAppCommand | app_commands.Group), command.name
        # its own checks run after the bot's
        assert not isinstance(command, app_commands.Group) or command.qualified_name in ACTIONS
    for command in every_typed(orchard):
        if command.name == LINK:
            continue  # the code is the right to it
        ctx = context()
        ctx.command, ctx.bot = command, orchard
        with pytest.raises(text.CheckFailure):
            await orchard.can_run(ctx)


async def test_every_item_and_form_is_one_that_asks(orchard: OrchardBot) -> None:
    """Buttons and selects are known again by their id alone; forms are answered by it, too."""
    for package in (cogs, bot.discord):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    kinds = (discord.ui.Item, discord.ui.View, discord.ui.LayoutView, discord.ui.Modal)
    ours = {
        each
        for kind in kinds
        for each in _below(kind)
        if each.__module__.split(".")[0] in ("cogs", "bot") and "localguild" not in each.__module__
    }
    assert ours == {OrchardControl, Form, StoryForm}
    assert all("on_submit" not in vars(form) for form in (Form, StoryForm))  # `OrchardBot.submit` is
    store = orchard._connection._view_store
    assert list(store._dynamic_items.values()) == [OrchardControl]
    assert list(orchard.persistent_views) == []


async def test_no_command_reaches_the_core_before_somebody_is_admitted(
    orchard: OrchardBot, core: Core, as_: Any
) -> None:
    """Each body is run past the check: for nobody, for a stranger, and then for who may all that chat may."""
    reaching, cut = set(), set()
    for asker in (None, STRANGER, OWNER):
        for command in every_typed(orchard):
            as_(asker)
            core.asked.clear()
            with suppress(Exception):
                await command.callback(command.cog, context(), **arguments(command))
            if asker is not OWNER:
                assert core.touched == [], command.qualified_name
            elif core.touched:
                reaching.add(command.qualified_name)
            else:
                cut.add(command.qualified_name)
    # The rest say what is possible, or that nothing was said.
    assert cut == {"link", "backlog", "chart", "sprint", "story", "tdd", "backlog edit"}
    assert len(reaching) > 50


async def test_no_button_form_or_page_reaches_the_core_before_somebody_is_admitted(
    orchard: OrchardBot, core: Core, as_: Any
) -> None:
    forms, desk = orchard._forms, orchard.desk
    target = {
        "page": "projects:-:0",
        "raise": "p:t:5::shop",
        "raise_by": "p:t:5::shop",
        "state": "project:shop",
        "silence": "alert_1:hour",
    }
    target |= dict.fromkeys(("resume", "feedback", "request_changes"), "shop")

    def ways() -> Iterator[tuple[str, Callable[[], Any]]]:
        for verb, press_it in forms.presses.items():
            yield f"press {verb}", lambda p=press_it, v=verb: p(press(), target.get(v, "shop-1"))
        for verb, submit in forms.submits.items():
            words = "3 turns" if verb == "raise_by" else "words"
            yield f"submit {verb}", lambda s=submit, v=verb, w=words: s(press(), target.get(v, "shop-1"), w)
        for verb, fill in forms.fills.items():
            yield f"fill {verb}", lambda f=fill: f(press(), "shop-1:1", {"title": "x"})
        for name, page in desk.pages.items():
            said = {"digest": "-:1:2", "found": "shop:word", "subscriptions": "5"}.get(name, "shop")
            yield f"page {name}", lambda p=page, s=said: p(s, 0)

    reaching = set()
    for asker in (None, STRANGER, OWNER):
        for name, way in ways():
            as_(asker)
            core.asked.clear()
            with suppress(Exception):
                await way()
            if asker is not OWNER:  # a question, and an alert, say which project they are of
                assert set(core.touched) <= ({"approval", "alert"} if asker is STRANGER else set()), name
            elif core.touched:
                reaching.add(name)
    # the others show a form, or what was kept: what is sent then is asked for
    silent = {name for name, _ in ways()} - reaching
    assert {name for name in silent if not name.startswith("press ")} <= {
        "page optimized",
        "page found",
        "page digest",
    }


@pytest.mark.parametrize("way", ["press", "submit"])
async def test_each_button_and_form_is_asked_for_by_its_own_rule(
    orchard: OrchardBot, core: Core, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = Desk.admit

    async def admit(self: Desk, *words: Any, **more: Any) -> None:
        asked.append(words[3])
        await real(self, *words, **more)

    monkeypatch.setattr(Desk, "admit", admit)
    verbs = orchard._forms.presses if way == "press" else {**orchard._forms.submits, **orchard._forms.fills}
    for verb in verbs:
        await getattr(orchard, way)(press(), verb, "shop-1")
    assert asked == [control(verb) for verb in verbs]
    assert core.touched == []


async def test_suggestions_are_for_who_may_use_them(orchard: OrchardBot, core: Core, as_: Any) -> None:
    asking = 0
    for command in orchard.tree.walk_commands():
        for name, parameter in getattr(command, "_params", {}).items():
            if parameter.autocomplete is None:
                continue
            as_(OWNER)  # whom the task was for before counts for nothing
            made = press(client=orchard, command=command, namespace=SimpleNamespace(), channel=None)
            binding = (command.binding,) if _is_method(parameter.autocomplete) else ()
            offered = await parameter.autocomplete(*binding, made, "")
            assert core.touched == [], (command.qualified_name, name)
            assert offered == [] or name == "timezone"  # the world's, not ours
            asking += 1
    assert asking > 20


# -- chat never grants an operator's rights ----------------------------------------------------------------

OPERATORS = sorted(action for action, rule in RULES.items() if rule.seat is Seat.OPERATOR)
OF_OPERATORS = sorted(name for name, action in ACTION_OF.items() if RULES[action].seat is Seat.OPERATOR)


def an_owner() -> Asker:
    """Owner of the server and, linked, of Orchard."""
    linked = Linked(
        username="ann", levels=Levels(everywhere=AccessLevel.OWNER, projects={"shop": AccessLevel.OWNER})
    )
    person = Person(user_id=5, guild_id=1, owns_guild=True, manages_guild=True)
    return asker_of(AccessPolicy(guild_id=1), person, linked)


@pytest.mark.parametrize("action", OPERATORS)
def test_no_owner_is_an_operator_in_chat(action: Action) -> None:
    refused = may(action, an_owner(), "shop")
    assert (refused.allowed, "never possible through a chat" in refused.why) == (False, True)
    assert "command line" in refused.needs
    assert action not in ACTIONS.values()


@pytest.mark.parametrize("request_name", OF_OPERATORS)
async def test_no_request_of_operators_is_made_through_discord(
    orchard: OrchardBot, core: Core, as_: Any, request_name: str
) -> None:
    as_(an_owner())
    parameters = inspect.signature(getattr(Commands, request_name)).parameters
    given = {name: "shop" for name, each in parameters.items() if name != "self"}
    with pytest.raises(NotAllowed, match="never possible through a chat") as refused:
        await getattr(orchard.desk.commands, request_name)(**given)
    assert "command line" in refused.value.hint
    assert core.touched == []


# -- the command line, the shell and the local socket -------------------------------------------------------


WORDS = [
    *((), ("shop",), ("shop", "high"), ("shop", "high", "words")),
    *(("shop-1", "design", "words"), ("day", "shop", "3", "turns")),
]


@pytest.mark.parametrize("word", sorted(COMMANDS))
async def test_every_word_of_the_shell_and_of_orchard_do_asks(word: str, core: Core, tmp_path: Path) -> None:
    """With a session of nobody none reaches the core; with the operator's all of them do."""
    command = COMMANDS[word]
    for asker in (STRANGER, AT_THE_MACHINE):
        for words in WORDS:
            session = SimpleNamespace(
                commands=admitted(core, asker),  # type: ignore[arg-type]
                configuration=load(tmp_path, environ={}),
                running=True,
            )
            with suppress(Exception):
                await command.answer(Asked(session=session, words=words, actor="cli", in_shell=True))
        if asker is STRANGER:
            assert core.touched == []
    assert core.touched or word == "insights"  # it is not there yet


async def test_who_opens_the_store_or_the_socket_is_asked(tmp_path: Path) -> None:
    async with open_commands(load(tmp_path, environ={}), lambda: load(tmp_path, environ={})) as commands:
        assert isinstance(commands, Admitted)
    assert socket._METHODS.keys() == ACTION_OF.keys()
    served = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(runtime)))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "serve_control"
    ]
    (given,) = [call.args[0] for call in served]
    assert isinstance(given, ast.Call)
    assert getattr(given.func, "id", "") == "admitted"


async def test_what_is_needed_has_to_be_seen(core: Core) -> None:
    """Whoever waits for a story is told of it."""
    own = Levels(projects={"shop": AccessLevel.CONTRIBUTOR})
    commands = admitted(core, Asker(name="discord:5", levels=own, face=Face.CHAT))  # type: ignore[arg-type]
    for needs in (["bank-1"], ["shop-1", " BANK-7"], ["my-bank-1"]):
        with pytest.raises(NotAllowed, match="see project in"):
            await commands.add_story("shop", "Wait", needs=needs, actor="x")
        with pytest.raises(NotAllowed, match="see project in"):
            await commands.edit_story("shop-2", needs=tuple(needs), actor="x")
    assert core.touched == []
    for needs in ([], ["shop-1"], ["nonsense"]):
        with pytest.raises(LookupError):  # it came to the core, which is none
            await commands.add_story("shop", "Wait", needs=needs, actor="x")


# -- the dashboard's pages ---------------------------------------------------------------------------------
# Walked for real, each control of each page, by tests/web/dashboard/test_rights.py; here by their source, so
# that no page can be left out.

DASHBOARD = Path(dashboard.__file__).parent
OF_USERS = {"set_level": Action.SET_LEVEL, "create_user": Action.CREATE_USER}
OF_USERS |= {"disable": Action.DISABLE_USER, "enable": Action.DISABLE_USER}
ACTING = {name: act for name, act in ACTION_OF.items() if RULES[act].scope is not Scope.READ} | OF_USERS
LOOKING_IN_THE_GUILD = {"channels", "commands", "members", "messages", "journal"}
# What is opened by a page whose own action it is; `_read` of the audit page is called behind `admit` too.
OF_THEIR_PAGE = {("users.py", "users"), ("audit.py", "audit_latest")}


def unasked(file: str, source: str) -> list[str]:
    """Where something is done that nobody asked the viewer's rights for before, in the same function: there
    itself, or by a function of the same module that does nothing else that matters."""
    found = []
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    asking = {f.name for f in functions if any(_admits(node, frozenset()) for node in ast.walk(f))}
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ACTING):
        owner = ast.unparse(node.value)
        if not owner.rpartition(".")[2].endswith(("commands", "users")) or (file, node.attr) in OF_THEIR_PAGE:
            continue
        around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or 0)]
        asked = [
            ast.unparse(call.value.args[0])
            for function in around[-1:]
            for call in ast.walk(function)
            if _admits(call, frozenset(asking - {function.name})) and call.lineno < node.lineno
        ]
        if not any(not name.startswith("Action.") or name == _named(node.attr) for name in asked):
            found.append(f"{file}:{node.lineno} {owner}.{node.attr}")
    return found


def _admits(node: ast.AST, by: frozenset[str]) -> bool:
    if not (isinstance(node, ast.Await) and isinstance(node.value, ast.Call)):
        return False
    name = ast.unparse(node.value.func)
    return name in ("viewer.admit", "self._viewer.admit") or name in by


def _named(request: str) -> str:
    return f"Action.{ACTING[request].name}"


def test_what_pages_do_is_asked_for_where_it_is_done() -> None:
    paths = [path for path in DASHBOARD.rglob("*.py") if path.name != "page.py"]
    assert len(paths) > 40
    assert [each for path in paths for each in unasked(path.name, path.read_text())] == []
    done = {
        node.attr
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ACTING
    }
    assert {"answer_approval", "acknowledge_alert", "optimize", "set_level", "create_user"} <= done
    asked = {
        (case.pattern.value.value, node.attr)
        for case in ast.walk(ast.parse((DASHBOARD / "controls.py").read_text()))
        if isinstance(case, ast.match_case) and isinstance(case.pattern, ast.MatchValue)
        for node in ast.walk(case)
        if isinstance(node, ast.Attribute) and node.attr in ACTING
    }
    assert {verb for verb, _ in asked} == set(OF_CONTROLS)
    assert [pair for pair in asked if OF_CONTROLS[pair[0]] is not ACTING[pair[1]]] == []


def test_pages_reach_what_logs_in_and_secrets_by_nothing() -> None:
    for path in DASHBOARD.rglob("*.py"):
        for word in ("house.tokens", "house.secrets", "house.entries", "house.forms", "store.write"):
            assert word not in path.read_text(), path.name
        assert "house.logins" not in path.read_text() or path.name in ("page.py", "socket.py")


def test_in_the_guild_only_looking_is_free() -> None:
    tree = ast.parse((DASHBOARD / "chat/member.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    looked = {
        node.args[0].value
        for node in calls
        if ast.unparse(node.func) == "self._ask" and isinstance(node.args[0], ast.Constant)
    }
    assert looked == LOOKING_IN_THE_GUILD
    (doing,) = [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and n.name == "_do"]
    assert ast.unparse(doing.body[0]) == "await self._viewer.admit(Action.ENTER_GUILD)"
    assert [ast.unparse(node.func) for node in calls].count("self._link.call") == 1
    for path in (DASHBOARD / "chat").glob("*.py"):
        assert path.name == "member.py" or "link.call" not in path.read_text()


@pytest.mark.parametrize(
    "body",
    [
        "await commands.optimize()",
        "await viewer.admit(Action.SEE_PROJECT)\n    await commands.optimize()",
        "await commands.optimize()\n    await viewer.admit(Action.OPTIMIZE_RESOURCES)",
        "viewer.admit(Action.OPTIMIZE_RESOURCES)\n    await commands.optimize()",
        "await self._viewer.house.users.disable(name, by)",
    ],
)
def test_a_page_that_does_not_ask_would_be_found(body: str) -> None:
    assert len(unasked("x.py", f"async def does(said):\n    {body}\n")) == 1
    asked = "await viewer.admit(Action.OPTIMIZE_RESOURCES)\n    await commands.optimize()"
    assert unasked("x.py", f"async def does(said):\n    {asked}\n") == []


# -- and it is noticed when a rule is gone ---------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_without_its_rule_nobody_may(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {each: action for each, action in ACTIONS.items() if each != name}
    monkeypatch.setattr("cogs.access.ACTIONS", fewer)
    from cogs.access import require

    with pytest.raises(NotAllowed, match="no access rule"):
        require(AccessPolicy(guild_id=1), Person(user_id=5, guild_id=1, owns_guild=True), name)


@pytest.mark.parametrize("name", sorted(ACTION_OF))
async def test_without_its_rule_a_request_is_nobodys(
    name: str, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer: Mapping[str, Action] = {each: action for each, action in ACTION_OF.items() if each != name}
    monkeypatch.setattr("core.orchestrator.commands.admission.ACTION_OF", fewer)
    parameters = inspect.signature(getattr(Commands, name)).parameters
    given = {each: "shop" for each in parameters if each != "self"}
    with pytest.raises(NotAllowed, match="no access rule"):
        await getattr(admitted(core, AT_THE_MACHINE), name)(**given)  # type: ignore[arg-type]
    assert core.asked == []


@pytest.mark.parametrize("action", sorted(RULES))
def test_an_action_without_its_rule_is_nobodys(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.security.access.RULES", {each: RULES[each] for each in RULES if each != action})
    assert not may(action, AT_THE_MACHINE, "shop").allowed
    used = {*ACTIONS.values(), *ACTION_OF.values(), *cli.ACTIONS.values()}
    assert action in used or action in WEB_ALONE, f"{action} is of nothing that can be done"


WEB_ALONE = {
    Action.ANSWER_SYSTEM_ALERT,  # what ANSWER_ALERT is where the alert is of no project
    Action.ENTER_GUILD,
    Action.MANAGE_OWN_LOGIN,
    Action.MANAGE_OWN_TOKENS,
    Action.TRANSFER_INSIGHT,
    Action.ARCHIVE_PROJECT,
    Action.PRUNE_AUDIT,
    Action.STOP_ORCHARD,
    Action.CHANGE_ISOLATION,
}
"""Done on the web, by time (the log's retention) or by a signal, or not possible yet."""


def test_link_is_the_one_action_of_its_own_seat_in_chat() -> None:
    assert [name for name, action in ACTIONS.items() if RULES[action].seat is not Seat.ANY] == [LINK]


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _is_method(found: Any) -> bool:
    return "self" in inspect.signature(found).parameters
