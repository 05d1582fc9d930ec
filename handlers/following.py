"""Who has seen the same: similar open repairs are offered or joined, and who follows one hears what becomes of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import update
from sqlmodel import col, delete, or_, select

from conversations.errors import Refused
from conversations.repair import SAME, WIDE
from conversations.steps import Answers, whole_number
from conversations.words import Say
from handlers import judge
from handlers.actions import action, perform
from handlers.assigning import set_deadline, stop_deadline
from handlers.calendar import working_deadline
from handlers.masking import without_private
from handlers.notices import take_back
from handlers.numbers import begin_turn
from handlers.paging import stop_paging
from handlers.people import buildings_of, homes_of
from handlers.policy import policy_of
from handlers.repair_cards import (
    ON_IT,
    OPEN,
    WORK,
    add_event,
    advice,
    assigned,
    brief,
    can_be_reached,
    expected_mark,
    follower_buttons,
    follower_of,
    must_be,
    of_repair,
    owner_buttons,
    public,
    refresh,
    show_to_who_has_it,
    tell_owner,
    to_reporter,
    where,
)
from handlers.talk import Known, end, know, no_facts, start
from handlers.tell import URGENT, Button, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from moderation.likeness import alike
from store.tables import Follower, Media, Person, Repair, Talk

FAMILIES = (
    frozenset({"pipe", "flood", "leak"}),
    frozenset({"sewage", "drain", "toilet"}),
    frozenset({"structure", "facade"}),
    frozenset({"power", "lamp"}),
    frozenset({"water", "tap"}),
)
"""Kinds by which one and the same thing is called."""
ALONE = ("lock", "hazard", "other")
"""What happens to one person, or names no danger: never taken for somebody else's."""
SUPPLY = ("power.whole", "water.whole", "heat.whole")
"""The rules that say that a supply has failed for a whole building, and nothing worse."""
RECENT = timedelta(hours=3)
JOINABLE = ("waiting", *ON_IT)
"""The states of an emergency that calls people, or to which somebody goes: not of one that waits for parts."""
PART = re.compile(
    r"(\d+|[一二两三四五六七八九十]+)\s*(单元|层|楼(?![道梯下上])|号梯|号门|unit|floor)", re.IGNORECASE
)
"""What of a building is meant: 2单元, 25楼, 3号梯."""
MOST_OFFERED = 3
FEW = 5
TELLING = (*range(1, FEW + 1), 10, 20, 50, 100, 200, 500)
"""How many must have reported it for its cards to be shown anew: not one card after the other for a thousand."""


@dataclass(frozen=True)
class Scene:
    """What and where a report is: its kind, its words, its place, and the building, perhaps only the reporter's own."""

    kind: str
    what: str
    place: str
    spot: str
    building: str
    named: bool
    """Whether the building was said, or follows from the place."""
    supply: bool
    """Whether nothing but the supply of a whole building has failed."""
    incident: bool = False


# --- what is the same -------------------------------------------------------------------------------


def scene_of(tx: Tx, person: Person, kind: str, answers: Answers) -> Scene:
    """The scene of a report that comes in."""
    home = [each for each in homes_of(tx, person) if str(each.id) == answers.get("home")]
    at_home = home and answers.get("place") == "home"
    building = home[0].building if at_home else answers.get("building", "")
    what, place, spot = answers.get("what", ""), answers.get("place", ""), answers.get("spot") or ""
    building, named = _building(tx, person, building, place)
    return Scene(kind, what, place, spot, building, named, _is_supply(tx, person.community_id, what, place))


def _is_supply(tx: Tx, community_id: int, what: str, place: str) -> bool:
    found = judge.report(tx, community_id, {"what": what, "place": place})
    return found.verdict == "urgent" and all(why.rule in SUPPLY for why in found.why)


def scene_in(tx: Tx, repair: Repair) -> Scene:
    """The scene of a report that stands."""
    if repair.incident:
        return Scene(repair.kind, repair.what, "", "", repair.building, True, repair.kind in WIDE, True)
    reporter = tx.session.get_one(Person, repair.person_id)
    building, named = _building(tx, reporter, repair.building, repair.place)
    supply = _is_supply(tx, repair.community_id, repair.what, repair.place)
    return Scene(repair.kind, repair.what, repair.place, repair.spot, building, named, supply)


def _building(tx: Tx, person: Person, said: str, place: str) -> tuple[str, bool]:
    """The building that was said, or the only one; else that of the reporter's home: as a guess, but for the corridor
    and the lift, since people mean their own."""
    every = buildings_of(tx, person.community_id)
    named = said or (every[0] if len(every) == 1 else "")
    own = {home.building for home in homes_of(tx, person)}
    one = own.pop() if len(own) == 1 else ""
    return named or one, bool(named) or (bool(one) and place in ("hall", "lift"))


def likeness(new: Scene, old: Scene, *, urgent: bool = False) -> Literal["same", "perhaps", ""]:
    """Whether two reports are of one thing. Only what is certain enough may keep a page from going out (`urgent`).

    What fails for a building is the same wherever it is noticed, but for a danger beyond that (a breathing machine
    without power); everything else is the same only in one common part.
    """
    there = old.building == new.building != ""
    if not _is_one_kind(new.kind, old.kind) or not (there or (old.incident and not old.building)):
        return ""
    if old.incident or new.kind in WIDE:
        return "same" if not urgent or (new.supply and old.supply) else ""
    elsewhere = new.place != old.place or _differ(new, old)
    known = new.place and old.place
    if "home" in (new.place, old.place) or (known and elsewhere):
        return ""
    return "same" if known and new.named and old.named else "perhaps"


def _differ(new: Scene, old: Scene) -> bool:
    """Whether they name different spots, or different entrances, floors or lifts."""
    if new.spot and old.spot and not alike(new.spot, old.spot):
        return True
    one, other = _parts(new), _parts(old)
    return any(one[kind] != other[kind] for kind in one.keys() & other.keys())


def _parts(scene: Scene) -> dict[str, str]:
    found = PART.findall(f"{scene.what} {scene.spot}")
    return {kind.lower(): str(whole_number(number) or number) for number, kind in found}


def _is_one_kind(one: str, other: str) -> bool:
    return one == other or any({one, other} <= family for family in FAMILIES)


def same_emergency(
    tx: Tx, person: Person, kind: str, answers: Answers, *, may_ask: bool
) -> tuple[Repair, Literal["same", "perhaps"]] | None:
    """The emergency of somebody else, or the incident, of which this is one more report; locked.

    What is perhaps the same is found only where the person can be asked.
    """
    if kind in ALONE:
        return None
    new, perhaps = scene_of(tx, person, kind, answers), list[Repair]()
    for repair in _candidates(tx, person, urgent=True):
        found = likeness(new, scene_in(tx, repair), urgent=True)
        if found == "same" and (locked := _lock(tx, repair)) is not None:
            return locked, "same"
        perhaps += [repair] if found == "perhaps" and may_ask else []
    for repair in perhaps:
        if (locked := _lock(tx, repair)) is not None:
            return locked, "perhaps"
    return None


def _lock(tx: Tx, repair: Repair) -> Repair | None:
    """The row as it is now, locked, if it can still be joined."""
    row = locked_row(tx, repair.id)
    return row if row.state in (WORK if row.incident else JOINABLE) else None


def locked_row(tx: Tx, repair_id: int) -> Repair:
    """A repair as it is now, locked."""
    row = select(Repair).where(Repair.id == repair_id).with_for_update(key_share=True)
    return tx.session.exec(row.execution_options(populate_existing=True)).one()


def _candidates(tx: Tx, person: Person, *, urgent: bool) -> Sequence[Repair]:
    theirs = select(Repair).where(Repair.community_id == person.community_id, col(Repair.state).in_(WORK))
    if urgent:
        called = col(Repair.urgent) & (col(Repair.reported_at) > tx.now - RECENT)
        theirs = theirs.where(
            Repair.person_id != person.id,
            or_(col(Repair.incident), called & col(Repair.state).in_(JOINABLE)),
        )
    return tx.session.exec(theirs.order_by(col(Repair.incident).desc(), col(Repair.id))).all()


def similar(tx: Tx, person: Person, kind: str, answers: Answers) -> list[Repair]:
    """The open repairs, the person's own too, that may be what they are about to report; the likeliest first."""
    new = scene_of(tx, person, kind, answers)
    found = []
    for repair in _candidates(tx, person, urgent=False):
        old = scene_in(tx, repair)
        rank = {"same": 0, "perhaps": 1}.get(likeness(new, old))
        if kind == "other" and not (alike(new.what, old.what) and new.place == old.place):
            rank = None
        at_home = new.place == old.place == "home" and repair.person_id == person.id
        if rank is None and at_home and _is_one_kind(new.kind, old.kind):
            rank = 1  # what they have reported before
        if rank is not None:
            found.append((rank, -repair.homes, repair.id, repair))
    return [each[-1] for each in sorted(found, key=lambda each: each[:3])][:MOST_OFFERED]


# --- joining and leaving ----------------------------------------------------------------------------


@action("repair.join", Repair, button=True)
def join(tx: Tx, person: Person, repair: Repair, what: str = "") -> None:
    """I see it, too: from now on they hear what becomes of it."""
    while repair.merged_id is not None:
        repair = locked_row(tx, repair.merged_id)
    must_be(repair, *WORK)
    if repair.person_id == person.id:
        raise Refused("follow.own", number=repair.number)
    follow(tx, person, repair, what=what)


def follow(
    tx: Tx,
    person: Person,
    repair: Repair,
    *,
    what: str,
    place: str = "",
    sure: bool = True,
    silent: bool = False,
) -> None:
    """Let somebody follow a repair; `silent`: they are told by who calls this."""
    row = follower_of(tx, person, repair)
    if row is None:
        row = Follower(
            community_id=repair.community_id,
            repair_id=repair.id,
            person_id=person.id,
            what=what,
            place=place,
            sure=sure,
            at=tx.now,
        )
        repair.homes += 1
    else:
        row.sure, row.place = row.sure or sure, place or row.place
        row.what = "；".join(dict.fromkeys(filter(None, (row.what, what))))
    tx.session.add(row)
    tx.session.add(repair)
    tx.session.flush()
    if not silent:
        _tell_joined(tx, person, repair)
    if repair.homes in TELLING:
        add_event(tx, repair, "event.joined", None, count=repair.homes)
        _hurry(tx, repair)
        if repair.urgent and repair.homes <= FEW:
            show_to_who_has_it(tx, repair)
        refresh(tx, repair)


def _tell_joined(tx: Tx, person: Person, repair: Repair) -> None:
    tell(
        tx,
        person,
        "follow.joined",
        number=repair.number,
        count=repair.homes,
        where=where(tx, repair, public=True),
        state=Say(f"state.{repair.state}"),
        assigned=assigned(tx, repair),
        buttons=follower_buttons(repair),
        last=to_reporter(repair),
    )


def _hurry(tx: Tx, repair: Repair) -> None:
    """What many have reported comes first: the end of the next working day at the latest."""
    many = policy_of(tx, repair.community_id).many_homes
    if repair.homes != many or repair.urgent or repair.incident or repair.due_at is None:
        return
    sooner = working_deadline(tx, repair.community_id, 1)
    if repair.state in ("waiting", "accepted", "on_way") and sooner < repair.due_at:
        set_deadline(tx, repair, sooner)
        add_event(tx, repair, "event.hurried", None, due=sooner)
        tell_owner(tx, repair, "repair.hurried", count=repair.homes, due=sooner)
        show_to_who_has_it(tx, repair)


def followed_by(tx: Tx, person: Person) -> Sequence[Repair]:
    """The open repairs that somebody follows, newest first."""
    theirs = (
        select(Repair)
        .join(Follower, col(Follower.repair_id) == col(Repair.id))
        .where(Follower.person_id == person.id, col(Repair.state).in_(OPEN))
    )
    return tx.session.exec(theirs.order_by(col(Repair.id).desc()).limit(10)).all()


@action("repair.leave", Repair, button=True)
def leave(tx: Tx, person: Person, repair: Repair) -> None:
    """It concerns them no more."""
    _drop(tx, person, repair)
    tell(tx, person, "follow.left", number=repair.number, last=to_reporter(repair))


def _drop(tx: Tx, person: Person, repair: Repair) -> None:
    tx.session.connection().execute(
        delete(Follower).where(col(Follower.repair_id) == repair.id, col(Follower.person_id) == person.id)
    )
    repair.homes = max(1, repair.homes - 1)
    tx.session.add(repair)
    tx.session.flush()


def pass_on(tx: Tx, person: Person, repair: Repair) -> bool:
    """Its reporter needs it no more, but others do: the first of them is its reporter now. False if nobody does."""
    theirs = select(Follower).where(Follower.repair_id == repair.id).order_by(col(Follower.id)).limit(1)
    first = tx.session.exec(theirs).first()
    if first is None:
        return False
    heir = tx.session.get_one(Person, first.person_id)
    _without_what_was_theirs(tx, person, repair)
    repair.person_id = heir.id
    _drop(tx, heir, repair)
    add_event(tx, repair, "event.passed_on", person)
    tell(tx, person, "follow.passed_on", number=repair.number, last=to_reporter(repair))
    tell_owner(tx, repair, "follow.inherited", what=repair.what)
    refresh(tx, repair)
    return True


def _without_what_was_theirs(tx: Tx, person: Person, repair: Repair) -> None:
    """What the first reporter told the crew alone is not the heir's to read: codes, recordings, their home."""
    repair.what, repair.added, repair.entry = without_private(tx, person, repair.what), "", ""
    repair.home_id = None
    tx.session.connection().execute(
        update(Media)
        .where(col(Media.about) == f"repair:{repair.id}", col(Media.kind) != "photo")
        .values(about="")
    )


# --- an emergency that others have reported ---------------------------------------------------------


def more_of_others(
    tx: Tx, person: Person, repair: Repair, answers: Answers, *, kind: str, certain: bool
) -> None:
    """One more report of an emergency: advice, who has it, and a way to say that it is another one."""
    what, place = answers.get("what", ""), answers.get("place", "")
    follow(tx, person, repair, what=what, place=place, sure=certain, silent=True)
    tell(
        tx,
        person,
        "follow.emergency" if not repair.incident else "follow.incident",
        lane=URGENT,
        advice=advice(kind),
        number=repair.number,
        count=repair.homes,
        where=where(tx, repair, public=True),
        what=repair.what,
        state=Say(f"state.{repair.state}"),
        assigned=assigned(tx, repair),
        expected=expected_mark(repair),
        buttons=[Button(f"repair.apart:{repair.id}"), *follower_buttons(repair)] if certain else (),
        last=to_reporter(repair),
    )
    private_chat = tx.place is not None and tx.place.kind == "private"
    if not certain and private_chat:
        start(tx, person, SAME.name, about=f"repair:{repair.id}")
        row = follower_of(tx, person, repair)
        seconds = policy_of(tx, repair.community_id).unconfirmed_seconds
        if row is not None:
            set_timer(tx, repair.community_id, f"follow.unsure:{row.id}", tx.now + timedelta(seconds=seconds))


@action("follow.unsure", Follower)
def unsure(tx: Tx, person: None, row: Follower) -> None:
    """They have not said whether it is the same: of a few who report it, each may mean another one, and is paged for.

    What very many report at once is one thing.
    """
    begin_turn(tx, row.community_id, "repair")
    repair = locked_row(tx, row.repair_id)
    if row.sure or repair.homes > FEW:
        return
    who = tx.session.get_one(Person, row.person_id)
    asked = select(Talk).where(Talk.script == SAME.name, Talk.about == f"repair:{repair.id}")
    for talk in tx.session.exec(asked.where(Talk.person_id == who.id)).all():
        end(tx, talk)
    _by_itself(tx, who, repair, row.what, row.place, confirmed=False)


def _by_itself(
    tx: Tx, person: Person, repair: Repair, what: str, place: str, *, confirmed: bool = True
) -> None:
    """What somebody reported is no part of this one: it is reported, and paged, by itself."""
    _drop(tx, person, repair)
    refresh(tx, repair)
    answers: Answers = {"what": what, **({"place": place} if place else {})}
    perform(tx, person, "repair.emergency", answers=answers, confirmed=confirmed, alone=True)


know(Known(SAME, no_facts, about=of_repair, ends_in_silence=True))


@action("repair.whether_same", Repair, makes="repair")
def whether_same(tx: Tx, person: Person, repair: Repair, same: str, spot: str = "") -> None:
    """They have said whether it is the one that others have reported."""
    row = follower_of(tx, person, repair)
    if row is None or same == "no":
        apart(tx, person, repair, spot=spot)
        return
    row.sure = True
    tx.session.add(row)
    _tell_joined(tx, person, repair)


@action("repair.apart", Repair, button=True, makes="repair")
def apart(tx: Tx, person: Person, repair: Repair, spot: str = "") -> None:
    """It is another one: it is reported, and paged, by itself."""
    row = follower_of(tx, person, repair)
    if row is None:
        raise Refused("follow.none", number=repair.number)
    what = "；".join(filter(None, (row.what, spot))) or repair.what
    _by_itself(tx, person, repair, what, row.place)


# --- staff put reports together ---------------------------------------------------------------------


def merge(tx: Tx, person: Person, repair: Repair, into: Repair) -> None:
    """Make one report part of another: whoever waits for the one follows the other."""
    must_be(repair, *OPEN)
    rows = tx.session.exec(select(Follower).where(Follower.repair_id == repair.id)).all()
    waiting = [(repair.person_id, repair.what, repair.place), *((r.person_id, r.what, r.place) for r in rows)]
    repair.state, repair.merged_id = "merged", into.id
    stop_paging(tx, repair)
    stop_deadline(tx, repair)
    for clock in ("silence", "resume"):
        stop_timer(tx, f"repair.{clock}:{repair.id}")
    add_event(tx, repair, "event.merged", person, number=into.number)
    for row in rows:
        tx.session.delete(row)
    tx.session.flush()
    for person_id, what, place in waiting:
        who = tx.session.get_one(Person, person_id)
        if who.id != into.person_id:
            follow(tx, who, into, what=what, place=place, silent=True)
        if can_be_reached(tx, who):
            tell(
                tx,
                who,
                "follow.merged",
                number=repair.number,
                into=into.number,
                what=public(tx, into)["what"],
                where=where(tx, into, public=True),
                expected=expected_mark(into),
                buttons=owner_buttons(into) if who.id == into.person_id else follower_buttons(into),
                last=to_reporter(into),
            )
    take_back(tx, repair.community_id, f"repair:{repair.id}")
    refresh(tx, repair)


def offered(tx: Tx, person: Person, kind: str, answers: Answers) -> list[tuple[str, Say]]:
    """What similar reports look like as choices: where, what, and how many have reported it."""
    return [
        (
            str(each.id),
            Say(
                _offer_key(person, each),
                number=each.number,
                where=where(tx, each, public=True),
                kind=Say(f"kind.{each.kind}"),
                what=brief(each),
                count=each.homes,
            ),
        )
        for each in similar(tx, person, kind, answers)
    ]


def _offer_key(person: Person, repair: Repair) -> str:
    if repair.incident:
        return "follow.offer_incident"
    return "follow.own_one" if repair.person_id == person.id else "follow.offer"
