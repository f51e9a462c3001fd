"""Whether a webhook's delivery is GitHub's: HMAC-SHA256 of the body as it came, by a secret of both. PURE.

GitHub says it as `X-Hub-Signature-256: sha256=<64 hex digits>` ("Validating webhook deliveries" in its
documentation). The older `X-Hub-Signature`, of SHA-1, is not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "x-hub-signature-256"
_SCHEME = "sha256="


def signature(secret: str, body: bytes) -> str:
    """As the header says it."""
    return _SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(said: str, body: bytes, secrets: Sequence[str]) -> bool:
    """By one of the secrets; an empty one signs nothing. Every one is tried, so that the time tells nothing
    of which it was, nor how much of it was right."""
    given = said.strip().encode("utf-8", "replace")
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(signature(secret, body).encode(), given) and secret != ""
    return found
