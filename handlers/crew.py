"""Who works in the community: staff add and dismiss crew, say what they do, where and when; and the committee."""

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlmodel import col, select

from conversations.crew import BUILDINGS, DISMISS, ELECT, HIRE, HOURS, SKILLS, TRADES, hours_in
from conversations.errors import Refused
from conversations.words import LANGUAGES, Say, normal, spoken, texts
from handlers import assigning, work
from handlers.actions import action
from handlers.addresses import ADDRESS_AND_NAME, one_named, parts_of
from handlers.agents import tell_revoked
from handlers.homes import tell_code
from handlers.leaving import lost_a_tie
from handlers.people import (
    accounts_of,
    buildings_of,
    crew_of,
    is_on_duty,
    new_person,
    roles_of,
    works,
)
from handlers.phones import masked, normal_phone, phone_of, set_phone
from handlers.repair_cards import office
from handlers.talk import Known, ask, end_about, here, know, no_facts, start
from handlers.tell import Button, distinct, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Role, Talk

MOST_SHOWN = 60
MOST_HOLDERS = 20
SEPARATORS = re.compile(r"[、,，;；/\s+和与及]+")
NUMBER = re.compile(r"(?<!\d)\+?\d[\d \-]{6,18}\d(?!\d)")
ENDING = re.compile(r"(维修|修理|工|师傅|故障)$")


# --- reading what staff write -----------------------------------------------------------------------


def kinds_in(text: str) -> list[str] | None:
    """The kinds of repair that words name ("水管 灯", "水电", "全部"); None if one of them is no kind."""
    if normal(text) in spoken("all"):
        return []
    whole = _kinds_of(text)
    found = [whole] if whole else [_kinds_of(word) for word in SEPARATORS.split(text.strip()) if word]
    if not found or not all(found):
        return None
    return list(dict.fromkeys(kind for kinds in found for kind in kinds))


def _kinds_of(text: str) -> tuple[str, ...]:
    """What one word means: a trade's kinds, a kind by its name in any language; "修灯" and "灯具" are the lamp."""
    word = normal(text)
    for each in (word, word.removeprefix("修"), ENDING.sub("", word)):
        kind = _names_of_kinds().get(each)
        found = TRADES.get(spoken("trade").get(each, ""), ())
        if found or kind:
            return tuple(dict.fromkeys([*found, *([kind] if kind else [])]))
    return ()


@cache
def _names_of_kinds() -> dict[str, str]:
    """What people call each kind, in every language, and its own name."""
    called = {
        normal(words): key.removeprefix("kind.")
        for language in LANGUAGES
        for key, words in texts(language).items()
        if key.startswith("kind.")
    }
    return called | {kind: kind for kind in called.values()}


def buildings_in(tx: Tx, community_id: int, text: str) -> list[str] | None:
    """The buildings that words name ("1 3 5号楼", "三号楼", "全部"); None if one of them is none of ours."""
    if normal(text) in spoken("all"):
        return []
    ours = {tuple(parts_of(name)): name for name in buildings_of(tx, community_id)}
    words = [tuple(parts_of(word)) for word in SEPARATORS.split(text.strip()) if word]
    found = [ours.get(word) for word in words if word]
    known = [each for each in found if each is not None]
    return list(dict.fromkeys(known)) if known and len(known) == len(found) else None


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Words that name no kind, building, hour, number or person are asked for again, with an example."""
    if "name" in changed:
        _part_number(tx, talk)
    wrong = next((name for name in changed if _is_wrong(tx, person, name, talk.answers[name])), "")
    if not wrong:
        return False
    said = talk.answers[wrong]
    talk.answers = {name: answer for name, answer in talk.answers.items() if name != wrong}
    tx.session.add(talk)
    tx.session.flush()
    ours = [Say("where.building", building=each) for each in buildings_of(tx, person.community_id)]
    ask(
        tx,
        person,
        talk,
        lead="crew.wrong_who" if wrong == "name" else f"crew.wrong_{wrong}",
        said=said,
        buildings=ours,
    )
    return True


def _part_number(tx: Tx, talk: Talk) -> None:
    """A name with a number ("赵师傅 13900001111") is both: the number would stand on the board with the name."""
    said = talk.answers["name"]
    found = next((each for each in NUMBER.findall(said) if normal_phone(each)), "")
    phone, name = normal_phone(found), said.replace(found, "").strip(" ,，、:：()（）")
    if phone and name:
        talk.answers = {**talk.answers, "name": name, "phone": phone}
        tx.session.add(talk)
        tx.session.flush()


def _is_wrong(tx: Tx, person: Person, name: str, answer: Any) -> bool:
    if not isinstance(answer, str):
        return False
    return {
        "kinds": lambda: kinds_in(answer) is None,
        "hours": lambda: hours_in(answer) is None,
        "buildings": lambda: buildings_in(tx, person.community_id, answer) is None,
        "phone": lambda: not normal_phone(answer),
        "who": lambda: one_named(tx, person.community_id, answer) is None,
        "name": lambda: (
            bool(ADDRESS_AND_NAME.fullmatch(answer)) and one_named(tx, person.community_id, answer) is None
        ),
    }.get(name, lambda: False)()


def of_whom(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Whom a question about somebody's work is about, for its words."""
    name, _, number = talk.about.partition(":")
    role = tx.session.get(Role, int(number)) if name == "role" else None
    if role is None:
        return {"who": talk.answers.get("name", ""), "role": "", "tickets": ""}
    who = tx.session.get_one(Person, role.person_id)
    count = assigning.tickets_of(tx, who) if role.role in ("crew", "manager") else 0
    return {
        "who": who.name or Say("person.forgotten"),
        "role": Say(f"role.{role.role}"),
        "tickets": Say("crew.has_tickets_mark", count=count) if count else "",
    }


for script in (HIRE, SKILLS, BUILDINGS, HOURS, ELECT):
    know(Known(script, no_facts, heard, about=of_whom))
know(Known(DISMISS, no_facts, about=of_whom))


# --- the crew ---------------------------------------------------------------------------------------


@action("crew.list", button=True, stays=True)
def list_crew(tx: Tx, person: Person) -> None:
    """Everybody of the crew: what they do, where, when, and who is on duty now."""
    crew = crew_of(tx, person.community_id)
    reader = reader_of(tx, here(tx, person))
    labels = distinct((each.name or "—")[:30] for each, _ in crew[:MOST_SHOWN])
    tell(
        tx,
        here(tx, person),
        "crew.list",
        list="\n".join(reader.show(_line(tx, *each)) for each in crew) or Say("crew.none"),
        buttons=[
            *(
                Button(f"crew.show:{role.id}", label=label)
                for (_, role), label in zip(crew, labels, strict=False)
            ),
            "crew.add",
        ],
    )


def _line(tx: Tx, person: Person, role: Role) -> Say:
    return Say(
        "crew.line",
        name=person.name or Say("person.forgotten"),
        skills=trades(role.skills) or Say("crew.all_kinds"),
        buildings=[Say("where.building", building=each) for each in role.buildings]
        or Say("crew.all_buildings"),
        hours=role.duty or Say("crew.all_hours"),
        duty=Say("crew.on_duty_mark") if is_on_duty(tx, role) else "",
    )


def trades(skills: Sequence[str]) -> list[Say | str]:
    """The kinds in words; what a roster calls otherwise stands as it was written."""
    known = set(_names_of_kinds().values())
    return [Say(f"kind.{kind}") if kind in known else kind for kind in skills]


@action("crew.show", Role, button=True, stays=True)
def show_member(tx: Tx, person: Person, role: Role) -> None:
    """One member of the crew, and what staff can change."""
    _must_be(role, "crew")
    _show(tx, person, role)


def _show(tx: Tx, person: Person, role: Role, *, lead: str = "", new: bool = False) -> None:
    who = tx.session.get_one(Person, role.person_id)
    tell(
        tx,
        here(tx, person),
        "crew.card",
        lead=lead,
        line=_line(tx, who, role),
        phone=masked(phone_of(tx, who)) or Say("talk.none"),
        accounts=[each.messenger for each in accounts_of(tx, who)] or Say("home.not_in"),
        next=Say("crew.next_mark") if new else "",
        buttons=[f"crew.{name}:{role.id}" for name in ("skills", "buildings", "hours", "invite", "remove")],
    )


@action("crew.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask who is new."""
    start(tx, person, "hire")


@action("crew.added")
def added(tx: Tx, person: Person, **answers: Any) -> None:
    """A new member of the crew: somebody who is known here already is told, another comes in by a code."""
    reader = reader_of(tx, here(tx, person))
    phone = normal_phone(answers.get("phone") or "")
    who, role = _known_already(tx, person.community_id, answers["name"], phone)
    if role is not None:
        _show(tx, person, role, lead=reader.say("crew.already", name=answers["name"]))
        return
    who = who or new_person(tx, person.community_id, answers["name"])
    who.left_at = None
    if phone and not who.phone:
        set_phone(tx, who, phone)
    role = Role(community_id=person.community_id, person_id=who.id, role="crew")
    tx.session.add_all([who, role])
    tx.session.flush()
    tx.known.clear()
    if accounts_of(tx, who):
        tell(tx, who, "crew.you_are", buttons=("help",))
        _show(tx, person, role, lead=reader.say("crew.told", name=who.name), new=True)
    else:
        _show(tx, person, role, new=True)
        tell_code(tx, person, who)


def _known_already(tx: Tx, community_id: int, name: str, phone: str) -> tuple[Person | None, Role | None]:
    """Who of the community is meant, if they are known, and their role if they are in the crew.

    A resident is known by the home before the name, or by name and number; who is in the crew, by the name alone
    unless the numbers differ: two staff may add the same one.
    """
    crew = crew_of(tx, community_id)
    who = one_named(tx, community_id, name) if ADDRESS_AND_NAME.fullmatch(name) else None
    if who is None and phone:
        same = select(Person).where(
            Person.community_id == community_id, Person.phone_hash == tx.house.vault.hash(phone)
        )
        found = tx.session.exec(same.order_by(col(Person.id)))
        who = next((each for each in found if normal(each.name) == normal(name)), None)
    for each, role in crew:
        another = phone and each.phone and phone != phone_of(tx, each)
        if each is who or (who is None and normal(each.name) == normal(name) and not another):
            return each, role
    return who, None


@action("crew.invite", Role, button=True, stays=True)
def invite(tx: Tx, person: Person, role: Role) -> None:
    """A new code for somebody who works here."""
    tell_code(tx, person, tx.session.get_one(Person, role.person_id))


@action("crew.skills", Role, button=True, stays=True)
def skills(tx: Tx, person: Person, role: Role) -> None:
    """Ask what they do."""
    _ask(tx, person, role, "skills")


@action("crew.buildings", Role, button=True, stays=True)
def buildings(tx: Tx, person: Person, role: Role) -> None:
    """Ask where."""
    _ask(tx, person, role, "served")


@action("crew.hours", Role, button=True, stays=True)
def hours(tx: Tx, person: Person, role: Role) -> None:
    """Ask when."""
    _ask(tx, person, role, "hours")


@action("crew.remove", Role, button=True, stays=True)
def remove(tx: Tx, person: Person, role: Role) -> None:
    """Ask whether they really work here no more."""
    _ask(tx, person, role, "dismiss")


def _ask(tx: Tx, person: Person, role: Role, script: str) -> None:
    _must_be(role, "crew", *(("manager", "committee") if script == "dismiss" else ()))
    start(tx, person, script, about=f"role:{role.id}")


@action("crew.skilled", Role)
def skilled(tx: Tx, person: Person, role: Role, kinds: str) -> None:
    """They do these kinds of repair."""
    role.skills = kinds_in(kinds) or []
    _changed(tx, person, role)


@action("crew.served", Role)
def served(tx: Tx, person: Person, role: Role, buildings: str) -> None:
    """They are there for these buildings."""
    role.buildings = buildings_in(tx, person.community_id, buildings) or []
    _changed(tx, person, role)


@action("crew.timed", Role)
def timed(tx: Tx, person: Person, role: Role, hours: str) -> None:
    """These are their duty hours."""
    role.duty = hours_in(hours) or ""
    _changed(tx, person, role)


def _changed(tx: Tx, person: Person, role: Role) -> None:
    tx.session.add(role)
    tx.session.flush()
    who = tx.session.get_one(Person, role.person_id)
    tell(tx, who, "crew.your_duty", line=_line(tx, who, role))
    show_member(tx, person, role)


@action("crew.removed", Role)
def removed(tx: Tx, person: Person, role: Role, **answers: Any) -> None:
    """They work here no more: their rights end now, and their tickets go to others."""
    _must_be(role, "crew", "manager", "committee")  # who is staff is decided by the admin group alone
    who, was = tx.session.get_one(Person, role.person_id), role.role
    end_about(tx, f"role:{role.id}")
    tx.session.delete(role)
    tx.session.flush()
    tx.known.clear()
    moved, left = work.release(tx, who) if was != "committee" and not works(tx, who) else (0, 0)
    for each in lost_a_tie(tx, who):
        tell_revoked(tx, each)
    tell(tx, who, "crew.dismissed", role=Say(f"role.{was}"), office=office(tx, who.community_id))
    tickets = (
        Say("crew.moved_but_mark", count=moved, left=left) if left else Say("crew.moved_mark", count=moved)
    )
    tell(
        tx,
        here(tx, person),
        "crew.gone",
        name=who.name or Say("person.forgotten"),
        role=Say(f"role.{was}"),
        tickets=tickets if moved else "",
        buttons=(f"{was}.list",),
    )


def _must_be(role: Role, *kinds: str) -> None:
    if role.role not in kinds:
        raise Refused("refused.unknown")


# --- the committee ----------------------------------------------------------------------------------


@action("committee.list", button=True, stays=True)
def list_committee(tx: Tx, person: Person) -> None:
    """The members of the owners' committee."""
    show_holders(tx, person, "committee")


def show_holders(tx: Tx, person: Person, role: str, *, lead: str = "") -> None:
    """Who is manager, or of the committee, and what staff can change in it."""
    holders = tx.session.exec(
        select(Person, Role)
        .join(Role, col(Role.person_id) == col(Person.id))
        .where(Role.community_id == person.community_id, Role.role == role)
        .order_by(col(Role.id))
    ).all()
    reader = reader_of(tx, here(tx, person))
    labels = distinct(
        reader.say(f"{role}.remove", name=each.name[:20] or "—") for each, _ in holders[:MOST_HOLDERS]
    )
    tell(
        tx,
        here(tx, person),
        f"{role}.list",
        lead=lead,
        names=[each.name or Say("person.forgotten") for each, _ in holders] or Say("where.nobody"),
        buttons=[
            *(
                Button(f"crew.remove:{held.id}", label=label)
                for (_, held), label in zip(holders, labels, strict=False)
            ),
            f"{role}.add",
        ],
    )


@action("committee.add", button=True, stays=True)
def elect(tx: Tx, person: Person) -> None:
    """Ask who has been elected."""
    start(tx, person, "elect")


@action("committee.added")
def elected(tx: Tx, person: Person, who: str) -> None:
    """Somebody is a member of the owners' committee now."""
    member = one_named(tx, person.community_id, who)
    if member is None:
        raise Refused("crew.wrong_who")
    reader = reader_of(tx, here(tx, person))
    said = reader.say("committee.already", name=member.name)
    if "committee" not in roles_of(tx, member):
        tx.session.add(Role(community_id=member.community_id, person_id=member.id, role="committee"))
        tx.session.flush()
        tx.known.clear()
        tell(tx, member, "committee.you_are", buttons=("help",))
        said = reader.say("committee.added", name=member.name)
    show_holders(tx, person, "committee", lead=said)
