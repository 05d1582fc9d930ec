"""An event loop whose time is simulated: where it would wait, its clock jumps, so that minutes pass in a moment."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from store.database import Database

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Never waits: what would be waited for has passed."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for ever")
        self.seconds += max(timeout, 0.0)
        return super().select(0)


class Simulated(asyncio.SelectorEventLoop):
    """Its `time()` begins at 0 and stands still while anything works, in a thread as well: that is done at once."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def at_once(database: Database) -> None:
    """Let the database write while the loop stands still."""

    async def write(work: Callable[..., T], *, behind: bool = False) -> T:
        return database.write_now(work)

    database.write = write  # type: ignore[method-assign]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, in simulated time."""
    with asyncio.Runner(loop_factory=Simulated) as runner:
        return runner.run(work)
