"""Forged buttons: thousands of values that no screen ever showed, from everybody, and none of them is a way in."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from conversations.said import Contact, Said
from handlers.actions import ACTIONS
from handlers.menu import COMMANDS
from handlers.people import bind_account, new_person
from handlers.places import ANONYMOUS
from handlers.roster import add_place
from handlers.talk import SCRIPTS, VALUE
from handlers.tx import Tx
from store.tables import Account, HomeRole, Inbox, Outgoing, Person, Place, Repair, Talk
from tests.people import NAME, Building
from tests.rights import KINDS, TWIN_PHONE, Attempts, Scene, everything, furnish

TAPS, MESSAGES = 5000, 400
ODD = [
    "",
    "0",
    "-1",
    "1 ",
    " 1",
    "1.0",
    "٣",
    "１",
    "²",
    "9" * 17,
    "9" * 18,
    "9" * 40,
    "None",
    "1;2",
    "1:1",
    "\0",
]
ODD += ["0x1", "1e0", "'", "%s", "{x}", "🙂", "x" * 300]


@pytest.fixture
def scene(building: Building) -> Scene:
    return furnish(building)


@dataclass
class Forger:
    """Somebody who makes up values of buttons; the same seed makes up the same ones."""

    seed: int
    scene: Scene
    talks: list[Talk] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.names = sorted(ACTIONS)
        self.ids = [each.id for rows in self.scene.rows.values() for each in rows]

    def value(self) -> str:
        """An action with a subject, or the answer to a question of somebody's talk."""
        return self._answer() if self.random.random() < 0.15 else self._action()

    def _action(self) -> str:
        name = self.random.choice(self.names)
        if self.random.random() < 0.1:
            name = self._mutated(name)
        act = ACTIONS.get(name)
        if act is None or act.table is None:
            return name + self.random.choice(["", "", "", ":", f":{self._subject(name)}"])
        return f"{name}:{self._subject(name)}"

    def _subject(self, name: str) -> str:
        act, dice = ACTIONS.get(name), self.random.random()
        if dice < 0.2:
            return self.random.choice(ODD)
        if act is not None and act.table is not None and dice < 0.85:
            return str(self.random.choice(self.scene.rows[act.table]).id)
        return str(self.random.choice([*self.ids, self.random.randrange(10**6)]))

    def _mutated(self, word: str) -> str:
        at = self.random.randrange(len(word))
        new = self.random.choice([word[at].upper(), "", " ", "\n", ".", "\0", "ａ", word[at] * 2])
        return self.random.choice([f"{word[:at]}{new}{word[at + 1 :]}", word[::-1], word.partition(".")[0]])

    def _answer(self) -> str:
        script = SCRIPTS[self.random.choice(sorted(SCRIPTS))].script
        steps = [*script.steps, "sure", "nothing", "for"]
        talk = self.random.choice([*(str(each.id) for each in self.talks), *ODD, "1"])
        mark = self.random.choice("=!")
        choices = [
            "yes",
            "now",
            "lift",
            "owner",
            "done",
            "drop",
            "back",
            "skip",
            "cancel",
            "change",
            "1",
            "x",
        ]
        return f"{talk}.{self.random.choice(steps)}{mark}{self.random.choice(choices)}"


# --- at the actions ---------------------------------------------------------------------------------


def test_five_thousand_forged_actions_find_no_way_in(scene: Scene, seed: int) -> None:
    """Whatever is theirs may act, and is undone; whatever is not writes nothing, not even for a moment."""
    forger = Forger(seed, scene)
    kinds = sorted(KINDS)

    def work(session: Session) -> tuple[list[str], int]:
        attempts, wrong, theirs = Attempts(scene, session), [], 0
        before = everything(session)
        for _ in range(TAPS):
            kind, what = forger.random.choice(kinds), forger.value()
            allowed = scene.allowed(kind, what)
            outcome = attempts(kind, what, theirs=allowed)
            theirs += allowed
            way_in = not allowed and (outcome.wrote or outcome.key not in NO)
            if way_in or outcome.key.startswith("failed") or (allowed and outcome.key == NO[0]):
                wrong.append(f"{kind} {what!r}: {outcome}")
        assert everything(session) == before
        return wrong, theirs

    wrong, theirs = scene.write(work)
    assert wrong == []
    assert 0 < theirs < TAPS / 2  # it is a fuzz of what is forbidden


NO = ("refused.not_yours", "refused.unknown", "refused.not_in_charge")


# --- at the door ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sender:
    """Somebody at the door: the account, the chat, and as which kind of the scene they act, if as one."""

    account: str
    chat: str
    kind: str = ""
    outsider: bool = False

    @property
    def private(self) -> bool:
        return self.chat == self.account


# Everybody of the scene (but whoever is in our group is staff, wherever else they are), and who is nobody.
SENDERS = [
    *(
        Sender(each.name, each.chat or each.name, kind, each.outsider)
        for kind, each in KINDS.items()
        if kind != "staff elsewhere in our group"
    ),
    Sender("生人", "生人"),
    Sender("忘了", "忘了"),
    *[Sender("没同意", "没同意")] * 3,
    Sender("没同意", "staff", outsider=True),
    Sender("生人", "staff", outsider=True),
    Sender("外管", "staff", outsider=True),
    Sender(ANONYMOUS, "staff"),
    Sender("", "staff"),
    *(
        Sender(name, chat)
        for name in ("陈女士", "刘经理", "外管", "生人")
        for chat in ("board", "some group")
    ),
]
COMMANDS_OF_STAFF = {
    "/audit": "audit",
    "/home": "home.find",
    "/crew": "crew.list",
    "/committee": "committee.list",
    "/manager": "manager.list",
    "/link": "link",
}
BEFORE_CONSENT = {"consent.agree", "consent.refuse", "language"}


async def furnish_door(scene: Scene) -> list[Talk]:
    """Who is forgotten, who has not agreed, and talks that stand open: in the group, and in people's own chats."""
    building = scene.building

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        add_place(tx, building.community, NAME, "some group", "group")
        for name in ("忘了", "没同意"):
            person = new_person(tx, building.community.id, name)
            home = session.exec(select(HomeRole.home_id).order_by(col(HomeRole.id)).limit(1)).one()
            session.add(
                HomeRole(community_id=person.community_id, home_id=home, person_id=person.id, role="family")
            )
            bind_account(tx, person, NAME, name, agreed=name == "忘了")

    scene.write(work)
    await building.phone("忘了").forges("erase")
    await building.group("刘经理").forges("crew.add")
    await building.phone("陈女士").forges("repair.start")
    on_way = scene.row(Repair, "the owner's, on_way")
    await building.phone("王师傅").forges(f"repair.finish:{on_way.id}")
    return building.read(select(Talk))


def allowed(scene: Scene, talks: list[Talk], sender: Sender, said: Said) -> bool:
    """Whether a message may do anything at all, by hand."""
    what = said.tap or COMMANDS_OF_STAFF.get(said.text, "")
    if sender.chat in ("board", "some group"):
        return what.startswith("rest.show:")
    if sender.kind:
        return scene.allowed(sender.kind, what) or is_theirs(scene, talks, sender, what)
    if not sender.private:
        return False
    return what in BEFORE_CONSENT if sender.account == "没同意" else what.startswith("join.start:")


def is_theirs(scene: Scene, talks: list[Talk], sender: Sender, what: str) -> bool:
    """Whether it is an answer in the sender's own talk, in the chat where it stands open."""
    match = VALUE.fullmatch(what)
    person = scene.people[sender.account, KINDS[sender.kind].here]
    theirs = [
        each.id for each in talks if (each.person_id, each.place_id) == (person, scene.chats[sender.chat])
    ]
    return match is not None and int(match[1]) in theirs


@dataclass
class Watch:
    """What the database holds: compared before and after a message that may do nothing."""

    building: Building

    def state(self) -> tuple[dict[str, list[Any]], list[Any], int]:
        """All rows but those of messages, posts and chats; what is known of each chat; the last message to send."""
        with self.building.app.database.read() as session:
            rows = everything(session, but=("inbox", "outgoing", "place", "post", "member"))
            chats = [place.model_dump(exclude={"heard_at"}) for place in session.exec(select(Place)).all()]
            last = session.exec(select(func.max(Outgoing.id))).one() or 0
        return rows, sorted(chats, key=lambda each: each["id"]), last

    def chats_told(self, after: int) -> set[str]:
        """The chats to which anything goes that was written later."""
        told = select(Place.external_id).join(Outgoing).where(col(Outgoing.id) > after)
        return set(self.building.read(told))


def message(forger: Forger, number: int, sender: Sender, building: Building) -> Said:
    """A forged button, a command of staff, or the card of somebody else."""
    dice = forger.random.random()
    what: dict[str, Any] = {"tap": forger.value(), "on": forger.random.choice(["", "1", "2", "x"])}
    if dice < 0.1:
        what = {"text": forger.random.choice(sorted(COMMANDS_OF_STAFF))}
    elif dice < 0.15:
        what = {"contact": Contact(phone=TWIN_PHONE, own=False)}
    return Said(
        messenger=NAME,
        key=f"forged {number}",
        place=sender.chat,
        sender=sender.account,
        at=building.clock.now(),
        place_kind="private" if sender.private else "group",
        outsider=sender.outsider,
        name=sender.account,
        **what,
    )


async def test_hundreds_of_forged_messages_do_nothing_at_the_door(scene: Scene, seed: int) -> None:
    """What is theirs is left out, so that the scene stands still: all else is answered to its sender, and no more."""
    building = scene.building
    talks = await furnish_door(scene)
    forger, watch, wrong, sent = Forger(seed, scene, talks), Watch(building), [], 0
    rows, chats, last = watch.state()
    while sent < MESSAGES:
        sender = forger.random.choice(SENDERS)
        said = message(forger, sent, sender, building)
        if allowed(scene, talks, sender, said):
            continue
        sent += 1
        if sender.chat == "board":  # else the same again and again would be a flood
            building.clock.at += timedelta(minutes=3)
        receipt = await building.app.receive(said)
        rows_then, chats_then, last_then = watch.state()
        new = [each for each in chats_then if each not in chats]
        strange = watch.chats_told(last) - {sender.chat, sender.account}
        ours = [each for each in new if each["external_id"] != sender.chat or each["person_id"] is not None]
        if receipt.state == "failed" or rows_then != rows or ours or strange:
            wrong.append(f"{sender}: {said.tap!r} {said.text!r}: {receipt.state} {ours} {strange}")
        rows, chats, last = rows_then, chats_then, last_then
    assert wrong == []
    assert building.read(select(Inbox).where(Inbox.state == "failed")) == []


# --- before consent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", ["没同意", "staff"])
async def test_who_has_not_agreed_does_nothing_else(scene: Scene, chat: str) -> None:
    """Every button there is, every command, a card, a number; and the same from outside the admin group."""
    building = scene.building
    await furnish_door(scene)
    watch = Watch(building)
    urgent = {f":{number}" for number in building.read(select(Repair.id).where(Repair.urgent))}
    said: list[dict[str, Any]] = [
        *(
            {"tap": what}
            for name, _, what in scene.tries()
            if name not in BEFORE_CONSENT and not (name.startswith("repair.") and what[len(name) :] in urgent)
        ),
        *({"tap": f"{name}:"} for name in ACTIONS),
        *({"text": f"/{command}"} for command in COMMANDS if command != "language"),
        {"text": "水龙头滴水"},
        {"contact": Contact(phone="13700137000", own=True)},
        {"contact": Contact(phone=TWIN_PHONE, own=False)},
    ]
    *before, last = watch.state()
    each_at_once = (says_unagreed(building, chat, number, what) for number, what in enumerate(said))
    await asyncio.gather(*each_at_once)
    *after, _ = watch.state()
    assert after == before
    assert watch.chats_told(last) == {chat}
    heard = building.read(select(Inbox.state).where(Inbox.sender == "没同意"))
    assert heard == ["done"] * len(said)
    await says_unagreed(building, "没同意", len(said), {"tap": "language"})
    assert building.read(select(Person.language).where(Person.name == "没同意")) == ["en"]


async def says_unagreed(building: Building, chat: str, number: int, what: dict[str, Any]) -> None:
    await building.app.receive(
        Said(
            messenger=NAME,
            key=f"unagreed {number}",
            place=chat,
            sender="没同意",
            at=building.clock.now(),
            place_kind="private" if chat == "没同意" else "group",
            outsider=chat != "没同意",
            **what,
        )
    )


async def test_who_does_not_agree_has_no_account(scene: Scene) -> None:
    building = scene.building
    await furnish_door(scene)
    sender = building.phone("没同意")
    await sender.forges("consent.refuse")
    assert building.read(select(Account).where(Account.external_id == "没同意")) == []
    for what in ("mydata", "repair.start", "consent.agree"):
        await sender.forges(what)
    await sender.says("/my")
    assert building.read(select(Talk).where(Talk.place_id == scene.chats["陈女士"])) != []
    here = building.read(select(Place).where(Place.external_id == "没同意"))
    assert [each.person_id for each in here] == [None]
    assert building.read(select(Talk).where(Talk.place_id == here[0].id)) == []


async def test_consent_is_given_in_each_community(scene: Scene) -> None:
    """Who agreed here has not agreed elsewhere: neither by entering, nor by a button of a message from there."""
    building, elsewhere = scene.building, scene.row(Account, "of both elsewhere")
    card = {"card": "one:x", "lane": 1, "text": "…", "state": "sent", "message_id": "m1"}

    def work(session: Session) -> None:
        session.get_one(Account, elsewhere.id).agreed_at = None
        about = {"community_id": scene.communities[False], "place_id": scene.chats["两家"]}
        session.add(Outgoing.model_validate({**about, **card, "created_at": building.clock.now()}))

    scene.write(work)
    sender = building.phone("两家")
    for what in ("mydata", "repair.start", "agents", "erase"):
        await sender._send(tap=what, on="m1")
        sender.sees("两家，您好，欢迎来到月光花园", "同意，开始", "不同意")
        sender.sees_nothing()
        await sender.forges(f"community.enter:{scene.row(Account, 'of both here').id}")
    await sender.forges(f"community.enter:{elsewhere.id}")
    sender.sees("欢迎来到月光花园", "同意，开始", "不同意")
    sender.sees_nothing()
    assert building.read(select(Talk).where(Talk.place_id == scene.chats["两家"])) == []


async def test_an_emergency_waits_for_no_consent_but_opens_no_other_door(scene: Scene) -> None:
    building = scene.building
    await furnish_door(scene)
    sender = building.phone("没同意")
    await sender.says("电梯里困了人")
    (repair,) = building.read(select(Repair).where(Repair.urgent, Repair.what == "电梯里困了人"))
    (talk,) = building.read(select(Talk).where(Talk.script == "emergency"))
    for what in ("mydata", "repair.start", "erase", f"repair.show:{scene.row(Repair, 'elsewhere').id}"):
        await sender.forges(what)
        sender.sees("开始之前请看一下")
    for command in ("/mydata", "/repair", "/forget"):
        await sender.says(command)
        sender.sees("开始之前请看一下")
    await sender.forges(f"{talk.id}.building=3")
    assert building.read(select(Repair.building).where(Repair.id == repair.id)) == ["3"]
    await sender.forges(f"repair.withdraw:{repair.id}")
    assert building.read(select(Repair.state).where(Repair.id == repair.id)) == ["withdrawn"]
