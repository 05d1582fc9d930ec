"""Telegram, beside a bare echo bot on the same library: from the JSON of an update to its answer at the network.

The network is a stub at the library's own extension point, the same for both; it answers at once. The echo bot has
no database, so that the difference is what Linli does for a message: read it, commit it, answer from the queue.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from sqlalchemy import text
from sqlmodel import col, select
from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters
from telegram.request import BaseRequest, RequestData

from bot.delivery import Letter
from bot.telegram_said import said_from
from conversations.said import Said
from moderation.urgency import warm
from store.tables import Outgoing, Place
from tests import postgres
from tests.benchmarks.measure import Figure, shown, table
from tests.benchmarks.start import ROOT, megabytes_in
from tests.benchmarks.town import Town, durable_postgresql, town
from tests.bot_api import TOKEN, BotApi

MANY = 40
"""How many people write at the same time; each waits for the answer before the next message."""
FIRST = 5_000_000_000
"""Chat numbers of people follow it, as newer accounts have them."""
PATIENCE = 30.0
UNLIMITED = {"per_second": 1_000_000, "chat_per_second": 1_000_000, "group_per_minute": 60_000_000}
BOT = {
    "id": int(TOKEN.partition(":")[0]),
    "is_bot": True,
    "first_name": "Linli",
    "username": "linli_test_bot",
}
ON_TELEGRAM = (
    "UPDATE account SET messenger = 'telegram', external_id = CAST({first} + person_id AS TEXT)",
    "UPDATE place SET messenger = 'telegram', external_id = CAST(CASE WHEN person_id IS NULL "
    "THEN -1000000000000 - id ELSE {first} + person_id END AS TEXT)",
)
REPORT = ("报修", "=home", "厨房水龙头滴水", "=any_time", "!skip", "=yes")
"""What is said until a report is registered; a button by the end of its value."""
ANOTHER = ".same=none"
"""The button that says that it is another one than what the same person has reported before."""


class Network(BaseRequest):
    """Takes every request as it would be encoded, and answers it at once."""

    def __init__(self, **_: object) -> None:
        self.calls = 0
        self.buttons: dict[int, list[str]] = {}
        """The values under the last message with buttons, by its chat."""
        self.asked: dict[int, asyncio.Future[None]] = {}
        self.numbers = count(1)

    @property
    def read_timeout(self) -> float | None:
        return 5

    async def initialize(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass

    def answer(self, chat: int) -> "asyncio.Future[None]":
        """Done as soon as the next message to this chat comes."""
        self.asked[chat] = asyncio.get_running_loop().create_future()
        return self.asked[chat]

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *_: Any, **__: Any
    ) -> tuple[int, bytes]:
        given = request_data.json_parameters if request_data else {}
        self.calls += 1
        result: Any = True
        if url.endswith("/getMe"):
            result = BOT
        elif url.endswith(("/sendMessage", "/editMessageText")):
            assert request_data is not None
            result = self._message(int(given["chat_id"]), given["text"])
            if url.endswith("/sendMessage"):
                self._sent(int(given["chat_id"]), request_data.parameters.get("reply_markup"))
        elif "/getMy" in url:
            result = []
        return 200, json.dumps({"ok": True, "result": result}).encode()

    def _message(self, chat: int, words: str) -> dict[str, Any]:
        kind = {"type": "private", "first_name": "Chen"} if chat > 0 else {"type": "supergroup", "title": "G"}
        head = {"message_id": next(self.numbers), "date": 1_790_000_000, "from": BOT}
        return {**head, "chat": {"id": chat, **kind}, "text": words}

    def _sent(self, chat: int, markup: Any) -> None:
        if markup:
            rows = markup["inline_keyboard"]
            self.buttons[chat] = [button["callback_data"] for row in rows for button in row]
        waits = self.asked.pop(chat, None)
        if waits is not None and not waits.done():
            waits.set_result(None)


@dataclass
class Program:
    """A bot: what takes the JSON of one update, and its network."""

    take: Callable[[bytes], Awaitable[None]]
    network: Network

    async def ask(self, chat: int, raw: bytes) -> None:
        """Until the update is taken and its answer is at the network, whichever comes last."""
        answered = self.network.answer(chat)
        async with asyncio.timeout(PATIENCE):
            await self.take(raw)
            await answered


@dataclass
class Updates:
    """The JSON of updates as Telegram sends them, no two with the same numbers."""

    numbers: Iterator[int] = field(default_factory=count)

    def message(self, chat: int, words: str) -> bytes:
        number = next(self.numbers)
        message = {"message_id": number, "from": self._person(chat), "chat": self._chat(chat)}
        message |= {"date": 1_790_000_000, "text": words}
        if words.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(words)}]
        return json.dumps({"update_id": number, "message": message}).encode()

    def press(self, chat: int, value: str) -> bytes:
        number = next(self.numbers)
        message = {"message_id": 1, "from": BOT, "chat": self._chat(chat), "date": 1_790_000_000, "text": "…"}
        press = {"id": str(number), "from": self._person(chat), "chat_instance": "1", "data": value}
        return json.dumps({"update_id": number, "callback_query": {**press, "message": message}}).encode()

    def _person(self, chat: int) -> dict[str, Any]:
        return {"id": chat, "is_bot": False, **self._names(chat), "language_code": "zh-hans"}

    def _chat(self, chat: int) -> dict[str, Any]:
        return {"id": chat, "type": "private", **self._names(chat)}

    def _names(self, chat: int) -> dict[str, str]:
        return {"first_name": "Chen", "last_name": str(chat), "username": f"chen{chat}"}


@dataclass
class Measured:
    """Updates a second of each round, processor time and requests an update."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    calls: float = 0.0


Results = dict[str, Measured]
Stages = dict[str, list[float]]


def main(*, quick: bool = False) -> None:
    """Both databases, many people and one; each stage alone; then memory and imports."""
    warm()
    rounds, each = (3, 3) if quick else (9, 10)
    with _town(None) as where:
        asyncio.run(_measure("SQLite, synchronous=FULL", where, rounds, each))
    with durable_postgresql() as server, _town(server) as where:
        asyncio.run(_measure("PostgreSQL 4 threads, fsync on", where, rounds, each))
    _imports(3 if quick else 7)
    asyncio.run(_memory(2 if quick else 5))


@contextmanager
def _town(server: postgres.Server | None) -> Iterator[Town]:
    """A Town whose people are on Telegram, and that has the stub for its network."""
    with (
        patch("bot.telegram.HTTPXRequest", Network),
        town(100, server, telegram={"token": TOKEN, **UNLIMITED}) as where,
    ):
        with where.app.database.engine.begin() as connection:
            for statement in ON_TELEGRAM:
                connection.execute(text(statement.format(first=FIRST)))
        yield where


async def _measure(name: str, where: Town, rounds: int, each: int) -> None:
    linli, echo = await _linli(where), await _echo()
    updates = Updates()
    people = [FIRST + number for number in range(1, MANY + 1)]
    results: Results = defaultdict(Measured)
    stages: Stages = defaultdict(list)

    async def help_(program: Program, chat: int) -> int:
        await program.ask(chat, updates.message(chat, "/help"))
        return 1

    async def report(program: Program, chat: int) -> int:
        async def press(end: str) -> int:
            values = [value for value in program.network.buttons[chat] if value.endswith(end)]
            for value in values:
                await program.ask(chat, updates.press(chat, value))
            return len(values)

        asked = 0
        for what in REPORT:
            if what[0] in "=!":
                pressed = await press(what)
                assert pressed == 1, (what, program.network.buttons[chat])
            else:
                await program.ask(chat, updates.message(chat, what))
                asked += await press(ANOTHER)
        return len(REPORT) + asked

    async def turn(into: Results, times: int) -> None:
        for title, chats in ((f"{MANY} people", people), ("one person", people[:1])):
            await _round(into[f"echo bot, {title}"], echo, help_, chats, times)
            delivering = asyncio.create_task(where.app.delivery.run())
            await _round(into[f"Linli, /help, {title}"], linli, help_, chats, times)
            await _round(into[f"Linli, a report by form, {title}"], linli, report, chats, times // 4 or 1)
            await _quiet(where)
            delivering.cancel()
            await asyncio.wait({delivering})

    await turn(defaultdict(Measured), 1)  # statements are compiled, files are warm
    await _stages(defaultdict(list), where, echo, updates, people)
    for _ in range(rounds):  # turn by turn, so that a busy moment hits all
        await turn(results, each)
        await _stages(stages, where, echo, updates, people)
    _print(name, results, stages)


async def _linli(where: Town) -> Program:
    """Linli, its delivery not running yet."""
    telegram = where.app.telegram
    assert telegram is not None and await telegram.is_reached()
    network = telegram.bot.request
    assert isinstance(network, Network)

    async def take(raw: bytes) -> None:
        await telegram.take(json.loads(raw))

    return Program(take, network)


async def _echo() -> Program:
    """The bare bot that says everything again."""
    network = Network()
    made = Application.builder().token(TOKEN).request(network).get_updates_request(Network())
    application: Any = made.updater(None).job_queue(None).build()

    async def reply(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message and update.message.text
        await update.message.reply_text(update.message.text)

    application.add_handler(MessageHandler(filters.TEXT, reply))
    await application.initialize()

    async def take(raw: bytes) -> None:
        await application.process_update(Update.de_json(json.loads(raw), application.bot))

    return Program(take, network)


async def _round(
    measured: Measured,
    program: Program,
    says: Callable[[Program, int], Awaitable[int]],
    chats: Sequence[int],
    times: int,
) -> None:
    """Everybody says it so many times, at the same time as the others and after their own last answer."""
    again = times * 4 if len(chats) == 1 else times  # one person's few updates would be too short a time

    async def person(chat: int) -> int:
        return sum([await says(program, chat) for _ in range(again)])

    calls = program.network.calls
    began, used = time.perf_counter(), time.process_time()
    updates = sum(await asyncio.gather(*map(person, chats)))
    measured.rate.append(updates / (time.perf_counter() - began))
    measured.cpu.append((time.process_time() - used) / updates * 1000)
    measured.calls = (program.network.calls - calls) / updates


async def _quiet(where: Town) -> None:
    """Until nothing waits to be sent any more, so that the next round begins like this one."""
    waits = select(Outgoing.id).where(Outgoing.state == "waiting").limit(1)
    async with asyncio.timeout(PATIENCE):
        while True:
            with where.app.database.read() as session:
                if session.exec(waits).first() is None:
                    return
            await asyncio.sleep(0.02)


# --- each stage alone ---------------------------------------------------------------------------------


async def _stages(
    stages: Stages, where: Town, echo: Program, updates: Updates, people: Sequence[int]
) -> None:
    """Each step of the way alone, in µs an update: many at once, then one after the other."""
    app, telegram = where.app, where.app.telegram
    assert telegram is not None
    raws = [updates.message(chat, "/help") for chat in people]

    def note(what: str, began: float, times: int = MANY) -> None:
        stages[what].append((time.perf_counter() - began) / times * 1_000_000)

    began = time.perf_counter()
    read = [json.loads(raw) for raw in raws]
    note("json.loads", began)
    began = time.perf_counter()
    seen = [Update.de_json(each, telegram.bot) for each in read]
    note("Update.de_json", began)
    began = time.perf_counter()
    said = [said_from(each, telegram.bot, app.clock.now()) for each in seen]
    note("said_from", began)

    async def no_door(_: Said) -> None:
        pass

    with patch.object(app, "receive", no_door):
        began = time.perf_counter()
        await asyncio.gather(*map(telegram.take, read))
        note("Telegram.take without the door", began)

    what = [each for each in said if each is not None]
    began = time.perf_counter()
    await asyncio.gather(*map(app.receive, what))
    note(f"the door, {MANY} at once", began)
    began = time.perf_counter()
    tried = await app.delivery.once()
    note(f"delivery with its ledger, {MANY} at once", began)
    assert tried == MANY, tried
    for each in what[:10]:
        again = each.model_copy(update={"key": f"{each.key}again"})
        began = time.perf_counter()
        await app.receive(again)
        note("the door, one", began, 1)
        began = time.perf_counter()
        assert await app.delivery.once() == 1
        note("delivery with its ledger, one", began, 1)

    letters = _letters(where)
    began = time.perf_counter()
    for letter in letters:
        await telegram.send(letter)
    note("Telegram.send", began)
    began = time.perf_counter()
    for chat in people:
        await telegram.bot.send_message(chat, letters[0].row.text)
    note("the library's send_message, no buttons", began)
    began = time.perf_counter()
    await asyncio.gather(*map(echo.take, raws))
    note("echo: all", began)


def _letters(where: Town) -> list[Letter]:
    """The last answers, which were to /help."""
    query = (
        select(Outgoing, Place)
        .join(Place, col(Place.id) == Outgoing.place_id)
        .where(Place.kind == "private", Outgoing.change == "send")
        .order_by(col(Outgoing.id).desc())
        .limit(MANY)
    )
    with where.app.database.read() as session:
        return [Letter(row, place) for row, place in session.exec(query)]


# --- memory and imports ---------------------------------------------------------------------------------

IMPORTS = {
    "telegram": ("", "telegram"),
    "telegram.ext, which the echo bot needs": ("", "telegram.ext"),
    "bot.__main__, the program without Telegram": ("", "bot.__main__"),
    "bot.telegram after it": ("bot.__main__", "bot.telegram"),
}
IMPORT = """
import sys, time
def rss():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024
before, name = sys.argv[1:]
if before:
    __import__(before)
held, began = rss(), time.perf_counter()
__import__(name)
print(time.perf_counter() - began, rss() - held)
"""


def _imports(rounds: int) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    megabytes: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for title, names in IMPORTS.items():
            done = subprocess.run(
                [sys.executable, "-c", IMPORT, *names], cwd=ROOT, check=True, capture_output=True, text=True
            )
            took, grew = map(float, done.stdout.split())
            seconds[title].append(took * 1000)
            megabytes[title].append(grew)
    base = Figure(seconds["bot.__main__, the program without Telegram"])
    rows = [
        (title, Figure(seconds[title]), Figure(seconds[title]).beside(base), Figure(megabytes[title]))
        for title in IMPORTS
    ]
    table("Imports, each in a fresh process", ("", "ms", "to the program", "MB it adds"), rows)


async def _memory(rounds: int) -> None:
    """The whole program after an answer in the playground, and on Telegram too, if it has that."""
    megabytes: dict[str, list[float]] = defaultdict(list)
    async with BotApi() as api:
        for _ in range(rounds):
            for title, variables in (
                ("without Telegram", {}),
                ("with Telegram", {"LINLI_TELEGRAM__TOKEN": TOKEN, "LINLI_TELEGRAM__BASE_URL": api.url}),
            ):
                with tempfile.TemporaryDirectory(prefix="linli-telegram-") as folder:
                    megabytes[title].append(await _life(folder, api if variables else None, variables))
    base = Figure(megabytes["without Telegram"])
    rows = [
        (title, Figure(values), Figure(values).beside(base), shown(Figure(values).median - base.median))
        for title, values in megabytes.items()
    ]
    table("Memory of the program after its first answer", ("", "MB", "to without", "MB more"), rows)


async def _life(folder: str, api: BotApi | None, variables: dict[str, str]) -> float:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run", "--data", folder, "--port", "0"),
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert program.stdout
        address = re.search(rb"http://[\w.:]+", await program.stdout.readline())
        assert address
        async with httpx.AsyncClient(base_url=address[0].decode(), trust_env=False, timeout=PATIENCE) as page:
            phones = (await page.get("/playground/phones")).raise_for_status().json()["phones"]
            said = {"slot": "owner", "who": phones[0]["who"], "key": "1", "text": "/help"}
            (await page.post("/playground/say", data=said)).raise_for_status()
        if api is not None:
            somebody = api.user("Chen")
            somebody.starts()
            await api.until(lambda: somebody.sees(""), within=PATIENCE)
        await asyncio.sleep(1)  # the rules load beside it, and nothing tells a stranger when they have
        return megabytes_in(Path(f"/proc/{program.pid}/status").read_text("ascii"))
    finally:
        with suppress(ProcessLookupError):
            program.terminate()
        await program.wait()


# --- the tables --------------------------------------------------------------------------------------


def _print(name: str, results: Results, stages: Stages) -> None:
    rows = []
    for title, measured in results.items():
        base = results[f"echo bot, {title.rpartition(', ')[2]}"]
        share = Figure([mine / its * 100 for mine, its in zip(measured.rate, base.rate, strict=True)])
        work = Figure([mine / its for mine, its in zip(measured.cpu, base.cpu, strict=True)])
        rows.append((title, Figure(measured.rate), share, Figure(measured.cpu), work, shown(measured.calls)))
    columns = ("", "updates/s", "Linli / echo, %", "CPU ms/update", "CPU, Linli / echo", "requests/update")
    table(f"An update's whole way, ratios in each round: {name}", columns, rows)
    whole = Figure(stages["echo: all"])
    table(
        f"Each stage alone, /help: {name}",
        ("", "µs/update", "to the whole echo"),
        [(title, Figure(values), Figure(values).beside(whole)) for title, values in stages.items()],
    )


if __name__ == "__main__":
    main()
