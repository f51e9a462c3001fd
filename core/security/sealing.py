"""Values sealed with AES-256-GCM (NIST SP 800-38D), bound to the place where they belong.

The associated data is the place as JSON: a sealed value that is put elsewhere, or altered, does not open.
Nonces are 96 random bits that the caller draws, fresh for each sealing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unsealable(Exception):
    """The key is another, or the value or its place is not what was sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a sealed value belongs."""

    project: str
    name: str
    version: int

    def bound(self) -> bytes:
        """One form a place, and no two places share it: JSON ends each text where it ends."""
        return json.dumps(["orchard/secret/1", self.project, self.name, self.version]).encode("ascii")


def seal(key: bytes, nonce: bytes, place: Place, value: str) -> bytes:
    """The value's UTF-8 sealed, 16 bytes longer than it. `key` has 32 bytes, `nonce` 12."""
    return AESGCM(key).encrypt(nonce, value.encode("utf-8"), place.bound())


def unseal(key: bytes, nonce: bytes, place: Place, sealed: bytes) -> str:
    """Raises Unsealable."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, place.bound()).decode("utf-8")
    except (InvalidTag, ValueError) as error:
        raise Unsealable(f"{place.project}/{place.name}, version {place.version}") from error
