"""Every word of the shell, a module a topic. `orchard do` obeys the same words."""

from bot.cli.command import Command
from bot.cli.topics.agents import AGENTS
from bot.cli.topics.alerts import ALERTS
from bot.cli.topics.answers import ANSWERS
from bot.cli.topics.backlog import BACKLOG
from bot.cli.topics.budgets import BUDGETS
from bot.cli.topics.epics import EPICS
from bot.cli.topics.github import GITHUB
from bot.cli.topics.resources import RESOURCES
from bot.cli.topics.sessions import SESSIONS
from bot.cli.topics.sprints import SPRINTS
from bot.cli.topics.stories import STORIES
from bot.cli.topics.system import SYSTEM

TOPICS = (
    SYSTEM,
    ALERTS,
    RESOURCES,
    BUDGETS,
    AGENTS,
    BACKLOG,
    EPICS,
    SPRINTS,
    STORIES,
    SESSIONS,
    GITHUB,
    ANSWERS,
)
COMMANDS: dict[str, Command] = {command.name: command for topic in TOPICS for command in topic.commands}
