"""The way out of a sandbox's own network: listens on its loopback, forwards to unix sockets.

    python -I -S relay.py PORT=SOCKET ... -- PROGRAM ...

PROGRAM (an absolute path) starts when every port listens. The signals that ask to end are passed on to it,
and this ends with its code (128 + n when signal n ended it); what it left behind ends with the namespace.
It decides nothing: what is on the other side of the sockets trusts nobody in here.

Standard library only, and as little of it as can be: it starts with every agent. bubblewrap has brought the
loopback interface up.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, a third of the start
import _socket
import posix as os  # the whole of `os` takes a millisecond to import
import select
import sys

_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_CHUNK = 1 << 16
_MOST_PAIRS = 400  # two descriptors each; the usual limit is 1024


class End:
    """One side of a connection: what has come in from `other` and is still to be sent here."""

    def __init__(self, socket: _socket.socket) -> None:
        self.socket = socket
        self.fd: int = socket.fileno()
        self.other: End = self
        self.unsent = b""
        self.heard_all = False  # it will say no more
        self.told_all = False  # we have told it that no more comes
        self.mask = 0

    def wanted(self) -> int:
        reading = select.EPOLLIN if not self.heard_all and not self.other.unsent else 0
        return reading | (select.EPOLLOUT if self.unsent else 0)


class Relay:
    def __init__(self, doors: dict[int, str]) -> None:
        self._poll = select.epoll()
        self._ends: dict[int, End] = {}
        self._doors: dict[int, tuple[_socket.socket, str]] = {}
        self._open = True
        for port, path in doors.items():
            listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
            listener.setblocking(False)
            self._doors[listener.fileno()] = (listener, path)
            self._poll.register(listener.fileno(), select.EPOLLIN)

    def serve(self, wake: int) -> None:
        """Until something can be read of `wake`."""
        self._poll.register(wake, select.EPOLLIN)
        woken = False
        while not woken:
            for fd, events in self._poll.poll():
                if fd == wake:
                    woken = True
                elif fd in self._doors:
                    self._accept(*self._doors[fd])
                elif fd in self._ends:  # else closed with its other side a moment ago
                    self._move(self._ends[fd], events)
        self._poll.unregister(wake)

    def _accept(self, listener: _socket.socket, path: str) -> None:
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        inside = End(_socket.socket(fileno=fd))
        outside = End(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM))
        inside.other, outside.other = outside, inside
        try:
            for end in (inside, outside):
                end.socket.setblocking(False)
            inside.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            outside.socket.connect(path)
        except OSError:  # nobody is there any more, or nobody has time
            inside.socket.close()
            outside.socket.close()
            return
        for end in (inside, outside):
            self._ends[end.fd] = end
        self._watch(inside)
        self._listen(len(self._ends) < 2 * _MOST_PAIRS)

    def _move(self, end: End, events: int) -> None:
        try:
            if (
                events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR)
                and end.wanted() & select.EPOLLIN
            ):
                self._hear(end)
            elif events & select.EPOLLERR:
                raise OSError
            if end.unsent and events & (select.EPOLLOUT | select.EPOLLHUP):
                self._say(end)
        except OSError:
            self._close(end)
            return
        if end.told_all and end.other.told_all:
            self._close(end)
        else:
            self._watch(end)

    def _hear(self, end: End) -> None:
        try:
            data = end.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        end.heard_all = not data
        end.other.unsent = data
        self._say(end.other)

    def _say(self, end: End) -> None:
        if end.unsent:
            try:
                end.unsent = end.unsent[end.socket.send(end.unsent) :]
            except BlockingIOError:
                return
        if not end.unsent and end.other.heard_all and not end.told_all:
            end.told_all = True
            end.socket.shutdown(_socket.SHUT_WR)

    def _watch(self, end: End) -> None:
        """What we want nothing of is not watched at all: the kernel would tell of its end without pause."""
        for each in (end, end.other):
            wanted = each.wanted()
            if wanted == each.mask:
                continue
            if not each.mask:
                self._poll.register(each.fd, wanted)
            elif not wanted:
                self._poll.unregister(each.fd)
            else:
                self._poll.modify(each.fd, wanted)
            each.mask = wanted

    def _close(self, end: End) -> None:
        for each in (end, end.other):
            if each.mask:
                self._poll.unregister(each.fd)
            del self._ends[each.fd]
            each.socket.close()
        self._listen(True)

    def _listen(self, wanted: bool) -> None:
        """Newcomers wait in the kernel's queue while there are as many as we may have open."""
        if wanted != self._open:
            self._open = wanted
            for fd in self._doors:
                self._poll.modify(fd, select.EPOLLIN if wanted else 0)


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    doors = {int(port): path for port, _, path in (door.partition("=") for door in arguments[:split])}
    command = arguments[split + 1 :]
    wake, poke = os.pipe()
    for fd in (wake, poke):
        os.set_blocking(fd, False)
    try:
        relay = Relay(doors)
    except OSError as error:
        os.write(2, f"relay: a port of the sandbox cannot be listened on: {error.strerror}\n".encode())
        return 126
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    asked: list[int] = []
    for number in _PASSED_ON:
        signal.signal(number, lambda got, _frame: asked.append(got))
    signal.signal(signal.SIGCHLD, lambda _got, _frame: None)
    program = os.fork()
    if program == 0:
        _become(command)
    _let_go_of_files()
    while True:
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        while asked:
            os.kill(program, asked.pop(0))
        relay.serve(wake)
        os.read(wake, 4096)


def _become(command: list[str]) -> None:
    """In the child. Never returns."""
    code = 126
    try:
        os.setsid()  # a program that signals its own group must not hit its way out
        signal.set_wakeup_fd(-1)
        for number in (*_PASSED_ON, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execve(command[0], command, _given_environment())
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        os.write(2, f"relay: cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _given_environment() -> dict[bytes, bytes]:
    """As this process was started with: Python itself adds LC_CTYPE where no locale is set."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    return {name: value for name, _, value in entries}


def _let_go_of_files() -> None:
    """Pipes must close when the program closes them, not when this ends. What is inheritable is not ours."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                os.close(int(name))
        except OSError:
            continue  # that of the list itself
    os.close(null)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # there is nothing to tidy up, and that takes a millisecond
