"""Serving pages to a browser, while its own loop runs in the thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette

RESTED = httpx.Limits(keepalive_expiry=1.0)
"""Idle connections are let go long before uvicorn does it after 5 s, which would end one just as it is used again."""


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The address of an application that is served meanwhile."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
