"""The open page of the guild: rooms at the side, messages, what is typed, and forms that the bot shows."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from markupsafe import Markup
from nicegui import background_tasks, ui

from bot.localguild.interactions import CallbackType
from bot.localguild.options import CannotDo
from bot.localguild.people import DidNotRespond, Link
from bot.web.dashboard.chat.commandline import CommandLine
from bot.web.dashboard.chat.forms import fields_of
from bot.web.dashboard.chat.markup import Names
from bot.web.dashboard.chat.member import Json, Member, News
from bot.web.dashboard.chat.posts import Post
from bot.web.dashboard.chat.rooms import Room
from bot.web.dashboard.chat.typed import completed, help_for, is_command, read
from bot.web.dashboard.fragments import Fragments, Said
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import notice
from core.errors import NotFound, OrchardError
from core.ids import new_id
from core.security.access import Action
from core.security.logins import NotLoggedIn

log = logging.getLogger(__name__)

_WAIT_SECONDS = 10.0  # for news, before the session is looked at again
_GAP_SECONDS = 0.1  # between two looks, however much happens
_SILENT = "The bot did not answer in time. It may be busy: try again."


class Window:
    def __init__(self, viewer: Viewer, link: Link) -> None:
        self._viewer = viewer
        self._member = Member(viewer, link)
        self._room = Room(id="", name="")
        self._drawn: dict[str, tuple[Post, Markup]] = {}
        self._client = ui.context.client

    async def open(self, wanted: str) -> None:
        """Puts everything up. Raises NotFound for a room that is not there."""
        await self._member.look()
        room = self._member.room(wanted)
        if room is None:
            raise NotFound("There is no such channel in the guild.", hint="Open /guild for the first one.")
        self._room = room
        with ui.element("div").classes("guild"):
            self._rooms = Fragments(self._rooms_parts(), tag="nav", does=self._does).props(
                'aria-label="Channels"'
            )
            with ui.element("div").classes("talk"):
                self._head = Fragments(self._head_parts(), does=self._does)
                with (
                    ui.element("div").classes("posts").props('tabindex="0" role="log" aria-label="Messages"')
                ):
                    self._posts = Fragments(await self._posts_parts(), does=self._does)
                self._line = CommandLine(self._place(), self._typed, self._run)
            self._form = Fragments({"form": drawn("guild/form", modal=None)}, does=self._does)
        following = background_tasks.create(self._follow(), name="the guild's page")
        self._client.on_delete(following.cancel)

    # -- what is shown -----------------------------------------------------------------------------

    def _rooms_parts(self) -> Mapping[str, Markup]:
        return {"rooms": drawn("guild/rooms", sections=self._member.sections, here=self._room.id)}

    def _head_parts(self) -> Mapping[str, Markup]:
        parent = self._member.room(self._room.parent) if self._room.is_thread else None
        name = "" if parent is None else parent.name
        return {"head": drawn("guild/head", room=self._room, parent=name, person=self._member.name)}

    async def _posts_parts(self) -> Mapping[str, Markup]:
        posts = await self._member.posts(self._room.id)
        known, self._drawn = self._drawn, {}
        for post in posts:
            held = known.get(post.id)
            same = held is not None and held[0] == post
            self._drawn[post.id] = held if held and same else (post, self._draw(post))
        shown = {f"post {key}": html for key, (_, html) in self._drawn.items()}
        return shown or {
            "none": Markup('<p class="empty">Nothing was said here yet. Type / for commands.</p>')
        }

    def _draw(self, post: Post) -> Markup:
        html = Markup(post.html)  # noqa: S704 - chat.markup escapes all that was written
        return drawn("guild/post", post=post, html=html, room=self._room.id)

    def _place(self) -> str:
        name = f"@{self._room.name}" if self._room.is_direct else f"#{self._room.name}"
        return f"Message {name}, or / for commands"

    async def _follow(self) -> None:
        news = News()  # until it is shown
        while True:
            try:
                fresh = await self._member.news(0.0 if news.rooms or news.told else _WAIT_SECONDS)
                news = News(rooms=news.rooms or fresh.rooms, told=news.told | fresh.told)
                await self._viewer.refresh()
                if not self._viewer.may(Action.ENTER_GUILD):
                    self._client.open("/")
                    return
                if news.rooms:
                    await self._member.look()
                    if self._member.room(self._room.id) is None and (first := self._member.room("")):
                        await self._enter(first)
                self._member.unread |= news.told - {self._room.id}
                if self._room.id in news.told:
                    self._posts.show(await self._posts_parts())
                if news.rooms or news.told:
                    self._rooms.show(self._rooms_parts())
                news = News()
            except NotLoggedIn:
                self._client.open("/login")
                return
            except (CannotDo, OrchardError, OSError) as error:
                # The room went away meanwhile, the store is, or the guild is elsewhere and is gone.
                log.debug("the guild's page waits: %s", error)
                await asyncio.sleep(1)
            await asyncio.sleep(_GAP_SECONDS)

    async def _enter(self, room: Room) -> None:
        self._room, self._drawn = room, {}
        parts = await self._posts_parts()
        self._head.show(self._head_parts())
        self._posts.show(parts)
        self._rooms.show(self._rooms_parts())
        self._line.name_place(self._place())
        path = json.dumps(f"/guild/{room.id}")
        self._client.run_javascript(
            f"history.replaceState(history.state, '', {path});"
            "document.body.classList.remove('rooms-open');"
            "document.querySelector('.posts').scrollTop = 0"  # of a column in reverse: the newest
        )

    # -- what somebody does ------------------------------------------------------------------------

    async def _does(self, said: Said) -> None:
        does: Mapping[str, Callable[[Said], Awaitable[None]]] = {
            "open": self._opens,
            "rooms": self._shows_rooms,
            "dismiss": self._dismisses,
            "press": self._presses,
            "choose": self._chooses,
            "submit": self._submits,
        }
        if (doing := does.get(said["do"])) is not None:
            problem = await self._told(doing(said))
            if problem and said["do"] == "submit":
                self._client.run_javascript(
                    "(one => { if (one) { one.hidden = false; one.textContent = "
                    f"{json.dumps(problem)} }} }})(document.querySelector('#guild-form .trouble'))"
                )
            elif problem:
                notice(self._client, "bad", problem)

    async def _told(self, doing: Awaitable[None]) -> str:
        """What is wrong, in a sentence; "" when nothing is."""
        try:
            await doing
        except NotLoggedIn:
            self._client.open("/login")
        except CannotDo as error:
            return str(error)
        except DidNotRespond:
            return _SILENT
        except TimeoutError:
            return "The bot still thinks about it."
        except OrchardError as error:
            return " ".join(filter(None, (error.message, error.why, error.hint)))
        except Exception:  # edge: the person sees the number that the log has
            number = new_id("fault")
            log.exception("%s: the guild's page failed", number)
            return f"This did not work. It is in Orchard's log as {number}."
        return ""

    async def _opens(self, said: Said) -> None:
        await self._viewer.admit(Action.ENTER_GUILD)
        if (room := self._member.room(said.get("room", "?"))) is None:
            await self._member.look()
            room = self._member.room(said.get("room", "?"))
        if room is None:
            raise CannotDo("This channel is not there any more.")
        await self._enter(room)

    async def _shows_rooms(self, said: Said) -> None:
        self._client.run_javascript("document.body.classList.toggle('rooms-open')")

    async def _dismisses(self, said: Said) -> None:
        self._member.dismiss(said.get("message", ""))
        self._posts.show(await self._posts_parts())

    async def _presses(self, said: Said) -> None:
        control = said.get("id", "")
        self._answered(await self._member.press(self._room.id, said.get("message", ""), control, None))

    async def _chooses(self, said: Said) -> None:
        values = [value for name, value in said.items() if name.startswith("pick") and value]
        answer = await self._member.press(self._room.id, said.get("message", ""), said.get("id", ""), values)
        self._answered(answer)

    async def _submits(self, said: Said) -> None:
        values = {
            name.removeprefix("field "): value for name, value in said.items() if name.startswith("field ")
        }
        answer = await self._member.submit(said.get("form", ""), values)
        self._client.run_javascript("document.getElementById('guild-form')?.close()")
        self._answered(answer)

    def _answered(self, answer: Json) -> None:
        """The messages of an answer come by themselves; a form does not."""
        modal = answer["modal"]
        if answer["callback"] != CallbackType.MODAL or modal is None:
            return
        fields = fields_of(modal, Names())
        self._form.show({"form": drawn("guild/form", modal=modal, form=answer["id"], fields=fields)})
        self._client.run_javascript("setTimeout(() => document.getElementById('guild-form')?.showModal(), 0)")

    # -- what somebody types -----------------------------------------------------------------------

    async def _typed(self, line: str) -> None:
        told = help_for(line, self._member.commands)
        offers = told.offers
        if told.ask is not None:
            try:
                offers = completed(told.ask, await self._member.complete(self._room.id, told.ask))
            except (CannotDo, DidNotRespond, TimeoutError, OrchardError) as error:
                log.debug("nothing is offered for %r: %s", told.ask.focused, error)
        self._line.offer(line, told, offers)

    async def _run(self, line: str) -> str:
        return await self._told(self._runs(line.strip()))

    async def _runs(self, line: str) -> None:
        if not is_command(line):
            await self._member.say(self._room.id, line)
            return
        said = read(line, self._member.commands)
        values = {name: value for name, value in said.values.items() if value}
        self._answered(await self._member.slash(self._room.id, said.command.path, values))
