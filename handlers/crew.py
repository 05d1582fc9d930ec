"""Who works in the community: staff add and dismiss crew, say what they do, where and when; and the committee."""

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlmodel import col, select

from conversations.crew import BUILDINGS, DISMISS, ELECT, HIRE, HOURS, SKILLS
from conversations.errors import Refused
from conversations.words import LANGUAGES, Say, normal, texts
from handlers import repair
from handlers.actions import action
from handlers.agents import one_named
from handlers.homes import tell_code
from handlers.people import (
    accounts_of,
    buildings_of,
    crew_of,
    is_guest,
    is_on_duty,
    new_person,
    roles_of,
)
from handlers.phones import masked, normal_phone, phone_of, set_phone
from handlers.talk import Known, ask, here, know, no_facts, start
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Role, Talk

SEPARATORS = re.compile(r"[、,，;；/\s]+")
HOUR = re.compile(r"(\d{1,2})(?::?(\d{2}))?\s*[-~—–到至]+\s*(\d{1,2})(?::?(\d{2}))?")


# --- reading what staff write -----------------------------------------------------------------------


def kinds_in(text: str) -> list[str] | None:
    """The kinds of repair that words name ("水管 灯", "全部"); None if one of them is no kind."""
    if normal(text) in ALL:
        return []
    names = _names_of_kinds()
    found = [names.get(normal(word)) for word in SEPARATORS.split(text.strip()) if word]
    known = [each for each in found if each is not None]
    return list(dict.fromkeys(known)) if known and len(known) == len(found) else None


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


def hours_in(text: str) -> str | None:
    """Duty hours ("8:00-20:00", "20点到8点", "全天") as the role keeps them; None if they are none."""
    if normal(text) in ALL:
        return ""
    match = HOUR.fullmatch(normal(text).replace("点", ":00").replace("：", ":"))
    if match is None:
        return None
    start_hour, start_minute, end_hour, end_minute = (int(part or 0) for part in match.groups())
    if max(start_hour, end_hour % 24) > 23 or max(start_minute, end_minute) > 59 or end_hour > 24:
        return None
    return f"{start_hour:02}:{start_minute:02}-{end_hour % 24:02}:{end_minute:02}"


def buildings_in(tx: Tx, community_id: int, text: str) -> list[str] | None:
    """The buildings that words name ("1 3 5号楼", "全部"); None if one of them is none of ours."""
    if normal(text) in ALL:
        return []
    ours = {name.upper(): name for name in buildings_of(tx, community_id)}
    words = [re.sub(r"(号楼|栋|幢|座|楼|号)$", "", word) for word in SEPARATORS.split(text.strip()) if word]
    found = [ours.get(word.upper()) for word in words]
    known = [each for each in found if each is not None]
    return list(dict.fromkeys(known)) if known and len(known) == len(found) else None


ALL = {"全部", "全天", "所有", "都可以", "all", "always", "24小时"}


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Words that name no kind, building, hour, number or person are asked for again, with an example."""
    wrong = next((name for name in changed if _is_wrong(tx, person, name, talk.answers[name])), "")
    if not wrong:
        return False
    talk.answers = {name: answer for name, answer in talk.answers.items() if name != wrong}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead=f"crew.wrong_{wrong}")
    return True


def _is_wrong(tx: Tx, person: Person, name: str, answer: Any) -> bool:
    if not isinstance(answer, str):
        return False
    return {
        "kinds": lambda: kinds_in(answer) is None,
        "hours": lambda: hours_in(answer) is None,
        "buildings": lambda: buildings_in(tx, person.community_id, answer) is None,
        "phone": lambda: not normal_phone(answer),
        "who": lambda: one_named(tx, person.community_id, answer) is None,
    }.get(name, lambda: False)()


for script in (HIRE, SKILLS, BUILDINGS, HOURS, ELECT):
    know(Known(script, no_facts, heard))
know(Known(DISMISS, no_facts))


# --- the crew ---------------------------------------------------------------------------------------


@action("crew.list", button=True, stays=True)
def list_crew(tx: Tx, person: Person) -> None:
    """Everybody of the crew: what they do, where, when, and who is on duty now."""
    crew = crew_of(tx, person.community_id)
    reader = reader_of(tx, here(tx, person))
    tell(
        tx,
        here(tx, person),
        "crew.list",
        list="\n".join(reader.show(_line(tx, *each)) for each in crew) or Say("crew.none"),
        buttons=[
            *(Button(f"crew.show:{role.id}", label=each.name[:30]) for each, role in crew[:30]),
            "crew.add",
        ],
    )


def _line(tx: Tx, person: Person, role: Role) -> Say:
    return Say(
        "crew.line",
        name=person.name,
        skills=[Say(f"kind.{kind}") for kind in role.skills] or Say("crew.all_kinds"),
        buildings=[Say("where.building", building=each) for each in role.buildings]
        or Say("crew.all_buildings"),
        hours=role.duty or Say("crew.all_hours"),
        duty=Say("crew.on_duty_mark") if is_on_duty(tx, role) else "",
    )


@action("crew.show", Role, button=True, stays=True)
def show_member(tx: Tx, person: Person, role: Role) -> None:
    """One member of the crew, and what staff can change."""
    _must_be(role, "crew")
    who = tx.session.get_one(Person, role.person_id)
    tell(
        tx,
        here(tx, person),
        "crew.card",
        line=_line(tx, who, role),
        phone=masked(phone_of(tx, who)) or Say("talk.none"),
        accounts=[each.messenger for each in accounts_of(tx, who)] or Say("home.not_in"),
        buttons=[f"crew.{name}:{role.id}" for name in ("skills", "buildings", "hours", "invite", "remove")],
    )


@action("crew.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask who is new."""
    start(tx, person, "hire")


@action("crew.added")
def added(tx: Tx, person: Person, **answers: Any) -> None:
    """A new member of the crew, with a code to come in."""
    who = new_person(tx, person.community_id, answers["name"])
    if answers.get("phone"):
        set_phone(tx, who, normal_phone(answers["phone"]))
    role = Role(community_id=person.community_id, person_id=who.id, role="crew")
    tx.session.add(role)
    tx.session.flush()
    tx.known.clear()
    show_member(tx, person, role)
    tell_code(tx, person, who)


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
    _must_be(role, "crew", *(("committee",) if script == "dismiss" else ()))
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
    _must_be(role, "crew", "committee")  # who is staff is decided by the admin group alone
    who, was = tx.session.get_one(Person, role.person_id), role.role
    if was == "crew":
        repair.release(tx, who)
    tx.session.delete(role)
    tx.session.flush()
    tx.known.clear()
    if is_guest(tx, who):
        who.left_at = tx.now
        tx.session.add(who)
    tell(tx, who, "crew.dismissed", role=Say(f"role.{was}"))
    tell(tx, here(tx, person), "crew.gone", name=who.name, role=Say(f"role.{was}"), buttons=(f"{was}.list",))


def _must_be(role: Role, *kinds: str) -> None:
    if role.role not in kinds:
        raise Refused("refused.unknown")


# --- the committee ----------------------------------------------------------------------------------


@action("committee.list", button=True, stays=True)
def list_committee(tx: Tx, person: Person) -> None:
    """The members of the owners' committee."""
    members = tx.session.exec(
        select(Person, Role)
        .join(Role, col(Role.person_id) == col(Person.id))
        .where(Role.community_id == person.community_id, Role.role == "committee")
        .order_by(col(Role.id))
    ).all()
    reader = tx.reader(person.community_id)
    tell(
        tx,
        here(tx, person),
        "committee.list",
        names=[each.name or Say("person.forgotten") for each, _ in members] or Say("where.nobody"),
        buttons=[
            *(
                Button(f"crew.remove:{role.id}", label=reader.say("committee.remove", name=each.name[:20]))
                for each, role in members[:20]
            ),
            "committee.add",
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
    if "committee" not in roles_of(tx, member):
        tx.session.add(Role(community_id=member.community_id, person_id=member.id, role="committee"))
        tx.session.flush()
        tx.known.clear()
        tell(tx, member, "committee.you_are")
    list_committee(tx, person)
