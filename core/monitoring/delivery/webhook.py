"""What is sent to monitoring_webhook_url: a JSON body, and headers that say who it is from. PURE.

After the Standard Webhooks specification (standardwebhooks.com): `webhook-id` is the same for each try of
one change, `webhook-timestamp` the seconds since 1970 of the try, and `webhook-signature` is `v1,` and the
base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>". A secret that begins with whsec_ is base64, any other is
its text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
LONGEST_TEXT = 4000
_PREFIX = "whsec_"


def body(alert: Mapping[str, Any]) -> bytes:
    """`alert` as core.store.alerts.as_data has it. Long texts are cut."""
    cut = {key: _cut(value) for key, value in alert.items()}
    made = {"type": f"alert.{alert['state']}", "timestamp": alert["changed_at"], "data": cut}
    return json.dumps(made, separators=(",", ":")).encode("ascii")


def headers(delivery: str, sent: bytes, at: datetime, secret: str | None) -> dict[str, str]:
    """Without a secret there is no signature."""
    moment = str(int(at.timestamp()))
    made = {
        "Content-Type": "application/json",
        "User-Agent": "Orchard",
        ID_HEADER: delivery,
        TIME_HEADER: moment,
    }
    if secret:
        made[SIGNATURE_HEADER] = signature(secret, delivery, moment, sent)
    return made


def delivery_id(alert: Mapping[str, Any]) -> str:
    """Of one change of an alert."""
    return f"{alert['id']}.{alert['seq']}"


def signature(secret: str, delivery: str, moment: str, sent: bytes) -> str:
    signed = f"{delivery}.{moment}.".encode() + sent
    return "v1," + base64.b64encode(hmac.new(key(secret), signed, hashlib.sha256).digest()).decode("ascii")


def key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except ValueError:
            pass  # somebody's own text that only begins like one
    return secret.encode("utf-8")


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[: LONGEST_TEXT - 1] + "…"
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    return value
