"""The one place where everything is wired together."""

import asyncio
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import structlog
from sqlmodel import Session

import moderation.urgency
from bot.browser import Browser
from bot.clock import Clock, Ticker, scheduler
from bot.delivery import Delivery, Letter, Send, Taken
from bot.hook import AT_ONCE as CALLS_AT_ONCE
from bot.hook import Hook
from bot.housekeeping import Housekeeper
from bot.pace import Pace
from bot.settings import Settings, from_here
from conversations.errors import Refused, Unclear
from conversations.said import File, Said
from conversations.steps import RECORDINGS
from handlers import inbox
from handlers.board_entries import begin_entries
from handlers.disclosures import begin_disclosures
from handlers.inbox import Receipt
from handlers.roster import begin_clocks
from handlers.tx import House, Tx
from store.database import Database, StoreUnavailable
from store.lease import hold, let_go
from store.media import Kept, MediaStorage
from store.migrations import upgrade
from store.vault import check_key

if TYPE_CHECKING:
    from bot.telegram import Telegram
    from bot.wechat import Wechat

log = structlog.get_logger()

T = TypeVar("T")
Claim = Callable[[Session, Receipt], None]
LEASE_SECONDS = 15
SCARCE = frozenset({"wechat"})
"""The messengers that let us write only for a while after their people were heard."""


class AlreadyRunning(Exception):
    """Another process uses this data folder."""


class App:
    """One running Linli: its database, its door in, its delivery and its clock."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, senders: Mapping[str, Send] | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.lock = _lock(settings.data)
        self.database = Database(settings.database_url, threads=settings.store.threads)
        vault = settings.vault
        self.media = MediaStorage(settings.data / "media", vault)
        # One photo at a time, and never in the threads that deliver and tick.
        self.painter = ThreadPoolExecutor(1, thread_name_prefix="photos")
        self.browser = Browser(self)
        self.telegram = _telegram(self)
        self.wechat = _wechat(self)
        self.hook = Hook(settings.paging) if settings.has_hook else None
        messengers = dict(senders or {})
        paces, at_once = {}, {}
        if settings.playground.enabled:
            messengers["browser"] = self.browser.send
        if self.telegram is not None:
            messengers["telegram"] = self.telegram.send
            limits = settings.telegram
            paces["telegram"] = Pace(limits.per_second, limits.chat_per_second, limits.group_per_minute)
        if self.wechat is not None:
            messengers["wechat"] = self.wechat.send
            at_once["wechat"] = self.wechat.at_once
        if self.hook is not None:
            messengers["hook"] = self.hook.send
            at_once["hook"] = CALLS_AT_ONCE
        self.house = House(
            vault,
            settings.policy.model_dump(),
            frozenset(messengers),
            file=self.media.read_file,
            keep=self.media.keep_picture,
            keep_file=self.media.keep_file,
            link=self.telegram.link if self.telegram is not None else None,
            follow=self.wechat is not None,
            scarce=SCARCE & messengers.keys(),
            digest_at=settings.wechat.digest_at,
            no_contact=SCARCE,
            page=lambda token: f"{settings.web.address.rstrip('/')}/p/{token}",
            link_hours=settings.pages.link_hours,
            canvass_page=canvass_page(settings.web.address) if settings.web.address else None,
            notifications={"wechat": settings.wechat.notification},
            vote_page=_vote_page(settings),
            board_page=board_page(_public_base(settings)),
            hook=self.hook is not None,
        )
        senders = {name: self._revealing(send) for name, send in messengers.items()}
        self.delivery = Delivery(
            self.database, senders, self.clock.now, self.browser.delivered, paces, at_once=at_once
        )
        self.ticker = Ticker(self.database, self.house, self.clock.now, self.delivery.wake.set)
        self.housekeeper = Housekeeper(self.database, self.media)
        self.holder = "only" if self.database.is_sqlite else secrets.token_hex(8)
        self.warming = threading.Thread(target=moderation.urgency.warm, name="warm", daemon=True)
        self.tasks: list[asyncio.Task[None]] = []
        self.scheduler = scheduler(self.ticker.tick)

    async def start(self) -> None:
        """Bring the schema up to date and begin to deliver and to tick; the rules load beside it."""
        await asyncio.to_thread(upgrade, self.database.engine)
        await asyncio.to_thread(self._check_key)
        await self.database.write(self._begin)
        self.warming.start()
        self.tasks = [asyncio.create_task(self._lead())]
        self.scheduler.start()
        self.delivery.wake.set()

    def _check_key(self) -> None:
        with self.database.read() as session:
            check_key(session, self.house.vault)

    def _revealing(self, send: Send) -> Send:
        """What is hidden in a row's words is opened on its way out, and never written down."""

        async def reveal(letter: Letter) -> Taken:
            letter.row.text = self.house.vault.reveal(letter.row.text)
            return await send(letter)

        return reveal

    def _begin(self, session: Session) -> None:
        """Let every community have what an earlier version did not give it."""
        tx = Tx(session, self.clock.now(), self.house)
        begin_clocks(tx)
        begin_entries(tx)
        begin_disclosures(tx)

    async def stop(self) -> None:
        """Finish the messages in hand, then let go of everything."""
        # The tick ends by itself: APScheduler would break it off, and call that an error.
        if self.scheduler.running:
            self.scheduler.pause()
        await self.ticker.stop()
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self.warming.is_alive():  # a thread inside a library must not outlive the interpreter
            await asyncio.to_thread(self.warming.join)
        if self.telegram is not None:
            await self.telegram.close()
        if self.wechat is not None:
            await self.wechat.close()
        if self.hook is not None:
            self.hook.close()
        await asyncio.to_thread(self.database.close)
        self.painter.shutdown(wait=False)
        self.lock.close()

    async def receive(self, said: Said, claim: Claim | None = None) -> Receipt:
        """The door: take one message. On return it is committed, with its effects or with its error.

        `claim` is called in the same transaction when the message has acted: a request may take its answers along.
        Raises StoreUnavailable when nothing could be kept; then its sender must be told so.
        """
        # A key may hold the account's number, which no log needs: its hash tells two messages apart as well.
        key = self.house.vault.hash(f"{said.messenger} {said.key}")[:8]
        with structlog.contextvars.bound_contextvars(messenger=said.messenger, key=key):
            await self.delivery.written(said.messenger, said.place)
            receipt = await self._receive(said, claim)
        self.delivery.wake.set()
        return receipt

    async def keep(self, kind: str, data: bytes, name: str = "") -> File:
        """Store a file that came in, as talks know it; StoreUnavailable when it cannot be written.

        A photo is cleaned, all else is sealed; a video that only sounds is a voice message.
        """
        kept = await asyncio.get_running_loop().run_in_executor(self.painter, self._keep, kind, data)
        if kept.mime.startswith(("audio/", "video/")):
            kind = "voice" if kept.mime.startswith("audio/") else "video"
        return File(kind=kind, name=name).model_copy(update=asdict(kept))  # type: ignore[arg-type]

    def _keep(self, kind: str, data: bytes) -> Kept:
        if kind in RECORDINGS:
            return self.media.keep_recording(data, kind)
        return self.media.keep_file(data) if kind == "file" else self.media.keep_photo(data)

    async def _receive(self, said: Said, claim: Claim | None) -> Receipt:
        trouble: Exception | None = None
        try:
            receipt = await self._take(inbox.receive, said, claim)
        except (Unclear, Refused) as error:
            receipt, trouble = await self._answer(said, claim, error)
        except StoreUnavailable:
            raise
        except Exception as error:
            receipt, trouble = await self._keep_failed(said, claim, error), error
        if trouble is None:
            log.info("taken", reference=receipt.reference, new=receipt.new)
        else:
            log.error("a message failed", reference=receipt.reference, exc_info=trouble)
        return receipt

    async def _answer(
        self, said: Said, claim: Claim | None, error: Unclear | Refused
    ) -> tuple[Receipt, Exception | None]:
        """Answer a message that was not understood or not allowed; if even that fails, keep it at least."""
        try:
            return await self._take(partial(inbox.reply, error=error), said, claim), None
        except StoreUnavailable:
            raise
        except Exception as second:
            return await self._keep_failed(said, claim, second), second

    async def _keep_failed(self, said: Said, claim: Claim | None, error: Exception) -> Receipt:
        keep = partial(inbox.keep_failed, error=repr(error))
        try:
            return await self._take(keep, said, claim)
        except StoreUnavailable:
            raise
        except Exception:  # it may be the claim that fails
            return await self._take(keep, said, None)

    async def _take(self, doing: Callable[..., Receipt], said: Said, claim: Claim | None) -> Receipt:
        def work(session: Session) -> Receipt:
            receipt = doing(session, said, house=self.house, now=self.clock.now())
            if claim is not None:
                claim(session, receipt)
            return receipt

        return await self.database.write(work)

    async def run_again(self, inbox_id: int) -> None:
        """Let a message that failed act now."""
        await self._write(inbox.run_again, inbox_id=inbox_id)
        self.delivery.wake.set()

    async def _write(self, work: Callable[..., T], **arguments: object) -> T:
        return await self.database.write(
            lambda session: work(session, **arguments, house=self.house, now=self.clock.now())
        )

    async def _lead(self) -> None:
        """Deliver, fetch updates and keep house while this process holds the lease: one of however many."""
        running: list[asyncio.Task[None]] = []
        try:
            while True:
                leads = await self._leads()
                if leads is False:
                    await _end(running)
                elif leads and (not running or any(task.done() for task in running)):
                    await _end(running)
                    running += [asyncio.create_task(work()) for work in self._work()]
                    self.delivery.wake.set()
                await asyncio.sleep(LEASE_SECONDS / 3)
        finally:
            await _end(running)
            with suppress(StoreUnavailable):
                await self.database.write(partial(let_go, name="delivery", holder=self.holder))

    def _work(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        telegram = [self.telegram.run] if self.telegram is not None else []
        return [self.delivery.run, self.housekeeper.run, *telegram]

    async def _leads(self) -> bool | None:
        """Take the lease, or keep it, if no other process holds it; None: the database does not say.

        What is in hand then goes on: what was sent must still be written down.
        """
        try:
            return await self.database.write(
                partial(
                    hold,
                    name="delivery",
                    holder=self.holder,
                    now=datetime.now(UTC),  # the real time: the playground's may jump
                    seconds=LEASE_SECONDS,
                )
            )
        except StoreUnavailable as error:
            log.error("the database is away", error=str(error))
        except Exception:  # whatever it is: without this task nothing is delivered any more
            log.exception("the lease could not be held")
        return None


def _vote_page(settings: Settings) -> Callable[[int, int], str] | None:
    base = _public_base(settings)
    return (lambda community, number: f"{base}/votes/{community}/{number}") if base else None


def board_page(address: str) -> Callable[[str], str] | None:
    """Where a path below the page of the board is opened, for this public address."""
    return (lambda path: f"{address.rstrip('/')}/board/{path}") if address else None


def _public_base(settings: Settings) -> str:
    """Where public pages are opened: by the public address, or from this machine by whoever tries us out."""
    web = settings.web
    base = web.address.rstrip("/")
    if not base and settings.playground.enabled and web.port:
        base = from_here(web.host, web.port)
    return base


def canvass_page(address: str) -> Callable[[str], str]:
    """Where the canvass list of a link can be opened and printed."""
    return lambda token: f"{address.rstrip('/')}/canvass/{token}"


def _telegram(app: App) -> "Telegram | None":
    """The messenger Telegram, if this installation has a token; its library is loaded only then."""
    if not app.settings.telegram.token.get_secret_value():
        return None
    from bot.telegram import Telegram

    return Telegram(app)


def _wechat(app: App) -> "Wechat | None":
    """The messenger WeChat, if this installation has a service account; BadSettings if something is wrong with it."""
    if not app.settings.has_wechat:
        return None
    from bot.wechat import Wechat

    return Wechat(app)


async def _end(running: list[asyncio.Task[None]]) -> None:
    """Let tasks finish what they have in hand."""
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("a task ended", exc_info=result)
    running.clear()


def _lock(data: Path) -> IO[str]:
    """Hold the data folder for this process alone."""
    data.mkdir(parents=True, exist_ok=True)
    file = (data / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise AlreadyRunning(owner) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
