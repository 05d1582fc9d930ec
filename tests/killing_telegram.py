"""The program is killed at random instants while people write to it on Telegram; nothing confirmed may be lost.

One command: `python -m tests.killing_telegram --kills 200 --way webhook --database postgresql`. The strict server
runs here and outlives the program; what it confirmed and accepted is compared with the database.
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from handlers.people import bind_account
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.database import Database
from store.migrations import upgrade
from store.tables import Attempt, Inbox, Outgoing, Person, Place
from tests.bot.hall import open_port
from tests.bot_api import BotApi, User
from tests.killing import (
    IN_START,
    LATE_TICK,
    Program,
    Run,
    end_settled,
    forget_lease,
    postgresql,
    still_open,
)
from tests.nursery import Nursery
from tests.people import HOUSE, MORNING, ROSTER

WAYS = ("polling", "webhook")
LONGEST_LIFE = 0.8
SETTLE_WITHIN = 90.0
"""Seconds without anything happening after which a run has failed."""
MOST_OPEN = 40
"""Updates that nobody has taken: with more of them people wait, since a slow machine would never get through."""
NAMES = ("陈女士", "周先生", "Mr Smith", "李师傅", "王师傅")
AWAY = ("Telegram cannot be reached", "Telegram does not answer", "the webhook is not set yet")
"""What the log may say: the server of the test is slow under a load."""


@dataclass
class Report(Run):
    """What a run on Telegram has done."""

    way: str = ""
    updates: int = 0
    doubled: int = 0

    def __str__(self) -> str:
        return self.told(
            f"by {self.way}, {self.updates} updates, {self.again} brought again, {self.out} messages sent, "
            f"{self.doubled} of them twice",
            "nothing lost",
        )


# --- the people ---------------------------------------------------------------------------------------


class Street:
    """The people of one community, who write and tap whether the program lives or not."""

    def __init__(self, api: BotApi, database: Database, chance: random.Random) -> None:
        self.api, self.chance = api, chance
        self.people = {name: api.user(name) for name in NAMES}
        for user in self.people.values():
            user.started = True
        self.stopping = False
        database.write_now(self._furnish)

    def _furnish(self, session: Session) -> None:
        tx = Tx(session, MORNING, HOUSE)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for name, user in self.people.items():
            person = session.exec(select(Person).where(Person.name == name)).one()
            bind_account(tx, person, "telegram", str(user.id), agreed=True)

    async def live(self, user: User) -> None:
        """Write and tap, without waiting for answers."""
        number = 0
        while not self.stopping:
            number += 1
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))
            if len(self.api.pending) > MOST_OPEN:
                continue
            buttons = [(shown, label) for shown in user.chat.from_bot[-6:] for label in shown.buttons]
            if buttons and self.chance.random() < 0.5:
                user.taps(*self.chance.choice(buttons))
            else:
                user.writes(self._words(number))

    def _words(self, number: int) -> str:
        often = [f"厨房水龙头滴水，第{number}回"] * 4 + [
            "/my",
            "/help",
            "/tickets",
            "报修",
            "我家",
            "随时可以",
            "跳过",
            "不是，另外一件",
            "提交",
            "你好",
        ]
        rare = f"电梯里困了人，第{number}回"
        return rare if self.chance.random() < 0.05 else self.chance.choice(often)


# --- the run ------------------------------------------------------------------------------------------


async def torment(
    folder: Path, nursery: Nursery, *, way: str, kills: int, seed: int, url: str = ""
) -> Report:
    """Kill the program so often, let it settle, and compare what is there with what Telegram was told."""
    began = time.monotonic()
    chance = random.Random(seed)
    report = Report("postgresql" if url else "sqlite", seed, way=way)
    (folder / "data").mkdir(parents=True)
    database = Database(url or f"sqlite:///{folder / 'data' / 'linli.db'}", threads=1)
    try:
        async with BotApi(flood=False, insecure_webhooks=True, callback_seconds=3600) as api:
            upgrade(database.engine)
            street = Street(api, database, chance)
            run = Run(folder / "data", nursery, api, url, way)
            check = Check(database, api, report)
            async with asyncio.TaskGroup() as group:
                for user in street.people.values():
                    group.create_task(street.live(user))
                while report.kills < kills:
                    await _one_life(run, chance, report)
                    report.problems += check.confirmed()
                    if url:
                        database.write_now(forget_lease)
                last = run.program()
                await last.up()
                await asyncio.sleep(LONGEST_LIFE)
                street.stopping = True
            report.problems += await end_settled(last, run.program, lambda: _settle(api, database), database)
            report.problems += check.everything()
    finally:
        database.close()
    log = last.log.read_text("utf-8", "replace").splitlines()
    report.problems += [
        f"log: {line}" for line in log if not any(each in line for each in (LATE_TICK, *AWAY))
    ]
    report.seconds = time.monotonic() - began
    return report


@dataclass
class Run:
    """What every life of the program has in common."""

    data: Path
    nursery: Nursery
    api: BotApi
    url: str
    way: str

    def __post_init__(self) -> None:
        self.port = open_port()

    def program(self) -> "Bot":
        """Start it once more."""
        environment = {
            "LINLI_TELEGRAM__TOKEN": self.api.token,
            "LINLI_TELEGRAM__BASE_URL": self.api.url,
            "LINLI_TELEGRAM__PER_SECOND": "1000",
            "LINLI_TELEGRAM__CHAT_PER_SECOND": "1000",
            "LINLI_TELEGRAM__GROUP_PER_MINUTE": "60000",
            "LINLI_PLAYGROUND__ENABLED": "false",
        }
        if self.way == "webhook":
            environment["LINLI_WEB__ADDRESS"] = f"http://127.0.0.1:{self.port}"
        return Bot(self.data, self.url, self.nursery, environment, self.port)


class Bot(Program):
    """The program without the playground: it is up when it says that Telegram is reached, or is not."""

    async def up(self, within: float | None = None) -> bool:
        await asyncio.wait({self.said}, timeout=within)
        if not self.said.done():
            return False
        log = self.log.read_text("utf-8", "replace")[-3000:]
        assert re.match("Telegram", self.said.result()), f"the program did not start:\n{log}"
        return True


async def _one_life(run: Run, chance: random.Random, report: Report) -> None:
    """Start the program and kill it: in its start, or soon after it has begun to take updates."""
    program = run.program()
    within = chance.uniform(0, 0.3) if chance.random() < IN_START else None
    if await program.up(within):
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
    else:
        report.in_start += 1
    await program.end(signal.SIGKILL)
    report.kills += 1


async def _settle(api: BotApi, database: Database) -> list[str]:
    """Wait until every update is confirmed, everything is delivered and every notice has reached everybody."""
    last, done = time.monotonic(), (0, 0)
    while True:
        await asyncio.sleep(0.05)
        waiting, opened = still_open(database)
        if not (waiting or opened or api.pending):
            return []
        if done != (len(api.accepted), len(api.confirmed)):
            last, done = time.monotonic(), (len(api.accepted), len(api.confirmed))
        if time.monotonic() > last + SETTLE_WITHIN:
            return [
                f"{len(api.pending)} updates are not taken, {waiting} messages wait, {opened} notices are open"
            ]


# --- what must be true --------------------------------------------------------------------------------


class Check:
    """Compares the database with what the server knows; each method yields what is wrong."""

    def __init__(self, database: Database, api: BotApi, report: Report) -> None:
        self.database, self.api, self.report = database, api, report

    def keys(self) -> dict[int, str]:
        """The key in the Inbox of each update, by its number."""
        found = {}
        for raw in self.api.updates:
            tap, message = raw.get("callback_query"), raw.get("message")
            what = f"tap{tap['id']}" if tap else f"{message['chat']['id']}.{message['message_id']}"  # type: ignore[index]
            found[raw["update_id"]] = f"{self.api.bot_id}.{what}"
        return found

    def confirmed(self) -> list[str]:
        """Whatever Telegram was told at any moment is in the database at that moment."""
        keys = self.keys()
        with self.database.read() as session:
            kept = set(session.exec(select(Inbox.key)))
        return [
            f"after {self.report.kills} kills: {keys[number]} was confirmed and is not there"
            for number in self.api.confirmed
            if keys[number] not in kept
        ]

    def everything(self) -> list[str]:
        """All that is wrong at the end."""
        with self.database.read() as session:
            self.inbox = session.exec(select(Inbox).order_by(col(Inbox.id))).all()
            rows = session.exec(select(Outgoing).order_by(col(Outgoing.id))).all()
            places = session.exec(select(Place).where(Place.messenger == "telegram")).all()
            self.tries = Counter(session.exec(select(Attempt.outgoing_id).where(Attempt.error == "")))
        self.chats = {place.id: int(place.external_id) for place in places}
        self.rows = [row for row in rows if row.place_id in self.chats]
        self.report.updates = len(self.api.updates)
        self.report.again = self.api.queue.handed_out - len(self.api.updates)
        checks = (self.updates, self.answers, self.ledger, self.doubles, self.order)
        return [*self.api.mistakes, *(f"{each.__name__}: {problem}" for each in checks for problem in each())]

    def updates(self) -> Iterator[str]:
        """Every update is there exactly once, without an error, and nothing else is."""
        wanted, kept = set(self.keys().values()), Counter(row.key for row in self.inbox)
        if self.api.confirmed != set(self.keys()):
            yield f"{len(self.keys()) - len(self.api.confirmed)} updates were never confirmed"
        yield from (f"{lost} is not there" for lost in wanted - set(kept))
        yield from (f"{more} was never said" for more in set(kept) - wanted)
        yield from (f"{key} is there {count} times" for key, count in kept.items() if count > 1)
        yield from (f"{row.key} is {row.state}: {row.error}" for row in self.inbox if row.state != "done")

    def answers(self) -> Iterator[str]:
        """Every message that somebody wrote has its answer, which was sent."""
        answered = {row.inbox_id for row in self.rows if row.state == "sent"}
        for row in self.inbox:
            if row.payload["text"] and row.id not in answered:
                yield f"{row.key} {row.payload['text']!r} has no answer"

    def ledger(self) -> Iterator[str]:
        """Everything is sent, each row with one try in the ledger that says so, and stands in its chat."""
        accepted = {(sent.chat_id, str(sent.message_id)) for sent in self.api.accepted}
        for row in self.rows:
            if (
                row.state == "dropped" and not self.tries[row.id]
            ):  # a page that somebody's acceptance overtook
                continue
            if row.state != "sent" or self.tries[row.id] != 1:
                yield f"{row.id} is {row.state} with {self.tries[row.id]} entries in the ledger: {row.error}"
            elif (self.chats[row.place_id or 0], row.message_id) not in accepted:
                yield f"{row.id} is sent as {row.message_id}, which Telegram never took"

    def doubles(self) -> Iterator[str]:
        """A kill lets at most the one message be sent twice that was on its way into each chat."""
        sent = [row for row in self.rows if row.change == "send" and row.state != "dropped"]
        wanted = Counter((self.chats[row.place_id or 0], row.text) for row in sent)
        # What was rewritten while it was on its way was sent in its old words, and edited at once.
        changed = {(row.card, row.place_id) for row in self.rows if row.change != "send"}
        rewritten = {
            (self.chats[row.place_id or 0], row.text) for row in sent if (row.card, row.place_id) in changed
        }
        counts = self.api.counts()
        by_chat: dict[int, int] = defaultdict(int)
        for key in wanted.keys() | counts.keys():
            if counts[key] < wanted[key] and key not in rewritten:
                yield f"{key} was sent {counts[key]} times instead of {wanted[key]}"
            by_chat[key[0]] += counts[key] - wanted[key]
        self.report.out, self.report.doubled = counts.total(), sum(by_chat.values())
        for chat, doubled in by_chat.items():
            if doubled > self.report.kills:
                yield f"{chat} got {doubled} messages twice in {self.report.kills} kills"

    def order(self) -> Iterator[str]:
        """The answers in each chat stand in the order of their rows, those of each lane."""
        latest: dict[tuple[int, int], tuple[int, int]] = {}
        for row in self.rows:
            if row.change != "send" or row.inbox_id is None or row.state != "sent":
                continue
            chat = (self.chats[row.place_id or 0], row.lane)
            number, before = latest.get(chat, (0, 0))
            if int(row.message_id) <= number:
                yield f"the answer {row.id} stands before {before}"
            latest[chat] = (int(row.message_id), row.id)


# --- the command --------------------------------------------------------------------------------------


def main() -> None:
    """Kill as often as is asked for, print one line, and fail if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.killing_telegram", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--way", choices=WAYS, default="polling")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's instants and choices")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    nursery = Nursery()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="linli-killed-") as folder,
            postgresql() if chosen.database == "postgresql" else suppress() as url,
        ):
            report = asyncio.run(
                torment(Path(folder), nursery, way=chosen.way, kills=chosen.kills, seed=seed, url=url or "")
            )
    finally:
        nursery.close()
    print(report)
    sys.exit(bool(report.problems))


if __name__ == "__main__":
    main()
