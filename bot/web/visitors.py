"""Who asks, and whether they may: every route says here which action it is, or is in a list of a few.

A browser shows a session by its cookie, a program a token by the header Authorization; a token that is shown
counts alone, whatever cookie comes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request

from bot.web.cookies import SESSION, name_of, set_cookie
from bot.web.house import House
from bot.web.once import HEADER
from bot.web.site import SAFE_METHODS
from core.domain.access import AccessLevel, Standing
from core.errors import InvalidInput, NotAllowed
from core.security.access import RULES, Action, Asker, Face, Levels, Scope, Seat, may
from core.security.logins import Missing, NotLoggedIn, Session
from core.security.tokens import BadToken
from core.store import users

_MOST_FIELDS = 40
_TOKEN_HEADER = "x-csrf-token"  # noqa: S105
LOOKER = Asker(name="loopback", levels=Levels(everywhere=AccessLevel.VIEWER), face=Face.WEB)
_UNTOLD = frozenset({Scope.READ})


class Unfinished(NotLoggedIn):
    """The password was right; `missing` says what else it takes."""

    def __init__(self, missing: Missing) -> None:
        self.missing = missing
        what = "code of your second factor" if missing is Missing.SECOND_FACTOR else "second factor"
        super().__init__("You are not logged in yet.", why=f"It takes a {what}.", hint="Go on at /login.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """`session` is None for a token, and for somebody on this machine who only looks. `token`: the cookie."""

    asker: Asker
    client: str
    session: Session | None = None
    token: str = ""
    csrf: str = ""

    def sees(self, project: str) -> bool:
        return may(Action.SEE_PROJECT, self.asker, project).allowed

    def standing(self, project: str, person: str) -> Standing:
        """By the rights that they have now. `person`: their account of Discord (`person_of`)."""
        return Standing(level=self.asker.levels.within(project) or AccessLevel.VIEWER, person=person)

    @property
    def own(self) -> Session:
        """Raises NotAllowed where there is none."""
        if self.session is None:
            raise NotAllowed("This needs a session.", why="A token has none.", hint="Log in at /login.")
        return self.session


async def person_of(house: House, visitor: Visitor) -> str:
    """Their account of Discord, since a question may be for a person of there; "" without one."""
    user_id = visitor.asker.user_id or ""
    people = await house.runtime.store.read(lambda conn: users.people_of(conn, user_id))
    return people[0] if people else ""


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


def client_of(request: Request) -> str:
    return str(request.state.client)


def cookie_of(request: Request, cookie: str = SESSION) -> str:
    return request.cookies.get(name_of(cookie, house_of(request).site), "")


def give_cookie(request: Request, header: str) -> None:
    """With the answer, whatever it will be."""
    request.state.cookies.append(header)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; of one that stands twice, the last. Raises InvalidInput."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidInput("This is no form.", hint="Use the page, or the API under /api.")
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
        return dict(pairs)
    except ValueError:
        raise InvalidInput("The form cannot be read.", hint="Load the page again.") from None


def check_form(house: House, about: str, token: str) -> None:
    """Raises NotAllowed for a form that is not ours."""
    if not house.forms.fits(about, token):
        raise NotAllowed("This form is too old.", why="It does not fit this session.", hint="Load it again.")


async def session_of(request: Request) -> Visitor:
    """Whoever shows a session's cookie, complete or not. Raises NotLoggedIn."""
    house, token = house_of(request), cookie_of(request)
    if not token:
        raise NotLoggedIn("You are not logged in.", hint="Log in at /login, or show a token.")
    session = await house.logins.who(token)
    if session.rotation_due and request.method in SAFE_METHODS:
        fresh = await house.logins.rotate(token)
        if fresh != token:  # else another request was faster, and the browser has the new one from that
            give_cookie(request, set_cookie(SESSION, fresh, house.site))
        token = fresh
    return Visitor(
        asker=session.asker,
        client=client_of(request),
        session=session,
        token=token,
        csrf=house.forms.token(session.login.id),
    )


async def visitor_of(request: Request) -> Visitor:
    """Raises NotLoggedIn, BadToken, TooManyTries, and NotAllowed for a forged form."""
    house = house_of(request)
    now = house.runtime.clock.monotonic()
    if (said := request.headers.get("authorization")) is not None:
        visitor = await _with_token(request, said)
        house.calls.call(visitor.asker.name, now)
        return visitor
    visitor = await session_of(request)
    session = visitor.own
    house.calls.call(visitor.asker.name, now)
    if session.missing is not Missing.NOTHING:
        raise Unfinished(session.missing)
    if request.method not in SAFE_METHODS:
        token = request.headers.get(_TOKEN_HEADER) or (await _form_token(request))
        check_form(house, session.login.id, token)
    return visitor


async def _form_token(request: Request) -> str:
    if request.url.path.startswith("/api/"):
        raise NotAllowed(
            "The request shows no form token.",
            why="A session's cookie alone changes nothing through the API.",
            hint=f"Send {_TOKEN_HEADER} with what /api/whoami says as csrf, or use a token.",
        )
    return (await form_of(request)).get("csrf", "")


async def _with_token(request: Request, said: str) -> Visitor:
    house, client = house_of(request), client_of(request)
    kind, _, token = said.partition(" ")
    try:
        if kind.lower() != "bearer" or not token.strip().isascii():
            raise BadToken("This token is not good.", hint="Authorization: Bearer TOKEN")
        return Visitor(asker=await house.tokens.asker(token.strip()), client=client)
    except BadToken:
        house.tries.call(client, house.runtime.clock.monotonic())
        raise


def is_open(request: Request) -> bool:
    return house_of(request).site.is_open_to(request.state.asked)


class Asks:
    """A route's dependency: which action it is. In a project: the one that its path names as `project`.

    `each`: of many things, of which the route leaves out those that the visitor may not see.
    `from_here`: for somebody on this machine without a login, too.
    """

    def __init__(self, action: Action, *, each: bool = False, from_here: bool = False) -> None:
        self.action = action
        self._each = each
        self._from_here = from_here

    async def __call__(self, request: Request) -> Visitor:
        if self._from_here and "authorization" not in request.headers and is_open(request):
            return Visitor(asker=LOOKER, client=client_of(request))
        visitor = await visitor_of(request)
        if not self._each:
            await self._admit(house_of(request), visitor, request.path_params.get("project"))
        if request.method == "POST" and HEADER in request.headers and request.url.path.startswith("/api/"):
            request.state.once = await house_of(request).once.begin(request, visitor.asker.name)
        return visitor

    async def _admit(self, house: House, visitor: Visitor, named: str | None) -> None:
        await admit(house, visitor, self.action, named.strip().lower() if named else None)


async def admit(house: House, visitor: Visitor, action: Action, project: str | None) -> None:
    """Raises NotAllowed; what was refused is recorded unless it was only to look."""
    rule = RULES[action]
    where = project if rule.in_project else None
    decision = may(action, visitor.asker, where)
    if decision.allowed:
        return
    if rule.scope not in _UNTOLD or rule.seat is not Seat.ANY:
        await house.runtime.commands.note_denied(visitor.asker.name, str(action), where, decision.why)
    raise NotAllowed(decision.why, hint=f"It takes {decision.needs}." if decision.needs else "Ask the owner.")
