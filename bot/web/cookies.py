"""PURE: the cookies, each readable by the server alone and sent from its own pages alone.

`__Host-` has browsers refuse one that a neighbouring name set (RFC 6265bis, 4.1.3.2); it needs TLS.
"""

from __future__ import annotations

from bot.web.site import Site

SESSION = "orchard"
FORM = "orchard-form"  # before there is a session: what the login form's token stands on


def name_of(cookie: str, site: Site) -> str:
    return f"__Host-{cookie}" if site.secure else cookie


def set_cookie(cookie: str, value: str, site: Site) -> str:
    """A Set-Cookie header; it lasts as long as the browser runs, the session behind it perhaps shorter."""
    secure = "; Secure" if site.secure else ""
    return f"{name_of(cookie, site)}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"


def clear_cookie(cookie: str, site: Site) -> str:
    return f"{set_cookie(cookie, '', site)}; Max-Age=0"
