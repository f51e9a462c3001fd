"""A git server on loopback: bare repositories over smart HTTP, a token as basic auth, by git's own CGI."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.worker.remote_contract import Remote

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


class GitHost:
    """`refuse`: an HTTP status to answer everything with; `cut`: pushes take effect and are not answered;
    `moved_to`: where everything is redirected to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refuse: int | None = None
        self.cut = False
        self.moved_to = ""
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def create(self, name: str, *, branch: str = "main") -> Path:
        path = self.folder / f"{name}.git"
        path.mkdir(parents=True)
        self.git(path, "init", "-q", "--bare", f"--initial-branch={branch}", ".")
        self.git(path, "config", "http.receivepack", "true")
        return path

    def remote(self, name: str, token: str = TOKEN) -> Remote:
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        url = f"http://127.0.0.1:{self._server.server_port}/{name}.git"
        return Remote(repository=name, url=url, header=f"Authorization: Basic {secret}")

    @staticmethod
    def git(path: Path, *arguments: str, text: str | None = None) -> str:
        names = {
            f"GIT_{who}_{what}": f"{what.lower()}@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=path,
            input=text,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **names},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def squash(self, path: Path, commit: str, *, onto: str) -> str:
        """As somebody's click on "Squash and merge" would."""
        tree = self.git(path, "merge-tree", "--write-tree", onto, commit)
        made = self.git(path, "commit-tree", tree, "-p", onto, "-m", "Squashed")
        self.git(path, "update-ref", f"refs/heads/{onto}", made)
        return made

    def commit(self, path: Path, branch: str, files: dict[str, str], *, parent: str | None = None) -> str:
        """As somebody else's push would; on the branch's tip, or on `parent`."""
        above = parent or self.git(path, "rev-parse", f"refs/heads/{branch}")
        entries = {
            line.partition("\t")[2]: line for line in self.git(path, "ls-tree", above).splitlines() if line
        }
        for name, content in files.items():
            blob = self.git(path, "hash-object", "-w", "--stdin", text=content)
            entries[name] = f"100644 blob {blob}\t{name}"
        tree = self.git(path, "mktree", text="\n".join(entries.values()) + "\n")
        made = self.git(path, "commit-tree", tree, "-p", above, "-m", f"Elsewhere: {', '.join(files)}")
        self.git(path, "update-ref", f"refs/heads/{branch}", made)
        return made

    def heads(self, path: Path) -> dict[str, str]:
        listed = self.git(path, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in listed.splitlines())

    def hook(self, path: Path, script: str) -> None:
        file = path / "hooks" / "update"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


class _Handler(BaseHTTPRequestHandler):
    host: GitHost

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else self._chunks()
        self.host.requests.append(f"{self.command} {self.path}")
        wanted = f"x-access-token:{TOKEN}".encode()
        given = (self.headers.get("Authorization") or "").removeprefix("Basic ")
        if self.host.moved_to:
            self.send_response(301)
            self.send_header("Location", f"{self.host.moved_to}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.host.refuse is not None:
            self.send_error(self.host.refuse)
        elif base64.b64decode(given) != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._backend(body)

    def _chunks(self) -> bytes:
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        return body

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "GIT_PROJECT_ROOT": str(self.host.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "orchard",
            },
        )
        if self.host.cut and path.endswith("/git-receive-pack"):
            self.close_connection = True
            return
        with suppress(OSError):  # whoever asked was killed meanwhile
            self._say(done.stdout)

    def _say(self, answer: bytes) -> None:
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split(" ")[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
