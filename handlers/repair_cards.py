"""What is said about a repair: its facts for each reader, and the cards that show its present state."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select

from conversations.errors import Refused
from conversations.money import yuan
from conversations.words import Reader, Say, texts
from handlers import matters
from handlers.masking import without_private
from handlers.notices import know_audience, notify
from handlers.people import crew_of, homes_of, managers_of, roles_of, works
from handlers.policy import policy_of
from handlers.public import put
from handlers.rings import last_whom, to_call
from handlers.tell import (
    NEWS,
    URGENT,
    Button,
    close_everywhere,
    close_last,
    holders,
    place_of,
    places_of_kind,
    reader_of,
    tell,
)
from handlers.tx import Tx
from store.tables import Event, Follower, Home, HomeRole, Outgoing, Person, Place, Repair, Spot, Talk

ON_IT = ("accepted", "on_way")
PAUSED = ("parts", "access")
IN_HAND = (*ON_IT, *PAUSED)
WORK = ("waiting", *IN_HAND)
OPEN = (*WORK, "done")
LONGEST = 4096
BRIEF = 40
MOST_VOICES = 3
MOST_STEPS = 4
ALARM = "🚨"


# --- facts ------------------------------------------------------------------------------------------


def address(home: Home) -> Say:
    """A home's full address, for those who need it."""
    key = "where.home" if home.entrance else "where.home_plain"
    return Say(key, building=home.building, entrance=home.entrance, room=home.room)


def where(tx: Tx, repair: Repair, *, public: bool = False) -> Any:
    """The place in words; in public a home is its building only."""
    place = _named_place(tx, repair, public)
    at = (repair.place, repair.building, repair.spot)
    named = bool(repair.spot) and at in named_spots(tx, repair.community_id)
    if place and not repair.building and not public and not named:
        place = _with_home(tx, repair, place)
    spot = _masked(tx, repair, repair.spot) if public and not named else repair.spot
    if place and spot:
        return Say("where.spot", place=place, spot=spot)
    if place or spot:
        return place or spot
    home = _home_of_reporter(tx, repair)
    if home is not None and not public:
        return Say("where.reporter", home=address(home))
    return Say("where.unknown")


def _with_home(tx: Tx, repair: Repair, place: Any) -> Any:
    """Where nobody said which building: the reporter's is the best guess."""
    home = _home_of_reporter(tx, repair)
    return Say("where.reporter_place", place=place, home=address(home)) if home is not None else place


def _home_of_reporter(tx: Tx, repair: Repair) -> Home | None:
    """The home that was named, else the first that its reporter has."""
    if repair.home_id is not None:
        return tx.session.get_one(Home, repair.home_id)
    return next(iter(homes_of(tx, tx.session.get_one(Person, repair.person_id))), None)


def _named_place(tx: Tx, repair: Repair, public: bool) -> Any:
    if repair.place == "home" and repair.home_id is not None and not public:
        return address(tx.session.get_one(Home, repair.home_id))
    return common(repair.place, repair.building)


def common(place: str, building: str) -> Any:
    """A common part in words, as far as it has a name; empty if it has none."""
    shown = Say("where.building", building=building) if building else ""
    if place in ("hall", "lift", "garage"):
        named = Say(f"repair.place.{place}")
        return Say("where.common", building=shown, place=named) if shown else named
    return shown


def named_spots(tx: Tx, community_id: int) -> set[tuple[str, str, str]]:
    """Place, building and words of each spot whose code hangs on a wall: staff wrote them for everybody to read."""
    spots = select(Spot.place, Spot.building, Spot.spot).where(Spot.community_id == community_id)
    return tx.once("spots", community_id, lambda: set(tx.session.exec(spots).all()))


def _masked(tx: Tx, repair: Repair, text: str) -> str:
    """Free words as the public may read them: no telephone numbers, no rooms, not the name of who wrote them."""
    return without_private(tx, tx.session.get_one(Person, repair.person_id), text)


def private(tx: Tx, repair: Repair) -> dict[str, Any]:
    """The facts for its reporter: all but what others have said of it."""
    return {
        "mark": Say("repair.mark_urgent" if repair.urgent else "repair.mark"),
        "number": repair.number,
        "where": where(tx, repair),
        "what": _counted(repair, _told(repair)),
        "kind": Say(f"kind.{repair.kind}"),
        "why": because(repair),
        "entry": Say("repair.entry_mark", entry=Say(f"repair.entry.{repair.entry}")) if repair.entry else "",
        "state": state_of(tx, repair),
        "due": _due(repair),
        "cost": _cost(repair),
        "rating": _rating(repair),
        "times": repair.reopened,
        "doubt": Say("repair.doubt") if not repair.confirmed else "",
    }


def public(tx: Tx, repair: Repair) -> dict[str, Any]:
    """The facts for the board: no name, no phone, no room."""
    return {
        "number": repair.number,
        "where": where(tx, repair, public=True),
        "what": _counted(repair, _masked(tx, repair, repair.what) or Say(f"kind.{repair.kind}")),
        "kind": Say(f"kind.{repair.kind}"),
        "state": state_of(tx, repair),
        "urgent": Say("repair.urgent_mark") if repair.urgent else "",
        "due": Say("repair.due_mark", due=repair.due_at) if runs(repair) else "",
        "steps": "",
    }


def for_crew(tx: Tx, repair: Repair) -> dict[str, Any]:
    """The facts for those who go there and for the office: with the last of the others, in their own words."""
    facts = private(tx, repair)
    if repair.homes == 1:
        return facts
    said = select(Follower).where(Follower.repair_id == repair.id, Follower.what != "")
    last = tx.session.exec(said.order_by(col(Follower.id).desc()).limit(MOST_VOICES)).all()
    words = dict.fromkeys(cut_short(each.what) for each in reversed(last) if each.what != repair.what)
    return (
        {**facts, "what": Say("repair.voices", what=facts["what"], voices="；".join(words))}
        if words
        else facts
    )


def _told(repair: Repair) -> Any:
    return "；".join(filter(None, (repair.what, repair.added))) or Say("talk.none")


def _counted(repair: Repair, what: Any) -> Any:
    many = repair.homes > 1 and not repair.incident  # whose card counts them by itself
    return Say("repair.of_many", what=what, count=repair.homes) if many else what


def state_of(tx: Tx, repair: Repair) -> Say:
    """Its state in words; while it waits for parts or for access, until when its clock stands."""
    if repair.incident and repair.state == "done":
        return Say("incident.done")
    if repair.state in PAUSED and repair.paused_until is not None:
        until = day_of(tx, repair.community_id, repair.paused_until)
        return Say("work.stands", state=Say(f"state.{repair.state}"), until=until)
    return Say(f"state.{repair.state}")


def day_of(tx: Tx, community_id: int, moment: datetime) -> Say:
    """The day of a moment as people call it in the community: 12月3日周四."""
    local = moment.astimezone(ZoneInfo(tx.community(community_id).time_zone))
    return Say("day.full", month=local.month, day=local.day, weekday=Say(f"day.{local.isoweekday()}"))


def runs(repair: Repair) -> bool:
    """Whether its clock runs: it is open, has a deadline, and waits for nobody but the crew."""
    return repair.due_at is not None and repair.state in WORK and repair.paused_at is None


def expected_mark(repair: Repair) -> Any:
    """When an incident should end, if staff have said so."""
    return Say("incident.expected_mark", at=repair.expected_at) if repair.expected_at else ""


def _due(repair: Repair) -> Any:
    if repair.paused_at is not None and repair.due_at is not None:
        return Say("due.stands", due=repair.due_at)
    return repair.due_at or Say("due.now")


def _cost(repair: Repair) -> Any:
    """What it costs its owner, and whether they agreed."""
    if repair.cost is None or not repair.cost_state:
        return ""
    return Say(
        "work.cost_mark",
        amount=amount(repair),
        purpose=Say("work.purpose_mark", purpose=repair.cost_for) if repair.cost_for else "",
        answer=Say(f"work.cost.{repair.cost_state}"),
    )


def amount(repair: Repair) -> Say:
    """What it costs, in words."""
    return Say("money.yuan", amount=yuan(repair.cost or 0))


def stars(count: int) -> str:
    """How good it was, as people draw it."""
    return "★" * count


def _rating(repair: Repair) -> Any:
    if repair.stars is None:
        return ""
    words = Say("work.praise_mark", words=repair.praise) if repair.praise else ""
    return Say("work.rating_mark", stars=stars(repair.stars), words=words)


def brief(repair: Repair) -> Any:
    """What is broken, in one line of a list."""
    return cut_short(repair.what) or Say(f"kind.{repair.kind}")


def brief_to(tx: Tx, repair: Repair, person: Person) -> Any:
    """The same for somebody who waits for it: in its reporter's own words only for them."""
    if repair.person_id == person.id:
        return brief(repair)
    return cut_short(_masked(tx, repair, repair.what)) or Say(f"kind.{repair.kind}")


def cut_short(text: str, most: int = BRIEF) -> str:
    """Words in one line of a list."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def because(repair: Repair) -> Any:
    """Why it is urgent."""
    if not repair.confirmed and repair.what:
        return Say("repair.why_unconfirmed")
    return repair.why or Say("repair.said_so")


def advice(kind: str) -> Say:
    """What to do until somebody comes."""
    return Say(f"advice.{kind}" if f"advice.{kind}" in texts("zh") else "advice.other")


def office(tx: Tx, community_id: int) -> Any:
    """The property office's telephone number, or where it is."""
    return policy_of(tx, community_id).office_phone or Say("where.office")


def name_of(tx: Tx, person_id: int | None) -> str:
    """A person's name; empty for nobody."""
    return tx.session.get_one(Person, person_id).name if person_id is not None else ""


def assigned(tx: Tx, repair: Repair) -> Any:
    """Who has it."""
    if repair.crew_id is None:
        return Say("where.nobody_yet")
    return name_of(tx, repair.crew_id) or Say("person.forgotten")


def must_be(repair: Repair, *states: str) -> None:
    """Refuse what cannot be done with it any more, or not yet."""
    if repair.state not in states:
        raise Refused("refused.over", number=repair.number, state=Say(f"state.{repair.state}"))


def add_words(repair: Repair, words: str) -> None:
    """What is told after the report is for the crew and the staff: it may hold a door's code."""
    if words and words not in (*repair.what.split("；"), *repair.added.split("；")):
        repair.added = "；".join(filter(None, (repair.added, words)))[:LONGEST]


# --- buttons ----------------------------------------------------------------------------------------


def _buttons(repair: Repair, names: Sequence[str]) -> list[Button]:
    return [Button(f"repair.{name}:{repair.id}", number=repair.number) for name in names]


def may_be_urged(repair: Repair) -> bool:
    """Whether urging helps: not one that is paged already, nor one whose clock stands."""
    return repair.state in ON_IT or (repair.state == "waiting" and not repair.urgent)


def owner_buttons(repair: Repair) -> list[Button]:
    """What its reporter can do with it now."""
    ended = {
        "done": ["confirm", "dispute", "more", "write"],
        "closed": ["dispute", "write"],
        "withdrawn": [],
        "merged": [],
    }
    names = ended.get(repair.state)
    if names is None:
        asked = ["agree", "refuse"] if repair.cost_state == "asked" else []
        worse = [] if repair.urgent else ["raise"]
        write = [] if repair.urgent and repair.state == "waiting" else ["write"]
        urge = ["urge"] if may_be_urged(repair) else []
        first = [] if repair.confirmed else ["affirm"]
        names = [*first, *asked, "more", *write, *urge, *worse, "correct", "withdraw"]
    return _buttons(repair, names)


def follower_buttons(repair: Repair) -> list[Button]:
    """What somebody who follows it can do with it now."""
    ended = {
        "done": ["dispute", "show", "write"],
        "closed": ["dispute", "write"],
        "withdrawn": [],
        "merged": [],
    }
    return _buttons(repair, ended.get(repair.state, ["show", "write", "leave"]))


def board_buttons(repair: Repair) -> list[Button]:
    """What a neighbour can do who reads of it in their own chat."""
    return _buttons(repair, ["join", "show"]) if is_common(repair) else []


def crew_buttons(repair: Repair, person: Person) -> list[Button]:
    """What a member of the crew can do with it now."""
    if repair.state == "waiting":
        return _buttons(repair, ["accept", "decline"] if repair.crew_id in (None, person.id) else [])
    if repair.crew_id != person.id or repair.state not in IN_HAND:
        return []
    # What has to be paid and is not agreed is not repaired yet, unless it is repaired for nothing.
    finish = "free" if repair.cost_state in ("asked", "refused") else "finish"
    begin = _buttons(repair, [finish] if repair.state == "on_way" else ["go", finish])
    if repair.state in PAUSED:
        waits = [Button(f"repair.{repair.state}:{repair.id}", "button.wait_longer", number=repair.number)]
    else:
        waits = _buttons(repair, PAUSED)
    asks = [] if repair.incident else ["write_owner"]
    asks += ["price"] if may_cost(repair) else []
    return [*begin, *waits, *_buttons(repair, [*asks, "hand", "decline"])]


def may_cost(repair: Repair) -> bool:
    """Whether its reporter can be asked to pay for it: it is in their home."""
    return repair.place == "home" and not repair.incident


def staff_buttons(repair: Repair) -> list[Button]:
    """What the admin group can do with it now."""
    if repair.incident:
        over = repair.state not in OPEN
        names = [] if over else ["update", "end", "gather"]
        return [Button(f"incident.{name}:{repair.id}") for name in names] + _buttons(repair, ["show"])
    free = ["appoint"] if repair.state == "waiting" else []
    judged = ["lower" if repair.urgent else "raise"] if repair.state in WORK else []
    return _buttons(repair, [*free, *judged, "show"])


def staff_choices(repair: Repair) -> list[Button]:
    """What stands below a repair that staff look at, and is too rare for its card."""
    return _buttons(repair, ["merge"]) if repair.state in WORK and not repair.incident else []


def buttons_for(tx: Tx, repair: Repair, person: Person) -> list[Button]:
    """What somebody who looks at it in their own chat can do with it."""
    if repair.person_id == person.id and not repair.incident:
        return owner_buttons(repair)
    if works(tx, person):
        return crew_buttons(repair, person)
    if follower_of(tx, person, repair) is not None:
        return follower_buttons(repair)
    return _buttons(repair, ["join"]) if repair.state in WORK else []


def follower_of(tx: Tx, person: Person, repair: Repair) -> Follower | None:
    """Somebody's row as one who has reported it, too."""
    theirs = select(Follower).where(Follower.repair_id == repair.id, Follower.person_id == person.id)
    return tx.session.exec(theirs).first()


# --- cards ------------------------------------------------------------------------------------------


def show_card(
    tx: Tx, repair: Repair, person: Person, *, key: str = "", anew: bool = False, lane: int | None = None
) -> None:
    """Show a member of the crew the repair, as a new message (with its files) or in the one they have."""
    tell(
        tx,
        person,
        key or _card_key(tx, repair, person),
        card=f"repair:{repair.id}",
        anew=anew,
        lane=lane,
        photos=files_of(tx, repair) if anew else (),
        buttons=crew_buttons(repair, person),
        assigned=assigned(tx, repair),
        **paged(tx, repair, person),
        **for_crew(tx, repair),
    )


def show_to_who_has_it(tx: Tx, repair: Repair) -> None:
    """Show the one who has it in hand the present state as a new message."""
    if repair.crew_id is not None and repair.state in WORK:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, anew=True, lane=URGENT if repair.urgent else None)


def _card_key(tx: Tx, repair: Repair, person: Person) -> str:
    if repair.state != "waiting":
        return "repair.card"
    if not repair.urgent:
        return "repair.reopened_crew" if repair.reopened else "repair.ticket"
    return "repair.page_call" if _telephones(tx, repair, person) else "repair.page"


def staff_card(tx: Tx, repair: Repair, *, key: str = "", anew: bool = False, lane: int | None = None) -> None:
    """Show the admin group the repair, as a new message or in the one it has; while it is paged, with who was.

    Its files come with the first ring: a group takes few messages a minute, and the next rings need them.
    """
    for place in places_of_kind(tx, repair.community_id, "staff"):
        usual = "incident.card_staff" if repair.incident else "repair.card_staff"
        if is_paged(repair):
            usual = "repair.page_call" if _telephones(tx, repair, place) else "repair.page_staff"
        tell(
            tx,
            place,
            key or usual,
            card=f"repair:{repair.id}",
            anew=anew,
            lane=lane,
            # What is late, waits or has come back has a clock that runs; an emergency and an incident concern all now.
            alone=bool(key) or repair.urgent or repair.incident,
            photos=files_of(tx, repair) if repair.ring <= 1 else (),
            buttons=staff_buttons(repair),
            assigned=assigned(tx, repair),
            count=repair.homes - 1,
            expected=expected_mark(repair),
            **paged(tx, repair, place),
            **for_crew(tx, repair),
        )


def is_paged(repair: Repair) -> bool:
    """Whether it calls people until somebody accepts it."""
    return repair.urgent and repair.state == "waiting"


def _telephones(tx: Tx, repair: Repair, to: Person | Place) -> bool:
    """Whether a chat gets the numbers to call: the admin group and the managers, once everybody is called."""
    knows = to.kind == "staff" if isinstance(to, Place) else "manager" in roles_of(tx, to)
    return knows and last_whom(tx, repair) == "everybody"


def paged(tx: Tx, repair: Repair, to: Person | Place) -> dict[str, Any]:
    """The facts of a page: how loud it is, why it goes on, who was called and, for whom they are, the numbers."""
    if not is_paged(repair):
        return {}
    off_duty = Say("repair.off_duty_mark") if last_whom(tx, repair) not in ("", "duty") else ""
    return {
        "alarm": ALARM if repair.ring < 2 else ALARM * 2,
        "again": Say("repair.again_mark", ring=repair.ring) if repair.ring > 1 else off_duty,
        "names": [person.name for person in called(tx, repair)] or Say("where.nobody"),
        "call": to_call(tx, repair, reader_of(tx, to)) if _telephones(tx, repair, to) else "",
    }


def board(tx: Tx, repair: Repair) -> None:
    """Let the board show the present state, of what belongs to all with its last steps."""
    put(tx, f"repair:{repair.id}")
    for place in places_of_kind(tx, repair.community_id, "board"):
        steps = public_timeline(tx, repair, reader_of(tx, place))[-MOST_STEPS:] if is_common(repair) else []
        tell(
            tx,
            place,
            "incident.board" if repair.incident else "repair.board",
            card=f"board:repair:{repair.id}",
            lane=NEWS,
            silent=True,
            expected=expected_mark(repair),
            **{**public(tx, repair), "steps": "\n" + "\n".join(steps) if steps else ""},
        )


def is_common(repair: Repair) -> bool:
    """Whether it is of a part that belongs to all."""
    return repair.incident or repair.place not in ("", "home")


def public_timeline(tx: Tx, repair: Repair, reader: Reader) -> list[str]:
    """The lines of its timeline as everybody may read them."""
    return matters.timeline(tx, f"repair:{repair.id}", reader, lambda words: _masked(tx, repair, words))


def refresh(tx: Tx, repair: Repair) -> None:
    """Let every card about the repair show its present state: the crew's, the admin group's, the board's.

    Whoever typed what a button does, or tapped it elsewhere, sees it as a new message: their card may stand far up.
    """
    tx.session.add(repair)
    tx.session.flush()
    close_everywhere(tx, f"look:{repair.id}")
    card = f"repair:{repair.id}"
    on_card = tx.said is not None and bool(tx.said.tap) and (tx.mark is None or tx.mark.card == card)
    acting = tx.person if tx.said is not None and not on_card else None
    held = called(tx, repair)
    in_charge = tx.session.get(Person, repair.crew_id) if repair.state in IN_HAND else None
    if in_charge is not None and in_charge not in held:  # accepted from the list: never called
        show_card(tx, repair, in_charge, anew=True)
    for person in held:
        acted = acting is not None and acting.id == person.id == repair.crew_id and repair.state in IN_HAND
        show_card(tx, repair, person, anew=acted)
    staff_card(tx, repair)
    board(tx, repair)


def called(tx: Tx, repair: Repair) -> list[Person]:
    """Those of the crew who were shown it; who has left the crew sees no more of it."""
    crew = [person for person, _ in crew_of(tx, repair.community_id)]
    theirs = {person.id for person in (*crew, *managers_of(tx, repair.community_id))}
    return [each for each in holders(tx, f"repair:{repair.id}") if each.id in theirs]


def close_cards(tx: Tx, person: Person) -> None:
    """Take the buttons of all tickets away that somebody who has left the crew was shown."""
    cards = select(Outgoing.card, Outgoing.place_id).where(
        Outgoing.person_id == person.id, col(Outgoing.card).startswith("repair:")
    )
    for card, place_id in tx.session.exec(cards.distinct()).all():
        if card is not None and place_id is not None:
            close_last(tx, card, place_id)


def to_reporter(repair: Repair) -> str:
    """The name of what its reporter is told about it: only the last of these messages has buttons."""
    return f"mine:{repair.id}"


def looked_at(tx: Tx, repair: Repair, person: Person) -> str:
    """The name of what is shown to somebody who looks at it: their card, if they have one."""
    if repair.person_id == person.id:
        return to_reporter(repair)
    # Whoever only looks has not been called, and gets no card.
    called = person in holders(tx, f"repair:{repair.id}")
    return f"repair:{repair.id}" if called else f"look:{repair.id}"


def tell_owner(tx: Tx, repair: Repair, key: str, **options: Any) -> None:
    """Say something to its reporter, with what they can do now."""
    if repair.incident:  # staff follow it in their group
        return
    owner = tx.session.get_one(Person, repair.person_id)
    tell(
        tx,
        owner,
        key,
        **{
            "number": repair.number,
            "buttons": owner_buttons(repair),
            "last": to_reporter(repair),
            **options,
        },
    )


def tell_followers(tx: Tx, repair: Repair, key: str, **facts: Any) -> None:
    """Say something to all who follow it, in batches that follow."""
    if repair.homes == 1:
        return
    notify(
        tx,
        repair.community_id,
        key,
        about=to_reporter(repair),
        audience=f"followers:{repair.id}",
        silent=False,
        lane=NEWS,
        buttons=follower_buttons(repair),
        **{"number": repair.number, **facts},
    )


def tell_concerned(tx: Tx, repair: Repair, key: str, **options: Any) -> None:
    """Say something to its reporter and to all who follow it, to these in words of their own if there are some."""
    tell_owner(tx, repair, key, **options)
    theirs = f"follow.{key.partition('.')[2]}"
    facts = {
        name: fact for name, fact in options.items() if name not in ("buttons", "last", "lane", "photos")
    }
    tell_followers(tx, repair, theirs if theirs in texts("zh") else key, **facts)


def can_be_reached(tx: Tx, person: Person) -> bool:
    """Whether there is a chat in which a page would arrive."""
    return place_of(tx, person) is not None


def repair_of(tx: Tx, talk: Talk) -> Repair:
    """The repair that a talk is about."""
    return tx.session.get_one(Repair, int(talk.about.removeprefix("repair:")))


def of_repair(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which repair a question is about, for its words."""
    repair = repair_of(tx, talk)
    return {"number": repair.number, "what": brief(repair), "where": where(tx, repair, public=True)}


# --- the timeline, and what belongs to it -----------------------------------------------------------


def add_event(tx: Tx, repair: Repair, key: str, person: Person | None, **facts: Any) -> None:
    """Write one line of the timeline; nobody did what the clock did."""
    matters.add_event(tx, f"repair:{repair.id}", key, person, community_id=repair.community_id, **facts)


def events(tx: Tx, repair: Repair) -> Sequence[Event]:
    """The timeline, oldest first."""
    return matters.events_of(tx, f"repair:{repair.id}")


def photos_of(tx: Tx, repair: Repair) -> list[int]:
    """The ids of its photos, oldest first, for everybody to see."""
    return matters.photos_of(tx, f"repair:{repair.id}")


def files_of(tx: Tx, repair: Repair) -> list[int]:
    """The ids of its photos and recordings, oldest first, for who reported it, the crew and the staff."""
    return matters.files_of(tx, f"repair:{repair.id}")


def add_photos(tx: Tx, person: Person, repair: Repair, answer: Any) -> list[int]:
    """Keep the photos and recordings of an answer as the repair's; the ids of those that it did not have yet."""
    return matters.add_photos(tx, person, f"repair:{repair.id}", answer)


def _followers(number: str) -> ColumnElement[bool]:
    return col(Person.id).in_(select(Follower.person_id).where(Follower.repair_id == int(number)))


def _concerned(number: str) -> ColumnElement[bool]:
    """Who follows a repair, and everybody of its building."""
    its = select(Repair.building).where(Repair.id == int(number)).scalar_subquery()
    there = (
        select(HomeRole.person_id)
        .join(Home, col(Home.id) == col(HomeRole.home_id))
        .where(or_(its == "", col(Home.building) == its))
    )
    return or_(_followers(number), col(Person.id).in_(there))


know_audience("followers", _followers)
know_audience("concerned", _concerned)
