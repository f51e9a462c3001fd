"""The turn of an agent that is a plain command: it gets its task, works, and exits. Its result is the files.

The task stands in the argv where `{prompt}` does, or in a file that `{prompt_file}` names; where the argv
has neither, it comes on stdin. There is no protocol: no question, no session, no way to tell it to stop
but a signal. What it prints is kept as text, in the form of the protocol's own updates, so that whoever
reads transcripts reads this one too.
"""

from __future__ import annotations

import asyncio
import codecs
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from core.agents import confined, ending, ladder, opening, prompts
from core.agents.ending import Ended
from core.agents.setup import AgentSetup
from core.agents.steering import Steering
from core.agents.transcript import Transcript
from core.agents.turn import AgentText, OnEvent, Turn, TurnKind, TurnStarted, TurnSteered
from core.isolation.launch import ContainedProcess

_PROMPT, _PROMPT_FILE = "{prompt}", "{prompt_file}"
_FILE = ".orchard-prompt.md"  # in its private HOME
_WORD_BYTES = 120_000  # Linux takes 131,072 of one word of a command line
_TEXT_KEPT = 64 << 10
_CLOSING, _CLOSING_LINES = 400, 4  # the end of its output, which can say how it ended
_CHUNK = 16 << 10
_STYLED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class Printed:
    """What the program shows of itself: that it prints."""

    asking = 0
    open_tools: Collection[str] = ()

    def __init__(self) -> None:
        self.prompting = False
        self.last_heard = time.monotonic()
        self.last_sign = "it has printed nothing yet"

    def heard(self) -> None:
        self.last_heard = time.monotonic()

    def asked_seconds(self) -> float:
        return 0.0

    async def flush(self) -> None:
        pass


class CommandAdapter:
    ends_by_exit = True
    takes_end_of_input = False  # it has had it from the beginning
    session_id: str | None = None
    fault: Exception | None = None
    malformed = 0

    def __init__(
        self, agent: AgentSetup, turn: Turn, transcript: Transcript, said: Steering, *, on_event: OnEvent
    ) -> None:
        self._agent = agent
        self._turn = turn
        self._transcript = transcript
        self._said = said
        self._on_event = on_event
        self._process: ContainedProcess | None = None
        self._climb: ladder.Ladder | None = None
        self._text = ""
        self._words: list[str] = []  # of people, that its prompt carries
        self._prompt = ""
        self.signs = Printed()
        self.stage = "start"
        self.stop_reason = ""
        self.flooded = ""

    def argv(self) -> tuple[str, ...]:
        agent, turn = self._agent, self._turn
        self._words = self._said.take()
        self._prompt = turn.prompt
        if self._words:
            self._prompt = prompts.with_words(turn.prompt, self._words, turn.steering)
        # The template's places, not what the prompt says: a story may well talk of {prompt_file}.
        words = [self._filled(word) for word in agent.argv]
        if any(_PROMPT_FILE in word for word in agent.argv):
            confined.write_text(turn.home, _FILE, self._prompt, mode=0o600)
        if any(len(word.encode(errors="replace")) > _WORD_BYTES for word in words):
            raise ending.failed(
                f"The task is too long for {agent.name}'s command line.",
                f"Give the row of {agent.name} {_PROMPT_FILE} in place of {_PROMPT}.",
            )
        return tuple(words)

    def _filled(self, word: str) -> str:
        parts = re.split(r"(\{prompt_file\}|\{prompt\})", word)
        values = {_PROMPT: self._prompt.replace("\0", ""), _PROMPT_FILE: str(self._turn.home / _FILE)}
        return "".join(values.get(part, part) for part in parts)

    def attach(self, process: ContainedProcess, climb: ladder.Ladder) -> None:
        self._process, self._climb = process, climb

    async def converse(self) -> None:
        assert self._process is not None
        assert self._climb is not None
        self.stage = "prompt"
        self.signs.prompting = True
        self.signs.last_heard = time.monotonic()
        self._keep("out", "session/prompt", {"prompt": [{"type": "text", "text": self._prompt}]}, number=1)
        started = TurnStarted(
            agent=self._agent.name,
            session_id="",
            resumed=False,
            how=self._turn.how,
            prompt_sha256=opening.sha256_of(self._prompt),
        )
        self._transcript.add("note", opening.session_note(started))
        await self._on_event(started)
        for each in self._words:
            await self._on_event(TurnSteered(text=each))
        feeding = asyncio.create_task(self._feed(), name=f"stdin of {self._process.pid}")
        try:
            await self._read()
            await asyncio.wait({self._climb.exited})
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            self.signs.prompting = False
        self._climb.exited.result()
        self.stop_reason = "end_turn"

    async def _feed(self) -> None:
        """The prompt where the argv has no place for it, then the end of input."""
        stdin = self._process.stdin if self._process else None
        assert stdin is not None
        with suppress(ConnectionError):  # it does not want to hear it all
            if not any(_PROMPT in word or _PROMPT_FILE in word for word in self._agent.argv):
                stdin.write(self._prompt.encode(errors="replace"))
                await stdin.drain()
        stdin.close()

    async def _read(self) -> None:
        """Its output to the end. Bounded in memory and on disk, whatever comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        room = self._turn.output_limit_bytes
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while chunk := await self._process.stdout.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                self.flooded = "it printed too much"
                raise ConnectionError(self.flooded)
            self.signs.heard()
            self.signs.last_sign = "its last sign was output"
            await self._show(decoder.decode(chunk))
        await self._show(decoder.decode(b"", final=True))

    async def _show(self, decoded: str) -> None:
        text = _STYLED.sub("", decoded).replace("\r\n", "\n")
        if not text:
            return
        self._text = (self._text + text)[-_TEXT_KEPT:]
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        self._keep("in", "session/update", {"update": update})
        await self._on_event(AgentText(text=text))

    def _keep(self, way: str, method: str, params: Mapping[str, Any], *, number: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self._transcript.add(way, message if number is None else {**message, "id": number})

    def meaning(self, error: Exception, now: datetime, last_words: str) -> Ended | None:
        return None

    async def ask_to_end(self, work: asyncio.Future[None]) -> None:
        """There is no way to ask it: the next rung is TERM."""

    async def close(self) -> None:
        with suppress(OSError):  # whatever the agent put in its place is its own
            (self._turn.home / _FILE).unlink()

    def verdict(self, *, did_something: bool, exit_code: int | None, last_words: str, now: datetime) -> Ended:
        if exit_code and did_something:
            self._transcript.add("note", f"it exited with code {exit_code}; its files are judged anyway")
            return Ended(TurnKind.IDLE)
        lines = [line.strip() for line in self._text.splitlines() if line.strip()]
        closing = " | ".join(lines[-_CLOSING_LINES:])[-_CLOSING:]
        if exit_code:
            said = last_words or closing
            return ending.command_failed(self._agent, exit_code, said, bool(closing), now)
        return ending.from_answer(
            self._agent, "end_turn", closing or last_words, did_something=did_something, now=now
        )

    def told(self) -> Mapping[str, Any]:
        return {"text": self._text.strip(), "usage": {}, "tools": 0, "changed": False}
