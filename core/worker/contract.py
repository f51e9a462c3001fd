"""What the control plane and a project's worker say to each other, as JSON-RPC 2.0 lines over stdio.

The worker holds no state of record: a job carries everything it needs, a report carries facts back.

    control plane -> worker   run_phase(PhaseJob) -> PhaseReport, prepare_merge(BatchJob) -> BatchReport,
                              fast_forward(FastForwardJob) -> FastForwardReport,
                              remove_worktree(RemoveWorktree), cancel(story_id), steer(Steer) -> Steered,
                              park(Park) -> Parked,
                              open_worktree(OpenWorktree) -> OpenedWorktree,
                              run_tests(SuiteJob) -> SuiteReport, cancel_tests(story_id or null),
                              ping(), shutdown()
    worker -> control plane   heartbeat(Heartbeat), progress(Progress), process_started(ChildProcess),
                              process_ended(pid), salvaged(Salvage), touched(Touched), stalled(Stalled),
                              network_denied(NetworkDenied), network_used(NetworkUsed),
                              calls_refused(CallsRefused),
                              ask(PermissionQuestion) -> PermissionAnswer

Every report and notification carries the job's `generation`; the control plane refuses an old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.agents.setup import AgentSetup, ModelAccess
from core.domain.approval import PermissionAnswer
from core.domain.evidence import Evidence, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.domain.story import StoryBrief


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSetup:
    """What a worker must know of its project; sent with every job, so a changed setting needs no restart."""

    name: str
    path: Path  # the registered checkout
    main_branch: str
    state_path: Path  # Orchard's own folder: worktrees, environments, transcripts, runs live below it
    folder: str = "."  # the part of a monorepo that is the project, relative to the checkout
    test_command: str | None = None  # None: detected. May hold {junit} and {python}
    setup_command: str | None = None
    environment: str = "auto"  # auto | inherit | make | none
    isolation: str = "filesystem"  # the level that this machine was found to give
    isolation_by_role: Mapping[str, str] = field(default_factory=dict)  # of agents; tests keep `isolation`
    container_image: str = ""  # empty: made from the machine's own root tree
    network_allow: tuple[str, ...] = ()  # rules of core.isolation.egress.rules: for agents at level `network`
    setup_network_allow: tuple[str, ...] = ()  # for the set-up command
    test_timeout_seconds: float = 600.0
    turn_timeout_seconds: float = 1800.0
    stall_seconds: float = 600.0  # an agent that shows nothing for this long: people are told
    stall_cancel_seconds: float = 900.0  # for this long: its turn is ended and tried again
    memory_mb: int = 1024
    design_docs_path: str | None = None
    extra_test_paths: tuple[str, ...] = ()  # more globs that count as tests
    test_variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets for its tests
    prompts_path: Path | None = None  # prompts of its own, in the place of those that come with Orchard

    @property
    def wants_container(self) -> bool:
        return "container" in (self.isolation, *self.isolation_by_role.values())

    def isolation_of(self, role: str) -> str:
        """The level of an agent in the role."""
        return self.isolation_by_role.get(role, self.isolation)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTurn:
    project: str
    story_id: str
    phase: Phase
    attempt: int
    agent: str
    ended_at: datetime
    outcome: str  # TurnKind, or "cut"
    transcript: str  # relative to the folder of transcripts


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkFrom:
    """A session of another story of the project, by the same agent."""

    story_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedStory:
    project: str
    story_id: str
    title: str
    turns: tuple[PastTurn, ...]  # the last ones, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseJob:
    project: ProjectSetup
    agent: AgentSetup
    story: StoryBrief
    phase: Phase
    attempt: int
    generation: int
    base_commit: str | None  # None: the worker takes the main branch's commit and reports it
    red_commit: str | None
    head_commit: (
        str | None
    )  # commit of the last passed gate; the worktree is set to it, anything else salvaged
    red_evidence: Evidence | None  # of the passed test_red gate; given from code_green on
    feedback: str = ""
    session_id: str | None = None
    by_hand: bool = False  # no agent: the worktree is judged as a person left it
    rebase_onto: str | None = None  # a commit of the main branch to take in before the phase begins
    epic: bool = False  # phase DESIGN for an epic: the agent's file is reported as `spec`, no gate judges it
    model: ModelAccess | None = None  # None: the agent asks its provider itself
    past: tuple[PastTurn, ...] = ()  # oldest first: what a new session is told of; with `fork`, of that story
    fork: ForkFrom | None = None  # the story's first turn goes on from another story's session
    linked: tuple[LinkedStory, ...] = ()  # other stories that this one's agents are told of
    secrets: tuple[str, ...] = field(default=(), repr=False)  # never to be written down, nor shown


class PhaseEnd(StrEnum):
    PASSED = "passed"
    REFUSED = "refused"  # the gate said no: verdict holds the evidence
    AGENT_FAILED = "agent failed"  # no turn worth judging: start, protocol, crash, time-out
    CANCELLED = "cancelled"
    BLOCKED = "blocked"  # the worker cannot work: git, environment, runner; people must mend it
    LIMITED = "limited"  # the agent's provider takes no more work until `limited_until`
    CONFLICT = "conflict"  # `rebase_onto` changed the same lines: `conflicts` holds both sides
    PARKED = (
        "parked"  # it made place for `parked_for`; its worktree stays as it is, and the phase goes on there
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFacts:
    """What an agent's turn was: what it went on from, what it was told, where its words are kept."""

    agent: str
    kind: str  # TurnKind
    started_at: datetime
    seconds: float
    transcript: str  # relative to the folder of transcripts
    session_id: str | None = None  # None: it came to no session
    how: str = "none"  # core.agents.opening.How: resumed, loaded, forked, seeded, fresh, none
    why: str = ""  # why the session was not taken up as it was, in a sentence
    template: str = ""  # of its prompt: a file of config/prompts
    template_version: int = 0
    template_source: str = ""  # the project's own file; "": it came with Orchard
    template_problem: str = ""  # why the project's own was not used, with file and line
    prompt_sha256: str = ""  # of the prompt as it was sent
    tools: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    story_id: str
    phase: Phase
    generation: int
    end: PhaseEnd
    verdict: Verdict | None = None
    base_commit: str | None = None
    head_commit: str | None = None  # after PASSED: the phase's own commit (design: the base commit)
    spec: str | None = None  # design only
    changes: tuple[FileChange, ...] = ()  # of the whole story so far, base to head
    diff: str = ""  # after refactor: the whole story's diff, for the approval
    session_id: str | None = None
    error: str = ""  # one sentence for people when end is AGENT_FAILED or BLOCKED
    hint: str = ""
    agent_text: str = ""  # the turn's closing words; untrusted
    agent_exit: int | None = None  # the exit code of the agent's program: 128 + n after signal n
    usage: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)  # by step: worktree, agent, gate, commit
    limited_until: datetime | None = None  # LIMITED: when the provider said that it goes on; None: unsaid
    rebased_base: str | None = None  # the phase began with a rebase: base, red and head stand there now,
    rebased_red: str | None = None  # whatever the phase's own end is
    rebased_head: str | None = None
    conflicts: tuple[str, ...] = ()  # CONFLICT: files
    conflict_detail: str = ""  # both sides, for the agent's next prompt
    parked_for: str = ""  # PARKED: the project that takes the place, and why
    parked_reason: str = ""
    rebase_put_off: bool = False  # `rebase_onto` waits: a parked turn went on where it was interrupted
    turn: TurnFacts | None = None  # None: no agent had a turn
    began: bool = True  # False with AGENT_FAILED: the agent ended before it had its task


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeJob:
    project: ProjectSetup
    story: StoryBrief
    generation: int
    base_commit: str
    red_commit: str
    head_commit: str
    red_evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """Stories to be merged together, in the order of the merge queue."""

    project: ProjectSetup
    merges: tuple[MergeJob, ...]


class MergeEnd(StrEnum):
    READY = "ready"  # candidate made and its gate passed; nothing merged yet
    REFUSED = "refused"  # the gate said no on the rebased tree
    CONFLICT = "conflict"  # it does not fit on the main branch
    BLOCKED = "blocked"
    LEFT_OUT = "left out"  # of this batch, which it does not fit: it meets the new main branch next


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    story_id: str
    generation: int
    end: MergeEnd
    candidate: str | None = None  # one commit on top of `main_commit`
    tree: str | None = None  # of the candidate
    adds_nothing: bool = False  # `main_commit` holds all of the candidate already
    main_commit: str | None = None  # the main branch's, or the candidate of the story before it in the batch
    rebased_red: str | None = None  # after REFUSED: where the story goes on
    rebased_head: str | None = None
    verdict: Verdict | None = None
    conflicts: tuple[str, ...] = ()  # files
    conflict_detail: str = ""  # both sides, for the agent's next prompt
    error: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """One report a story. Those that are READY stand in the order of the queue, each on the one before."""

    reports: tuple[MergeReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardStep:
    story_id: str
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FastForwardJob:
    """`steps` are a batch's candidates, each on the one before, the first on `main_commit`. Only the first
    `go` of them may be put there now (None: all); whether the main branch holds the others is looked up."""

    project: ProjectSetup
    main_commit: str
    steps: tuple[ForwardStep, ...]
    go: int | None = None


class FastForwardEnd(StrEnum):
    MERGED = "merged"  # the main branch holds what was to go; also when it already did
    MOVED = "moved"  # the main branch is elsewhere: prepare those that have not landed again
    BLOCKED = "blocked"  # the checkout's own uncommitted changes are in the way of the next step


@dataclass(frozen=True, slots=True, kw_only=True)
class FastForwardReport:
    end: FastForwardEnd
    landed: int = 0  # the main branch holds the first so many steps
    error: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveWorktree:
    project: ProjectSetup
    story_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWorktree:
    """A person wants to work in the story's folder."""

    project: ProjectSetup
    story: StoryBrief
    phase: Phase
    base_commit: str | None
    head_commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWorktree:
    path: Path
    base_commit: str  # what it stands on, also where the job named none


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    pid: int
    running: tuple[str, ...]  # story ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is happening inside a phase, for live views; losing one loses nothing."""

    story_id: str
    phase: Phase
    generation: int
    step: str  # "worktree" | "environment" | "agent" | "tool" | "gate" | "commit"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Which files a story's worktree has changed since its base, as it looks now."""

    story_id: str
    generation: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """An agent shows nothing: no text, no tool, no processor time. Sent once a silence."""

    story_id: str
    phase: Phase
    generation: int
    seconds: float
    doing: str  # what it did last, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDenied:
    """The allow-list let a run's connection not through. Each host and port is told once a run."""

    what: str  # "agent" | "setup"
    story_id: str | None
    phase: Phase | None
    generation: int
    host: str  # untrusted; empty: the request could not be read
    port: int
    why: str
    hint: str  # what would allow it


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkUsed:
    """What went through the allow-list proxy of a run that has ended; the model gateway counts for itself."""

    what: str  # "agent" | "setup"
    story_id: str | None
    phase: Phase | None
    generation: int
    sent_bytes: int
    received_bytes: int
    connections: int
    denied: int
    hosts: Mapping[str, int] = field(default_factory=dict)  # bytes both ways; "": of further hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsRefused:
    """What an agent wanted to do and was not let, since it was last said: how many, by RefusedCall."""

    story_id: str
    phase: Phase
    generation: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """A person's word to a running turn."""

    story_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    reached: bool  # False: no turn was running that could take it


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """A running phase is to make place, at a safe point.

    A turn that ends by itself within `within_seconds` is judged as always; else its agent is interrupted. An
    agent that has not begun does not begin. Asked again, the earlier time counts.
    """

    story_id: str
    within_seconds: float
    taker: str = ""  # a project
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    running: bool  # False: no phase of the story runs that could be parked; nothing was done


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteJob:
    """The project's whole suite, asked for by a person; nothing is judged by it."""

    project: ProjectSetup
    story_id: str | None  # None: the main branch's commit; else the story's worktree as it is now
    head_commit: str | None = None  # where the story stands, when it has no worktree


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    story_id: str | None
    commit: str  # or tree, for a worktree with changes
    passed: int
    failed: tuple[str, ...]  # ids, at most 50
    failed_count: int
    skipped: int
    seconds: float
    exit_code: int
    exit_code_only: bool  # the runner gives no report
    output: str = ""  # the end of what it printed, when it failed; untrusted
    error: str = ""  # the run itself could not be made: one sentence, with a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildProcess:
    pid: int
    start_ticks: int  # /proc/<pid>/stat field 22: with the pid, an identity
    group: int
    kind: str  # "agent" | "test" | "setup"
    story_id: str | None
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    story_id: str
    ref: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionQuestion:
    """An agent's request that policy leaves to people."""

    story_id: str
    phase: Phase
    generation: int
    title: str
    detail: str  # the whole command or diff
    reasons: tuple[str, ...]


# What a line can carry.
MESSAGES = (
    BatchJob,
    BatchReport,
    CallsRefused,
    ChildProcess,
    FastForwardJob,
    FastForwardReport,
    Heartbeat,
    NetworkDenied,
    NetworkUsed,
    OpenWorktree,
    OpenedWorktree,
    Park,
    Parked,
    PermissionAnswer,
    PermissionQuestion,
    PhaseJob,
    PhaseReport,
    Progress,
    RemoveWorktree,
    Salvage,
    Stalled,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
    Touched,
)
