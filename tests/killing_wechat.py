"""The program is killed at random instants while owners write to it on WeChat; nothing that it took may be lost.

One command: `python -m tests.killing_wechat --kills 200 --database postgresql`. The strict server runs here, outlives
the program and brings each message three times, as WeChat does; what it was answered is compared with the database.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import Session, col, select

from bot.wechat_said import key_of
from bot.wechat_words import plain
from conversations.words import LANGUAGES, texts
from handlers.digests import words_of
from handlers.people import bind_account
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.database import Database
from store.migrations import upgrade
from store.tables import Attempt, Follower, Inbox, Outgoing, Person, Place, Repair, Talk
from tests import killing
from tests.bot.hall import open_port
from tests.killing import (
    IN_START,
    LATE_TICK,
    Program,
    end_settled,
    forget_lease,
    postgresql,
    still_open,
)
from tests.nursery import Nursery
from tests.people import HOUSE, MORNING, ROSTER, photo
from tests.serving import RESTED
from tests.wechat_api import Answer, User, WeChatApi

LONGEST_LIFE = 1.2
LONGEST_PAUSE = 1.0
"""Seconds after a lost connection until WeChat brings its message again; really they are five."""
SETTLE_WITHIN = 90.0
"""Seconds without anything happening after which a run has failed."""
UNLIMITED = 10**6
NAMES = ("陈女士", "周先生", "王奶奶", "Mr Smith")
ANSWERS = {
    "师傅什么时候": ("随时可以", "1"),
    "有照片吗": ("", "跳过"),
    "发完请": ("好了", ""),
    "请看一下对不对": ("提交", "1", ""),
    "现在有危险": ("不是，普通报修", "不是", "2"),
    "是同一件事吗": ("不是，另外一件", "不是", "1"),
    "您说的也是": ("是，同一处", "不是"),
    "哪一户": ("1",),
    "哪里需要报修": ("1", "我家"),
    "哪里": ("1", "跳过"),
}
"""What may be answered to a question."""
AWAY = ("Away", "WeChat", "maximum number")
"""What the log may say: the server of the test is slow under a load."""


@dataclass
class Report(killing.Run):
    """What a run on WeChat has done."""

    messages: int = 0
    lost: int = 0
    doubled: int = 0

    def __str__(self) -> str:
        return self.told(
            f"{self.messages} messages answered, {self.again} of them after a lost delivery, {self.lost} answered "
            f"never, {self.out} messages sent, {self.doubled} of them twice",
            "nothing lost, nothing acted twice",
        )


# --- WeChat and the people ----------------------------------------------------------------------------


class Ears(WeChatApi):
    """The strict server; it remembers what was answered to each delivery, by the key of its message."""

    def __init__(self, address: str, chance: random.Random) -> None:
        super().__init__(free_messages=UNLIMITED, free_hours=UNLIMITED, tap_messages=UNLIMITED)
        self.chance = chance
        self.heard: dict[str, list[Answer]] = defaultdict(list)
        self.said: dict[str, str] = {}
        """The text of each message that has one."""
        self.client = httpx.AsyncClient(base_url=address, trust_env=False, timeout=30, limits=RESTED)
        self.deliver = self._bring

    async def _bring(self, method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            answer = await self.client.request(method, "/wechat", params=query, content=body)
        except httpx.TransportError as error:
            await asyncio.sleep(self.chance.uniform(0, LONGEST_PAUSE))
            raise OSError(str(error)) from error
        return answer.status_code, answer.content

    async def _once(self, user: User, whole: dict[str, Any], attempt: int) -> Answer:
        answer = await super()._once(user, whole, attempt)
        key = key_of(whole)
        self.heard[key].append(answer)
        self.said[key] = whole.get("Content", "")
        return answer

    @property
    def taken(self) -> set[str]:
        """The keys of the messages that were answered with a 2xx."""
        return {key for key, answers in self.heard.items() if any(each.arrived for each in answers)}


class Street:
    """The owners of one community, who write whether the program lives or not."""

    def __init__(self, api: Ears, database: Database) -> None:
        self.api, self.chance = api, api.chance
        self.people = {name: api.user(name) for name in NAMES}
        for user in self.people.values():
            user.following = True
            user.talk.until, user.talk.left = time.time() + UNLIMITED * 3600, UNLIMITED
        self.sentences: list[str] = []
        """What somebody reported, each a sentence that is said once."""
        self.stopping = False
        database.write_now(self._furnish)

    def _furnish(self, session: Session) -> None:
        tx = Tx(session, MORNING, HOUSE)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for name, user in self.people.items():
            person = session.exec(select(Person).where(Person.name == name)).one()
            bind_account(tx, person, "wechat", user.openid, agreed=True)
        for place in session.exec(select(Place).where(Place.messenger == "wechat")):
            place.free_left, place.free_until = UNLIMITED, datetime.now(UTC) + timedelta(hours=UNLIMITED)
            session.add(place)

    async def live(self, name: str) -> None:
        """Report one thing after the other, with other words in between; all is brought as often as WeChat likes."""
        user, number = self.people[name], 0
        while not self.stopping:
            number += 1
            await asyncio.sleep(self.chance.uniform(0, 0.05))
            how: dict[str, Any] = {}
            if self.chance.random() < 0.3:
                how = {
                    "deliveries": self.chance.randint(2, 3),
                    "overlapping": self.chance.random() < 0.5,
                }
            menus = [shown.options for shown in user.chat[-6:] if shown.options]
            words = self._words(name, number, user.chat[-1].text if user.chat else "")
            if not words:
                await user.sends_photo(photo(40 + number % 50), **how)
            elif menus and self.chance.random() < 0.1:
                await user.taps(*self.chance.choice(menus[-1]), **how)
            else:
                await user.writes(words, **how)

    def _words(self, name: str, number: int, asked: str) -> str:
        """What somebody says next: mostly the answer to what they read; "" is a photo."""
        if self.chance.random() < 0.03:
            return "电梯里困了人"
        if self.chance.random() < 0.2:
            return self.chance.choice(["我的", "帮助", "取消", "你好", "返回", "1", "7"])
        for question, answers in ANSWERS.items():
            if question in asked:
                return self.chance.choice(answers)
        if "什么坏了" not in asked and self.chance.random() < 0.4:
            return "报修"
        self.sentences.append(f"厨房水龙头滴水{name}第{number}回")
        return self.sentences[-1]


# --- the run ------------------------------------------------------------------------------------------


async def torment(folder: Path, nursery: Nursery, *, kills: int, seed: int, url: str = "") -> Report:
    """Kill the program so often, let it settle, and compare what is there with what WeChat was answered."""
    began = time.monotonic()
    chance = random.Random(seed)
    report = Report("postgresql" if url else "sqlite", seed)
    (folder / "data").mkdir(parents=True)
    database = Database(url or f"sqlite:///{folder / 'data' / 'linli.db'}", threads=1)
    port = open_port()
    try:
        async with Ears(f"http://127.0.0.1:{port}", chance) as api:
            upgrade(database.engine)
            street = Street(api, database)
            check = Check(database, street, report)
            async with asyncio.TaskGroup() as group:
                for name in NAMES:
                    group.create_task(street.live(name))
                while report.kills < kills:
                    await _one_life(_program(folder, nursery, api, url, port), chance, report)
                    report.problems += check.taken()
                    if url:
                        database.write_now(forget_lease)
                last = _program(folder, nursery, api, url, port)
                await last.up()
                await asyncio.sleep(LONGEST_LIFE)
                street.stopping = True
            report.problems += await end_settled(
                last,
                lambda: _program(folder, nursery, api, url, port),
                lambda: _settle(api, database),
                database,
            )
            await api.client.aclose()
            report.problems += check.everything()
    finally:
        database.close()
    log = last.log.read_text("utf-8", "replace").splitlines()
    report.problems += [
        f"log: {line}" for line in log if not any(each in line for each in (LATE_TICK, *AWAY))
    ]
    report.seconds = time.monotonic() - began
    return report


def _program(folder: Path, nursery: Nursery, api: Ears, url: str, port: int) -> Program:
    """Start it once more; the playground is part of it, since it says when the pages are up."""
    environment = {
        "LINLI_WEB__ADDRESS": f"http://127.0.0.1:{port}",
        "LINLI_WECHAT__APP_ID": api.app_id,
        "LINLI_WECHAT__APP_SECRET": api.app_secret,
        "LINLI_WECHAT__TOKEN": api.token,
        "LINLI_WECHAT__AES_KEY": api.aes_key,
        "LINLI_WECHAT__BASE_URL": api.url,
        "LINLI_WECHAT__FREE_MESSAGES": f"{UNLIMITED}",
        "LINLI_WECHAT__FREE_HOURS": f"{UNLIMITED}",
        "LINLI_WECHAT__TAP_MESSAGES": f"{UNLIMITED}",
        "LINLI_WECHAT__DIGEST_AT": "",
    }
    return Program(folder / "data", url, nursery, environment, port)


async def _one_life(program: Program, chance: random.Random, report: Report) -> None:
    """Kill a program that was just started: in its start, or soon after it has begun to take messages."""
    within = chance.uniform(0, 0.3) if chance.random() < IN_START else None
    if await program.up(within):
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
    else:
        report.in_start += 1
    await program.end(signal.SIGKILL)
    report.kills += 1


async def _settle(api: Ears, database: Database) -> list[str]:
    """Wait until everything is delivered and every notice has reached everybody."""
    last, done = time.monotonic(), 0
    while True:
        await asyncio.sleep(0.05)
        waiting, opened = still_open(database)
        if not (waiting or opened):
            return []
        if done != len(api.calls):
            last, done = time.monotonic(), len(api.calls)
        if time.monotonic() > last + SETTLE_WITHIN:
            return [f"{waiting} messages wait, {opened} notices are open"]


# --- what must be true --------------------------------------------------------------------------------


class Check:
    """Compares the database with what the server knows; each method yields what is wrong."""

    def __init__(self, database: Database, street: Street, report: Report) -> None:
        self.database, self.street, self.api, self.report = database, street, street.api, report

    def taken(self) -> list[str]:
        """Whatever WeChat was answered at any moment is in the database at that moment."""
        taken = self.api.taken
        with self.database.read() as session:
            kept = set(session.exec(select(Inbox.key)))
        return [
            f"after {self.report.kills} kills: {lost} was taken and is not there" for lost in taken - kept
        ]

    def everything(self) -> list[str]:
        """All that is wrong at the end."""
        with self.database.read() as session:
            self.inbox = session.exec(select(Inbox).order_by(col(Inbox.id))).all()
            places = session.exec(select(Place).where(Place.messenger == "wechat")).all()
            self.chats = {place.id: self.api.users[place.external_id] for place in places}
            rows = session.exec(select(Outgoing).order_by(col(Outgoing.id))).all()
            self.rows = [row for row in rows if row.place_id in self.chats]
            self.tries: dict[int, list[str]] = defaultdict(list)
            for number, rung in session.exec(
                select(Attempt.outgoing_id, Attempt.rung).where(Attempt.error == "")
            ):
                self.tries[number].append(rung)
            language = dict(session.exec(select(Person.id, Person.language)).all())
            self.words = {
                row.id: words_of(session, row, language.get(row.person_id or 0, "zh")) for row in self.rows
            }
            columns = (Repair.what, Repair.added, Follower.what)
            self.kept = [words for column in columns for words in session.exec(select(column))]
            self.kept += [f"{talk.answers}" for talk in session.exec(select(Talk))]
        heard = self.api.heard
        self.report.messages = len(self.api.taken)
        self.report.lost = len(heard) - self.report.messages
        self.report.again = sum(not answers[0].arrived and answers[-1].arrived for answers in heard.values())
        checks = (self.messages, self.acts, self.replies, self.ledger, self.doubles)
        return [*self.api.mistakes, *(f"{each.__name__}: {problem}" for each in checks for problem in each())]

    def messages(self) -> Iterator[str]:
        """Every message that was taken is there exactly once, without an error, and nothing that nobody said."""
        kept = Counter(row.key for row in self.inbox)
        yield from (f"{lost} was taken and is not there" for lost in self.api.taken - set(kept))
        yield from (f"{more} was never said" for more in set(kept) - set(self.api.heard))
        yield from (f"{key} is there {count} times" for key, count in kept.items() if count > 1)
        yield from (f"{row.key} is {row.state}: {row.error}" for row in self.inbox if row.state != "done")

    def acts(self) -> Iterator[str]:
        """What was said once stands in one report or one open form, once."""
        everything = "\n".join(self.kept) + "\n"
        for sentence in self.street.sentences:
            if (count := everything.count(sentence)) > 1:
                yield f"{sentence} is noted {count} times"

    def replies(self) -> Iterator[str]:
        """Every delivery that was answered got the answers of its message, or they came by themselves."""
        answers = defaultdict(list)
        for row in self.rows:
            if row.inbox_id is not None and row.change != "close":
                answers[row.inbox_id].append(row)
        for message in self.inbox:
            said = answers[message.id]
            passive = [row for row in said if "passive" in self.tries[row.id]]
            if not said:
                yield f"{message.key} {message.payload['text']!r} has no answer"
            for each in self.api.heard[message.key] if passive else ():
                lines = {_first(line) for line in each.text.splitlines()}
                missing = [row for row in passive if _first(plain(row)) not in lines]
                if each.arrived and missing:
                    yield f"{message.key} was answered {each.text!r} without {missing[0].text!r}"

    def ledger(self) -> Iterator[str]:
        """Everything is sent, each row with one try in the ledger that says so."""
        for row in self.rows:
            if row.state != "sent" or len(self.tries[row.id]) != 1:
                yield f"{row.id} is {row.state}, sent by {self.tries[row.id]}: {row.error}"

    def doubles(self) -> Iterator[str]:
        """A kill lets at most the one message be sent twice that was on its way into each chat."""
        by_chat: Counter[str] = Counter()
        wanted = Counter(
            (self.chats[row.place_id or 0].name, _first(self.words[row.id]))
            for row in self.rows
            if self.tries[row.id] == ["free"]
        )
        sent = Counter(
            (user.name, _first(shown.text))
            for user in self.chats.values()
            for shown in user.chat
            if shown.rung == "custom"
        )
        for key in wanted.keys() | sent.keys():
            if sent[key] < wanted[key]:
                yield f"{key} was sent {sent[key]} times instead of {wanted[key]}"
            by_chat[key[0]] += sent[key] - wanted[key]
        self.report.out, self.report.doubled = sent.total(), by_chat.total()
        for name, doubled in by_chat.items():
            if doubled > self.report.kills:
                yield f"{name} got {doubled} messages twice in {self.report.kills} kills"


def _first(text: str) -> str:
    """The first line, as it may be shown on WeChat: it has nothing to tap."""
    line = text.partition("\n")[0]
    for language in LANGUAGES:
        line = line.replace(texts(language)["reach.tap"], texts(language)["reach.reply"])
    return line


# --- the command --------------------------------------------------------------------------------------


def main() -> None:
    """Kill as often as is asked for, print one line, and fail if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.killing_wechat", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's instants and choices")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # a client that was killed is no news
    nursery = Nursery()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="linli-killed-") as folder,
            postgresql() if chosen.database == "postgresql" else suppress() as url,
        ):
            report = asyncio.run(torment(Path(folder), nursery, kills=chosen.kills, seed=seed, url=url or ""))
    finally:
        nursery.close()
    print(report)
    sys.exit(bool(report.problems))


if __name__ == "__main__":
    main()
