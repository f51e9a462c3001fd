"""Our side of one turn: listens to the agent's updates, answers its requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    PermissionOption,
    PromptResponse,
    ReadTextFileResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    WriteTextFileResponse,
)

from core.agents import confined, tools
from core.agents.policy import Allow, Decision, Deny, ToolRequest, decide
from core.agents.roles import Rights
from core.agents.turn import (
    AgentText,
    AskPeople,
    OnEvent,
    PermissionAsked,
    PermissionDecided,
    ToolEnded,
    ToolStarted,
    Turn,
)
from core.domain.approval import PermissionAnswer
from core.domain.refused_call import RefusedCall
from core.errors import NotAllowed, OrchardError
from core.isolation.plan import Level

_TEXT_KEPT = 64 << 10  # characters of the closing words
_CHUNK = 2_000  # characters after which gathered text is shown
_TOOLS_KEPT = 5_000
_ASKED_AT_ONCE = 20  # open questions to people; no agent needs more, and nobody answers more


class Conversation:
    """The `Client` that the acp library calls, and the listener of the wire's session updates."""

    def __init__(
        self, turn: Turn, *, rights: Rights, level: Level, on_event: OnEvent, ask: AskPeople
    ) -> None:
        self._turn = turn
        self._rights = rights
        self._level = level
        self._on_event = on_event
        self._ask = ask
        self._tools: dict[str, tools.Tool] = {}
        self._pending_text = ""
        self._pending_thought = False
        self._cancelled = asyncio.Event()
        self._fresh_words = True
        self._said: list[str] = []  # the closing words of earlier prompts
        self.session_id: str | None = None
        self.prompting = False  # between the prompt and its answer: only then do updates count
        self.words = ""  # this prompt's closing words so far
        self.last_sign = "it has shown nothing since its prompt"  # for people
        self.tools_seen = 0
        self.changed = False  # a tool that may change something ended well, or we wrote a file for it
        self.usage: dict[str, Any] = {}
        self.open_tools: set[str] = set()
        self.foreign = 0  # messages for sessions that are not ours
        self.last_heard = time.monotonic()
        self.asking = 0  # questions that people have not answered yet
        self._asking_since = 0.0
        self._asked_seconds = 0.0

    # What the driver tells us

    def begin_prompt(self) -> None:
        """Another prompt of the same turn begins: its requests are answered again, its words are its own."""
        if self.words.strip():
            self._said.append(self.words.strip())
        self.words, self._fresh_words = "", True
        answered = {key: self.usage.pop(key) for key in ("prompt", "meta") if key in self.usage}
        if answered:
            self.usage.setdefault("earlier", []).append(answered)
        self.open_tools.clear()  # the cancel ended them, whether it said so or not
        self._cancelled = asyncio.Event()
        self.prompting = True
        self.heard()

    def all_words(self) -> str:
        """The closing words of each prompt, in order; of very many, the last."""
        return "\n\n".join(part for part in (*self._said, self.words.strip()) if part)[-_TEXT_KEPT:]

    def note_usage(self, response: PromptResponse) -> None:
        """What the agent says that a prompt cost."""
        if response.usage is not None:
            self.usage["prompt"] = response.usage.model_dump(mode="json", exclude_none=True)
        if response.field_meta:
            self.usage["meta"] = response.field_meta

    def heard(self) -> None:
        self.last_heard = time.monotonic()

    def cancel_requests(self) -> None:
        """From now on every permission request, open or new, is answered `cancelled`."""
        self._cancelled.set()

    def asked_seconds(self) -> float:
        """Time spent waiting for people, until now."""
        return self._asked_seconds + (time.monotonic() - self._asking_since if self.asking else 0.0)

    async def flush(self) -> None:
        """Show the text gathered so far."""
        text, self._pending_text = self._pending_text, ""
        if text:
            await self._on_event(AgentText(text=text, thought=self._pending_thought))

    # Session updates, as plain data

    async def on_update(self, params: Any) -> None:
        """One session/update: anything unknown, foreign or before the prompt is passed over."""
        if not isinstance(params, dict) or not isinstance(update := params.get("update"), dict):
            return
        if params.get("sessionId") != self.session_id:
            self.foreign += 1
            return
        if not self.prompting:
            return  # the old conversation, replayed
        kind = update.get("sessionUpdate")
        if kind in ("agent_message_chunk", "agent_thought_chunk"):
            await self._on_text(update, thought=kind == "agent_thought_chunk")
        elif kind in ("tool_call", "tool_call_update"):
            await self._on_tool(update)
        elif kind == "usage_update":
            kept = {key: update[key] for key in ("used", "size", "cost") if key in update}
            self.usage["usage_update"] = kept

    async def _on_text(self, update: Mapping[str, Any], *, thought: bool) -> None:
        content = update.get("content")
        text = content.get("text") if isinstance(content, dict) else None
        if not isinstance(text, str) or not text:
            return
        self.last_sign = "its last sign was a thought" if thought else "its last sign was text"
        if not thought:
            if self._fresh_words:
                self.words, self._fresh_words = "", False
            self.words = (self.words + text)[-_TEXT_KEPT:]
        if self._pending_text and self._pending_thought != thought:
            await self.flush()
        self._pending_thought = thought
        self._pending_text += text
        if len(self._pending_text) >= _CHUNK:
            await self.flush()

    async def _on_tool(self, update: Mapping[str, Any]) -> None:
        tool_id = update.get("toolCallId")
        if not isinstance(tool_id, str):
            return
        known = self._tools.get(tool_id)
        if known is None:
            if len(self._tools) >= _TOOLS_KEPT:
                return
            self.tools_seen += 1
            self._fresh_words = True
        tool = self._tools[tool_id] = tools.merge(known, update)
        self.last_sign = f"its last tool was {(tool.title or tool.kind or 'one without a name')[:100]!r}"
        if known is None or (not known.title and tool.title):
            await self.flush()
            await self._on_event(ToolStarted(id=tool_id, title=tool.title, kind=tool.kind))
        if tool.over:
            self.open_tools.discard(tool_id)
            if known is None or not known.over:
                failed = tool.status == "failed"
                self.changed |= not failed and tool.kind not in ("read", "search", "think", "fetch")
                ended = ToolEnded(id=tool_id, title=tool.title, kind=tool.kind, failed=failed)
                await self._on_event(ended)
        else:
            self.open_tools.add(tool_id)

    # Requests, called by the library

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        """Policy first, then people; `cancelled` when the turn is being ended or is not ours."""
        if session_id != self.session_id or not self.prompting or self._cancelled.is_set():
            return _cancelled()
        if self.asking >= _ASKED_AT_ONCE:
            await self._refused(tool_call.title or "", "It asks too much at once.", RefusedCall.CROWD)
            return _cancelled()
        plain = tool_call.model_dump(mode="json", by_alias=True, exclude_none=True)
        tool = tools.merge(self._tools.get(tool_call.tool_call_id), plain)
        if tool_call.tool_call_id in self._tools:
            self._tools[tool_call.tool_call_id] = tool
        request = tools.request_of(tool, self._relative, worktree=str(self._turn.cwd))
        await self.flush()
        answer = await self._answer(request, decide(request, self._rights, self._level))
        chosen = tools.choose(options, allow=answer.allowed) if answer else None
        if chosen is None:
            return _cancelled()
        meta = {"orchard": {"reason": answer.reason}} if answer and answer.reason else None
        outcome = AllowedOutcome(outcome="selected", option_id=chosen)
        return RequestPermissionResponse(outcome=outcome, field_meta=meta)

    async def _answer(self, request: ToolRequest, decision: Decision) -> PermissionAnswer | None:
        """None when the turn was cancelled while people were asked."""
        if isinstance(decision, Allow | Deny):
            answer = PermissionAnswer(allowed=isinstance(decision, Allow), reason=decision.reason)
            by, refused = "policy", decision.refused if isinstance(decision, Deny) else None
        else:
            asked = PermissionAsked(title=request.title, detail=request.detail, reasons=decision.reasons)
            await self._on_event(asked)
            people = await self._ask_people(asked)
            if people is None:
                return None
            answer, by, refused = people, "people", None if people.allowed else RefusedCall.PEOPLE
        decided = PermissionDecided(
            title=request.title, allowed=answer.allowed, by=by, reason=answer.reason, refused=refused
        )
        await self._on_event(decided)
        return answer

    async def _refused(self, title: str, reason: str, refused: RefusedCall) -> None:
        decided = PermissionDecided(title=title, allowed=False, by="policy", reason=reason, refused=refused)
        await self._on_event(decided)

    async def _ask_people(self, asked: PermissionAsked) -> PermissionAnswer | None:
        if not self.asking:
            self._asking_since = time.monotonic()
        self.asking += 1
        question = asyncio.ensure_future(self._ask(asked))
        over = self._cancelled  # of this prompt
        cancelled = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait((question, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if over.is_set():
                return None
            return question.result()
        finally:
            question.cancel()
            cancelled.cancel()
            await asyncio.gather(question, cancelled, return_exceptions=True)
            self.asking -= 1
            if not self.asking:
                self._asked_seconds += time.monotonic() - self._asking_since
            self.heard()

    def _relative(self, path: str) -> str:
        try:
            return confined.relative_to(self._turn.cwd, path)
        except OrchardError:
            return path if path.startswith("/") else f"/outside/{path}"

    async def write_text_file(
        self, session_id: str, path: str, content: str, **_: Any
    ) -> WriteTextFileResponse:
        """Never advertised, but one agent calls it anyway: confined to the worktree and the rights."""
        self._check_session(session_id)
        try:
            relative = confined.relative_to(self._turn.cwd, path)
            if not self._rights.may_write(relative):
                raise NotAllowed(f"{self._rights.describe()}; not {relative}")
            confined.write_text(self._turn.cwd, relative, content)
        except NotAllowed as error:
            await self._refused(f"write {path}", str(error), RefusedCall.RIGHTS)
            raise RequestError.invalid_params({"details": str(error)}) from error
        except (OrchardError, OSError, UnicodeError) as error:
            raise RequestError.invalid_params({"details": str(error)}) from error
        self.changed = True
        return WriteTextFileResponse()

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        """A file of the worktree, from `line` (1-based) on, at most `limit` lines."""
        self._check_session(session_id)
        try:
            text = confined.read_text(self._turn.cwd, confined.relative_to(self._turn.cwd, path))
        except (OrchardError, OSError) as error:
            raise RequestError.resource_not_found(path) from error
        if line is not None or limit is not None:
            start = max((line or 1) - 1, 0)
            lines = text.splitlines(keepends=True)[start:]
            text = "".join(lines if limit is None else lines[:limit])
        return ReadTextFileResponse(content=text)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """The wire takes updates before the library sees them."""

    def _check_session(self, session_id: str) -> None:
        if session_id != self.session_id or not self.prompting:
            raise RequestError.invalid_params({"details": "no turn of this session is running"})


def _cancelled() -> RequestPermissionResponse:
    return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
