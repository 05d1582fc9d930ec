"""/figures: each month's numbers as a picture and an Excel file, and for staff the same live.

The picture comes to everybody, the file to the admin group; both stand on the board's page.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.words import Reader, Say, below
from handlers import public
from handlers.actions import action
from handlers.month import Facts, Month, is_empty, month_of, read
from handlers.month_picture import picture
from handlers.month_sheet import MIME, sheet
from handlers.month_words import lines
from handlers.notices import publish
from handlers.public import Line, Matter
from handlers.rights import staff
from handlers.talk import here
from handlers.tell import Button, reader_of, tell, tell_staff
from handlers.timers import awake, set_timer
from handlers.tx import Tx
from store.media import Kept
from store.tables import Community, Media, Person, Place, Report, Vote

BACK = 6
"""Months that a picture and a file show."""
LOOKED_AT = "talk:figures"
"""What is drawn for somebody who only looks goes as what was said in a talk goes: after a month."""


def about(report: Report) -> str:
    """How the board, its picture and its file name a month that was published."""
    return f"report:{report.id}"


def month_in(report: Report) -> Month:
    """Which month it tells of."""
    return Month(*map(int, report.month.split("-")))


def _zone(tx: Tx, community_id: int) -> ZoneInfo:
    return ZoneInfo(tx.community(community_id).time_zone)


def facts_of(tx: Tx, community_id: int, month: Month) -> Facts:
    """The numbers of a month: as they were published, or as they are now."""
    published = select(Report).where(Report.community_id == community_id, Report.month == str(month))
    report = tx.session.exec(published).first()
    return report.facts if report is not None else read(tx, community_id, month)


def _months(tx: Tx, community_id: int, last: Month) -> list[tuple[Month, Facts]]:
    """A month and those before it, the oldest first; none before the community was there, but for the one before."""
    since = month_of(tx.community(community_id).created_at, _zone(tx, community_id))
    found = [last.later(-back) for back in range(BACK - 1, -1, -1)]
    return [
        (each, facts_of(tx, community_id, each)) for each in found if each >= since or each >= last.later(-1)
    ]


# --- drawn ------------------------------------------------------------------------------------------


def _reader(tx: Tx, community_id: int) -> Reader:
    """Pictures and files are for all of a community, in its language."""
    return tx.reader(community_id)


def _media(tx: Tx, community_id: int, kept: Kept, **values: Any) -> int:
    values = {"storage": kept.storage, "mime": kept.mime, **values}
    made = Media(community_id=community_id, size=kept.size, created_at=tx.now, **values)
    tx.session.add(made)
    tx.session.flush()
    return made.id


def _draw(tx: Tx, community_id: int, months: Sequence[tuple[Month, Facts]], of: str) -> int | None:
    """The picture of the last of these months; None where nothing can be kept."""
    if tx.house.keep is None:
        return None
    community = tx.community(community_id)
    reader = _reader(tx, community_id)
    drawn = picture(community.name, months, reader.language, zone=community.time_zone, now=tx.now)
    return _media(tx, community_id, tx.house.keep(drawn), about=of)


def _write(tx: Tx, community_id: int, months: Sequence[tuple[Month, Facts]], of: str) -> int | None:
    """The file of the last of these months."""
    if tx.house.keep_file is None:
        return None
    month, facts = months[-1]
    numbers = [each["number"] for each in facts["votes"]]
    rows = select(Vote.number, Vote.title).where(
        Vote.community_id == community_id, col(Vote.number).in_(numbers)
    )
    reader, name = _reader(tx, community_id), tx.community(community_id).name
    data = sheet(name, months, dict(tx.session.exec(rows).all()), reader)
    called = reader.say("figures.file", month=str(month))
    return _media(
        tx, community_id, tx.house.keep_file(data), about=of, kind="file", mime=MIME, name=f"{called}.xlsx"
    )


# --- asked for --------------------------------------------------------------------------------------


@action("figures", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """The month as far as it has come, beside the one before; for owners what is public, and the last published one."""
    to = here(tx, person)
    in_group = isinstance(to, Place) and staff(tx, person, None)
    month = month_of(tx.now, _zone(tx, person.community_id))
    now, before = (facts_of(tx, person.community_id, each) for each in (month, month.later(-1)))
    last = last_report(tx, person.community_id)
    published = [Button(f"report.show:{last.id}", number=month_in(last).number)] if last is not None else []
    reader = reader_of(tx, to)
    tell(
        tx,
        to,
        "figures.live",
        month=Say("figures.month", year=month.year, month=month.month),
        at=tx.now,
        lines="\n".join(str(reader.show(each)) for each in lines(now, before, staff=in_group)),
        buttons=["times", "month.picture", "month.sheet", *published] if in_group else published,
        last="figures",
    )


def last_report(tx: Tx, community_id: int) -> Report | None:
    """The latest month that was published."""
    rows = select(Report).where(Report.community_id == community_id)
    return tx.session.exec(rows.order_by(col(Report.month).desc()).limit(1)).first()


@action("report.show", Report, button=True, stays=True)
def show_report(tx: Tx, person: Person, report: Report) -> None:
    """One month as it was published, with its picture; in the admin group with its file."""
    to = here(tx, person)
    in_group = isinstance(to, Place) and staff(tx, person, None)
    files = [report.picture_id, report.sheet_id if in_group else None]
    tell(
        tx,
        to,
        "figures.published",
        photos=[each for each in files if each is not None],
        **card(tx, report),
    )


@action("month.picture", button=True, stays=True)
def show_picture(tx: Tx, person: Person) -> None:
    """The month so far as a picture."""
    _send_now(tx, person, "picture")


@action("month.sheet", button=True, stays=True)
def show_sheet(tx: Tx, person: Person) -> None:
    """The month so far as a file."""
    _send_now(tx, person, "sheet")


def _send_now(tx: Tx, person: Person, what: str) -> None:
    month = month_of(tx.now, _zone(tx, person.community_id))
    months = _months(tx, person.community_id, month)
    made = (_draw if what == "picture" else _write)(tx, person.community_id, months, LOOKED_AT)
    said = Say("figures.month", year=month.year, month=month.month)
    tell(
        tx, here(tx, person), "figures.now", month=said, at=tx.now, photos=[made] if made is not None else ()
    )


# --- published --------------------------------------------------------------------------------------


def begin_reports(tx: Tx) -> None:
    """Let each community's figures be published on the first of each month."""
    for community_id in tx.session.exec(select(Community.id)).all():
        _next(tx, community_id, move=False)


def _next(tx: Tx, community_id: int, *, move: bool = True) -> None:
    zone = _zone(tx, community_id)
    at = awake(tx, community_id, month_of(tx.now, zone).ends(zone))
    set_timer(tx, community_id, f"figures.publish:{community_id}", at, move=move)


@action("figures.publish", Community)
def publish_month(tx: Tx, person: None, community: Community) -> None:
    """The month before, once: for everybody with its picture, for staff with its file; late if we were down."""
    zone = _zone(tx, community.id)
    month = month_of(tx.now, zone).later(-1)
    known = select(Report.id).where(Report.community_id == community.id, Report.month == str(month))
    if community.created_at < month.ends(zone) and tx.session.exec(known).first() is None:
        _publish(tx, community, month)
    _next(tx, community.id)


def _publish(tx: Tx, community: Community, month: Month) -> None:
    months = _months(tx, community.id, month)
    report = Report(community_id=community.id, month=str(month), facts=months[-1][1], at=tx.now)
    tx.session.add(report)
    tx.session.flush()
    report.picture_id = _draw(tx, community.id, months, about(report))
    report.sheet_id = _write(tx, community.id, months, about(report))
    tx.session.add(report)
    tx.session.flush()
    pictures = [report.picture_id] if report.picture_id is not None else []
    button = Button(f"report.show:{report.id}", number=month.number)
    publish(
        tx,
        community.id,
        "figures.published",
        about=about(report),
        photos=pictures,
        buttons=[] if is_empty(report.facts) else [button],
        wish="report",
        **card(tx, report),
    )
    tell_staff(
        tx,
        community.id,
        "figures.published_staff",
        photos=[*pictures, *([report.sheet_id] if report.sheet_id is not None else [])],
        buttons=("figures",),
        silent=True,
        **card(tx, report),
    )


def card(tx: Tx, report: Report) -> dict[str, Any]:
    """What is said of a month that was published."""
    month = month_in(report)
    before = facts_of(tx, report.community_id, month.later(-1))
    return {
        "name": tx.community(report.community_id).name,
        "month": Say("figures.month", year=month.year, month=month.month),
        "lines": below(lines(report.facts, before)),
    }


def _line(tx: Tx, report: Report) -> Line:
    month = month_in(report)
    title = tx.reader(report.community_id).say("figures.title", year=month.year, month=month.month)
    return Line(month.number, title, Say("figures.state"), report.at, open=False)


public.know_matter(
    Matter(
        "report",
        Report,
        _line,
        lambda tx, report: Say("figures.published", **card(tx, report)),
        lambda tx, report, reader: [reader.say("event.line", at=report.at, what=Say("figures.event"))],
        lambda tx, report: [report.picture_id] if report.picture_id is not None else [],
        show="report.show",
    )
)
