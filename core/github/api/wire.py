"""PyGithub's requests, each in its caller's thread. Importing this imports PyGithub: that takes a while.

PyGithub builds the request and its address, and signs an app's tokens. How it is sent is ours, since what
PyGithub does by itself holds a thread: it sleeps between tries and on a 202; and its 301 loses the query.
"""

from __future__ import annotations

import http.cookiejar
import logging
import time
from collections.abc import Iterator
from typing import Any

import requests
import requests.adapters
import urllib3.exceptions
from github.Auth import AppAuth
from github.Requester import HTTPRequestsConnectionClass, Requester

from core.github.api.answer import Answer, NoAnswer

MOST_BYTES = 32 * 1024 * 1024  # of an answer; a page of 100 issues of the largest size is about 7 MB
API_VERSION = "2022-11-28"  # https://docs.github.com/en/rest/about-the-rest-api/api-versions
_PIECE = 64 * 1024

# At DEBUG it logs whole requests with their header, and it masks only credentials that it was given itself.
logging.getLogger("github.Requester").setLevel(logging.INFO)


class Wire:
    """One session with GitHub: its connections are kept and shared. `call` may be called from any thread."""

    def __init__(self, base_url: str, *, seconds: float, agent: str, connections: int) -> None:
        self.base_url = base_url
        self._seconds = seconds
        self._requester = Requester(
            auth=None,
            base_url=base_url,
            timeout=max(1, int(seconds)),
            user_agent=agent,
            per_page=100,
            verify=True,
            retry=None,
            pool_size=connections,
            api_version=API_VERSION,
        )
        self._session = requests.Session()
        self._session.auth = Requester.noopAuth  # or requests would take one out of .netrc
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        adapter = requests.adapters.HTTPAdapter(
            max_retries=0, pool_connections=2, pool_maxsize=connections, pool_block=False
        )
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        scheme, _, host = base_url.partition("://")
        self._origin = f"{scheme}://{host.partition('/')[0]}"

    def call(
        self, verb: str, path: str, *, authorization: str, etag: str = "", body: Any | None = None
    ) -> Answer:
        """`path` begins below the API's address. Raises NoAnswer."""
        headers = {"Accept": "application/vnd.github+json", "Authorization": authorization}
        if etag:
            headers["If-None-Match"] = etag
        connection = _Connection(self._session, self._origin, self._seconds)
        try:
            status, answered, text = self._requester.requestJson(verb, path, None, headers, body, connection)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswer(_why(error, self._seconds), sent=not _never_sent(error)) from error
        except ValueError as error:
            raise NoAnswer("Its answer's headers cannot be read.", sent=True) from error
        return Answer(status=status, headers=answered, text=text)

    def close(self) -> None:
        self._session.close()
        self._requester.close()


def app_token(app_id: int, private_key: str) -> str:
    """A JWT that says who the app is, for some minutes. Raises ValueError for a key that is none."""
    try:
        return AppAuth(app_id, private_key).create_jwt()
    except Exception as error:  # what it raises depends on what the key is not
        raise ValueError("is no private key in PEM") from error


class _Connection(HTTPRequestsConnectionClass):
    """One request of the session's. PyGithub's own one holds the request and is shared by all threads."""

    def __init__(self, session: requests.Session, origin: str, seconds: float) -> None:
        self.session = session
        self._origin = origin
        self._seconds = seconds

    def getresponse(self) -> Any:
        ends = time.monotonic() + self._seconds
        with self.session.request(
            self.verb,
            self._origin + self.url,
            headers=self.headers,
            data=None if self.input is None else str(self.input).encode(),
            timeout=self._seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            return _Response(response, b"".join(_pieces(response, ends)), self.verb)

    def close(self) -> None:
        """The session is closed by who opened it."""


class _Response:
    """As PyGithub wants to read it, but for what would have it wait or ask again by itself."""

    def __init__(self, response: requests.Response, body: bytes, verb: str) -> None:
        self.status = {301: 308, 202: 503 if verb == "GET" else 202}.get(
            response.status_code, response.status_code
        )
        self._headers = response.headers
        self._body = body

    def getheaders(self) -> Any:
        return self._headers.items()

    def read(self) -> str:
        return self._body.decode("utf-8", "replace")


def _pieces(response: requests.Response, ends: float) -> Iterator[bytes]:
    """Raises when it is too long, or takes too long: a socket's time-out begins anew with each byte. So it
    is read as it comes, and not in pieces that would be waited for."""
    length = 0
    while piece := response.raw.read1(_PIECE, decode_content=True):
        length += len(piece)
        if length > MOST_BYTES:
            raise requests.exceptions.ContentDecodingError(f"the answer is longer than {MOST_BYTES >> 20} MB")
        if time.monotonic() > ends:
            raise requests.exceptions.ReadTimeout("the answer goes on and on")
        yield piece


def _never_sent(error: BaseException) -> bool:
    """Whether no connection was made: the request can have had no effect."""
    if isinstance(
        error,
        requests.exceptions.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError,
    ):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(
        reason,
        urllib3.exceptions.NewConnectionError
        | urllib3.exceptions.ConnectTimeoutError
        | urllib3.exceptions.SSLError,
    )


def _why(error: BaseException, seconds: float) -> str:
    """In words, without the address: it says nothing to people."""
    if isinstance(
        error,
        requests.exceptions.ConnectTimeout
        | requests.exceptions.ReadTimeout
        | urllib3.exceptions.ReadTimeoutError,
    ):
        return f"It did not answer within {seconds:g} seconds."
    if isinstance(error, requests.exceptions.SSLError):
        return "Its certificate is not accepted."
    if isinstance(error, requests.exceptions.ProxyError):
        return "The proxy does not connect to it."
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return "Its answer is too long or cannot be unpacked."
    return "It cannot be connected to." if _never_sent(error) else "It cut the connection."
