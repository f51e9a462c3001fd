"""What one load has found so far: files read, mistakes, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from config.checks import problems_of
from config.document import Document, KeyPath, read_document
from config.layers import Layer
from config.problems import Mark, Problem


@dataclass(slots=True)
class Findings:
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)

    def fail(self, mark: Mark, key: str, sentence: str) -> None:
        self.problems.append(Problem(mark=mark, key=key, sentence=sentence))

    def complain(
        self, error: ValidationError, model: type[BaseModel], prefix: KeyPath, layer: Layer, fallback: Mark
    ) -> None:
        """Takes over pydantic's complaints about `layer`, whose keys stand below `prefix`."""
        marks = {(*prefix, *place): mark for place, mark in layer.marks.items()}
        self.problems += problems_of(error, model, prefix, marks, fallback)

    def read(self, path: Path) -> Document:
        """The file; an empty document where there is none."""
        return self.take(path, read_document(path))

    def take(self, path: Path, document: Document | None) -> Document:
        """What the file was read as; an empty document for None."""
        if document is None:
            return Document(file=str(path))
        self.problems += document.problems
        self.sources.append(path)
        return document

    def mapping(self, value: Any, mark: Mark, key: str) -> dict[str, Any]:
        """`value` as keys and values; null is empty, and anything else is reported."""
        if isinstance(value, Mapping):
            return dict(value)
        if value is not None:
            self.fail(mark, key, f"should hold keys and values, not {str(value)[:60]!r}")
        return {}

    def ordered(self, files: Iterable[str]) -> tuple[Problem, ...]:
        """Every problem once: file by file in the order of `files` (others last), and down the lines."""
        rank = {file: number for number, file in enumerate(files)}
        return tuple(
            sorted(
                dict.fromkeys(self.problems),
                key=lambda each: (
                    rank.get(each.mark.file, len(rank)),
                    each.mark.file,
                    each.mark.line,
                    each.mark.column,
                ),
            )
        )
