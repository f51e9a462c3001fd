"""The buttons under what is shown of epics and stories: their verbs and targets. PURE.

| verb | target | what it does |
|---|---|---|
| `approve`, `reject` | approval id | answers a question; `reject` with words, by a form |
| `proposals` | epic id | shows its proposals, to leaf through and choose from |
| `accept_all` | epic id | approves what it still proposes |
| `accept` | story id | approves one proposal |
| `revise` | epic id | asks for changes by a form |
| `pick` | epic id | (a select) shows the chosen proposal |
| `edit` | story id | edits a story by a form |
| `drop` | story id | removes a proposal or a story of the backlog |
| `stop`, `go_on`, `step`, `take`, `skip` | story id | what they say; `step`: one phase with its gate |
| `why` | story id | why it waits or is blocked |
| `optimize` | strategy, or `-` | shares resources anew, should this strategy still be the configured one |
| `steer`, `hand_back`, `fix` | story id | the same, with words, by a form |
| `raise`, `raise_by` | see `cogs.raises` | more for a budget: half of it, or by a form |
| `acknowledge`, `unsilence` | alert id | what they say |
| `silence` | alert id, `:`, `hour` or `tomorrow` | nobody is told of it until then |
| `alert` | `*` | (a select) shows the chosen alert |
| `archive` | project | archives it |
| `state` | `commands`, `diagram` or `project`, `:`, project | another look at a project's state |
"""

from __future__ import annotations

from cogs.message import Button, Look
from core.domain.story import StoryStatus

_S = StoryStatus


def epic_buttons(epic_id: str, *, look_through: bool = True) -> tuple[Button, ...]:
    """Under an epic's proposals."""
    look = (Button(label="Look through", verb="proposals", target=epic_id, look=Look.PRIMARY),)
    return (
        Button(label="Approve all", verb="accept_all", target=epic_id, look=Look.GOOD),
        *(look if look_through else ()),
        Button(label="Ask for changes", verb="revise", target=epic_id),
    )


def answer_buttons(approval_id: str) -> tuple[Button, ...]:
    """Under a question that waits for its answer."""
    return (
        Button(label="Approve", verb="approve", target=approval_id, look=Look.GOOD),
        Button(label="Reject", verb="reject", target=approval_id, look=Look.BAD),
    )


def epic_failed_buttons(epic_id: str) -> tuple[Button, ...]:
    """Under an epic that came to nothing."""
    return (Button(label="Ask again", verb="revise", target=epic_id, look=Look.PRIMARY),)


def proposal_buttons(story_id: str) -> tuple[Button, ...]:
    """Under one proposed story."""
    return (
        Button(label="Approve", verb="accept", target=story_id, look=Look.GOOD),
        Button(label="Edit", verb="edit", target=story_id),
        Button(label="Remove", verb="drop", target=story_id, look=Look.BAD),
    )


def why_button(story_id: str) -> Button:
    """Under a story that waits for room."""
    return Button(label="Why?", verb="why", target=story_id)


def archive_button(project: str) -> Button:
    """Under the question whether a project is to be archived."""
    return Button(label=f"Archive {project}", verb="archive", target=project, look=Look.BAD)


def story_buttons(story_id: str, status: StoryStatus) -> tuple[Button, ...]:
    """What fits a story's state."""
    return tuple(
        Button(label=label, verb=verb, target=story_id, look=look)
        for verb, label, look, fits in _STORY
        if status in fits
    )


_AT_WORK = frozenset({_S.WAITING, _S.RUNNING, _S.AWAITING_APPROVAL})
_STORY = (
    ("accept", "Approve", Look.GOOD, frozenset({_S.PROPOSED})),
    ("fix", "Suggest fix", Look.PRIMARY, frozenset({_S.BLOCKED})),
    ("hand_back", "Hand back", Look.PRIMARY, frozenset({_S.TAKEN})),
    ("go_on", "Go on", Look.GOOD, frozenset({_S.STOPPED})),
    ("step", "Next step", Look.PRIMARY, frozenset({_S.STOPPED})),
    ("steer", "Steer", Look.PRIMARY, _AT_WORK | {_S.STOPPED}),
    ("stop", "Stop", Look.PLAIN, _AT_WORK),
    ("take", "Take over", Look.PLAIN, _AT_WORK | {_S.STOPPED, _S.BLOCKED}),
    ("skip", "Skip", Look.PLAIN, _AT_WORK | {_S.STOPPED, _S.BLOCKED, _S.TAKEN}),
    ("why", "Why?", Look.PLAIN, frozenset({_S.WAITING, _S.BLOCKED})),
    ("edit", "Edit", Look.PLAIN, frozenset({_S.PROPOSED, _S.BACKLOG, _S.PLANNED})),
    ("drop", "Remove", Look.BAD, frozenset({_S.PROPOSED, _S.BACKLOG})),
)
