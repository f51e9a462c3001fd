"""What is wrong with the configuration, each with its place; and the error that carries all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where something stands. `line` and `column` count from 1, and are 0 where there is no file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`key` is dotted (`global.max_total_agents`), or empty when a whole file is meant."""

    mark: Mark
    key: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.key}: {self.sentence}" if self.key else f"{self.mark}: {self.sentence}"


class ConfigError(InvalidInput):
    """The configuration cannot be accepted. `problems` holds every one of them, in the order of the files.

    `message` counts them, `why` lists one a line (`file:line:column: key: sentence`). `project`: all of them
    are in files of that project.
    """

    slug = "bad_configuration"

    def __init__(self, problems: tuple[Problem, ...], *, project: str | None = None) -> None:
        self.problems = problems
        count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(
            f"The configuration has {count}:"
            if project is None
            else f"The settings of {project} have {count}:",
            why="\n" + "\n".join(f"  {problem}" for problem in problems) + "\n",
            hint="Nothing was changed. Mend the lines above and try again."
            if project is None
            else "Mend that, then start the project again.",
        )


def unreadable(path: Path, error: OSError) -> Problem:
    reason = (error.strerror or str(error)).lower()
    return Problem(mark=Mark(file=str(path)), key="", sentence=f"cannot be read: {reason}")
