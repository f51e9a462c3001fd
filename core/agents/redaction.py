"""Secrets taken out of what is written down or shown: known values, and shapes of well-known tokens. PURE.

    Redactor(secrets).text(text)      a whole text
    Redactor(secrets).value(message)  every string of a JSON value, keys too
    Redactor(secrets).stream()        text that comes in pieces: a secret over their borders is found as well

A known value is found in the spellings that programs give it, too: see `core.agents.spellings`.

What was taken out is named in square brackets. A text is searched for fixed words first, so one without
secrets costs little. A stream keeps the end of a piece back while it could be the beginning of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.agents.spellings import spellings

SHORTEST = 8  # a shorter value is no secret worth the name, and would be found in plain words
_TOLD = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PAT|DSN|CREDENTIALS?)$",
    re.IGNORECASE,
)
_RUN_LIMIT, _RUN_KEPT = 8 << 10, 4 << 10  # characters without a space that a stream keeps back
_PEM_LIMIT = 64 << 10
_PART = 6  # characters of a known value that are too many to be shown
_KNOWN = "[redacted: a secret of Orchard's]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """`words`, in lower case: one is in every match. `mark` stands in its place; `\\1` keeps a part."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    mark: str


def _shape(mark: str, pattern: str, *words: str, flags: int = 0) -> _Shape:
    return _Shape(words=words, pattern=re.compile(pattern, flags), mark=mark)


# A pattern begins with its literal, and looks behind it: so the search jumps from literal to literal.
_HAS_DIGIT = r"(?=[A-Za-z_-]*[0-9])"
_BASE64 = r"[A-Za-z0-9+/=]"
_PEM_HEAD = r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_PEM_BODY = rf"(?:\s|\\[nrt]|[A-Za-z][A-Za-z-]{{1,30}}: [^\n]{{0,200}}\n|{_BASE64}{{16,}}+)*+"
_PEM_END = r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_PEM = rf"{_PEM_HEAD}{_PEM_BODY}(?:{_BASE64}{{0,80}}+(?:\s|\\[nrt])*+{_PEM_END})?"
_PEM_START = re.compile(_PEM)
_PEM_PART = re.compile(
    r"-----B(?:E(?:G(?:I(?:N[ A-Z0-9]{0,50}-{0,5})?)?)?)?"
    rf"|{_PEM_HEAD}{_PEM_BODY}(?:[A-Za-z][A-Za-z-]{{0,30}}: ?[^\n]{{0,200}}|[A-Za-z0-9+/=-]{{0,80}})"
    r"(?:\s|\\[nrt])*+\\?(?:-----E[ A-Z0-9]{0,54}-{0,5}|-{0,5})"
)

_SHAPES = (
    _shape("[redacted: a private key]", _PEM, "-----begin"),
    _shape("[redacted: an Anthropic key]", r"sk-ant-[A-Za-z0-9_-]{16,}", "sk-ant-"),
    _shape(
        "[redacted: an OpenAI key]",
        rf"sk-(?<![A-Za-z0-9]sk-){_HAS_DIGIT}[A-Za-z0-9_-]{{20,}}",
        "sk-",
    ),
    _shape("[redacted: a Google key]", r"AIza(?<![A-Za-z0-9]AIza)[0-9A-Za-z_-]{30,}", "aiza"),
    _shape("[redacted: a Google token]", r"ya29\.(?<![A-Za-z0-9]ya29\.)[0-9A-Za-z_.-]{20,}", "ya29."),
    _shape("[redacted: a Google secret]", r"GOCSPX-[0-9A-Za-z_-]{20,}", "gocspx-"),
    _shape(
        "[redacted: a GitHub token]",
        r"gh[pousr]_(?<![A-Za-z0-9]gh[pousr]_)[A-Za-z0-9]{30,}",
        *(f"gh{letter}_" for letter in "pousr"),
    ),
    _shape("[redacted: a GitHub token]", r"github_pat_[A-Za-z0-9_]{22,}", "github_pat_"),
    _shape("[redacted: a GitLab token]", r"glpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _shape(
        "[redacted: an AWS key id]",
        r"A(?:KIA|SIA)(?<![A-Za-z0-9]A(?:KIA|SIA))[A-Z0-9]{16}(?![A-Za-z0-9])",
        "akia",
        "asia",
    ),
    _shape(
        r"\1[redacted: an AWS secret]",
        r"(secret_?access_?key[\"'\\]{0,4}\s{0,4}[=:]\s{0,4}[\"'\\]{0,4})[A-Za-z0-9/+=]{40}",
        "secret_access_key",
        "secretaccesskey",
        flags=re.IGNORECASE,
    ),
    _shape("[redacted: a token of Orchard's]", r"orc[est]_[A-Za-z0-9_-]{30,}", "orce_", "orcs_", "orct_"),
    _shape("[redacted: an npm token]", r"npm_[A-Za-z0-9]{36,}", "npm_"),
    _shape("[redacted: a PyPI token]", r"pypi-AgE[A-Za-z0-9_-]{30,}", "pypi-age"),
    _shape("[redacted: a Hugging Face token]", r"hf_(?<![A-Za-z0-9]hf_)[A-Za-z0-9]{30,}", "hf_"),
    _shape("[redacted: a Stripe key]", r"[rs]k_live_[A-Za-z0-9]{16,}", "sk_live_", "rk_live_"),
    _shape("[redacted: a SendGrid key]", r"SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,}", "sg."),
    _shape(
        r"\1[redacted: a Discord address]",
        r"(discord(?:app)?\.com/api/webhooks/\d{1,30}/)[A-Za-z0-9_-]{10,}",
        "discord.com/api/webhooks/",
        "discordapp.com/api/webhooks/",
    ),
    _shape("[redacted: a Slack token]", r"xox[a-z]-[A-Za-z0-9-]{10,}", "xox"),
    _shape("[redacted: a Slack token]", r"xapp-[0-9]-[A-Za-z0-9-]{10,}", "xapp-"),
    _shape(
        r"\1[redacted: a Slack address]",
        r"(hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9_/-]{10,}",
        "hooks.slack.com",
    ),
    _shape("[redacted: a token]", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "eyj"),
    _shape(
        r"\1[redacted: a key in a header]",
        r"(authorization[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}(?:bearer|basic|token)\s{1,4})"
        r"[A-Za-z0-9._~+/=-]{8,}",
        "authorization",
        flags=re.IGNORECASE,
    ),
    _shape(
        r"\1[redacted: a key in a header]",
        r"((?:authorization|api-key)[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}|(?:bearer|basic)\s{1,4})"
        r"(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{16,}",
        "authorization",
        "api-key",
        "bearer",
        "basic",
        flags=re.IGNORECASE,
    ),
    _shape(
        r"\1[redacted: a password]@",
        r"(://[^\s/:@\"'<>\\]{0,100}:)[^\s/@\"'<>\\]{1,300}@",
        "://",
    ),
)
# Every match begins with one of these; a piece that ends with a part of one is kept back.
_WORDS = tuple(sorted({word for shape in _SHAPES for word in shape.words}))
_BEGINNINGS = frozenset(word[:length] for word in _WORDS for length in range(1, len(word)))
_LONGEST_WORD = max(map(len, _WORDS))
# What may stand before a key and has spaces in it.
_BEFORE = re.compile(
    r"(?:authorization|api-key|secret_?access_?key|bearer|basic)[\"'\\]{0,4}\s{0,4}(?:[:=]\s{0,4}[\"'\\]{0,4})?"
    r"(?:(?:bearer|basic|token)\s{0,4})?\Z",
    re.IGNORECASE,
)
_LONGEST_BEFORE = 60
_GOES_ON = re.compile(r"[A-Za-z0-9_+/=.~\s-]*")
_GOES_ON_WITHOUT_SPACE = re.compile(r"[A-Za-z0-9_+/=.~-]*")


class Redactor:
    """`secrets`: values that are taken out, in each of their spellings."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known: set[str] = set()
        for secret in secrets:
            if len(secret.strip()) >= SHORTEST and secret not in _KNOWN:
                known |= spellings(secret)
        self.known = tuple(sorted(known, key=lambda value: (-len(value), value)))

    def may_hold(self, text: str) -> bool:
        """False: there is nothing to take out; quick."""
        lowered = text.lower()
        for word in _WORDS:  # plain loops: this is asked of every event
            if word in lowered:
                return True
        return any(value in text for value in self.known)

    def without_known(self, text: str) -> str:
        """Only known values are taken out: for what people ask for, which may well be about tokens."""
        for value in self.known:
            if value in text:
                text = text.replace(value, _KNOWN)
        return text

    def text(self, text: str) -> str:
        text = self.without_known(text)
        lowered = text.lower()
        for shape in _SHAPES:
            if any(word in lowered for word in shape.words):
                text = shape.pattern.sub(shape.mark, text)
        return text

    def cut_text(self, text: str) -> str:
        """As `text`, for a piece that was cut out of something: at its ends, parts of known values count."""
        for value in self.known:
            for size in range(len(value) - 1, _PART - 1, -1):
                if text.startswith(value[-size:]):
                    text = _KNOWN + text[size:]
                    break
            for size in range(len(value) - 1, _PART - 1, -1):
                if text.endswith(value[:size]):
                    text = text[: -size or None] + _KNOWN
                    break
        return self.text(text)

    def value(self, value: Any) -> Any:
        """A copy, where something is taken out."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def stream(self) -> RedactedStream:
        return RedactedStream(self)


class RedactedStream:
    """What `add` and `end` give, joined, is the whole text redacted; none of it holds a part of a secret.

    What is kept back is a few characters as a rule, 64 Ki in the middle of a private key."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._kept = ""
        self._before = ""  # the last character that was given: a key does not begin in the middle of a word
        self._skips: re.Pattern[str] | None = None  # what follows belongs to a secret that was too long

    def add(self, piece: str) -> str:
        if self._skips is not None and piece:
            taken = self._skips.match(piece)
            assert taken is not None
            piece = piece[taken.end() :]
            if not piece:
                return ""
            self._skips = None
        text = self._kept + piece
        cut = self._safe_until(text)
        self._kept = text[cut:]
        told = self._redacted(text[:cut])
        self._before = text[cut - 1] if cut else self._before
        return told

    def end(self) -> str:
        """What was kept back; the stream begins anew."""
        told = self._redacted(self._kept)
        self._kept, self._before, self._skips = "", "", None
        return told

    def _redacted(self, text: str) -> str:
        return self._redactor.text(self._before + text)[len(self._before) :]

    def _safe_until(self, text: str) -> int:
        """The place from which on a secret could have begun; it stands in none."""
        cut, last = min(len(text), self._start_of_known(text)), -1
        private = False
        while cut != last:
            last = cut
            run = _start_of_run(text, cut)
            before = _BEFORE.search(text[max(0, run - _LONGEST_BEFORE) : run])
            if before is not None:
                cut = max(0, run - _LONGEST_BEFORE) + before.start()
            elif cut < len(text) or _may_begin(text[run:]):
                cut = run
            for value in self._redactor.known:
                found = text.find(value, max(0, cut - len(value) + 1), cut + len(value) - 1)
                cut = min(cut, found) if found >= 0 else cut
            opened = text.rfind("-----B", 0, cut)
            if opened >= 0:
                key = _PEM_START.match(text, opened)
                if (key is not None and key.end() > cut) or _PEM_PART.fullmatch(text, opened):
                    cut, private = opened, True
        if len(text) - cut > (_PEM_LIMIT if private else _RUN_LIMIT):
            return self._give_up(text, _GOES_ON if private else _GOES_ON_WITHOUT_SPACE)
        return cut

    def _start_of_known(self, text: str) -> int:
        """Of the longest end of the text that a known value begins with."""
        cut = len(text)
        for value in self._redactor.known:
            start = text.find(value[0], max(0, len(text) - len(value) + 1), cut)
            while start >= 0 and not value.startswith(text[start:]):
                start = text.find(value[0], start + 1, cut)
            cut = min(cut, start) if start >= 0 else cut
        return cut

    def _give_up(self, text: str, goes_on: re.Pattern[str]) -> int:
        """So much is not kept back. Where it ends with a secret, what follows belongs to it."""
        if self._redactor.text(text).endswith("]") and not text.endswith("]"):
            self._skips = goes_on
            return len(text)
        return len(text) - _RUN_KEPT


def _may_begin(run: str) -> bool:
    """Whether a secret may begin in these characters, or have begun."""
    lowered = run.lower()
    return any(word in lowered for word in _WORDS) or any(
        lowered[-length:] in _BEGINNINGS for length in range(1, min(len(lowered), _LONGEST_WORD) + 1)
    )


def _start_of_run(text: str, end: int) -> int:
    """Of the characters without a space that end at `end`."""
    if end == 0 or text[end - 1].isspace():
        return end
    return end - len(text[:end].rsplit(None, 1)[-1])


def secrets_in(variables: Mapping[str, str], names: Iterable[str] = ()) -> tuple[str, ...]:
    """The values of those that are named, and of those whose own names tell that they are secret."""
    wanted = set(names)
    found = {
        value.strip()
        for name, value in variables.items()
        if (name in wanted or _TOLD.search(name)) and not value.startswith(("/", "~/"))
    }
    return tuple(sorted(value for value in found if len(value) >= SHORTEST))
