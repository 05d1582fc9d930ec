"""A community in which something of every kind stands on the board, written with all that must not stand there."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

from PIL import Image
from sqlmodel import Session, select

from conversations.words import Say, pack
from handlers.holding import hold
from handlers.matters import add_event
from handlers.people import homes_of
from handlers.public import put
from handlers.results import close_and_publish
from handlers.tx import Tx
from handlers.votes import cast
from store.media import Kept
from store.tables import (
    Community,
    Entry,
    Home,
    Listing,
    Media,
    Person,
    Purchase,
    Repair,
    Report,
    Vote,
)
from tests.people import MORNING, Building, photo

HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(2)> {{ 7*7 }} **粗** `x`'
PHONE = "13812345678"
SHEET = b"PK a sheet"
PRIVATE = ("陈女士", PHONE, "138 1234 5678", "1201", "周先生", "1202", "李师傅", "王奶奶", "刘经理")
"""What of the roster stands in what people wrote, and must stand on no page."""


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    """Let something be written as the program writes it."""

    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def add(tx: Tx, row: Any) -> Any:
    """A row, and its line of the board."""
    tx.session.add(row)
    tx.session.flush()
    put(tx, f"{type(row).__name__.lower()}:{row.id}")
    return row


def repair(tx: Tx, number: int, what: str, state: str = "waiting", **more: Any) -> Repair:
    """Somebody's report."""
    who = one(tx, more.pop("who", "陈女士"))
    given: dict[str, Any] = {
        "community_id": who.community_id,
        "number": number,
        "person_id": who.id,
        "place": "lift",
        "building": "3",
        "what": what,
        "kind": "lift",
        "urgent": False,
        "state": state,
        "reported_at": tx.now,
        **more,
    }
    return add(tx, Repair(**given))  # type: ignore[no-any-return]


def picture(about: str, kept: Kept, who: Person | None, **more: Any) -> Media:
    """What is kept of a matter; of a month nobody brought it."""
    return Media(
        community_id=1,
        person_id=who.id if who is not None else None,
        about=about,
        storage=kept.storage,
        mime=kept.mime,
        size=kept.size,
        created_at=MORNING,
        **more,
    )


def furnish(building: Building) -> None:
    """Repairs, a request, votes, listings and a month, at home and in the public, open, done and overdue."""
    media = building.app.media
    shot = media.keep_photo(photo(640, 480))
    drawn = BytesIO()
    Image.new("RGB", (1080, 1350), "#e0efeb").save(drawn, "PNG")

    def first(tx: Tx) -> None:
        chen, hours = one(tx, "陈女士"), timedelta(hours=1)
        assert homes_of(tx, chen)
        home = tx.session.exec(select(Home).where(Home.room == "1201")).one()
        made = repair(tx, 1, "电梯按钮不亮，按好几次才有反应", due_at=tx.now + 2 * hours)
        tx.session.add(picture(f"repair:{made.id}", shot, chen))
        add_event(tx, f"repair:{made.id}", "event.reported", chen, community_id=made.community_id)
        repair(
            tx,
            2,
            f"卫生间漏水，陈女士 1201室，电话 {PHONE} 或 138 1234 5678 {HOSTILE}",
            due_at=tx.now - 20 * hours,
            place="home",
            kind="water",
            home_id=home.id,
        )
        repair(tx, 3, "大堂灯坏了", "closed", place="hall", kind="other", done_at=tx.now)
        repair(tx, 4, "看错了", "withdrawn")
        repair(tx, 5, "", place="garage", building="", kind="other")
        request = Purchase(
            community_id=chen.community_id,
            number=1,
            person_id=chen.id,
            what="电动车充电桩",
            why=f"晚上排队充电，找陈女士 {PHONE}",
            count=10,
            cost=4200000,
            state="review",
            due_at=tx.now - 40 * hours,
            created_at=tx.now - 200 * hours,
        )
        add(tx, request)
        for number, (kind, title, state) in enumerate(
            (
                ("sale", f"九成新儿童自行车 {PHONE}", "open"),
                ("rent", "两室一厅", "closed"),
                ("free", "旧书", "held"),
            ),
            1,
        ):
            add(
                tx,
                Listing(
                    community_id=chen.community_id,
                    number=number,
                    person_id=chen.id,
                    kind=kind,
                    title=title,
                    text=f"{title}，联系陈女士 1201室 {HOSTILE}",
                    state=state,
                    created_at=tx.now,
                    published_at=tx.now,
                    expires_at=tx.now + 700 * hours,
                ),
            )
        month = [
            picture("report:1", media.keep_picture(drawn.getvalue()), None),
            picture("report:1", media.keep_file(SHEET), None, kind="file"),
        ]
        tx.session.add_all(month)
        tx.session.flush()
        tx.session.add(
            Report(
                community_id=chen.community_id,
                month="2026-02",
                picture_id=month[0].id,
                sheet_id=month[1].id,
                at=tx.now,
            )
        )

    def polled(tx: Tx) -> None:
        for title in ("3 号楼加装充电桩", "是否更换门禁"):
            hold(
                tx,
                1,
                one(tx, "刘经理"),
                kind="poll",
                title=title,
                text="现有 4 个，2021 年装。",
                opens_at=tx.now,
                deadline=tx.now + timedelta(days=3),
            )
        cast(tx, tx.session.get_one(Vote, 1), one(tx, "陈女士"), choice="for")

    write(building, first)
    write(building, polled)
    building.clock.at += timedelta(days=3, minutes=1)
    write(building, lambda tx: close_and_publish(tx, None, tx.session.get_one(Vote, 1)))


def many(tx: Tx, count: int, building: str = "") -> None:
    """So many more lines, in a hurry."""
    community = tx.session.exec(select(Community)).first()
    assert community is not None
    tx.session.add_all(
        Entry(
            community_id=community.id,
            about=f"repair:9{number:06}",
            kind="repair",
            number=number,
            building=building,
            title=f"第 {number} 件",
            state=pack({"state": Say("state.waiting")}),
            open=True,
            at=tx.now - timedelta(minutes=number),
            changed_at=tx.now,
        )
        for number in range(1, count + 1)
    )
