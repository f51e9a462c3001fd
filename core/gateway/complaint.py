"""What the gateway itself answers to a call that it does not pass on, as the agent's format has it. PURE."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.gateway.refusal import Refusal
from core.gateway.wire import WireFormat

_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_OPENAI = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}
_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """`retry_after`: seconds; None: asking again does not help, and agents' clients are told so."""

    status: int
    message: str
    retry_after: float | None = None

    def headers(self) -> dict[str, str]:
        if self.retry_after is None:
            return {"x-should-retry": "false"}  # the clients of Anthropic and OpenAI heed it
        return {"retry-after": str(max(1, round(self.retry_after)))}

    def body(self, wire_format: WireFormat) -> bytes:
        """An error object as the provider of that format sends it."""
        if wire_format is WireFormat.ANTHROPIC:
            kind = _ANTHROPIC.get(self.status, "api_error")
            value: object = {"type": "error", "error": {"type": kind, "message": self.message}}
        elif wire_format is WireFormat.GEMINI:
            name = _GEMINI.get(self.status, "INTERNAL")
            value = {"error": {"code": self.status, "message": self.message, "status": name}}
        else:
            kind = "invalid_request_error" if self.status < 500 else "server_error"
            code = _OPENAI.get(self.status)
            value = {"error": {"message": self.message, "type": kind, "param": None, "code": code}}
        return json.dumps(value).encode()


class Complained(Exception):
    """A call ends with this complaint. `refusal`: what its provider has said to another call."""

    def __init__(self, complaint: Complaint, refusal: Refusal | None = None) -> None:
        super().__init__(complaint.message)
        self.complaint = complaint
        self.refusal = refusal


def too_long(most_bytes: int) -> Complaint:
    return Complaint(status=413, message=f"The request is longer than {most_bytes >> 20} MB.")


def no_books(error: OSError) -> Complaint:
    return Complaint(
        status=503,
        message=f"Orchard's gateway cannot write down what calls take ({error.strerror or error}), so none "
        "is sent until it can.",
        retry_after=10,
    )


def key_refused(provider: str) -> Complaint:
    return Complaint(status=401, message=f"{provider} does not take Orchard's key. People were told.")
