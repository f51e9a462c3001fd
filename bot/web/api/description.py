"""What the API is: OpenAPI made of the routes and their types, and the same as a page to read.

The page is our own: no script, and nothing of a foreign host.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from bot.web.api.route import API
from bot.web.page import page
from bot.web.visitors import Asks
from core.security.access import Action

_METHODS = ("get", "put", "post", "patch", "delete")
_ABOUT = """\
Authorization: Bearer TOKEN, or a session's cookie with X-CSRF-Token where something is changed.
What is not answered with success is a Problem. Every POST may have an Idempotency-Key, every GET an ETag."""

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters, new for each request. For 24 hours the same request "
    "with the same key is answered again, not done again; another request with it is refused (422).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
}
_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "An ETag of before: 304 where nothing has changed since.",
    "schema": {"type": "string"},
}
_TAG = {"ETag": {"description": "Of what was answered.", "schema": {"type": "string"}}}
_LINK = {"Link": {"description": 'The next page (rel="next").', "schema": {"type": "string"}}}
_PLACE = {"Location": {"description": "Where it is from now on.", "schema": {"type": "string"}}}

_ALWAYS = {
    400: "It does not fit.",
    401: "Neither a session nor a good token.",
    403: "Not allowed: the level, the scope, the state, or a second factor is missing.",
    429: "Too much was asked at once; Retry-After says how many seconds to wait.",
    503: "Something that it takes is not there now.",
}
_ABSENT = (404, "There is no such thing.")
_CLASH = (409, "Its state does not allow it, or it has just changed.")
_CHANGED = (412, "It is not what If-Match says.")
_LARGE = (413, "The body is too large.")
_REUSED = (422, "The Idempotency-Key was used for another request.")


class ProblemSeen(BaseModel):
    """Every answer that is no success."""

    status: int
    slug: str = Field(description="A short, stable reason.")
    message: str = Field(description="What happened.")
    why: str
    hint: str = Field(description="What to do next.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """As the page shows it."""

    method: str
    path: str
    about: str
    parameters: tuple[tuple[str, str, str], ...]  # name, where, what it is
    body: str  # the model's name; ""
    answers: tuple[tuple[str, str, str], ...]  # status, the model's name, words


class Description:
    """Made when it is first asked for, in a thread: it takes longer than an interaction may wait."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._made: dict[str, Any] | None = None
        self._making = asyncio.Lock()

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        looks = [Depends(Asks(Action.SEE_SYSTEM, from_here=True))]
        router.add_api_route(f"{API}/openapi.json", self._document, dependencies=looks)
        router.add_api_route(f"{API}/docs", self._page, dependencies=looks)
        return router

    async def document(self) -> dict[str, Any]:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(lambda: whole(self._app.openapi()))
        return self._made

    async def _document(self) -> JSONResponse:
        return JSONResponse(await self.document())

    async def _page(self) -> Response:
        document = await self.document()
        return page("api", groups=_groups(document), models=_models(document), about=_ABOUT)


def whole(document: Mapping[str, Any]) -> dict[str, Any]:
    """With what no route says of itself: problems, tags, keys, and how one is let in."""
    made = copy.deepcopy(dict(document))
    made["info"]["description"] = _ABOUT
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for ours in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which we never send
        schemas.pop(ours, None)
    schemas["Problem"] = ProblemSeen.model_json_schema()
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "orchard"},
    }
    for path, method, operation in _operations(made):
        _complete(path, method, operation)
    return made


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    answers = operation["responses"]
    answers.pop("422", None)
    problems = dict(_ALWAYS)
    if "{" in path or any(one["name"] in ("project", "cursor") for one in parameters):
        problems |= [_ABSENT]
    if "requestBody" in operation:
        problems |= [_LARGE]
    if any(one["name"] == "If-Match" for one in parameters):
        problems |= [_CHANGED]
    success = next(answer for status, answer in answers.items() if status.startswith("2"))
    headers = success.setdefault("headers", {})
    if method == "get":
        parameters.append(_NONE_MATCH)
        headers |= _TAG
        answers["304"] = {"description": "Nothing has changed since that ETag."}
    else:
        problems |= [_CLASH]
    if method == "post":
        parameters.append(_KEY)
        problems |= [_REUSED]
    if any(one["name"] == "cursor" for one in parameters):
        headers |= _LINK
    if "201" in answers and method == "post":
        headers |= _PLACE
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, words in sorted(problems.items()):
        answers[str(status)] = {"description": words, "content": content}
    is_open = path in ("/status",)
    operation["security"] = [{"token": []}, {"session": []}, *([{}] if is_open else [])]


# -- the page ------------------------------------------------------------------------------------------


def _groups(document: Mapping[str, Any]) -> list[tuple[str, list[Operation]]]:
    found: dict[str, list[Operation]] = {}
    for path, method, operation in _operations(document):
        answers = operation["responses"].items()
        found.setdefault(operation["tags"][0], []).append(
            Operation(
                method=method.upper(),
                path=path,
                about=operation.get("description") or operation["summary"],
                parameters=tuple(
                    (one["name"], one["in"], _type(one["schema"]))
                    for one in operation["parameters"]
                    if one["in"] != "header"
                ),
                body=_type(_content(operation.get("requestBody", {}))),
                answers=tuple(
                    (status, _type(_content(answer)), answer["description"])
                    for status, answer in answers
                    if status.startswith("2")
                ),
            )
        )
    return sorted(found.items())


def _models(document: Mapping[str, Any]) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Name, words, fields: name, type, words."""
    return [
        (
            name,
            str(model.get("description", "")),
            [
                (field, _type(schema), str(schema.get("description", "")))
                for field, schema in model.get("properties", {}).items()
            ]
            or [("", " | ".join(map(str, model.get("enum", ()))), "")],
        )
        for name, model in sorted(document["components"]["schemas"].items())
    ]


def _content(said: Mapping[str, Any]) -> Mapping[str, Any]:
    for kind in said.get("content", {}).values():
        schema: Mapping[str, Any] = kind.get("schema", {})
        return schema
    return {}


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if several := schema.get("anyOf") or schema.get("allOf"):
        return " | ".join(dict.fromkeys(_type(one) for one in several))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return str(schema.get("format") or schema.get("type") or "")
