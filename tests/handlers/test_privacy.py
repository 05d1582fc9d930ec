"""What is stored about people: all of it is shown to them; who forgets themselves is found nowhere any more."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, String
from sqlmodel import AutoString, Session, SQLModel, func, select

import handlers.inbox
from handlers import agents, complaint_cards
from handlers.codes import invitations
from handlers.conduct import rule_on
from handlers.listing_cards import refresh
from handlers.matters import add_event
from handlers.paper import enter
from handlers.people import bind_account, new_person, ties_of
from handlers.phones import set_phone
from handlers.privacy import BATCH, FEW, begin_retention
from handlers.roster import add_community, import_roster, read_roster
from handlers.tell import tell
from handlers.tx import Tx
from handlers.votes import cast, open_vote
from moderation.conduct import Verdict
from moderation.urgency import Why
from store.migrations import backup
from store.scrub import HOLDS_WORDS
from store.tables import (
    Account,
    Announcement,
    Attempt,
    Code,
    Complaint,
    Edition,
    Example,
    Flag,
    Follower,
    Home,
    HomeRole,
    Inbox,
    Joiner,
    JoinRequest,
    Letter,
    Listing,
    Media,
    Member,
    Objection,
    Opening,
    Outgoing,
    Paper,
    Person,
    Place,
    Post,
    Preference,
    Purchase,
    Reading,
    Repair,
    Rest,
    Ruling,
    Statement,
    Supporter,
    Timer,
    Vote,
    Voter,
)
from tests.people import NAME, Building, Phone, Shown, photo
from tests.telegram_people import TelegramBuilding

CHEN = "赵雅芳"
PHONE = "13912345678"
FORMS = (PHONE, "139****5678", "139 1234 5678", "139-1234-5678", "１３９１２３４５６７８")
CHAT = "zhao8812345"
SECOND = "pigeon99887766"


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


# --- the search -------------------------------------------------------------------------------------


def rows(building: Building) -> Iterator[tuple[str, str]]:
    """Every row of every table, as the database keeps it."""
    with building.app.database.read() as session:
        for table in SQLModel.metadata.sorted_tables:
            for row in session.connection().exec_driver_sql(f'SELECT * FROM "{table.name}"').mappings():
                yield table.name, json.dumps(dict(row), ensure_ascii=False, default=str)


def files(building: Building, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of all files: SQLite's, those of a fresh backup, and photos."""
    yield from (
        (each.name, each.read_bytes()) for each in (building.data / "media").rglob("*") if each.is_file()
    )
    if not building.app.database.is_sqlite:
        return
    path = Path(building.app.database.engine.url.database or "")
    copy = folder / f"backup-{len(list(folder.glob('backup-*')))}"
    backup(building.app.database.engine, copy)
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), copy):
        if each.exists():
            yield each.name, each.read_bytes()


def escaped(word: str) -> str:
    return json.dumps(word)[1:-1]


def traces(building: Building, folder: Path, words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Where one of the words stands, in whichever form a database or a file keeps it."""
    found = [
        (name, f"{word}: {row}")
        for name, row in rows(building)
        for word in words
        if any(form in row for form in {word, escaped(word), escaped(escaped(word))})
    ]
    return found + [
        (name, word)
        for name, data in files(building, folder)
        for word in words
        if any(form in data for form in (word.encode(), escaped(word).encode(), word.encode("utf-16-le")))
    ]


async def clean(building: Building) -> None:
    """A minute passes, and the house is kept."""
    await building.later(minutes=1, seconds=1)
    await building.app.housekeeper.look()


# --- a rich history ---------------------------------------------------------------------------------


def owner_of(building: Building, name: str = CHEN, phone: str = PHONE, room: str = "1301") -> Phone:
    """An owner in the roster, with a telephone number, who is not in yet."""

    def work(tx: Tx) -> None:
        home = Home(community_id=building.community.id, building="3", entrance="2", room=room, area=90000)
        person = new_person(tx, building.community.id, name)
        set_phone(tx, person, phone)
        tx.session.add(home)
        tx.session.flush()
        tie = HomeRole(community_id=building.community.id, home_id=home.id, person_id=person.id, role="owner")
        tx.session.add(tie)

    write(building, work)
    if isinstance(building, TelegramBuilding):
        return building.phone(name)
    return Phone(building, CHAT, CHAT)


async def comes_in(building: Building, phone: Phone, name: str = CHEN) -> None:
    code = write(building, lambda tx: invitations(tx, building.community, name, building.messenger)[0].code)
    await phone.says(f"/start {code}")
    await phone.taps("同意，开始")


async def reports(phone: Phone, words: str, *, width: int) -> None:
    await phone.says(words)
    await phone.sends_photo(photo(width))
    await phone.taps("好了")
    await phone.taps("提交")


def chat_of(building: Building) -> str:
    return building.account(CHEN) if isinstance(building, TelegramBuilding) else CHAT


@pytest.fixture
async def zhao(building: Building, office: Phone, crew: Phone, neighbour: Phone, monkeypatch: Any) -> Phone:
    """An owner of whom a lot is stored, in every kind of row."""
    phone = owner_of(building)
    await phone.says("你好")
    await phone.taps("申请登记")
    await phone.taps("同意，开始")
    for words in ("3号楼2单元1301", CHEN):
        await phone.says(words)
    await phone.taps("业主")
    await phone.taps("提交")
    office.sees(f"自称：{CHEN}")
    await comes_in(building, phone)
    await office.says("/home")
    await office.says("3-2-1301")
    await office.taps(CHEN)
    office.sees("139****5678")
    await reports(phone, f"我是{CHEN}，电话{FORMS[2]}，厨房水龙头滴水", width=31)
    await finish(building, 1)
    await phone.taps("确认修好")
    await reports(phone, f"卧室灯不亮，打{FORMS[3]}或{FORMS[4]}找赵 雅芳", width=32)
    await reports(neighbour, f"{CHEN}家楼下的厨房水龙头滴水，她的电话{PHONE}", width=33)
    write(building, lambda tx: proxy(tx, CHEN, "周先生", f"{CHEN}口头说过"))
    kept = building.app.media.keep_photo(photo(44))
    paper = {"files": [{"storage": kept.storage, "mime": kept.mime, "size": kept.size}], "done": True}
    write(building, lambda tx: vote(tx, CHEN, paper))
    write(building, lambda tx: requests(tx, CHEN))
    write(building, lambda tx: follows(tx, CHEN))
    write(building, lambda tx: offers(tx, CHEN))
    write(building, lambda tx: complains(tx, CHEN))
    write(building, lambda tx: notices(tx, CHEN))
    messenger = building.messenger if isinstance(building, TelegramBuilding) else NAME
    write(building, lambda tx: says_in_group(tx, CHEN, chat_of(building), messenger))
    write(building, lambda tx: bind_account(tx, one(tx, CHEN), "pigeon", SECOND, agreed=True))
    await phone.says(f"{CHEN}想问：" + "这里的话很长。" * 400)
    await phone.says("/mydata")
    await office.says(f"{CHEN}家谁去？{PHONE}")
    write(building, lambda tx: invitations(tx, building.community, CHEN, "letter"))
    with monkeypatch.context() as broken:
        broken.setattr(handlers.inbox, "_free", fail)
        await phone.says(f"{CHEN}的话出了错")
    await phone.says("/repair")
    await phone.taps("我家")
    await phone.says(f"{CHEN}家的门")
    return phone


async def finish(building: Building, number: int) -> None:
    """Whoever has a repair accepts it and reports it done, with a photo."""
    (repair,) = building.read(select(Repair).where(Repair.number == number))
    (name,) = building.read(select(Person.name).where(Person.id == repair.crew_id))
    crew = building.phone(name)
    await crew.taps("接单")
    await crew.taps("我出发了")
    await crew.taps("修好了")
    await crew.sends_photo(photo(41))
    await crew.taps("好了")
    await crew.says(f"{CHEN}说可以了")


def fail(tx: Tx, person: Person, place: Place, said: Any) -> None:
    raise RuntimeError(f"{person.name} {said.text}")


def proxy(tx: Tx, principal: str, agent: str, scope: str) -> None:
    (home,) = [
        each
        for each in tx.session.exec(select(Home)).all()
        if principal in [who.name for who, _ in ties_of(tx, each)]
    ]
    (tie,) = [tie for who, tie in ties_of(tx, home) if who.name == principal]
    agents.appoint(tx, one(tx, "刘经理"), tie, kind="proxy", agent=agent, scope=scope, until="")


def vote(tx: Tx, name: str, photos: dict[str, Any]) -> None:
    """A poll, in which somebody casts a ballot, and then one on paper; and an objection to it."""
    voter, deadline = one(tx, name), tx.now + timedelta(days=3)
    made = open_vote(tx, voter.community_id, kind="poll", title="充电桩", opens_at=tx.now, deadline=deadline)
    cast(tx, made, voter, choice="for")
    enter(tx, one(tx, "刘经理"), made, home="3-2-1301", choice="against", photos=photos)
    words = f"{name}认为没有数对"
    about = {"community_id": voter.community_id, "vote_id": made.id, "person_id": voter.id}
    tx.session.add(
        Objection.model_validate({**about, "what": words, "answer": f"{name}说得不对", "at": tx.now})
    )
    tx.session.flush()


def requests(tx: Tx, name: str) -> None:
    """Two requests of somebody, of which one is over, each with a photo; one they support; a vote they opened."""
    who = one(tx, name)
    for number, by, state in ((1, who, "review"), (2, who, "declined"), (3, one(tx, "周先生"), "review")):
        made = Purchase(
            community_id=who.community_id,
            number=number,
            person_id=by.id,
            what="电动车充电桩",
            spot=f"{name}家楼下",
            why=f"{name}，电话{PHONE}，要充电",
            state=state,
            created_at=tx.now,
        )
        tx.session.add(made)
        tx.session.flush()
        about = f"purchase:{made.id}"
        picture = {"person_id": who.id, "about": about, "storage": f"{number}" * 64, "mime": "image/jpeg"}
        if by is who:
            row = {"community_id": who.community_id, "size": 9, "created_at": tx.now, **picture}
            tx.session.add(Media.model_validate(row))
            add_event(tx, about, "event.done", who, community_id=who.community_id, note=name)
        else:
            mine = {"community_id": who.community_id, "purchase_id": made.id, "person_id": who.id}
            tx.session.add(Supporter.model_validate({**mine, "at": tx.now}))
    title = {"title": f"{name}提议的充电桩"}
    tx.session.add(Opening(community_id=who.community_id, vote=title, opened_by=who.id, created_at=tx.now))
    tx.session.flush()


def notices(tx: Tx, name: str) -> None:
    """A notice that somebody wrote for the office, with a file that names them, and that they have read."""
    who = one(tx, name)
    made = Announcement(
        community_id=who.community_id,
        number=1,
        person_id=who.id,
        state="sent",
        send_at=tx.now,
        sent_at=tx.now,
        created_at=tx.now,
    )
    tx.session.add(made)
    tx.session.flush()
    row = {"community_id": who.community_id, "announcement_id": made.id, "version": 1, "at": tx.now}
    words = {"title": f"请找{name}", "text": f"请找{name}，{PHONE}", "pseudonym": who.pseudonym}
    tx.session.add(Edition.model_validate({**row, **words}))
    tx.session.add(Reading.model_validate({**row, "person_id": who.id}))
    file = {"community_id": who.community_id, "about": "edition:1", "kind": "file", "storage": "b" * 64}
    named = {"name": f"{name}.pdf", "mime": "application/octet-stream", "size": 9, "created_at": tx.now}
    tx.session.add(Media.model_validate({**file, **named}))
    tx.session.flush()


def offers(tx: Tx, name: str) -> None:
    """Somebody's listing on which staff have to decide, and another's that names them, and that they reported."""
    who, other = one(tx, name), one(tx, "周先生")
    for number, by, state in ((1, who, "open"), (2, other, "open")):
        made = Listing(
            community_id=who.community_id,
            number=number,
            person_id=by.id,
            kind="sale",
            title=f"{name}的书桌",
            text=f"{name}出书桌，电话{PHONE}",
            details={"deposit": f"付给{name}"},
            draft={"text": f"找{name}"},
            state=state,
            created_at=tx.now,
            published_at=tx.now,
        )
        tx.session.add(made)
        tx.session.flush()
        words = f"{name}出书桌"
        ruled = rule_on(tx, made, words, Verdict("hold", "ad", (Why("A2", (name,), words),)), person=by)
        ruled.why = [{"zh": words, "en": words}]
        refresh(tx, made)
    flag = {"community_id": who.community_id, "about": "listing:2", "person_id": who.id, "at": tx.now}
    tx.session.add(Flag.model_validate({**flag, "reason": f"{name}的桌子"}))


def complains(tx: Tx, name: str) -> None:
    """Somebody's complaint with its answer, and another's that names them, and that they joined."""
    who, other = one(tx, name), one(tx, "周先生")
    for number, by in ((1, who), (2, other)):
        about = {"community_id": who.community_id, "number": number, "person_id": by.id}
        kind = {"kind": "complaint", "topic": "noise", "created_at": tx.now}
        made = Complaint.model_validate({**about, **kind})
        tx.session.add(made)
        tx.session.flush()
        words = {
            "text": f"{name}说太吵，电话{PHONE}",
            "shown": f"{name}说太吵",
            "why": [{"zh": name, "en": name}],
        }
        for side, person in (("owner", by), ("office", other)):
            said = {"community_id": who.community_id, "complaint_id": made.id, "round": 1, "side": side}
            tx.session.add(Statement.model_validate({**said, **words, "person_id": person.id, "at": tx.now}))
        complaint_cards.refresh(tx, made)
    joins = {"community_id": who.community_id, "complaint_id": made.id, "person_id": who.id, "at": tx.now}
    tx.session.add(Joiner.model_validate(joins))


def says_in_group(tx: Tx, name: str, account: str, messenger: str) -> None:
    """What one said in the owners' group, and what a neighbour said there of them."""
    who, other = one(tx, name), one(tx, "周先生")
    place = Place(community_id=who.community_id, messenger=messenger, external_id="the group", kind="board")
    tx.session.add(place)
    tx.session.flush()
    group = {"community_id": who.community_id, "place_id": place.id}
    for number, person, sender in (("1", who, account), ("2", other, "周先生")):
        words = {"text": f"{name}家的猫丢了", "files": [{"name": f"{name}.pdf", "remote": "document:1"}]}
        post = {**group, **words, "message_id": number, "person_id": person.id, "account": sender}
        tx.session.add(Post.model_validate({**post, "name": person.name, "at": tx.now}))
    member = {**group, "account": account, "heard_at": tx.now}
    tx.session.add(Member.model_validate(member))
    place.kind = "group"  # what the board says next must not go there
    tx.session.flush()


def follows(tx: Tx, name: str) -> None:
    """Somebody else's repair that one follows, and two letters that were written through it; a corrected judgement."""
    who, other = one(tx, name), one(tx, "周先生")
    (repair,) = tx.session.exec(select(Repair).where(Repair.person_id == other.id)).all()
    mine = {"community_id": who.community_id, "at": tx.now}
    about = f"repair:{repair.id}"
    for row in (
        Follower.model_validate(
            {**mine, "repair_id": repair.id, "person_id": who.id, "what": f"{name}家也是"}
        ),
        Letter.model_validate(
            {**mine, "about": about, "person_id": who.id, "to_id": other.id, "text": f"{name}在家"}
        ),
        Letter.model_validate(
            {**mine, "about": about, "person_id": other.id, "to_id": who.id, "text": f"{name}好"}
        ),
    ):
        tx.session.add(row)
    wish = {"community_id": who.community_id, "person_id": who.id, "kind": "listing", "how": "week"}
    tx.session.add(Preference.model_validate(wish))
    (own,) = tx.session.exec(select(Repair).where(Repair.number == 1)).all()
    shown = {"text": f"{name}家漏水", "verdict": "normal", "label": "urgent", "about": f"repair:{own.id}"}
    tx.session.add(Example.model_validate({**mine, **shown}))
    tx.session.flush()


# --- /mydata ----------------------------------------------------------------------------------------

SHOWN_AND_ERASED = {
    "account.person_id",
    "agent.agent_id",
    "agent.principal_id",
    "announcement.person_id",
    "code.person_id",
    "complaint.person_id",
    "flag.person_id",
    "follower.person_id",
    "home_role.person_id",
    "join_request.person_id",
    "joiner.person_id",
    "letter.person_id",
    "letter.to_id",
    "listing.person_id",
    "media.person_id",
    "objection.person_id",
    "opening.opened_by",
    "outgoing.person_id",
    "post.person_id",
    "preference.person_id",
    "purchase.person_id",
    "reading.person_id",
    "repair.crew_id",
    "repair.person_id",
    "role.person_id",
    "ruling.person_id",
    "statement.person_id",
    "supporter.person_id",
    "talk.person_id",
    "voter.person_id",
}
NOT_SHOWN = {
    "join_request.match_id": "whom of the roster somebody else says they are: it is theirs; erased",
    "notice.but_person_id": "who knew of a notice already: a number",
    "place.person_id": "as whom a chat speaks: the account is shown; erased",
    "rest.person_id": "the end of what was sent, which stands in the chat; erased",
    "roster_file.person_id": "who sent a file: a number",
}
HOLD_TEXT = (AutoString, String, JSON)
OTHERWISE = {"inbox.sender", "place.external_id", "account.external_id", "audit.pseudonym", "event.pseudonym",
             "member.account", "post.account", "edition.pseudonym"}  # fmt: skip
"""What refers to a person by other means than their row."""
REMAIN = {"home_role.person_id", "repair.person_id", "repair.crew_id", "agent.agent_id", "agent.principal_id",
          "media.person_id", "notice.but_person_id", "roster_file.person_id", "voter.person_id",
          "objection.person_id", "opening.opened_by", "purchase.person_id", "supporter.person_id",
          "listing.person_id", "ruling.person_id", "complaint.person_id", "statement.person_id",
          "announcement.person_id"}  # fmt: skip
"""References to somebody who was forgotten, by number alone."""
NO_WORDS = {
    "attempt.rung", "link.hash", "link.leads", "entry.about", "entry.building", "entry.kind",
    "place.consents", "token.name", "token.value",
    "audit.action", "audit.facts", "calendar_day.name", "code.hash", "code.purpose", "community.language",
    "community.name", "community.time_zone", "community_rule.judgement", "community_rule.kind",
    "community_rule.rule", "community_rule.sentence", "community_rule.verdict", "community_rule.words",
    "community_setting.name", "community_setting.value", "counter.name", "event.about", "event.key",
    "home.building", "home.entrance", "home.room", "home.status", "home_role.role", "home_role.share",
    "inbox.key", "inbox.messenger", "inbox.place", "inbox.sender", "inbox.state", "join_request.role",
    "join_request.state", "lease.holder", "lease.name", "media.about", "media.kind", "media.mime",
    "media.storage", "notice.about", "notice.key", "notice.photos", "outgoing.card", "outgoing.change",
    "outgoing.keyboard", "outgoing.message_id", "outgoing.parts", "outgoing.photos", "outgoing.state",
    "outgoing.thread", "parking.number", "person.language", "person.name", "person.name_hash",
    "person.phone", "person.phone_hash", "place.external_id", "place.kind", "place.messenger", "place.topics",
    "account.external_id", "account.messenger", "agent.kind",
    "announcement.audience", "announcement.state", "announcement.topic", "repair.building", "repair.entry",
    "repair.kind", "repair.place", "repair.state", "role.buildings", "role.duty", "role.role", "role.skills",
    "roster_file.storage", "talk.about", "talk.script", "timer.action", "timer.state",
    "roster_entry.unit", "voter.homes", "voter.number", "ballot.entry", "ballot.kind", "ballot.opened",
    "vote.head", "vote.kind", "vote.policy", "vote.policy_hash", "vote.readme", "vote.result", "vote.roster",
    "vote.roster_hash", "vote.state", "vote.title", "vote.turnout",
    "equipment.building", "purchase.building", "purchase.state", "purchase.payer", "purchase.nature",
    "notice.buttons", "opening.state", "paper.choice", "paper.photos", "paper.evidence", "paper.state",
    "objection.state", "notice.audience", "repair.cost_state", "follower.place", "letter.about", "letter.files",
    "spot.building", "spot.code", "spot.place", "example.about", "example.judgement", "example.kind",
    "example.label", "example.verdict", "example.mark", "flag.about", "listing.kind", "listing.state",
    "ruling.about", "ruling.account", "ruling.category", "ruling.rules", "ruling.state", "ruling.verdict",
    "complaint.kind", "complaint.topic", "complaint.building", "complaint.state", "statement.side",
    "statement.message_id", "member.account", "post.account", "post.message_id", "post.name", "post.parts",
    "post.thread",
    "preference.kind", "preference.how", "notice.wish", "outgoing.digest", "report.facts", "report.month",
}  # fmt: skip
"""Columns of text in which no free words stand that could name somebody, or that are erased with their row.

What a vote asks, and the names of a named poll, were published with their hash: without a word
of it no log could be checked.
"""


def columns() -> list[Any]:
    return [column for table in SQLModel.metadata.sorted_tables for column in table.columns]


def test_whatever_refers_to_a_person_is_known_to_mydata_and_forget() -> None:
    """A new table that refers to people: let /mydata show it and /forget erase it, then write it down here."""
    refer = {
        f"{column.table.name}.{column.name}"
        for column in columns()
        if any(key.column.table.name == "person" for key in column.foreign_keys)
    }
    assert refer == SHOWN_AND_ERASED | set(NOT_SHOWN)
    assert refer >= REMAIN
    assert {f"{each.table.name}.{each.name}" for each in columns()} >= OTHERWISE


def test_every_column_that_can_hold_words_is_scrubbed_or_known_to_hold_none() -> None:
    """A new column of text: can what people write stand in it? Then it belongs to HOLDS_WORDS."""
    scrubbed = {f"{table}.{name}" for table, names in HOLDS_WORDS.items() for name in names}
    texts = {f"{each.table.name}.{each.name}" for each in columns() if isinstance(each.type, HOLD_TEXT)}
    assert texts == scrubbed | NO_WORDS
    assert scrubbed & NO_WORDS == set()


async def test_mydata_shows_all_that_is_stored(building: Building, zhao: Phone, tmp_path: Path) -> None:
    (person,) = building.read(select(Person).where(Person.name == CHEN))
    await zhao.says("/mydata")
    text = await read_on(zhao, zhao.sees("邻里存着关于您的这些"))
    for words in (
        f"姓名：{CHEN} · 手机：{PHONE}",
        chat_of(building),
        SECOND,
        "3 号楼 2 单元 1301 · 业主",
        "可以代您办的人：周先生（",
        f"{CHEN}，业主，3号楼2单元1301 · 待核对",
        f"1 · 3 号楼 2 单元 1301 · 我是{CHEN}，电话{FORMS[2]}，厨房水龙头滴水",
        "投票 1「充电桩」· 您的编号 P",
        '"choice":"for"',
        "投票 1 · 纸质票 1 · 今天 09:00 收到 · 反对 · 等确认",
        f"投票 1 · 今天 09:00 的异议：{CHEN}认为没有数对 · 答复：{CHEN}说得不对",
        f"申请 1 · 今天 09:00 · 电动车充电桩 · 数量 1 · {CHEN}家楼下 · {CHEN}，电话{PHONE}，要充电",
        "申请 2 · ",
        "支持申请 3 · 今天 09:00",
        f"业委会发起表决「{CHEN}提议的充电桩」",
        f"报修 3：我也是（今天 09:00）· {CHEN}家也是",
        f"您写给对方：{CHEN}在家",
        f"对方写给您：{CHEN}好",
        "照片 4 张",
        "邀请码 2 个",
        f"通知 1 · 今天 09:00 · 您写的「请找{CHEN}」",
        "通知 1 · 今天 09:00 您点了已读",
        f"{CHEN}家的门",
        f"业主群：{CHEN}家的猫丢了",
        f"投诉 1（今天 09:00）· {CHEN}说太吵，电话{PHONE}",
        "同感：投诉 2（今天 09:00）",
        f"{CHEN}的话出了错",
    ):
        assert words in text, words
    for row in building.read(select(Inbox).where(Inbox.sender == chat_of(building))):
        assert building.app.house.vault.reveal(row.payload["text"]) in text
    for name in sorted(SHOWN_AND_ERASED - {"repair.crew_id", "role.person_id", "agent.agent_id"}):
        table, _, column = name.partition(".")
        refers = SQLModel.metadata.tables[table].c[column] == person.id
        assert building.read(select(func.count()).where(refers)) != [0], f"the history has no {name}"


async def test_mydata_shows_the_work_of_the_crew_and_received_powers(
    building: Building, owner: Phone, plumber: Phone, neighbour: Phone
) -> None:
    await reports(owner, "厨房水龙头滴水", width=30)
    write(building, lambda tx: proxy(tx, "陈女士", "周先生", "投票"))
    await plumber.says("/mydata")
    assert "经手的工单 1 件" in plumber.sees("维修师傅 · 水龙头、").text
    await neighbour.says("/mydata")
    neighbour.sees("您可以替谁办：陈女士（书面委托")


async def read_on(phone: Phone, shown: Shown) -> str:
    """A long answer, to its end."""
    text = shown.text
    while "接着看" in shown.buttons:
        await phone.taps("接着看")
        shown = phone.last
        text += shown.text
    return text


# --- /forget ----------------------------------------------------------------------------------------


async def test_an_owner_who_forgets_themselves_is_found_nowhere(
    building: Building, zhao: Phone, office: Phone, tmp_path: Path
) -> None:
    words = (CHEN, "赵 雅芳", *FORMS, chat_of(building), SECOND)
    for word in words:
        assert traces(building, tmp_path, (word,)), word
    (person,) = building.read(select(Person).where(Person.name == CHEN))
    await zhao.says("/forget")
    zhao.sees("会留下：这一户仍算有一位业主", "确定注销")
    await zhao.taps("确定注销")
    zhao.sees("已注销")
    await clean(building)
    assert traces(building, tmp_path, words) == []
    remains(building, person.id)
    await office.says("/home")
    await office.says("3-2-1301")
    office.sees("已注销的住户（业主）")


def remains(building: Building, person_id: int) -> None:
    """What /forget says: a nameless owner of the home, the repairs, the photos of the open one."""
    (person,) = building.read(select(Person).where(Person.id == person_id))
    assert (person.name, person.phone, person.phone_hash) == ("", "", "")
    assert person.name_hash == building.app.house.vault.hash(CHEN)
    assert [tie.role for tie in building.read(select(HomeRole).where(HomeRole.person_id == person_id))] == [
        "owner"
    ]
    repairs = building.read(select(Repair).where(Repair.person_id == person_id).order_by(Repair.id))
    assert [(each.state, each.what) for each in repairs] == [
        ("closed", "我是（已注销），电话（已注销），厨房水龙头滴水"),
        ("waiting", "卧室灯不亮，打（已注销）或（已注销）找（已注销）"),
    ]
    photos = building.read(select(Media.about).where(Media.person_id == person_id).order_by(Media.id))
    assert photos == [f"repair:{repairs[1].id}", "purchase:1"]
    assert building.read(select(Media.about).where(Media.about == "paper:1")) == ["paper:1"]
    wishes = building.read(select(Purchase.why).where(Purchase.person_id == person_id))
    assert wishes == ["（已注销），电话（已注销），要充电"] * 2
    assert building.read(select(Objection.what)) == ["（已注销）认为没有数对"]
    own = building.read(select(Listing).where(Listing.person_id == person_id))
    assert [(each.state, each.title, each.text, each.draft) for each in own] == [("withdrawn", "", "", {})]
    assert building.read(select(Ruling.text).where(Ruling.person_id == person_id)) == [""]
    voiced = select(Complaint.state).where(Complaint.person_id == person_id)
    assert building.read(voiced) == ["withdrawn"]
    assert set(building.read(select(Statement.text).where(Statement.complaint_id == 1))) == {""}
    for name in (SHOWN_AND_ERASED | set(NOT_SHOWN)) - REMAIN:
        table, _, column = name.partition(".")
        refers = SQLModel.metadata.tables[table].c[column] == person_id
        assert building.read(select(func.count()).where(refers)) == [0], name


async def test_the_photos_of_an_open_repair_go_when_it_is_over(
    building: Building, zhao: Phone, tmp_path: Path
) -> None:
    (person,) = building.read(select(Person).where(Person.name == CHEN))
    await zhao.says("/forget")
    await zhao.taps("确定注销")
    await clean(building)
    await finish(building, 2)
    write(building, lambda tx: setattr(tx.session.get_one(Purchase, 1), "state", "done"))
    for _ in range(4):  # silence is asked about, then taken as yes; then a night
        await building.later(days=4)
    (repair,) = building.read(select(Repair).where(Repair.number == 2))
    assert repair.state == "closed"
    assert building.read(select(Media).where(Media.person_id == person.id)) == []


@pytest.mark.by_hand
async def test_the_photo_of_a_ballot_goes_when_its_vote_is_final_and_not_with_who_took_it(
    building: Building, zhao: Phone, tmp_path: Path
) -> None:
    manager = building.phone("刘经理")
    for phone in (zhao, manager):
        await phone.says("/forget")
        await phone.taps("确定注销")
        await clean(building)
    await nights(building, 5)
    paper = select(Media.about).where(Media.about == "paper:1")
    assert building.read(paper) == ["paper:1"]  # somebody may still object

    def final(tx: Tx) -> None:
        tx.session.exec(select(Vote)).one().final_at = tx.now

    write(building, final)
    await nights(building, 1)
    assert building.read(paper) == []
    assert len(building.read(select(Paper.evidence))) == 1


@pytest.mark.by_hand
async def test_the_photo_of_a_ballot_is_kept_as_long_as_what_was_sent(
    building: Building, zhao: Phone
) -> None:
    building.set_policy("sent_days", 60)
    paper = select(Media.about).where(Media.about == "paper:1")

    def final(tx: Tx) -> None:
        tx.session.exec(select(Vote)).one().final_at = tx.now

    await nights(building, 5)
    write(building, final)
    await nights(building, 58)
    assert building.read(paper) == ["paper:1"]
    await nights(building, 3)
    assert building.read(paper) == []
    assert building.read(select(Voter.id).where(Voter.number == "P1")) != []


async def test_a_member_of_the_crew_who_forgets_themselves_is_found_nowhere(
    building: Building, owner: Phone, crew: Phone, office: Phone, tmp_path: Path
) -> None:
    write(building, lambda tx: set_phone(tx, one(tx, "李师傅"), PHONE))
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    owner.sees("李师傅已接单")
    await office.says("/crew")
    await office.taps("李师傅")
    office.sees("139****5678")
    await owner.says("李师傅什么时候来")
    words = ("李师傅", *FORMS[:2])
    if isinstance(building, TelegramBuilding):
        words = (*words, building.account("李师傅"))
    assert len(traces(building, tmp_path, words)) > 5
    await crew.says("/forget")
    crew.sees("会留下：报修和采购申请（不写姓名")
    await crew.taps("确定注销")
    await clean(building)
    assert traces(building, tmp_path, words) == []
    (repair,) = building.read(select(Repair))
    assert (repair.state, repair.crew_id) == ("waiting", None)  # it is paged anew
    office.sees("🚨 紧急报修 1")


async def test_a_member_of_the_staff_who_forgets_themselves_is_found_nowhere(
    building: Building, owner: Phone, office: Phone, tmp_path: Path
) -> None:
    await reports(owner, "厨房水龙头滴水", width=30)
    await office.taps("升级为紧急")
    assert any("刘经理" in message.text for message in office.chat.messages)
    await office.says("我是刘经理")
    assert len(traces(building, tmp_path, ("刘经理",))) > 3
    manager = building.phone("刘经理")
    await manager.says("/forget")
    await manager.taps("确定注销")
    await clean(building)
    assert traces(building, tmp_path, ("刘经理",)) == []
    another = building.group("周经理")
    await another.says("/audit")
    another.sees("已注销的住户")


@pytest.mark.by_hand
async def test_who_was_staff_before_they_came_in_keeps_their_acts_and_leaves_no_name(
    building: Building, owner: Phone, tmp_path: Path
) -> None:
    """On a messenger whoever acts in the group is somebody; then their invitation says who of the roster they are."""
    group = Phone(building, CHAT, "staff", "staff")
    newcomer = owner_of(building)
    await reports(owner, "厨房水龙头滴水", width=30)
    await group._send(tap="repair.raise:1", name="阿芳芳")
    await comes_in(building, newcomer)
    await group.says("/audit")
    group.sees(f"{CHEN}：")
    assert traces(building, tmp_path, ("阿芳芳",)) != []
    await newcomer.says("/forget")
    await newcomer.taps("确定注销")
    await clean(building)
    assert traces(building, tmp_path, (CHEN, CHAT)) == []


async def test_people_of_the_same_name_keep_theirs(building: Building, phone: Any, tmp_path: Path) -> None:
    twins = building.read(select(Person).where(Person.name == "王奶奶"))
    if len(twins) == 1:  # the roster of the tests numbers them as one: add another
        write(building, lambda tx: tied(tx, "王奶奶", "1202"))
    granny = phone("王奶奶")
    await granny.says("王奶奶家的厨房水龙头滴水")
    for label in ("1 号楼 1 单元 101", "提交"):
        await granny.taps(label)
    await phone("周先生").says("王奶奶找谁")
    await granny.says("/forget")
    await granny.taps("确定注销")
    await clean(building)
    assert len(building.read(select(Person).where(Person.name == "王奶奶"))) == 1
    (repair,) = building.read(select(Repair))
    assert repair.what == "（已注销）家的厨房水龙头滴水"  # in one's own matters it is one's own name
    kept = [row.payload["text"] for row in building.read(select(Inbox))]
    assert [words for words in kept if "王奶奶" in words] == ["王奶奶找谁"]


def tied(tx: Tx, name: str, room: str) -> None:
    home = tx.session.exec(select(Home).where(Home.room == room)).first()
    assert home is not None
    person = new_person(tx, home.community_id, name)
    tx.session.add(
        HomeRole(community_id=home.community_id, home_id=home.id, person_id=person.id, role="owner")
    )


@pytest.mark.by_hand
async def test_a_guest_who_calls_himself_a_lift_destroys_no_words_of_others(
    building: Building, owner: Phone, office: Phone, tmp_path: Path
) -> None:
    guest = Phone(building, "guest7654321", "guest7654321")
    await guest._send(text="楼里着火了，快来人", name="电梯")
    office.sees("没登记的人（电梯）说：楼里着火了")
    await guest._send(tap=f"join.start:{building.community.id}", name="电梯")
    await guest.taps("同意，开始")
    await guest.says("3号楼2单元1201")
    await guest.says("电梯")
    await guest.taps("业主")
    await guest.taps("提交")
    await owner.says("电梯里困了人")
    before = building.read(select(Repair))[0].what
    await guest.says("/forget")
    await guest.taps("确定注销")
    await clean(building)
    assert building.read(select(Repair))[0].what == before
    assert any("电梯" in message.text for message in owner.chat.messages)
    assert traces(building, tmp_path, ("guest7654321", "「电梯」", "自称：电梯", "快来人")) == []
    office.sees("申请人已注销")
    assert building.read(select(JoinRequest)) == []


@pytest.mark.by_hand
async def test_who_writes_again_within_the_minute_is_a_stranger_and_loses_nothing(
    building: Building, owner: Phone, tmp_path: Path
) -> None:
    await owner.says("/forget")
    await owner.taps("确定注销")
    await owner.says("你好")
    owner.sees("我还不认识您", "申请登记")
    await owner.taps("申请登记")
    await owner.taps("同意，开始")
    owner.sees("您住哪一户")
    await clean(building)
    await owner.says("3号楼2单元1201")
    owner.sees("怎么称呼您")
    assert len(building.read(select(Account).where(Account.external_id == "陈女士"))) == 1


async def test_who_writes_again_later_is_a_stranger(building: Building, owner: Phone) -> None:
    await owner.says("/forget")
    await owner.taps("确定注销")
    await clean(building)
    await owner.taps("确定注销")
    owner.sees("我还不认识您")


async def test_a_kill_after_the_tap_leaves_nothing_either(
    building: Building, zhao: Phone, tmp_path: Path
) -> None:
    await zhao.says("/forget")
    await zhao.taps("确定注销")
    await building.restart()
    await clean(building)
    assert traces(building, tmp_path, (CHEN, *FORMS, chat_of(building), SECOND)) == []


@pytest.mark.by_hand
async def test_a_chat_that_blocked_us_is_cleared_as_well(
    building: Building, zhao: Phone, tmp_path: Path
) -> None:
    await zhao.says("/forget")
    await zhao.taps("确定注销")
    chat = building.read(select(Place).where(Place.external_id == CHAT))[0]

    def block(tx: Tx) -> None:
        place = tx.session.get_one(Place, chat.id)
        tell(tx, place, "thanks.answer")
        place.blocked_at = tx.now

    write(building, block)
    await clean(building)
    assert traces(building, tmp_path, (CHEN, CHAT)) == []


@pytest.mark.by_hand
async def test_a_chat_waits_for_its_last_word_but_not_for_ever(
    building: Building, zhao: Phone, tmp_path: Path
) -> None:
    await zhao.says("/forget")
    await zhao.taps("确定注销")
    (place,) = building.read(select(Place).where(Place.external_id == CHAT))
    row = {"place_id": place.id, "lane": 1, "text": "…", "change": "send", "created_at": building.clock.now()}
    later = building.clock.now() + timedelta(days=30)
    write(building, lambda tx: tx.session.add(Outgoing(**row, retry_at=later)))
    await clean(building)
    assert len(building.read(select(Place).where(Place.external_id == CHAT))) == 1
    await building.later(days=1, minutes=1)
    assert building.read(select(Place).where(Place.external_id == CHAT)) == []


@pytest.mark.by_hand
async def test_who_is_known_in_two_communities_is_erased_in_one(
    building: Building, owner: Phone, tmp_path: Path
) -> None:
    def elsewhere(tx: Tx) -> int:
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, other, read_roster("楼栋,房号,面积,姓名\n9,101,80,陈女士\n".encode()))
        (person,) = tx.session.exec(select(Person).where(Person.community_id == other.id)).all()
        place = tx.session.exec(select(Place).where(Place.external_id == "陈女士")).one()
        bind_account(tx, person, NAME, "陈女士", agreed=True)
        here = one_of(tx, building.community.id, "陈女士")
        place.person_id, place.community_id = here.id, here.community_id
        return other.id

    other = write(building, elsewhere)
    for community, words in (("阳光花园", "陈女士家的厨房水龙头滴水"), ("月光花园", "陈女士家的卧室灯不亮")):
        await owner.says(words)
        await owner.taps(community)
        await owner.taps("提交")
    await owner.says("/community")
    await owner.taps("阳光花园")
    await owner.says("/forget")
    await owner.taps("确定注销")
    await clean(building)
    left = {
        (name, json.loads(row).get("community_id"))
        for name, row in rows(building)
        if "陈女士" in row or escaped("陈女士") in row
    }
    assert {community for _, community in left} == {other}
    assert {"account", "place", "inbox", "person", "repair"} <= {name for name, _ in left}
    await owner.says("/my")
    owner.sees("卧室灯不亮")


def one_of(tx: Tx, community_id: int, name: str) -> Person:
    same = select(Person).where(Person.community_id == community_id, Person.name == name)
    return tx.session.exec(same).one()


async def test_a_withheld_consent_leaves_nothing_of_the_chat(
    building: Building, phone: Any, tmp_path: Path
) -> None:
    newcomer = owner_of(building)
    code = write(building, lambda tx: invitations(tx, building.community, CHEN, building.messenger)[0].code)
    await newcomer.says(f"/start {code}")
    await newcomer.taps("不同意")
    newcomer.sees("您的账号已删除")
    await clean(building)
    assert traces(building, tmp_path, (chat_of(building),)) == []
    assert len(building.read(select(Person).where(Person.name == CHEN))) == 1  # the roster's


async def test_nobody_is_erased_in_a_group(building: Building, office: Phone) -> None:
    await office.says("/forget")
    await office.forges("erase")
    office.sees("请私聊我办注销")
    assert len(building.read(select(Person).where(Person.name == "刘经理"))) == 1


@pytest.mark.by_hand
async def test_the_next_roster_does_not_bring_the_name_back(building: Building, owner: Phone) -> None:
    from tests.people import ROSTER

    await owner.says("/forget")
    await owner.taps("确定注销")
    await clean(building)
    write(building, lambda tx: import_roster(tx, building.community, read_roster(ROSTER.encode())))
    assert building.read(select(Person).where(Person.name == "陈女士")) == []
    assert len(building.read(select(HomeRole).join(Home).where(Home.room == "1201"))) == 1


# --- retention --------------------------------------------------------------------------------------


def night(building: Building) -> timedelta:
    """How long it is until old things are erased: a little past 03:30 in Shanghai."""
    now = building.clock.now()
    at = now.replace(hour=19, minute=31)
    return (at if at > now else at + timedelta(days=1)) - now


async def nights(building: Building, days: float) -> None:
    building.clock.at += timedelta(days=days)
    await building.later(seconds=night(building).total_seconds())
    while building.read(select(Timer).where(Timer.due_at < building.clock.now() + timedelta(minutes=1)).where(
        Timer.state == "waiting", Timer.action.startswith("privacy.")
    )):  # fmt: skip
        await building.later(seconds=5)


def heard(building: Building, key: str, *, days: float, community: int | None, state: str = "done") -> Inbox:
    return Inbox(
        community_id=community,
        messenger=NAME,
        key=key,
        place="陈女士",
        sender="陈女士",
        payload={"text": key},
        state=state,
        received_at=building.clock.now() - timedelta(days=days),
    )


@pytest.mark.by_hand
async def test_old_things_go_in_the_night_and_open_ones_stay(building: Building, owner: Phone) -> None:
    ours, now = building.community.id, building.clock.now()
    building.set_policy("said_days", 10)
    building.set_policy("sent_days", 30)

    def work(tx: Tx) -> None:
        place = tx.session.exec(select(Place).where(Place.external_id == "陈女士")).one()
        tx.session.add_all(
            [
                heard(building, "old", days=11, community=ours),
                heard(building, "old stranger", days=11, community=None),
                heard(building, "old and failed", days=11, community=ours, state="failed"),
                heard(building, "young", days=8, community=ours),
            ]
        )
        for text, days, state in (("old", 31, "sent"), ("still waits", 31, "waiting"), ("young", 28, "sent")):
            at = now - timedelta(days=days)
            row = Outgoing(
                community_id=ours, place_id=place.id, lane=2, text=text, state=state, created_at=at,
                retry_at=now + timedelta(days=99),
            )  # fmt: skip
            tx.session.add(row)
            tx.session.flush()
            tx.session.add(Attempt(community_id=ours, outgoing_id=row.id, place_id=place.id, at=at))
            tx.session.add(Rest(community_id=ours, text=text, created_at=at))
            tx.session.add(
                Code(
                    community_id=ours, purpose="person", hash=text, expires_at=now - timedelta(days=days + 1)
                )
            )

    write(building, work)
    await nights(building, 0)
    assert set(building.read(select(Inbox.key))) == {"old and failed", "young"}
    assert set(building.read(select(Outgoing.text))) == {"still waits", "young"}
    assert len(building.read(select(Attempt))) == 2
    assert building.read(select(Rest)) == []
    assert building.read(select(Code.hash)) == ["young"]
    await nights(building, 3)
    assert set(building.read(select(Inbox.key))) == {"old and failed"}
    assert set(building.read(select(Outgoing.text))) == {"still waits"}


@pytest.mark.by_hand
async def test_many_old_things_go_in_batches(building: Building, owner: Phone) -> None:
    many = BATCH + 100
    rows_ = [heard(building, f"{each}", days=200, community=building.community.id) for each in range(many)]
    write(building, lambda tx: tx.session.add_all(rows_))
    await building.later(seconds=night(building).total_seconds())
    assert len(building.read(select(Inbox.id))) == many - BATCH
    await building.later(seconds=5)
    assert building.read(select(Inbox.id)) == []
    (timer,) = building.read(select(Timer).where(Timer.action == f"privacy.retain:{building.community.id}"))
    assert timer.state == "waiting"
    assert timedelta(hours=23) < timer.due_at - building.clock.now() < timedelta(days=1)


@pytest.mark.by_hand
async def test_who_was_not_let_in_or_has_left_is_forgotten_and_who_is_tied_never(
    building: Building, owner: Phone, office: Phone, tmp_path: Path
) -> None:
    guests = [Phone(building, f"guest{each:05}", f"guest{each:05}") for each in range(FEW + 2)]
    for guest in guests:
        await guest._send(tap=f"join.start:{building.community.id}", name=f"客人{guest.account}")
    stranger = Phone(building, "stranger00001", "stranger00001")
    await stranger._send(text="你好", name="路过的人")
    await office.says("/crew")
    await office.taps("李师傅")
    await office.taps("结束身份")
    await office.taps("确定结束")
    await nights(building, 28)
    assert len(traces(building, tmp_path, ("客人guest",))) > 0
    asked = building.read(select(Person).where(Person.name == "客人guest00000"))[0]
    late = JoinRequest(
        community_id=asked.community_id, person_id=asked.id, name="x", home="y", role="owner",
        created_at=building.clock.now(),
    )  # fmt: skip
    write(building, lambda tx: tx.session.add(late))
    await nights(building, 3)
    await clean(building)
    names = set(building.read(select(Person.name)))
    assert {"陈女士", "周先生", "王师傅", "刘经理", "客人guest00000"} <= names
    assert "李师傅" not in names
    assert [name for name in names if name.startswith("客人")] == ["客人guest00000"]
    assert traces(building, tmp_path, ("guest00001", "stranger00001", "李师傅")) == []


@pytest.mark.by_hand
async def test_a_community_that_is_added_while_we_run_is_kept_clean_as_well(building: Building) -> None:
    other = write(
        building, lambda tx: add_community(tx, "月光花园", time_zone="Europe/Berlin", language="zh").id
    )
    write(building, lambda tx: tx.session.add(heard(building, "old", days=200, community=other)))
    write(building, begin_retention)
    timers = building.read(select(Timer).where(Timer.action.startswith("privacy.retain:")))
    assert len(timers) == 2
    await building.later(days=1)
    assert building.read(select(Inbox)) == []
