"""The conversation of one turn with an agent that speaks the Agent Client Protocol.

    initialize -> session (resumed, loaded or new) -> mode -> prompt

A person's words to a running turn end its prompt and begin another in the same session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from acp import Client, RequestError, connect_to_agent, text_block
from acp.schema import PromptResponse
from pydantic import ValidationError

from core.agents import ending, ladder, opening, prompts
from core.agents.conversation import Conversation
from core.agents.ending import Ended
from core.agents.faults import request_fault
from core.agents.setup import AgentSetup
from core.agents.steering import Steering
from core.agents.transcript import Transcript
from core.agents.turn import OnEvent, Turn, TurnKind, TurnStarted, TurnSteered
from core.agents.wire import Wire
from core.isolation.launch import ContainedProcess


class AcpAdapter:
    ends_by_exit = False
    takes_end_of_input = True

    def __init__(
        self,
        agent: AgentSetup,
        turn: Turn,
        transcript: Transcript,
        talk: Conversation,
        said: Steering,
        *,
        on_event: OnEvent,
    ) -> None:
        self._agent = agent
        self._turn = turn
        self._transcript = transcript
        self._said = said
        self._on_event = on_event
        self._wire: Wire | None = None
        self._connection: Any = None
        self._climb: ladder.Ladder | None = None
        self._ending = False  # no further prompt, whatever people say
        self.signs = talk
        self.stage = "start"
        self.stop_reason = ""
        self.session_id: str | None = None

    @property
    def flooded(self) -> str:
        return self._wire.flooded if self._wire else ""

    @property
    def fault(self) -> Exception | None:
        return self._wire.error if self._wire else None

    @property
    def malformed(self) -> int:
        return self._wire.malformed if self._wire else 0

    def argv(self) -> tuple[str, ...]:
        return self._agent.argv

    def attach(self, process: ContainedProcess, climb: ladder.Ladder) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._climb = climb
        self._wire = Wire(
            process.stdout,
            process.stdin,
            transcript=self._transcript,
            on_update=self.signs.on_update,
            on_heard=self.signs.heard,
            output_limit_bytes=self._turn.output_limit_bytes,
        )
        self._connection = connect_to_agent(cast(Client, self.signs), self._wire)

    # The conversation, in order

    async def converse(self) -> None:
        agent, turn, talk = self._agent, self._turn, self.signs
        self.stage = "initialize"
        offered = await opening.initialize(self._connection, agent)
        self.stage = "session"
        session = await opening.open_session(
            self._connection,
            agent,
            offered,
            self._transcript,
            cwd=str(turn.cwd),
            old=turn.session_id,
            fork_from=turn.fork_from,
            patience_seconds=turn.start_seconds / 3,
        )
        self.session_id = talk.session_id = session.id
        await opening.set_mode(self._connection, agent, session)
        text, how = await opening.first_prompt(turn, session.how)
        self.stage = "prompt"
        words = self._said.take()
        text = prompts.with_words(text, words, turn.steering) if words else text
        started = TurnStarted(
            agent=agent.name,
            session_id=session.id,
            resumed=session.resumed,
            how=how,
            why=session.why,
            prompt_sha256=opening.sha256_of(text),
        )
        self._transcript.add("note", opening.session_note(started))
        await self._on_event(started)
        while True:
            if not self._ending:
                for each in words:
                    await self._on_event(TurnSteered(text=each))
            if self._ending:  # the cancel went before the prompt, which nothing would cancel then
                self._said.take_back(words)
                self.stop_reason = "cancelled"
                return
            response = await self._prompt(session.id, text)
            await talk.flush()
            self.stop_reason = "cancelled"
            if response is not None:
                talk.note_usage(response)
                self.stop_reason = response.stop_reason
            words = [] if self._ending else self._said.take()
            if not words:
                return
            text = prompts.steering_prompt(turn.prompt, words, self._said.times, turn.steering)

    async def _prompt(self, session_id: str, text: str) -> PromptResponse | None:
        """One prompt to its answer, cancelled when a person says something; Ended when it is deaf to that.

        None when it answers the cancel with an error, as if it were one to be told to stop.
        """
        assert self._climb is not None
        connection = self._connection
        self.signs.begin_prompt()
        answer = asyncio.ensure_future(connection.prompt(session_id=session_id, prompt=[text_block(text)]))
        spoken = asyncio.ensure_future(self._said.wait())
        try:
            await asyncio.wait({answer, spoken}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._transcript.add("note", "a person has something to say: the prompt is cancelled")
                self.signs.cancel_requests()
                if not await self._climb.interrupt(lambda: connection.cancel(session_id=session_id), answer):
                    raise ending.deaf(self._agent, self._agent.stop_seconds[0])
            response: PromptResponse = await answer
            return response
        except RequestError as error:
            if not spoken.done():
                raise
            self._transcript.add("note", f"the cancelled prompt ended with an error: {error}")
            return None
        finally:
            self.signs.prompting = False
            spoken.cancel()
            answer.cancel()
            await asyncio.gather(answer, spoken, return_exceptions=True)

    def meaning(self, error: Exception, now: datetime, last_words: str) -> Ended | None:
        if isinstance(error, RequestError):
            fault = request_fault(self._agent.name, error.code, str(error), error.data, now)
            # What people have to mend is said; what it wrote besides helps only where nothing is known.
            more = f" It was asked to {self.stage}.{last_words}" if fault.kind is TurnKind.FAILED else ""
            return ending.from_fault(fault, more)
        if isinstance(error, ValidationError):
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            return ending.no_message(self._agent, self.stage, problem)
        return None

    # The end

    async def ask_to_end(self, work: asyncio.Future[None]) -> None:
        assert self._climb is not None
        self._ending = True
        self.signs.cancel_requests()
        session_id = self.session_id
        if not work.done() and self.stage == "prompt" and session_id is not None:
            await self._climb.cancel(lambda: self._connection.cancel(session_id=session_id), work)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def verdict(self, *, did_something: bool, exit_code: int | None, last_words: str, now: datetime) -> Ended:
        text = self.signs.words.strip()
        return ending.from_answer(self._agent, self.stop_reason, text, did_something=did_something, now=now)

    def told(self) -> Mapping[str, Any]:
        talk, usage = self.signs, {}
        if talk.usage:
            meaning = [quirk[6:] for quirk in self._agent.quirks if quirk.startswith("usage:")]
            usage = {"source": "the agent's word", "meaning": "".join(meaning), **talk.usage}
        return {
            "text": talk.all_words(),
            "usage": usage,
            "tools": talk.tools_seen,
            "changed": talk.changed,
        }
