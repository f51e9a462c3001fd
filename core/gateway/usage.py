"""What a call took, in tokens. PURE.

Providers count differently (OpenAI and Gemini count what came from a cache into the input, Anthropic does
not; Gemini counts thoughts beside the output, the others into it). A `Usage` has one meaning for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_TOKENS = 10**9  # of one kind in one call; more is no believable figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. The kinds of input are disjoint, so the prompt is their sum; reasoning is part of the output.

    `known` is False when the provider did not say, said nonsense, or was cut off: the figures are then what
    is certain, and may be too low.
    """

    input_tokens: int = 0  # neither read from a cache nor written to one
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # kept for the provider's usual time
    cache_write_long_tokens: int = 0  # kept longer (Anthropic: an hour), at another price
    output_tokens: int = 0
    reasoning_tokens: int = 0
    known: bool = True

    @property
    def prompt_tokens(self) -> int:
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_long_tokens
        )

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_long_tokens=self.cache_write_long_tokens + other.cache_write_long_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            known=self.known and other.known,
        )


NOTHING = Usage()
UNKNOWN = Usage(known=False)


class Counts:
    """Reads counts of a provider's JSON; `faulty` once one was missing, negative, huge or not whole."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw
        self.faulty = False

    def required(self, *path: str) -> int:
        return self._count(path, needed=True)

    def optional(self, *path: str) -> int:
        """0 for what is absent or null."""
        return self._count(path, needed=False)

    def less(self, whole: int, *parts: int) -> int:
        """What of `whole` is in none of its `parts`; never below 0."""
        rest = whole - sum(parts)
        self.faulty = self.faulty or rest < 0
        return max(rest, 0)

    def part(self, part: int, whole: int) -> int:
        self.faulty = self.faulty or part > whole
        return min(part, whole)

    def _count(self, path: tuple[str, ...], *, needed: bool) -> int:
        found: object = self._raw
        for name in path:
            if found is None:
                break
            if not isinstance(found, Mapping):
                self.faulty = True
                return 0
            found = found.get(name)
        if found is None:
            self.faulty = self.faulty or needed
            return 0
        if type(found) is not int or not 0 <= found <= MOST_TOKENS:
            self.faulty = True
            return 0
        return found
