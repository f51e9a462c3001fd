"""Random texts that prove something: session and API tokens, link and recovery codes; kept as SHA-256 only.

They are so long (60 bits for codes that expire or are limited, 256 for tokens) that a plain hash is enough.
"""

from __future__ import annotations

import hashlib
import secrets

SESSION_PREFIX = "orcs_"
API_PREFIX = "orct_"
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that is read for something else
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"})
_LONGEST = 200


def new_token(prefix: str) -> str:
    """With 256 random bits. The prefix lets redaction and secret scanners know it."""
    return prefix + secrets.token_urlsafe(32)


def new_code(groups: int = 3) -> str:
    """Such as `7KQ2-0ZDM-X9TB`: 20 random bits a group."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(groups))


def hash_token(token: str) -> str:
    return hashlib.sha256(token[:_LONGEST].encode("utf-8", "surrogatepass")).hexdigest()


def hash_code(code: str, *about: str) -> str:
    """The same for every way to type it. `about` binds it, such as to the user whose it is."""
    plain = "".join(code[:_LONGEST].upper().translate(_READ_AS).replace("-", " ").split())
    return hash_token("\0".join((*about, plain)))
