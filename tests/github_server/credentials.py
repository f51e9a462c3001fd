"""Who asks: tokens, an app's own JWT, and basic authentication for git."""

from __future__ import annotations

import base64
import binascii

import jwt
from aiohttp import web

from tests.github_server.world import App, Refusal, Token, World


def _shown(request: web.Request) -> str:
    """The credential of the Authorization header; "" without one."""
    kind, _, rest = request.headers.get("authorization", "").partition(" ")
    if kind.lower() in ("bearer", "token"):
        return rest.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(401, "Bad credentials") from None
    return ""


def find_token(world: World, request: web.Request) -> Token | None:
    """None: nobody's. Raises Refusal (401): unknown, revoked or expired."""
    text = _shown(request)
    if not text:
        return None
    token = world.tokens.get(text)
    if token is None or token.revoked or (token.expires and token.expires <= world.now()):
        raise Refusal(401, "Bad credentials")
    return token


def find_app(world: World, request: web.Request) -> App | None:
    """The app that a JWT is of; None: it is none. Raises Refusal (401) as GitHub does."""
    text = _shown(request)
    if text.count(".") != 2:
        return None
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
        app = world.apps[int(claims["iss"])]
        # Times are compared with the world's own clock, which tests move.
        claims = jwt.decode(
            text, app.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
        issued, expires = int(claims["iat"]), int(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
        raise Refusal(401, "A JSON web token could not be decoded") from None
    now = world.now().timestamp()
    if expires <= now:
        raise Refusal(401, "'Expiration time' claim ('exp') must be a numeric value in the future")
    if expires - now > 605 or expires - issued > 660:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
    if issued > now + 5:
        raise Refusal(401, "'Issued at' claim ('iat') must be an Integer representing the past")
    return app


def known_scopes(path: str) -> str:
    """The scopes that a classic token needs there."""
    return "repo" if path.startswith(("/repos", "/repositories")) else ""
