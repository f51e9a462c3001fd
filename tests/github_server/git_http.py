"""Git's smart HTTP, by git's own backend, with a token as the password."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from tests.github_server.bare import plain_environment
from tests.github_server.credentials import find_token
from tests.github_server.repository import Repository
from tests.github_server.world import PERMISSIONS, Refusal, Token, World


@dataclass(eq=False, kw_only=True, slots=True)
class Pushed:
    """A git request: `fetch` or `push`, and who asked."""

    service: str
    login: str
    repository: str
    status: int = 0


@dataclass(eq=False, kw_only=True)
class GitHttp:
    world: World
    seen: list[Pushed] = field(default_factory=list)
    failing: list[int] = field(default_factory=list)  # statuses that the next requests are answered with
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Pushes are told of when git has taken them."""
        service = request.match_info["service"]
        push = "git-receive-pack" in (service, request.query.get("service"))
        seen = Pushed(service="push" if push else "fetch", login="", repository="")
        self.seen.append(seen)
        try:
            if self.failing:
                raise Refusal(self.failing.pop(0), "Internal Server Error")
            token = find_token(self.world, request)
            seen.login = token.account.login if token else ""
            name = f"{request.match_info['owner']}/{request.match_info['repo']}"
            repository = self._found(name, token, push)
            seen.repository = repository.full_name
            if repository.full_name.lower() != name.lower():
                query = f"?{request.query_string}" if request.query_string else ""
                raise Refusal(301, f"{repository.clone_url}/{service}{query}")
        except Refusal as refusal:
            seen.status = refusal.status
            return _refused(refusal)
        body = await request.read()
        async with self._one:  # refs are compared before and after
            if push and request.method == "POST":
                repository.write_rules()
            response = await self._backend(request, repository, service, body)
            if push and request.method == "POST":
                repository.look_at_heads(token.account if token else None)
        seen.status = response.status
        return response

    def _found(self, name: str, token: Token | None, push: bool) -> Repository:
        """Raises Refusal."""
        account = token.account if token else None
        try:
            repository = self.world.find(name)
        except Refusal:
            raise Refusal(401 if token is None else 404, "Repository not found.") from None
        level = repository.level_of(account)
        if token:
            level = min(level, token.ceiling, key=PERMISSIONS.index)
            if token.repository_ids is not None and repository.id not in token.repository_ids:
                level = "none" if repository.private else "read"
        if token is None and (push or repository.private):
            raise Refusal(401, "Authentication required")
        if level == "none":
            raise Refusal(404, "Repository not found.")
        if push and PERMISSIONS.index(level) < PERMISSIONS.index("write"):
            login = account.login if account else ""
            raise Refusal(403, f"Permission to {repository.full_name}.git denied to {login}.")
        if push and repository.archived:
            raise Refusal(403, "This repository was archived so it is read-only.")
        return repository

    async def _backend(
        self, request: web.Request, repository: Repository, service: str, body: bytes
    ) -> web.Response:
        environment = plain_environment() | {
            "GIT_PROJECT_ROOT": str(repository.git.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.git.path.name}/{service}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": "someone",
            "REMOTE_ADDR": request.remote or "",
        }
        # aiohttp has undone a gzip encoding already.
        program = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        try:
            told, _ = await program.communicate(body)
        except asyncio.CancelledError:
            if program.returncode is None:
                program.kill()
                await program.wait()
            raise
        head, _, content = told.partition(b"\r\n\r\n")
        headers, status = {}, 200
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers[name] = value
        return web.Response(status=status, body=content, headers=headers)


def _refused(refusal: Refusal) -> web.Response:
    if refusal.status == 301:
        return web.Response(status=301, headers={"location": refusal.message})
    headers = {"www-authenticate": 'Basic realm="GitHub"'} if refusal.status == 401 else {}
    return web.Response(text=refusal.message, status=refusal.status, headers=headers)
