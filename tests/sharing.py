"""What the tests of one run share because a program makes it once in its life, and a test has a new program."""

import functools
import os
import ssl
import sys
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from sqlalchemy import Engine, create_engine
from sqlalchemy.util import LRUCache

import bot.app
import bot.board_pages
import bot.canvass_pages
import bot.personal_pages
import bot.playground
import bot.vote_pages
import store.database

STATEMENTS = 3000
COMPILED = Path(__file__).parent.parent / ".pytest_cache" / "compiled"
_first: dict[str, Engine] = {}


def share() -> None:
    """Let every later program of this process find its statements and pages compiled and its certificates read.

    Nor does it wait for the disk: no test cuts the power.
    """
    store.database.create_engine = _engine
    bot.app.Database = functools.partial(store.database.Database, durable=False)
    pages = functools.partial(Environment, bytecode_cache=_Pages())
    for module in (bot.board_pages, bot.canvass_pages, bot.personal_pages, bot.playground, bot.vote_pages):
        module.Environment = pages
    ssl.create_default_context = functools.cache(ssl.create_default_context)
    if sys.dont_write_bytecode:
        # Else each program that a test starts would compile all its libraries for itself.
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(COMPILED)
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class _Pages(BytecodeCache):
    """The compiled templates, in memory; what its file no longer says is compiled anew."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self.kept.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


def _engine(url: Any, **options: Any) -> Engine:
    """An engine whose compiled statements are those of the first one on this kind of database."""
    made = create_engine(url, **options)
    first = _first.get(made.dialect.name)
    if first is None or first.dialect.server_version_info is None:  # was never connected
        made._compiled_cache = LRUCache(STATEMENTS)
        _first[made.dialect.name] = made
    else:
        # Statements are kept by their dialect, which says the same of the same server.
        made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
    return made
