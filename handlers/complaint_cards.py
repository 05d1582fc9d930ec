"""What is said about a complaint: its words and answers as everybody reads them, its buttons, and its cards."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select

from conversations.words import Reader, Say, below
from handlers import matters
from handlers.notices import know_audience, notify, post, publish
from handlers.overdue import refresh_list
from handlers.people import homes_of
from handlers.public import Line, Matter, know_matter, put
from handlers.repair_cards import cut_short
from handlers.tell import NEWS, Button, tell, tell_staff
from handlers.tx import Tx
from store.tables import Complaint, Home, HomeRole, Joiner, Media, Person, Statement, Talk

OWNER, OFFICE = "owner", "office"
"""The sides of a statement."""
COUNTS = ("open", "answered")
"""The states in which it goes on."""
BRIEF = 40
FEWEST_HOMES = 2
"""In a building of fewer homes its number tells who wrote."""
TITLE = 60


def about(complaint: Complaint) -> str:
    """How photos, events, talks and cards name it."""
    return f"complaint:{complaint.id}"


def author_of(tx: Tx, complaint: Complaint) -> Person:
    """Who wrote it; nobody else is told."""
    return tx.session.get_one(Person, complaint.person_id)


# --- what was said ----------------------------------------------------------------------------------


def statements(tx: Tx, complaint: Complaint) -> Sequence[Statement]:
    """All that was said in it, in every version: each round first its author, then the office."""
    said = select(Statement).where(Statement.complaint_id == complaint.id)
    owner_first = col(Statement.side) != OWNER
    return tx.session.exec(said.order_by(col(Statement.round), owner_first, col(Statement.version))).all()


def latest_of(tx: Tx, complaint: Complaint, side: str, round_: int | None = None) -> Statement | None:
    """The version that counts of what one side said in a round, the present one unless it is named."""
    said = select(Statement).where(
        Statement.complaint_id == complaint.id,
        Statement.side == side,
        Statement.round == (round_ or complaint.round),
    )
    return tx.session.exec(said.order_by(col(Statement.version).desc()).limit(1)).first()


def words_of(tx: Tx, complaint: Complaint) -> str:
    """Its first words as everybody reads them."""
    first = latest_of(tx, complaint, OWNER, 1)
    return first.shown if first is not None else ""


def called(complaint: Complaint) -> Say:
    """Its name: 投诉 12, 建议 12."""
    return Say(f"complaint.called.{complaint.kind}", number=complaint.number)


def brief(tx: Tx, complaint: Complaint) -> str:
    """Its beginning, in one line of a list."""
    return cut_short(words_of(tx, complaint), BRIEF)


def joined(tx: Tx, complaint: Complaint) -> int:
    """How many neighbours say the same."""
    return tx.session.exec(select(func.count()).where(Joiner.complaint_id == complaint.id)).one()


def state(complaint: Complaint) -> Say:
    """What has become of it, in words; that staff were late stays with it."""
    name = complaint.state
    if name == "open" and complaint.overdue_at is not None:
        return Say("complaint.state.overdue")
    if name == "closed" and complaint.helped is not None:
        name = "solved" if complaint.helped else "unsolved"
    now = Say(f"complaint.state.{name}")
    late = complaint.overdue_at is not None and complaint.answered_at is not None and name != "withdrawn"
    return Say("complaint.answered_late", state=now) if late else now


def building_of(tx: Tx, author: Person, only: str) -> Any:
    """From which building it comes: all that anybody is told of its author.

    Not even that where a building is one home; and of what is for one building's people no other, in which its author
    has a home, too.
    """
    building = only or next((home.building for home in homes_of(tx, author)), "")
    count = select(func.count()).where(Home.community_id == author.community_id, Home.building == building)
    if not building or tx.session.exec(count).one() < FEWEST_HOMES:
        return ""
    return Say("complaint.from_mark", where=Say("where.building", building=building))


def preview(tx: Tx, author: Person, *, kind: str, topic: str, words: str, building: str) -> Say:
    """It as everybody will read it, before it has a number."""
    return Say(
        "complaint.preview",
        kind=Say(f"complaint.kind.{kind}"),
        topic=Say(f"complaint.topic.{topic}"),
        where=building_of(tx, author, building),
        only=_only(building),
        words=words,
    )


def _only(building: str) -> Any:
    shown = Say("where.building", building=building) if building else ""
    return Say("complaint.only_mark", where=shown) if shown else ""


def card(tx: Tx, complaint: Complaint, *, versions: bool = False) -> Say:
    """It as everybody reads it, with its answers: what counts of each, or with `versions` all that was ever said."""
    if complaint.state == "withdrawn":
        return Say("complaint.withdrawn_card", name=called(complaint), state=state(complaint))
    count = joined(tx, complaint)
    return Say(
        "complaint.card",
        name=called(complaint),
        topic=Say(f"complaint.topic.{complaint.topic}"),
        where=building_of(tx, author_of(tx, complaint), complaint.building),
        only=_only(complaint.building),
        state=state(complaint),
        due=due_mark(complaint),
        words=below(_thread(tx, complaint, versions=versions)),
        joined=Say("complaint.joined_mark", count=count) if count else "",
    )


def due_mark(complaint: Complaint) -> Any:
    """Until when staff have to answer, while that runs."""
    runs = complaint.state == "open" and complaint.overdue_at is None and complaint.due_at is not None
    return Say("complaint.due_mark", due=complaint.due_at) if runs else ""


def _thread(tx: Tx, complaint: Complaint, *, versions: bool) -> list[Any]:
    """Each thing that was said, in order; of what was changed, what counts says that and when."""
    said = statements(tx, complaint)
    last = {(each.round, each.side): each for each in said}
    shown = said if versions else [each for each in said if last[each.round, each.side] is each]
    return [_one(tx, each, old=last[each.round, each.side] is not each) for each in shown]


def _one(tx: Tx, said: Statement, *, old: bool) -> Any:
    if said.side == OFFICE:
        photos = matters.photos_of(tx, answer_photos(said))
        return Say(
            "complaint.answer_line",
            version=_version(said, old=old),
            words=said.shown,
            photos=Say("complaint.photos_mark", count=len(photos)) if photos else "",
        )
    if said.round > 1:
        return Say("complaint.more_line", version=_version(said, old=old), words=said.shown)
    if said.version > 1 or old:
        return Say("complaint.first_line", version=_version(said, old=old), words=said.shown)
    return said.shown


def _version(said: Statement, *, old: bool) -> Any:
    if old:
        return Say("complaint.old_version_mark", version=said.version, at=said.at)
    return Say("complaint.version_mark", version=said.version, at=said.at) if said.version > 1 else ""


def answer_photos(said: Statement) -> str:
    """How the photos of an answer name it."""
    return f"statement:{said.id}"


def photos_of(tx: Tx, complaint: Complaint) -> list[int]:
    """What may be seen with it: its own photos, then those of the answers that count."""
    if complaint.state == "withdrawn":
        return []
    last = {each.round: each for each in statements(tx, complaint) if each.side == OFFICE}
    shown = [about(complaint), *(answer_photos(each) for each in last.values())]
    found = tx.session.exec(select(Media).where(col(Media.about).in_(shown), Media.kind == "photo")).all()
    return [each.id for each in sorted(found, key=lambda each: (shown.index(each.about), each.id))]


def of_complaint(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which complaint a talk is about, for the words of its questions."""
    complaint = complaint_of(tx, talk)
    return {"name": called(complaint), "brief": brief(tx, complaint)}


def complaint_of(tx: Tx, talk: Talk) -> Complaint:
    """The complaint that a talk is about."""
    return tx.session.get_one(Complaint, int(talk.about.removeprefix("complaint:")))


# --- buttons ----------------------------------------------------------------------------------------


def _buttons(complaint: Complaint, *names: str) -> list[Button]:
    return [Button(f"complaint.{name}:{complaint.id}", number=complaint.number) for name in names]


def author_buttons(complaint: Complaint) -> list[Button]:
    """What its author can do with it now."""
    names = {
        "open": ["reword", "withdraw", "show"],
        "answered": ["solved", "unsolved", "more", "show"],
        "closed": ["show"] if complaint.helped else ["more", "show"],
    }.get(complaint.state, [])
    return _buttons(complaint, *names)


def joiner_buttons(complaint: Complaint) -> list[Button]:
    """What a neighbour who says the same can do with it now."""
    return _buttons(complaint, *(["leave"] if complaint.state in COUNTS else []), "show")


def neighbour_buttons(complaint: Complaint) -> list[Button]:
    """What a neighbour can do who reads of it."""
    return _buttons(complaint, *(["join"] if complaint.state in COUNTS else []), "show")


def staff_buttons(complaint: Complaint) -> list[Button]:
    """What the admin group can do with it now."""
    return _buttons(complaint, *([] if complaint.state == "withdrawn" else ["answer", "show"]))


# --- cards ------------------------------------------------------------------------------------------


def to_author(complaint: Complaint) -> str:
    """The name of what its author is told about it: only the last of these messages has buttons."""
    return f"voice:{complaint.id}"


def to_joiners(complaint: Complaint) -> str:
    """The name of what those are told who say the same."""
    return f"joined:{complaint.id}"


def seen(complaint: Complaint) -> str:
    """The name of what is shown to somebody who only looks at it."""
    return f"thread:{complaint.id}"


def late(complaint: Complaint) -> str:
    """The name of what the committee and the managers are told when staff do not answer."""
    return f"late-complaint:{complaint.id}"


def tell_owner(tx: Tx, complaint: Complaint, key: str, **options: Any) -> None:
    """Say something to its author, with what they can do now."""
    given = {"name": called(complaint), "brief": brief(tx, complaint), "due": complaint.due_at or ""}
    own = {"buttons": author_buttons(complaint), "last": to_author(complaint)}
    tell(tx, author_of(tx, complaint), key, **{**given, **own, **options})


def tell_joiners(tx: Tx, complaint: Complaint, key: str, photos: Sequence[int] = (), **facts: Any) -> None:
    """Say something to all who say the same, in batches that follow."""
    if not joined(tx, complaint):
        return
    notify(
        tx,
        complaint.community_id,
        key,
        about=to_joiners(complaint),
        audience=f"joiners:{complaint.id}",
        photos=photos,
        silent=False,
        lane=NEWS,
        buttons=joiner_buttons(complaint),
        **{"name": called(complaint), "brief": brief(tx, complaint), **facts},
    )


def staff_card(tx: Tx, complaint: Complaint, *, key: str = "", anew: bool = False) -> None:
    """Show the admin group the complaint, as a new message (with its photos) or in the one it has."""
    usual = "complaint.staff_card_over" if complaint.state == "withdrawn" else "complaint.staff_card"
    tell_staff(
        tx,
        complaint.community_id,
        key or usual,
        card=about(complaint),
        anew=anew,
        alone=bool(key),
        photos=matters.photos_of(tx, about(complaint)) if anew else (),
        buttons=staff_buttons(complaint),
        shown=card(tx, complaint),
    )


def announce(tx: Tx, complaint: Complaint) -> None:
    """Put it on the board and, without a sound, into each neighbour's own chat; or into those of its building alone."""
    shown: dict[str, Any] = {
        "about": about(complaint),
        "photos": matters.photos_of(tx, about(complaint)),
        "but": author_of(tx, complaint),
        "buttons": neighbour_buttons(complaint),
        "wish": "complaint",
        **public(tx, complaint),
    }
    if complaint.building:  # the group is everybody's
        put(tx, about(complaint))
        audience = f"building:{complaint.building}"
        notify(tx, complaint.community_id, "complaint.board", audience=audience, **shown)
    else:
        publish(tx, complaint.community_id, "complaint.board", **shown)


def public(tx: Tx, complaint: Complaint) -> dict[str, Any]:
    """The facts of what stands on the board."""
    goes_on = complaint.state in COUNTS
    hint = Say("complaint.hint_mark", name=called(complaint)) if goes_on else ""
    return {"shown": card(tx, complaint), "hint": hint}


def board(tx: Tx, complaint: Complaint) -> None:
    """Let the board show the present state; one of a building alone stands in no group."""
    if complaint.building:
        put(tx, about(complaint))
    else:
        post(
            tx,
            complaint.community_id,
            "complaint.board",
            about=about(complaint),
            photos=matters.photos_of(tx, about(complaint)) if complaint.state != "withdrawn" else (),
            **public(tx, complaint),
        )


def refresh(tx: Tx, complaint: Complaint, key: str = "", *, anew: bool = False) -> None:
    """Let the admin group's card (as a new message, if it has to look at it) and the board show the present state."""
    tx.session.add(complaint)
    tx.session.flush()
    staff_card(tx, complaint, key=key, anew=anew)
    board(tx, complaint)
    if complaint.overdue_at is not None:
        refresh_list(tx, complaint.community_id)


# --- the board's line, and for whom it is -----------------------------------------------------------


def add_event(tx: Tx, complaint: Complaint, key: str, person: Person | None, **facts: Any) -> None:
    """Write one line of the timeline; nobody did what the clock did."""
    matters.add_event(tx, about(complaint), key, person, community_id=complaint.community_id, **facts)


def timeline(tx: Tx, complaint: Complaint, reader: Reader) -> list[str]:
    """Its public timeline."""
    return matters.timeline(tx, about(complaint), reader)


def line(tx: Tx, complaint: Complaint) -> Line | None:
    """It in one line of the board, which everybody reads; not one that was written for one building's people alone."""
    return None if complaint.building else _told(tx, complaint)


def _told(tx: Tx, complaint: Complaint) -> Line:
    """It in one line, for those to whom it was sent."""
    gone = complaint.state == "withdrawn"
    title = tx.reader(complaint.community_id).say("complaint.withdrawn_title")
    return Line(
        number=complaint.number,
        title=title if gone else cut_short(words_of(tx, complaint), TITLE),
        state=state(complaint),
        at=complaint.created_at,
        building=complaint.building,
        wide=not complaint.building,
        open=complaint.state in COUNTS,
        due=complaint.due_at if complaint.state == "open" else None,
    )


know_matter(Matter("complaint", Complaint, line, card, timeline, photos_of, "complaint.show", inner=_told))


def _of_building(name: str) -> ColumnElement[bool]:
    """Everybody who owns a home in a building or lives there."""
    tied = select(HomeRole.person_id).join(Home, col(Home.id) == col(HomeRole.home_id))
    return col(Person.id).in_(tied.where(Home.building == name))


def _joiners(number: str) -> ColumnElement[bool]:
    """Who says the same, and lives here still."""
    theirs = select(Joiner.person_id).where(Joiner.complaint_id == int(number))
    return col(Person.id).in_(theirs) & col(Person.id).in_(select(HomeRole.person_id))


know_audience("building", _of_building)
know_audience("joiners", _joiners)
