"""The program is killed at random instants under load and started again; nothing confirmed may be lost.

One command: `python -m tests.killing --kills 200 --database postgresql`. A round of people talks with the
real program over HTTP while it is killed; what they were promised is then compared with the database.
"""

import argparse
import asyncio
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
from sqlmodel import Session, col, func, select

from handlers.notices import COPIES
from handlers.tell import GROUP
from store import tables
from store.database import Database
from store.tables import (
    Attempt,
    Audit,
    Event,
    HomeRole,
    Inbox,
    Lease,
    Media,
    Notice,
    Outgoing,
    Repair,
    Talk,
    Timer,
)
from tests.nursery import Nursery, die_with_parent
from tests.people import photo
from tests.serving import RESTED

ROOT = Path(__file__).resolve().parent.parent
COLD_EVERY = 10
"""Every tenth start is the command itself; between them a process that has loaded it already forks it."""
IN_START = 0.15
"""The share of kills that hit the start, before the program says its address."""
LONGEST_LIFE = 2.0
SETTLE_WITHIN = 90.0
SENT_AGAIN = 0.08
LATE_TICK = "maximum number of running instances reached"
"""The scheduler's word that a tick took over a second: the next one does its work, nothing is wrong."""
ENVIRONMENT = {
    "LINLI_LOG__LEVEL": "error",
    "LINLI_POLICY__REPORTS_A_DAY": "1000",
    "LINLI_POLICY__UNCONFIRMED_SECONDS": "10",
    "LINLI_POLICY__PAGE_AGAIN_MINUTES": "1",
}
ALWAYS = ("privacy.retain", "figures.", "digest.", "disclosure.", "waiting.", "group.summary", "board.fill")
"""Clocks that run whatever happens."""


# --- the program, as a process that dies --------------------------------------------------------------


class Program:
    """One life of the program: started, reached over HTTP, and killed."""

    def __init__(
        self,
        data: Path,
        url: str,
        nursery: Nursery | None,
        more: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.log = data.parent / "program.log"
        self.nursery = nursery
        self.process: subprocess.Popen[bytes] | None = None
        self.gone = asyncio.Event()
        arguments = ["run", "--data", str(data), "--port", f"{port}"]
        environment = {**ENVIRONMENT, "LINLI_STORE__URL": url, **(more or {})}
        reader, writer = os.pipe()
        self.out: IO[str] = os.fdopen(reader, encoding="utf-8")
        with self.log.open("ab") as err, os.fdopen(writer, "wb") as out:
            if nursery is not None:
                self.pid = nursery.fork(arguments, ROOT, {**os.environ, **environment}, [out, err])
            else:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "bot", *arguments],
                    cwd=ROOT,
                    env={**os.environ, **environment},
                    stdout=out,
                    stderr=err,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock
                )
                self.pid = self.process.pid
        self.said = asyncio.ensure_future(asyncio.to_thread(self.out.readline))
        self.client = httpx.AsyncClient(trust_env=False, timeout=30, limits=RESTED)

    async def up(self, within: float | None = None) -> bool:
        """Wait until the program has said its address; False if it has not within so many seconds."""
        await asyncio.wait({self.said}, timeout=within)
        if not self.said.done():
            return False
        address = re.search(r"http://[\w.:]+", self.said.result())
        assert address, f"the program did not start:\n{self.log.read_text('utf-8', 'replace')[-3000:]}"
        self.client.base_url = httpx.URL(address[0])
        return True

    async def end(self, how: signal.Signals) -> int:
        """Send the signal and wait for the end."""
        os.kill(self.pid, how)
        end = self.process.wait if self.process else self.nursery.exit_code if self.nursery else None
        assert end
        code = await asyncio.to_thread(end)
        self.gone.set()
        await self.said
        await self.client.aclose()
        self.out.close()
        return code


# --- the people ---------------------------------------------------------------------------------------


class Stop(Exception):
    """The run is over; a talk may stay open in the middle."""


@dataclass
class Sent:
    """One message with its key, and what its sender must have got for it."""

    key: str
    fields: dict[str, str]
    files: dict[str, Any] = field(default_factory=dict, repr=False)
    expect: str = ""
    answers: int = 1
    cut: int = 0
    """How often its connection broke before it was confirmed."""


@dataclass
class Street:
    """Everybody who talks, and the life of the program that they talk to."""

    chance: random.Random
    program: Program | None = None
    stopping: bool = False
    voices: "list[Voice]" = field(default_factory=list)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    again: int = 0

    async def confirm(self, sent: Sent) -> None:
        """Send one message until it is confirmed, with the same key over all restarts."""
        while True:
            await self.running.wait()
            program = self.program
            assert program
            try:
                answer = await program.client.post("/playground/say", data=sent.fields, files=sent.files)
            except (httpx.TransportError, RuntimeError):  # RuntimeError: the client was closed under it
                sent.cut += 1
                await program.gone.wait()
                continue
            assert answer.status_code == 200, f"{answer.status_code} {answer.text} for {sent.fields}"
            return

    async def history(self, voice: "Voice") -> list[dict[str, Any]]:
        """What stands on somebody's phone."""
        while True:
            await self.running.wait()
            program = self.program
            assert program
            seat = {"slot": voice.slot, "who": voice.account}
            try:
                answer = await program.client.get("/playground/history", params=seat)
            except (httpx.TransportError, RuntimeError):
                await program.gone.wait()
                continue
            assert answer.status_code == 200, answer.text
            messages: list[dict[str, Any]] = answer.json()["messages"]
            return messages


class Voice:
    """Somebody on the playground, with all that they were promised."""

    def __init__(self, street: Street, slot: str, account: str) -> None:
        self.street, self.slot, self.account = street, slot, account
        self.sent: list[Sent] = []
        self.form: dict[str, Any] = {}
        """The answers of the report that is open, as this person gave them."""
        self.reported: dict[str, int] = {}
        """The sentences of the finished reports, with their number of photos."""
        self.emergencies: list[str] = []
        self.rounds = itertools.count(1)
        self.person_id = int(account.rpartition(".p")[2]) if ".p" in account else 0

    async def says(
        self, text: str = "", *, tap: str = "", picture: bytes = b"", expect: str = "", answers: int = 1
    ) -> None:
        """Send one message and wait for its confirmation; sometimes one that was sent before comes again."""
        if self.street.stopping:
            raise Stop
        fields = {
            "slot": self.slot,
            "who": self.account,
            "key": str(len(self.sent)),
            "text": text,
            "tap": tap,
        }
        files = {"photos": ("a.jpg", picture, "image/jpeg")} if picture else {}
        sent = Sent(fields["key"], fields, files, expect, answers)
        self.sent.append(sent)
        await self.street.confirm(sent)
        if self.street.chance.random() < SENT_AGAIN:
            self.street.again += 1
            await self.street.confirm(self.street.chance.choice(self.sent[-20:]))

    async def button(self, *labels: str, since: bool = True) -> str:
        """The value of the newest button with one of the labels, after one's own last message; "" if none comes."""
        for _ in range(40):
            messages = await self.street.history(self)
            if since:
                mine = [at for at, each in enumerate(messages) if each["key"] == self.sent[-1].key]
                messages = messages[mine[-1] + 1 :] if mine else []
            shown = [button for each in reversed(messages) for button in each["buttons"]]
            found = [b["value"] for label in labels for b in shown if b["label"] == label]
            if found or self.street.stopping:
                return found[0] if found else ""
            await asyncio.sleep(0.1)  # delivery comes after the confirmation, and may need a restart
        return ""

    async def chooses(self, label: str, **promised: Any) -> None:
        """Answer by a tap on the button, or by typing its words, which means the same."""
        value = await self.button(label) if self.street.chance.random() < 0.3 else ""
        if value:
            await self.says(tap=value, **promised)
        else:
            await self.says(label, **promised)


Life = Callable[[Voice], Awaitable[None]]


async def reporter(voice: Voice) -> None:
    """Ordinary repairs by free sentence or step by step, photos now and then, and other words in between."""
    chance = voice.street.chance
    while True:
        words = f"厨房水龙头滴水，第{next(voice.rounds)}回"
        by_steps = chance.random() < 0.6
        if by_steps:
            await voice.says("报修", expect="哪里需要报修")
            await voice.chooses("我家", expect="什么坏了")
            voice.form = {"place": "home"}
        await voice.says(words)
        voice.form = {"what": words, "place": "home"} | ({} if by_steps else {"spoken": True})
        question = "上门" if by_steps else "请看一下对不对"
        await _another_one(voice, question)
        if chance.random() < 0.1:
            await voice.says("/my", answers=2, expect=question)
        if by_steps:
            entry, label = chance.choice([("any_time", "随时可以"), ("call_first", "先打电话")])
            await voice.chooses(label, expect="有照片吗")
            voice.form["entry"] = entry
        await _photos(voice, chance.choice([0, 0, 0, 1, 2]), words, by_steps=by_steps)
        if chance.random() < 0.05:
            await voice.chooses("取消", expect="已取消")
            voice.form = {}
            continue
        await voice.chooses("提交", expect=f"{words}")
        voice.reported[words] = len(voice.form["files"])
        voice.form = {}
        if chance.random() < 0.2:
            await voice.says(chance.choice(["/help", "/my", "你好"]))
        done = await voice.button("确认修好", since=False) if chance.random() < 0.1 else ""
        if done:
            await voice.says(tap=done)


async def _another_one(voice: Voice, question: str) -> None:
    """Who has an open report of the same kind is asked whether it is that one; all others are asked `question`."""
    shown = ""
    while not shown:
        shown = await voice.button("不是，另外一件", "取消")
        if voice.street.stopping:
            raise Stop
    asked = ".same=" in shown
    voice.sent[-1].expect = "是同一件事吗" if asked and voice.reported else question
    if asked:
        await voice.chooses("不是，另外一件", expect=question)
        voice.form["same"] = "none"


async def _photos(voice: Voice, number: int, words: str, *, by_steps: bool) -> None:
    voice.form["files"] = []
    # Each of another width: the same photo twice is kept once.
    for count, width in enumerate(voice.street.chance.sample(range(20, 400), number), 1):
        await voice.says(picture=photo(width, 30), expect=f"收到 {count} 张")
        voice.form["files"] += [width]
    if number or by_steps:
        await voice.chooses("好了" if number else "跳过", expect=f"问题：{words}")


async def alarmed(voice: Voice) -> None:
    """Emergencies, which page at once; withdrawn when the place is told."""
    while True:
        words = f"电梯里困了人，第{next(voice.rounds)}回"
        voice.emergencies.append(words)
        await voice.says(words, answers=2, expect="报修")
        number = await voice.button("撤回")
        await voice.says("3号楼", expect="照片")
        await voice.says("跳过", expect="报修")
        await voice.says(tap=number or await voice.button("撤回", since=False))


async def frightened(voice: Voice) -> None:
    """Says what may be dangerous and falls silent: the clock pages it as not confirmed."""
    while True:
        words = f"家里味道很刺鼻，第{next(voice.rounds)}回"
        voice.emergencies.append(words)
        await voice.says(words)
        number = ""
        while not number:
            number = await voice.button("撤回")
            if voice.street.stopping:
                raise Stop
        await voice.says(tap=number)


async def repairer(voice: Voice) -> None:
    """The crew: taps whatever can be tapped next, until it is repaired."""
    tapped: set[str] = set()
    while True:
        await voice.says("/tickets")
        for _ in range(30):
            value = ""
            for label in ("跳过", "修好了", "我出发了", "接单"):
                shown = await voice.button(label, since=False) if not value else ""
                value = shown if shown and shown not in tapped else value
            if not value:
                break
            tapped.add(value)
            await voice.says(tap=value)


async def chatter(voice: Voice) -> None:
    """Somebody who only asks, in any chat."""
    while True:
        await voice.says(voice.street.chance.choice(["/help", "/my", "/tickets"]))


async def stranger(voice: Voice) -> None:
    """Somebody whom the community does not know."""
    while True:
        await voice.says(voice.street.chance.choice(["你好", "在吗"]))
        await asyncio.sleep(0.05)  # one of them is enough


LIVES: dict[str, list[Life]] = {
    "owner": [reporter, alarmed, frightened, *[reporter] * 6],
    "crew": [repairer],
    "staff": [chatter],
}


async def live(voice: Voice, life: Life) -> None:
    with suppress(Stop):
        await life(voice)


# --- the run ------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What every run of kills tells: how it went, and what was wrong at its end."""

    database: str
    seed: int
    kills: int = 0
    in_start: int = 0
    again: int = 0
    out: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def told(self, done: str, fine: str) -> str:
        """The line of the run, with its problems below it."""
        line = (
            f"{self.database}, seed {self.seed}: {self.kills} kills ({self.in_start} in the start), {done}, "
            f"{self.seconds:.0f} s: {f'{len(self.problems)} PROBLEMS' if self.problems else fine}"
        )
        return "\n".join([line, *(f"  - {problem}" for problem in self.problems[:40])])


@dataclass
class Report(Run):
    """What a run over HTTP has done."""

    sent: int = 0
    cut: int = 0
    repairs: int = 0

    def __str__(self) -> str:
        return self.told(
            f"{self.sent} messages confirmed, {self.cut} cut off and sent again, {self.again} sent twice, "
            f"{self.repairs} repairs, {self.out} messages delivered",
            "nothing lost, nothing doubled",
        )


async def torment(
    folder: Path, nursery: Nursery, *, kills: int, seed: int, url: str = "", cold_every: int = COLD_EVERY
) -> Report:
    """Kill the program so often, let it settle, and compare what is there with what was promised."""
    began = time.monotonic()
    street = Street(random.Random(seed))
    report = Report("postgresql" if url else "sqlite", seed)
    starts = itertools.count()

    def program() -> Program:
        cold = next(starts) % cold_every == 0
        return Program(folder / "data", url, None if cold else nursery)

    database = Database(url or f"sqlite:///{folder / 'data' / 'linli.db'}", threads=1)
    async with asyncio.TaskGroup() as group:
        while report.kills < kills:
            await _one_life(street, report, program(), group, database)
            if url and street.voices:
                database.write_now(forget_lease)
        last = program()
        await last.up()
        await _talk(street, last, group, database)
        await asyncio.sleep(LONGEST_LIFE)
        street.stopping = True
    try:
        report.problems += await end_settled(last, program, lambda: _settle(database), database)
        with database.read() as session:
            report.problems += Check(session, street, folder / "data").everything()
            report.out = session.exec(select(func.count()).where(Outgoing.state == "sent")).one()
            report.repairs = session.exec(select(func.count()).select_from(Repair)).one()
    finally:
        database.close()
    log = last.log.read_text("utf-8", "replace").splitlines()
    report.problems += [f"log: {line}" for line in log if LATE_TICK not in line]
    everything = [sent for voice in street.voices for sent in voice.sent]
    report.sent, report.again = len(everything), street.again
    report.cut = sum(sent.cut for sent in everything)
    report.seconds = time.monotonic() - began
    return report


async def _one_life(
    street: Street, report: Report, program: Program, group: asyncio.TaskGroup, database: Database
) -> None:
    """Start the program and kill it: in its start, or soon after it has begun to take messages."""
    chance = street.chance
    within = chance.uniform(0, 0.25 if program.nursery else 2.5) if chance.random() < IN_START else None
    if await program.up(within):
        await _talk(street, program, group, database)
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
    else:
        report.in_start += 1
    street.running.clear()
    await program.end(signal.SIGKILL)
    report.kills += 1


async def _talk(street: Street, program: Program, group: asyncio.TaskGroup, database: Database) -> None:
    """Let everybody talk to this life of the program; the people begin with the first."""
    street.program = program
    if not street.voices:
        phones = (await program.client.get("/playground/phones")).json()["phones"]
        for phone in phones:
            people = [each["account"] for each in phone["people"]]
            if phone["slot"] == "owner":
                people = _with_one_home(database, people)
            for account, life in zip(people, LIVES.get(phone["slot"], []), strict=False):
                voice = Voice(street, phone["slot"], account)
                street.voices.append(voice)
                group.create_task(live(voice, life if voice.person_id else stranger))
    street.running.set()


def _with_one_home(database: Database, accounts: list[str]) -> list[str]:
    """Those who are never asked in which of their homes it is, so that all forms are alike; and strangers."""
    with database.read() as session:
        homes = Counter(session.exec(select(HomeRole.person_id)))
    return [each for each in accounts if homes[int(each.rpartition(".p")[2] if ".p" in each else 0)] < 2]


def forget_lease(session: Session) -> None:
    """As if the 15 seconds had passed after which the lease of a dead process runs out."""
    for lease in session.exec(select(Lease)):
        session.delete(lease)


def still_open(database: Database) -> tuple[int, int]:
    """How many messages wait, and how many notices have not reached everybody."""
    with database.read() as session:
        return (
            session.exec(select(func.count()).where(Outgoing.state == "waiting")).one(),
            session.exec(select(func.count()).where(col(Notice.done_at).is_(None))).one(),
        )


async def _settle(database: Database) -> list[str]:
    """Wait until everything is delivered and every notice has reached everybody."""
    end = time.monotonic() + SETTLE_WITHIN
    while any(left := still_open(database)):
        await asyncio.sleep(0.1)
        if time.monotonic() > end:
            return [f"after {SETTLE_WITHIN:.0f} s {left[0]} messages wait and {left[1]} notices are open"]
    return []


async def end_settled(
    last: Program,
    start: Callable[[], Program],
    settle: Callable[[], Awaitable[list[str]]],
    database: Database,
) -> list[str]:
    """Let everything settle and end the last program in an orderly way; what was wrong with that.

    A clock may strike between the last look and the end, and what it says then waits for the next start: so that is
    made, and settles too.
    """
    while True:
        problems = await settle()
        code = await last.end(signal.SIGTERM)
        problems += [] if code in (0, -signal.SIGTERM) else [f"the orderly end gave {code}"]
        if problems or not any(still_open(database)):
            return problems
        last = start()
        await last.up()


# --- what must be true at the end ---------------------------------------------------------------------

STATES = {
    "event.accepted": "accepted",
    "event.on_way": "on_way",
    "event.done": "done",
    "event.closed": "closed",
    "event.withdrawn": "withdrawn",
}


class Check:
    """Compares the database with what the people were promised; each method yields what is wrong."""

    def __init__(self, session: Session, street: Street, data: Path) -> None:
        self.session, self.street, self.data = session, street, data
        self.inbox = {(row.sender, row.key): row for row in session.exec(select(Inbox))}
        self.outgoing = session.exec(select(Outgoing).order_by(col(Outgoing.id))).all()
        self.repairs = session.exec(select(Repair).order_by(col(Repair.number))).all()
        self.events: dict[str, list[Event]] = defaultdict(list)
        for event in session.exec(select(Event).order_by(col(Event.id))):
            self.events[event.about].append(event)

    def everything(self) -> list[str]:
        """All that is wrong."""
        checks = (
            self.messages, self.answers, self.promises, self.numbers, self.timelines,
            self.notices, self.talks, self.timers, self.delivery, self.edits, self.photos, self.acts,
        )  # fmt: skip
        return [f"{check.__name__}: {problem}" for check in checks for problem in check()]

    def messages(self) -> Iterator[str]:
        """Every confirmed message is there exactly once, without an error, and nothing else is."""
        sent = [(voice.account, f"{voice.account}:{each.key}") for voice, each in self._sent()]
        count = self.session.exec(select(func.count()).select_from(Inbox)).one()
        if count != len(self.inbox):
            yield f"{count} rows for {len(self.inbox)} messages"
        for lost in set(sent) - set(self.inbox):
            yield f"{lost} was confirmed and is not there"
        for more in set(self.inbox) - set(sent):
            yield f"{more} is there and was never sent"
        for key, row in self.inbox.items():
            if row.state != "done":
                yield f"{key} is {row.state}: {row.error}"

    def answers(self) -> Iterator[str]:
        """Every message got its own answers once, and they follow from what was said before any restart."""
        got = defaultdict(list)
        for row in self.outgoing:
            if row.inbox_id is not None:
                got[row.inbox_id].append(row.text)
        for stray in set(got) - {row.id for row in self.inbox.values()}:
            yield f"an answer to the message {stray}, which is not there"
        for voice, sent in self._sent():
            row = self.inbox.get((voice.account, f"{voice.account}:{sent.key}"))
            texts = got[row.id] if row else []
            if len(texts) != sent.answers or not any(sent.expect in text for text in texts):
                yield f"{sent} got {texts}"

    def promises(self) -> Iterator[str]:
        """Each finished report is one repair, and there is no repair that nobody finished."""
        there = Counter((repair.person_id, repair.what) for repair in self.repairs)
        promised = {(v.person_id, words) for v in self.street.voices for words in v.reported}
        possible = {(v.person_id, words) for v in self.street.voices for words in v.emergencies}
        # The last one of the frightened may still be waiting for the clock.
        due = {(v.person_id, words) for v in self.street.voices for words in v.emergencies[:-1]}
        for missing in (promised | due) - set(there):
            yield f"{missing} was reported and is no repair"
        for more in set(there) - promised - possible:
            yield f"{more} is a repair that nobody finished"
        for twice in [each for each, count in there.items() if count > 1]:
            yield f"{twice} is {there[twice]} repairs"

    def numbers(self) -> Iterator[str]:
        """Repairs are numbered from 1 without gaps, and the counter stands at the last."""
        numbers = [repair.number for repair in self.repairs]
        counter = self.session.exec(
            select(tables.Counter.value).where(tables.Counter.name == "repair")
        ).first()
        if numbers != list(range(1, len(numbers) + 1)) or counter not in (None, len(numbers)):
            yield f"{numbers}, counter {counter}"

    def timelines(self) -> Iterator[str]:
        """Each repair's timeline begins with its report, holds each act once, and ends in its state."""
        for repair in self.repairs:
            keys = [event.key for event in self.events[f"repair:{repair.id}"]]
            first = "event.reported_urgent" if repair.urgent else "event.reported"
            once = [key for key in keys if key not in ("event.paged", "event.overdue")]
            state = next((STATES[key] for key in reversed(keys) if key in STATES), "waiting")
            if keys[:1] != [first] or len(set(once)) != len(once) or state != repair.state:
                yield f"repair {repair.number} is {repair.state} with {keys}"
            if keys.count("event.paged") != repair.ring:
                yield f"repair {repair.number} rang {repair.ring} times with {keys}"

    def notices(self) -> Iterator[str]:
        """Each repair has one notice, which reached every resident but the reporter once.

        Of a withdrawn one every copy that was sent is taken back.
        """
        residents = set(self.session.exec(select(HomeRole.person_id)))
        notices = self.session.exec(select(Notice).where(Notice.audience != COPIES)).all()
        about = Counter(notice.about for notice in notices)
        for repair in self.repairs:
            if about[f"repair:{repair.id}"] != 1:
                yield f"repair {repair.number} has {about[f'repair:{repair.id}']} notices"
        over = {f"repair:{repair.id}" for repair in self.repairs if repair.state == "withdrawn"}
        for notice in notices:
            copies = [row for row in self.outgoing if row.notice_id == notice.id]
            reached = sorted(row.person_id or 0 for row in copies if row.change == "send")
            if notice.about in over:
                sent = sorted(
                    row.person_id or 0 for row in copies if (row.change, row.state) == ("send", "sent")
                )
                gone = sorted(row.person_id or 0 for row in copies if row.change == "delete")
                if sent != gone or len(set(reached)) != len(reached):
                    yield f"{notice.about} was sent to {sent} and taken back from {gone}"
            elif reached != sorted(residents - {notice.but_person_id or 0}):
                yield f"{notice.about} reached {reached}"

    def talks(self) -> Iterator[str]:
        """Open forms hold just the answers that were given."""
        talks = {
            talk.person_id: talk for talk in self.session.exec(select(Talk).where(Talk.script == "repair"))
        }
        for voice in self.street.voices:
            if not voice.person_id or voice.emergencies:
                continue
            talk = talks.pop(voice.person_id, None)
            answers = dict(talk.answers) if talk else {}
            kept = len((answers.pop("photos", None) or {}).get("files", ()))
            given = {name: value for name, value in voice.form.items() if name != "files"}
            if answers != given or kept != len(voice.form.get("files", ())):
                yield f"{voice.account} gave {voice.form}, kept is {talk.answers if talk else None}"

    def timers(self) -> Iterator[str]:
        """What is open has its timer, and no timer waits for what is over."""
        waiting = set(self.session.exec(select(Timer.action).where(Timer.state == "waiting")))
        failed = self.session.exec(select(Timer).where(Timer.state == "failed")).all()
        yield from (f"{timer.action} failed: {timer.error}" for timer in failed)
        may: set[str] = set()  # who was warned, or not warned since it is due soon, has no such timer
        due = {f"talk.expire:{talk_id}" for talk_id in self.session.exec(select(Talk.id))}
        for repair in self.repairs:
            if repair.urgent and repair.state == "waiting":
                due.add(f"repair.page:{repair.id}")
            if not repair.urgent and repair.state in ("waiting", "accepted", "on_way"):
                due.add(f"repair.overdue:{repair.id}")
                may.add(f"repair.warn:{repair.id}")
        yield from (f"{missing} is missing" for missing in due - waiting)
        for more in waiting - due - may:
            if not more.startswith(("repair.unconfirmed", *ALWAYS)):
                yield f"{more} waits for nothing"

    def delivery(self) -> Iterator[str]:
        """Everything is sent, each with one try in the ledger that says so."""
        tries = Counter(self.session.exec(select(Attempt.outgoing_id).where(Attempt.error == "")))
        for row in self.outgoing:
            if row.state == "sent" and (not row.message_id or tries[row.id] != 1):
                yield f"{row.id} is sent as {row.message_id!r} with {tries[row.id]} entries in the ledger"
            elif row.state == "held" and row.digest == GROUP:
                continue  # of many ordinary cards the admin group has a summary
            elif row.state not in ("sent", "unreachable"):
                yield f"{row.id} is {row.state}: {row.error}"

    def edits(self) -> Iterator[str]:
        """Each change went to the latest message with its card."""
        latest: dict[tuple[str | None, int | None], str] = {}
        for row in self.outgoing:
            if row.state != "sent" or row.card is None:
                continue
            if row.change == "send":
                latest[row.card, row.place_id] = row.message_id
            elif latest.get((row.card, row.place_id)) != row.message_id:
                yield f"{row.id} changed {row.message_id}, not {latest.get((row.card, row.place_id))}"

    def photos(self) -> Iterator[str]:
        """Each repair has the photos that were sent with it, and their files are there."""
        kept = Counter(self.session.exec(select(Media.about)))
        photos = {(v.person_id, w): count for v in self.street.voices for w, count in v.reported.items()}
        for repair in self.repairs:
            if kept[f"repair:{repair.id}"] != photos.get((repair.person_id, repair.what), 0):
                yield f"repair {repair.number} has {kept[f'repair:{repair.id}']} photos"
        for row in self.inbox.values():
            for file in row.payload["files"]:
                path = self.data / "media" / file["storage"][:2] / file["storage"]
                if not file["storage"] or not path.exists() or path.stat().st_size != file["size"]:
                    yield f"{row.key}: the file {path.name!r} is not whole"

    def acts(self) -> Iterator[str]:
        """The log of acts has each act of the crew once, and no other."""
        acts = Counter(self.session.exec(select(Audit.action)).all())
        names = {"accepted": "accept", "on_way": "go", "done": "done"}
        for repair in self.repairs:
            keys = [event.key for event in self.events[f"repair:{repair.id}"]]
            for past, name in names.items():
                act = f"repair.{name}:{repair.id}"
                if acts[act] != keys.count(f"event.{past}"):
                    yield f"{act} stands {acts[act]} times in the log, {keys}"

    def _sent(self) -> Iterator[tuple[Voice, Sent]]:
        return ((voice, sent) for voice in self.street.voices for sent in voice.sent)


# --- the command --------------------------------------------------------------------------------------


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of our own."""
    from tests.people import unique
    from tests.postgres import Server

    with Server() as server:
        yield server.create_database(unique("linli_killed"))


def main() -> None:
    """Kill as often as is asked for, print one line, and fail if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's instants and choices")
    parser.add_argument("--cold-every", type=int, default=COLD_EVERY, help="1: every start is the command")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="linli-killed-") as folder:
        report = _run(Path(folder), chosen)
    print(report)
    sys.exit(bool(report.problems))


def _run(folder: Path, chosen: argparse.Namespace) -> Report:
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    nursery = Nursery()
    try:
        with postgresql() if chosen.database == "postgresql" else suppress() as url:
            return asyncio.run(
                torment(
                    folder,
                    nursery,
                    kills=chosen.kills,
                    seed=seed,
                    url=url or "",
                    cold_every=chosen.cold_every,
                )
            )
    finally:
        nursery.close()


if __name__ == "__main__":
    main()
