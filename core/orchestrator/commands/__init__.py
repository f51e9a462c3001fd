"""Everything a person can ask of Orchard. The faces parse, authorise, call one method here, and render.

Methods raise OrchardError: what happened, why, what to do next.
"""

from core.orchestrator.commands.agents import Agents
from core.orchestrator.commands.alerts import Alerts
from core.orchestrator.commands.approvals import Approvals
from core.orchestrator.commands.backlog import Backlog
from core.orchestrator.commands.budgets import Budgeting
from core.orchestrator.commands.custody import Custody
from core.orchestrator.commands.cycles import Cycles
from core.orchestrator.commands.epics import Epics
from core.orchestrator.commands.github import Repositories
from core.orchestrator.commands.importing import Importing
from core.orchestrator.commands.insights import Insights
from core.orchestrator.commands.looking import Looking
from core.orchestrator.commands.metrics import Figures
from core.orchestrator.commands.people import People
from core.orchestrator.commands.projects import Projects
from core.orchestrator.commands.resources import Resources
from core.orchestrator.commands.sessions import Sessions
from core.orchestrator.commands.sprints import Sprints
from core.orchestrator.commands.topic import Engine as Engine
from core.orchestrator.commands.trends import Trends
from core.orchestrator.commands.users import UserAdmin


class Commands(
    Looking,
    Projects,
    Backlog,
    Epics,
    Sprints,
    Cycles,
    Approvals,
    Alerts,
    People,
    Importing,
    Insights,
    Resources,
    Budgeting,
    Figures,
    Agents,
    Sessions,
    UserAdmin,
    Custody,
    Repositories,
    Trends,
):
    """One method a wish; each topic stands in a module of its own."""
