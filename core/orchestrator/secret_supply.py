"""Projects' secrets on their way to the processes that the settings name: with the job, at its start.

Each hand-out is a row of the audit log. Values go to the worker with the job and from there into the
environment of the agent, or of what runs the tests; they are taken out of whatever is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.errors import NotAllowed
from core.known_secrets import known_secrets
from core.orchestrator.setups import Setups
from core.security.secrets import Secrets
from core.worker.contract import BatchJob, MergeJob, PhaseJob, SuiteJob

_ACTOR = "orchard"


class SecretSupply:
    def __init__(self, setups: Setups, secrets: Secrets) -> None:
        self._setups = setups
        self._secrets = secrets

    async def __call__(self, job: object) -> object:
        """The job with what its processes get. Raises NotFound for a name that is not set, Unavailable for a
        row that does not open: then nothing is started."""
        if isinstance(job, PhaseJob):
            return await self._phase(job)
        if isinstance(job, MergeJob | BatchJob | SuiteJob):
            values = await self._tests(job.project.name, _process(job))
            return replace(job, project=replace(job.project, test_variables=values)) if values else job
        return job

    async def _phase(self, job: PhaseJob) -> PhaseJob:
        project = job.project.name
        tests: Mapping[str, str] = {} if job.epic else await self._tests(project, _process(job))
        settings = self._setups.configured(project)
        names = settings.agent_secrets if settings is not None and not job.by_hand else ()
        own = await self._values(project, names, f"agent {job.agent.name} of {job.story.id}")
        if not tests and not own:
            return job
        if clash := sorted(own.keys() & job.agent.environment.keys()):
            raise NotAllowed(
                f"The agent {job.agent.name} has a variable {clash[0]} already.",
                why="A secret of that name would replace it.",
                hint=f"Rename the secret, or take it off agent_secrets of {project}.",
            )
        return replace(
            job,
            project=replace(job.project, test_variables=tests),
            agent=replace(job.agent, environment={**job.agent.environment, **own}),
            secrets=tuple(sorted({*job.secrets, *own.values(), *tests.values()})),
        )

    async def _tests(self, project: str, process: str) -> Mapping[str, str]:
        settings = self._setups.configured(project)
        return await self._values(project, () if settings is None else settings.test_secrets, process)

    async def _values(self, project: str, names: tuple[str, ...], process: str) -> Mapping[str, str]:
        if not names:
            return {}
        handed = await self._secrets.hand_out(project, names, actor=_ACTOR, process=process)
        values = handed.environment((), {})
        known_secrets.learn(values.values())
        return values


def _process(job: PhaseJob | MergeJob | BatchJob | SuiteJob) -> str:
    if isinstance(job, PhaseJob | MergeJob):
        return f"tests of {job.story.id}"
    if isinstance(job, BatchJob):
        return f"tests of {', '.join(merge.story.id for merge in job.merges)}"
    return f"tests of {job.story_id or 'the main branch'}"
