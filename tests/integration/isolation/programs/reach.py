"""Run inside a sandbox: tries each way to the network that it is given as JSON, prints what came of each."""

import errno
import json
import socket
import sys


def outcome(kind: str, *words: object) -> str:
    try:
        return WAYS[kind](*words)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def tcp(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=5):
        return "connected"


def udp(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.sendto(b"x", (host, port))
        return "sent"


def abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as trial:
        trial.connect("\0" + name)
        return "connected"


def resolve(host: str) -> str:
    return str(socket.getaddrinfo(host, 80))


def said(port: int, text: str) -> str:
    """All that comes back on the loopback."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as trial:
        trial.sendall(text.encode())
        trial.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: trial.recv(65536), b"")).decode("latin-1")


WAYS = {"tcp": tcp, "udp": udp, "abstract": abstract, "resolve": resolve, "said": said}

print(json.dumps([outcome(*way) for way in json.loads(sys.argv[1])]))
