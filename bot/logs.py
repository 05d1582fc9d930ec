"""Logs: structured, with the reference of each message, and without secrets or telephone numbers."""

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

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


def set_up(level: str = "info", form: str = "text", secrets: Iterable[str] = ()) -> None:
    """Send structlog's and the standard library's logs, masked, to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
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
    root.setLevel(level.upper())
    for noisy in ("apscheduler", "alembic", "uvicorn", "httpx", "telegram", "fontTools"):
        logging.getLogger(noisy).setLevel("WARNING")
