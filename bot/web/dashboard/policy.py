"""PURE: what browsers may load and run on the dashboard's pages.

NiceGUI's own script makes functions of text (`unsafe-eval`), and its elements carry styles. Scripts in a page
run by a nonce alone: what an agent wrote is never one of them.
"""

from __future__ import annotations

_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def policy(nonce: str) -> str:
    """The header Content-Security-Policy of one answer. `nonce`: drawn for it alone."""
    return _POLICY.format(nonce=nonce)


def with_nonce(page: bytes, nonce: str) -> bytes:
    """The page with its scripts allowed. Texts in it have their `<` escaped, so each `<script` is ours."""
    return page.replace(b"<script", b'<script nonce="' + nonce.encode() + b'"')
