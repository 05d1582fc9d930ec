"""Logs: structured, with the reference of each message, and without secrets, names or telephone numbers."""

import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Iterable, Iterator, MutableMapping
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

# Bot tokens (also in Telegram's addresses, /bot123456:AA…/), telephone numbers (mobile, landline), and long runs of
# digits as in identity and bank cards.
PRIVATE = re.compile(
    r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"
    r"|(?<!\d)(?:\+?86[ .-]?)?1[3-9]\d(?:[ .-]?\d{4}){2}(?!\d)"
    r"|(?<![\d.:-])0\d{2,3}[ -]?\d{4}[ -]?\d{3,4}(?!\d)"
    r"|\d{15,19}"
)
PASSWORD = re.compile(r"(?<=://)([^:/@\s]+):[^@/\s]+@")


class Masking:
    """A structlog processor that masks secrets, tokens and telephone numbers in every value."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = [secret for secret in secrets if secret]

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            if isinstance(value, str):
                event[name] = self.mask(value)
        return event

    def mask(self, text: str) -> str:
        """The text with everything private replaced by ***."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return PRIVATE.sub("***", PASSWORD.sub(r"\1:***@", text))


OURS = ("bot", "handlers", "conversations", "moderation", "store", "__main__")
Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def without_words(exc_info: Raised) -> str:
    """An exception as logs show it: of what kind, and where in the code.

    What it says may be what people wrote: that stands in the row of the message, the timer or the letter that failed.
    """
    return "".join(_lines(exc_info[1], set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "\n\n"
    yield "".join(traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__}{_harmless(error)}"


def _harmless(error: BaseException) -> str:
    """What an exception says that no person can have written."""
    if isinstance(error, DBAPIError):
        return ""  # the driver's own comes with it
    if isinstance(error, sqlite3.Error):
        return f": {error}"  # it names columns, never values
    if isinstance(error, OSError):
        return f": {error.strerror}"
    state = getattr(error, "sqlstate", None)
    return f": {state} {error.diag.constraint_name or ''}".rstrip() if state else ""  # type: ignore[attr-defined]


def set_up(level: str = "info", form: str = "text", secrets: Iterable[str] = ()) -> None:
    """Send structlog's and the standard library's logs, masked, to standard error.

    Libraries are heard from warnings on: below, they log what passes through them, even rows of the database.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.ExceptionRenderer(without_words),
        Masking(secrets),
    ]
    last: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    chosen = getattr(logging, level.upper())
    root.setLevel(max(chosen, logging.WARNING))
    # It warns every second of a tick that takes longer, as a notice to thousands does.
    logging.getLogger("apscheduler.scheduler").setLevel(max(chosen, logging.ERROR))
    for name in OURS:
        logging.getLogger(name).setLevel(chosen)
