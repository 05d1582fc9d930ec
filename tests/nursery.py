"""A process that has loaded the program and forks it on request, so that a start costs little."""

import ctypes
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent


def die_with_parent() -> None:
    """No process of ours outlives the run, even when that is killed itself."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Nursery:
    """The other end of such a process, which ends with us; it forks one program after another."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        assert self.channel.recv(16) == b"ready"

    def fork(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], files: Sequence[IO[Any]]
    ) -> int:
        """Start the program with the last standard files, of (input,) output and errors; its process id."""
        order = {"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment)}
        socket.send_fds(self.channel, [json.dumps(order).encode()], [file.fileno() for file in files])
        return int(self.channel.recv(16))

    def exit_code(self, within: float | None = None) -> int:
        """Wait for the end of the program that was forked last; TimeoutError after so many seconds, and end it all."""
        self.channel.settimeout(within)
        try:
            return os.waitstatus_to_exitcode(int(self.channel.recv(16)))
        except TimeoutError:
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        self.channel.close()
        self.process.wait()


def be_a_nursery(channel: socket.socket) -> None:
    """Load everything, then fork one program after another until the other end is closed."""
    import bot.__main__
    import bot.telegram  # which the program loads only when it has a token
    import bot.wechat  # noqa: F401 - likewise
    from moderation.urgency import warm

    del sys.modules["bot.__main__"]  # it is run anew, as by its command
    warm()
    channel.send(b"ready")
    while True:
        order, files, *_ = socket.recv_fds(channel, 2**17, 3)
        if not order:
            return
        pid = os.fork()
        if pid == 0:
            channel.close()
            become(json.loads(order), files)
        for file in files:
            os.close(file)
        channel.send(str(pid).encode())
        ended = os.pidfd_open(pid)
        watch = select.poll()
        watch.register(ended, select.POLLIN)
        watch.register(channel, 0)  # tells when the other end has gone
        if watch.poll()[0][0] != ended:
            return
        os.close(ended)
        channel.send(str(os.waitpid(pid, 0)[1]).encode())


def become(order: dict[str, Any], files: Sequence[int]) -> None:
    """Be the program, in a child that was just forked, and end with it."""
    die_with_parent()
    for standard, file in zip((2, 1, 0), reversed(files), strict=False):
        os.dup2(file, standard)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["linli", *order["arguments"]]
    code = 0
    try:
        runpy.run_module("bot", run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as other:
        be_a_nursery(other)
