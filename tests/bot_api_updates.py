"""The updates of the test server: one queue, from which the bot polls or to whose webhook they are posted."""

import asyncio
import copy
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.bot_api_facts import TYPES, Refused, wrong

Update = dict[str, Any]

KINDS = tuple(name for name in TYPES["Update"] if name != "update_id")
NOT_BY_DEFAULT = ("chat_member", "message_reaction", "message_reaction_count")
KEPT_FOR = 24 * 3600
LONGEST_POLL = 50.0
TERMINATED = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


@dataclass
class Webhook:
    """Where the updates go, when it is not the bot that asks for them."""

    url: str = ""
    secret: str = ""
    max_connections: int = 40
    has_certificate: bool = False
    ip_address: str = ""
    error_at: int = 0
    error: str = ""


@dataclass
class Queue:
    """All updates of the bot."""

    now: Callable[[], float]
    backoff: float
    made: list[Update] = field(default_factory=list)
    """Every update ever made; those that allowed_updates holds back are not made."""
    pending: dict[int, Update] = field(default_factory=dict)
    made_at: dict[int, float] = field(default_factory=dict)
    again: list[Update] = field(default_factory=list)
    """Confirmed updates that are handed out once more."""
    confirmed: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    """Updates that nobody confirmed and that are gone: too old, or dropped on request."""
    allowed: list[str] = field(default_factory=list)
    webhook: Webhook = field(default_factory=Webhook)
    next_id: int = 730_000_001
    turn: int = 0
    stopping: bool = False
    handed_out: int = 0

    def __post_init__(self) -> None:
        self.news = asyncio.Event()
        self.free = asyncio.Event()
        self.busy: set[str] = set()
        self.waiting: dict[str, float] = {}
        self.failed: dict[str, int] = {}
        self.posts: set[asyncio.Task[None]] = set()
        self.deliverer: asyncio.Task[None] | None = None
        self.session: aiohttp.ClientSession | None = None
        self.remarks: list[str] = []

    def push(self, kind: str, body: dict[str, Any]) -> Update | None:
        """Make an update as of now; None when the bot does not want its kind."""
        if not (kind in self.allowed if self.allowed else kind not in NOT_BY_DEFAULT):
            return None
        update = {"update_id": self.next_id, kind: copy.deepcopy(body)}
        self.made_at[self.next_id] = self.now()
        self.pending[self.next_id] = update
        self.made.append(update)
        self.next_id += 1
        self.wake()
        return update

    def wake(self) -> None:
        """Let everybody who waits for updates look again."""
        self.news.set()
        self.news = asyncio.Event()
        self.free.set()

    def confirm_below(self, offset: int) -> None:
        """The bot has everything below the offset."""
        for number in [number for number in self.pending if number < offset]:
            del self.pending[number]
            self.confirmed.add(number)

    def lose(self, numbers: list[int]) -> None:
        """Forget updates that were not confirmed."""
        for number in numbers:
            del self.pending[number]
            self.lost.add(number)

    def expire(self) -> None:
        """Updates are kept for 24 hours."""
        self.lose([n for n in self.pending if self.now() - self.made_at[n] > KEPT_FOR])

    def redeliver(self, times: int, shuffled: bool, seed: int) -> None:
        """Hand out all confirmed updates again, so often."""
        again = [update for update in self.made if update["update_id"] in self.confirmed] * times
        if shuffled:
            random.Random(seed).shuffle(again)
        self.again += again
        self.wake()

    async def poll(self, offset: int, limit: int, timeout: float, allowed: list[str] | None) -> list[Update]:
        """What getUpdates answers: it waits until there is something; a second poller ends the first."""
        if self.webhook.url:
            raise Refused(409, WEBHOOK_ACTIVE)
        if allowed is not None:
            self.allowed = allowed
        self.turn += 1
        turn = self.turn
        self.wake()
        self.expire()
        if offset < 0:
            self.lose(sorted(self.pending)[:offset])
        self.confirm_below(offset)
        loop = asyncio.get_running_loop()
        end = loop.time() + min(timeout, LONGEST_POLL)
        while True:
            if turn != self.turn:
                raise Refused(409, TERMINATED)
            if self.webhook.url:
                raise Refused(409, "Conflict: terminated by setWebhook request")
            found = self._batch(limit)
            left = end - loop.time()
            if found or left <= 0 or self.stopping:
                return found
            news = self.news
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await news.wait()

    def _batch(self, limit: int) -> list[Update]:
        if self.again:
            found, self.again = self.again[:limit], self.again[limit:]
        else:
            found = [self.pending[number] for number in sorted(self.pending)[:limit]]
        self.handed_out += len(found)
        return copy.deepcopy(found)

    # --- webhook

    def set_webhook(self, webhook: Webhook, allowed: list[str] | None, drop: bool) -> None:
        """From now on updates are posted there, or to nobody when the address is empty."""
        self.webhook = webhook
        if allowed is not None:
            self.allowed = allowed
        if drop:
            self.lose(list(self.pending))
        self.waiting.clear()
        self.failed.clear()
        self.start()

    def start(self) -> None:
        """Begin to deliver, if there is a webhook."""
        self.stopping = False
        self.wake()
        if self.webhook.url and self.deliverer is None:
            self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
            self.deliverer = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        """Post updates, those of one chat in their order, until the server stops."""
        loop = asyncio.get_running_loop()
        while True:
            self.free.clear()
            self._start_posts(loop.time())
            waits = [at for key, at in self.waiting.items() if key not in self.busy]
            # Not wait_for: before Python 3.12 it swallows the end that comes just when the wait is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(waits) - loop.time(), 0.001) if waits else None):
                    await self.free.wait()

    def _start_posts(self, now: float) -> None:
        if not self.webhook.url:
            return
        self.expire()
        self.waiting = {key: at for key, at in self.waiting.items() if at > now}
        seen: set[str] = set()
        queue = [(update, True) for update in self.again]
        queue += [(self.pending[number], False) for number in sorted(self.pending)]
        for update, repeated in queue:
            key = lane(update)
            if len(self.busy) >= self.webhook.max_connections:
                return
            if key in seen or key in self.busy or key in self.waiting:
                continue
            seen.add(key)
            self.busy.add(key)
            if repeated:
                self.again.remove(update)
            task = asyncio.create_task(self._post(update, key))
            self.posts.add(task)
            task.add_done_callback(self.posts.discard)

    async def _post(self, update: Update, key: str) -> None:
        webhook = self.webhook
        number = update["update_id"]
        self.handed_out += 1
        error = await self._error_of_post(update, webhook)
        self.busy.discard(key)
        if not error:
            self.failed.pop(key, None)
            if self.pending.pop(number, None):
                self.confirmed.add(number)
        elif webhook is self.webhook:
            webhook.error, webhook.error_at = error, int(self.now())
            self.failed[key] = self.failed.get(key, 0) + 1
            delay = min(self.backoff * 2 ** (self.failed[key] - 1), 60 * self.backoff)
            self.waiting[key] = asyncio.get_running_loop().time() + delay
        self.free.set()

    async def _error_of_post(self, update: Update, webhook: Webhook) -> str:
        assert self.session
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
        try:
            async with self.session.post(
                webhook.url, json=update, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.read()
                if 200 <= answer.status < 300:
                    if b'"method"' in body:
                        self.remarks.append("webhook: a method in the answer to an update is not simulated")
                    return ""
                return f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except TimeoutError:
            return "Read timeout expired"
        except aiohttp.ClientConnectorError:
            return "Connection refused"
        except aiohttp.ClientError:
            return "Connection reset by peer"

    async def stop(self) -> None:
        """End everything that waits."""
        self.stopping = True
        self.wake()
        tasks = [task for task in (self.deliverer, *self.posts) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.busy.clear()
        self.deliverer = None
        if self.session:
            await self.session.close()
            self.session = None


def lane(update: Update) -> str:
    """What is delivered one after the other to a webhook: the messages of a chat, the taps of a person."""
    kind = next(name for name in update if name != "update_id")
    body = update[kind]
    if kind == "callback_query":
        return f"tap {body['from']['id']}"
    if kind in ("my_chat_member", "chat_member"):
        return f"{kind} {body['chat']['id']}"
    return f"chat {body['chat']['id']}"


def check_kinds(kinds: list[str]) -> list[str]:
    """The kinds of updates somebody wants."""
    for kind in kinds:
        if kind not in KINDS:
            raise wrong(f'unknown kind of update "{kind}"')
    return kinds
