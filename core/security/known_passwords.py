"""Passwords that are guessed first: NIST SP 800-63B-4 asks to refuse them. PURE.

Only long ones need to be known, since short ones are refused anyway. Whoever guesses builds long ones of a
few parts: a word that everybody takes, letters written as digits, a year or some digits around it, a run
along the keyboard, the same once more. So the parts are known here, and what is made of nothing else
is refused.
"""

from __future__ import annotations

import re

# Longest first, so that a part is not cut out of a longer one.
_WORDS = (
    *("qwertzuiop", "qwertyuiop", "administrator", "correcthorsebatterystaple", "letmeinplease"),
    *("trustno1", "password", "passwort", "passw0rd", "passphrase", "motdepasse", "contrasena", "geheim"),
    *("orchard", "discord", "welcome", "willkommen", "letmein", "iloveyou", "ichliebedich", "changeme"),
    *("default", "secret", "master", "monkey", "dragon", "sunshine", "princess", "football", "baseball"),
    *("superman", "batman", "starwars", "shadow", "michael", "jennifer", "charlie", "computer", "internet"),
    *("whatever", "freedom", "admin", "login", "hello", "hallo", "guest", "owner", "user", "root", "test"),
    *("temp", "pass", "love", "abc", "qwerty", "qwertz", "azerty", "asdfgh", "zxcvbn", "access", "please"),
    *("summer", "winter", "spring", "autumn", "monday", "friday", "january", "december", "company", "the"),
    *("my", "is", "me", "new", "old", "you", "i", "a"),
)
_PARTS = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_RUNS = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "qwertzuiop", "azertyuiop"),
    *("asdfghjkl", "zxcvbnm", "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "q1w2e3r4t5y6u7i8o9p0"),
    *("qazwsxedcrfvtgbyhnujm", "!@#$%^&*()", "aqswdefrgthyjukilo"),
)
_SHORTEST_RUN = 4
_AS_LETTERS = str.maketrans("0134578@$!", "oieastbasi")
_MOST_LETTERS = 3  # that no part explains
_MOST_OTHERS = 6  # a year, a date, a mark at the end


def is_known(password: str) -> bool:
    """Whether it is made of parts that are guessed first. `password`: normalised."""
    plain = "".join(password.casefold().split())
    return _repeats(plain) or any(map(_explained, (plain, plain.translate(_AS_LETTERS))))


def _explained(plain: str) -> bool:
    left = _PARTS.sub("", _without_runs(plain))
    letters = sum(map(str.isalpha, left))
    return letters <= _MOST_LETTERS and len(left) - letters <= _MOST_OTHERS


def _without_runs(plain: str) -> str:
    """Without runs along the keyboard or the alphabet, either way."""
    kept: list[str] = []
    at = 0
    while at < len(plain):
        longest = 0
        for run in (*_RUNS, *(run[::-1] for run in _RUNS)):
            length = _SHORTEST_RUN
            while at + length <= len(plain) and plain[at : at + length] in run:
                longest, length = max(longest, length), length + 1
        if not longest:
            kept.append(plain[at])
        at += longest or 1
    return "".join(kept)


def _repeats(plain: str) -> bool:
    """The same part over and over: then the text is found again within itself, doubled."""
    return plain in (plain + plain)[1:-1]
