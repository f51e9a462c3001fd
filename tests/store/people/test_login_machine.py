"""Logins against a model of what they should be: sessions x time x password x second factor x disabled."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyotp
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.domain.access import AccessLevel
from core.errors import NotAllowed
from core.security.logins import Missing, NotLoggedIn, Session
from core.security.rate_limit import TooManyTries

PASSWORDS = ("pear under tall ladder", "plum under tall ladder", "fig under tall ladder")
WRONG = "nothing under tall ladder"
PLACES = ("10.0.0.1", "10.0.0.2")
CODE_STEP = 30


@dataclass
class Known:
    """A session as it should be."""

    tokens: list[str]  # the present one last
    made: datetime
    seen: datetime
    rotated: datetime
    is_open: bool = True
    proved: bool = False

    def lives(self, now: datetime) -> bool:
        return (
            self.is_open
            and abs(now - self.seen) < timedelta(minutes=60)
            and abs(now - self.made) < timedelta(days=7)
        )


@dataclass
class Model:
    house: object
    name: str
    password: int = 0
    disabled: bool = False
    totp: pyotp.TOTP | None = None
    last_step: int = -1
    sessions: list[Known] = field(default_factory=list)
    wrong: int = 0  # tries since the last right one, of whatever place

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    # -- steps ---------------------------------------------------------------------------------

    async def log_in(self, right: bool, place: str) -> None:
        password = PASSWORDS[self.password] if right else WRONG
        try:
            opened = await self.house.logins.log_in(self.name, password, f"{self.name} at {place}")
        except TooManyTries:
            assert self.wrong >= 5, "the door is closed after five wrong ones, and not before"
            return
        except NotAllowed:
            assert self.disabled or not right
            self.wrong += 1
            return
        assert right
        assert not self.disabled
        self.wrong = 0
        assert opened.missing is (Missing.SECOND_FACTOR if self.totp else Missing.NOTHING)
        self.sessions.append(Known(tokens=[opened.token], made=self.now, seen=self.now, rotated=self.now))

    async def use(self, session: Known, back: int) -> Session | None:
        """With its present token, the one before, or an older one."""
        back = min(back, len(session.tokens) - 1)
        lives, now = session.lives(self.now) and not self.disabled, self.now
        good = back == 0 or (back == 1 and abs(now - session.rotated) <= timedelta(seconds=10))
        try:
            found = await self.house.logins.who(session.tokens[-1 - back])
        except NotLoggedIn:
            assert not (lives and good)
            session.is_open = False
            return None
        assert lives
        assert good
        session.seen = found.login.seen_at if now - session.seen < timedelta(minutes=1) else now
        missing = Missing.SECOND_FACTOR if self.totp and not session.proved else Missing.NOTHING
        assert found.missing is missing
        assert (found.asker.levels.everywhere is not None) is (missing is Missing.NOTHING)
        assert found.asker.second_factor is bool(self.totp and session.proved)
        return found

    async def rotate(self, session: Known) -> None:
        if await self.use(session, 0) is not None:
            session.tokens.append(await self.house.logins.rotate(session.tokens[-1]))
            session.seen = session.rotated = self.now

    async def prove(self, session: Known, step: int) -> None:
        """With the code of a moment around now."""
        if self.totp is None or await self.use(session, 0) is None:
            return
        wanted = int(self.now.timestamp()) // CODE_STEP + step
        good = abs(step) <= 1 and wanted > self.last_step
        try:
            opened = await self.house.logins.prove(session.tokens[-1], self.totp.generate_otp(wanted))
        except TooManyTries:
            return
        except NotAllowed:
            assert not good
            return
        assert good
        self.last_step, session.proved = wanted, True
        session.tokens.append(opened.token)
        session.seen = session.rotated = self.now

    async def enrol(self, session: Known) -> None:
        found = await self.use(session, 0)
        if found is None or self.totp is not None:
            return
        begun = await self.house.second_factor.begin(found.user.id)
        totp = pyotp.TOTP(begun.secret)
        opened = await self.house.logins.confirm(session.tokens[-1], totp.at(self.now))
        for other in self.sessions:
            other.proved = other is session
        self.totp, self.last_step = totp, int(self.now.timestamp()) // CODE_STEP
        session.tokens.append(opened.token)
        session.seen = session.rotated = self.now

    async def change_password(self, session: Known) -> None:
        found = await self.use(session, 0)
        if found is None or found.missing is not Missing.NOTHING:
            return
        new = (self.password + 1) % len(PASSWORDS)
        token = await self.house.logins.change_password(
            session.tokens[-1], PASSWORDS[self.password], PASSWORDS[new]
        )
        self.password = new
        for other in self.sessions:
            other.is_open = other.is_open and other is session
        session.tokens.append(token)
        session.seen = session.rotated = self.now

    async def reset(self) -> None:
        self.password = (self.password + 1) % len(PASSWORDS)
        await self.house.users.reset_password(self.name, PASSWORDS[self.password])
        self._all_end()

    async def reset_factor(self) -> None:
        if self.totp is not None:
            await self.house.second_factor.reset(self.name)
            self.totp = None
            self._all_end()

    async def disable(self, disabled: bool) -> None:
        await (self.house.users.disable if disabled else self.house.users.enable)(self.name)
        self.disabled = disabled
        if disabled:
            self._all_end()

    async def log_out(self, session: Known, back: int) -> None:
        await self.house.logins.log_out(session.tokens[-1 - min(back, len(session.tokens) - 1)])
        session.is_open = False

    def _all_end(self) -> None:
        for session in self.sessions:
            session.is_open = False


WHICH = st.integers(min_value=0, max_value=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("log in"), st.sampled_from([True, True, False]), st.sampled_from(PLACES)),
        st.tuples(st.just("use"), WHICH, st.integers(min_value=0, max_value=2)),
        st.tuples(st.just("prove"), WHICH, st.integers(min_value=-2, max_value=2)),
        st.tuples(st.sampled_from(["rotate", "enrol", "change", "log out"]), WHICH),
        st.tuples(st.just("wait"), st.sampled_from([1, 9, 12, 31, 61, 1200, 3500, 3601, 90_000, -5, -4000])),
        st.tuples(st.sampled_from(["reset", "reset factor", "disable", "enable"])),
    ),
    min_size=6,
    max_size=24,
)
count = 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_logins_are_as_they_should_be_whatever_is_done(house, steps: list[tuple]) -> None:
    global count
    count += 1
    model = Model(house, f"user{count}")
    await house.users.create_user(model.name, f"{model.name}@example.org", PASSWORDS[0], AccessLevel.VIEWER)
    await model.log_in(True, PLACES[0])
    for kind, *rest in steps:
        event(kind)
        if kind == "log in":
            await model.log_in(*rest)
        elif kind == "wait":
            house.clock.advance(rest[0])
        elif kind in ("reset", "reset factor"):
            await (model.reset() if kind == "reset" else model.reset_factor())
        elif kind in ("disable", "enable"):
            await model.disable(kind == "disable")
        else:
            session = model.sessions[rest[0] % len(model.sessions)]
            if kind in ("rotate", "enrol"):
                await (model.rotate(session) if kind == "rotate" else model.enrol(session))
            elif kind == "change":
                await model.change_password(session)
            elif kind == "log out":
                await model.log_out(session, 0)
            else:
                await (model.use if kind == "use" else model.prove)(session, rest[1])
    open_now = {one.id for one in await house.logins.of(model.name)}
    assert len(open_now) == sum(each.lives(model.now) for each in model.sessions)
    if not model.disabled:  # whatever was done, they get in again
        house.clock.advance(15 * 60)
        assert (await house.logins.log_in(model.name, PASSWORDS[model.password], PLACES[0])).token


async def test_every_refusal_is_said_in_words(house) -> None:
    for work in (
        house.logins.who("x"),
        house.logins.prove("x", "1"),
        house.logins.confirm("x", "1"),
        house.logins.rotate("x"),
        house.logins.change_password("x", "y", "z"),
    ):
        with pytest.raises(NotLoggedIn) as caught:
            await work
        assert caught.value.hint
