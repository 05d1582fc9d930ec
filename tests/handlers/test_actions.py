"""Actions and rights: whoever taps whatever, nobody does what is not theirs, and acts for the community are logged."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from conversations.errors import Refused
from handlers.actions import ACTIONS, Action, action, perform, tap
from handlers.people import bind_account
from handlers.rights import CLOCK, RIGHTS, acts_for_community
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.tables import Audit, Inbox, Outgoing, Person, Place, Repair, Talk
from tests.people import NAME, Building

STATES = ("waiting", "accepted", "on_way", "done", "closed", "withdrawn")
BUTTONS = sorted(name for name, act in ACTIONS.items() if act.button)
PEOPLE = {
    "owner": "陈女士",
    "neighbour": "周先生",
    "tenant": "Mr Smith",
    "crew in charge": "王师傅",
    "other crew": "张师傅",
    "staff": "刘经理",
    "owner elsewhere": "外人",
    "crew elsewhere": "外修",
    "staff elsewhere": "外管",
}
ELSEWHERE = """楼栋,单元,房号,面积,姓名,身份
1号楼,1单元,101,50,外人,业主
,,,,外修,维修
,,,,外管,物业
"""
EVERYBODY = set(PEOPLE)
RESIDENTS = {"owner", "neighbour", "tenant", "owner elsewhere"}
CREW = {"crew in charge", "other crew"}
# Who may do what with the owner's repair; said once more, since this is the table that must not go wrong.
MAY: dict[str, set[str]] = {
    "help": EVERYBODY,
    "my": EVERYBODY,
    "language": EVERYBODY,
    "link": {"staff", "staff elsewhere"},
    "rest.show": set(),  # only whom it was shown to
    "roster.apply": {"staff"},
    "roster.drop": {"staff"},
    "repair.start": RESIDENTS,
    "repair.open": {*CREW, "staff", "crew elsewhere", "staff elsewhere"},
    "repair.show": {"owner", "staff", *CREW},
    "repair.accept": CREW,
    "repair.decline": CREW,
    "repair.go": {"crew in charge"},
    "repair.finish": {"crew in charge"},
    "repair.more": {"owner"},
    "repair.affirm": {"owner"},
    "repair.withdraw": {"owner"},
    "repair.confirm": {"owner"},
    "repair.dispute": {"owner"},
    "repair.raise": {"owner", "staff"},
}
LOGGED = {*CREW, "staff", "crew elsewhere", "staff elsewhere"}
FORGED = [
    "",
    "0",
    "999999",
    "1;drop",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1.0",
    "1e0",
    "0x1",
    "٣",
    "１",
    "9" * 17,
    "9" * 40,
]
FORGED += ["None", "1:1", "1\0", "'", "%s", "1 OR 1=1", "🙂"]


@dataclass
class Scene:
    """A repair of the owner's in each state, and everybody who could lay hands on it."""

    building: Building
    repairs: dict[str, int]

    def tx(self, session: Session, kind: str) -> tuple[Tx, Person]:
        person = session.exec(select(Person).where(Person.name == PEOPLE[kind])).one()
        place = session.exec(select(Place).where(Place.person_id == person.id)).one()
        house = self.building.app.house
        return Tx(session, self.building.clock.now(), house, place=place, person=person), person

    def write(self, work: Any) -> Any:
        return self.building.app.database.write_now(work)


@pytest.fixture
def scene(building: Building) -> Scene:
    def work(session: Session) -> dict[str, int]:
        tx = Tx(session, building.clock.now(), building.app.house)
        elsewhere = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, elsewhere, read_roster(ELSEWHERE.encode()))
        for person in session.exec(select(Person).where(Person.community_id == elsewhere.id)).all():
            bind_account(tx, person, NAME, person.name)
        ids = {person.name: person.id for person in session.exec(select(Person)).all()}
        made = {
            state: Repair(
                community_id=building.community.id,
                number=number,
                person_id=ids["陈女士"],
                place="lift",
                what="电梯门关不上",
                state=state,
                crew_id=ids["王师傅"],
                reported_at=building.clock.now(),
                due_at=building.clock.now(),
            )
            for number, state in enumerate(STATES, 101)
        }
        session.add_all(made.values())
        session.flush()
        return {state: row.id for state, row in made.items()}

    return Scene(building, building.app.database.write_now(work))


COUNTED = ("outgoing", "event", "audit", "talk", "timer", "media", "notice", "counter")


def everything(session: Session) -> list[Any]:
    """What an action could change: the repairs, and how much there is of all else."""
    session.flush()
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in COUNTED)
    connection = session.connection()
    return [
        *connection.execute(text(f"SELECT {counts}")).all(),
        *connection.execute(text("SELECT * FROM repair ORDER BY id")).all(),
    ]


def attempt(session: Session, tx: Tx, person: Person, what: str) -> str:
    """ "done", or the key of the refusal; everything is undone, and a refusal must have changed nothing."""
    before = everything(session)
    with session.begin_nested() as savepoint:
        try:
            tap(tx, person, what)
            session.flush()
            outcome = "done"
        except Refused as refusal:
            outcome = refusal.key
            assert everything(session) == before, f"{person.name} changed something by {what}"
        savepoint.rollback()
    session.expire_all()
    return outcome


# --- the tables -------------------------------------------------------------------------------------


def test_every_action_has_rights_and_every_right_an_action() -> None:
    assert sorted(RIGHTS) == sorted(ACTIONS)


def test_this_test_knows_every_button() -> None:
    assert sorted(MAY) == BUTTONS


def test_no_button_is_the_clock_s_alone() -> None:
    assert [name for name in BUTTONS if RIGHTS[name] == (CLOCK,)] == []


def test_nobody_acts_for_the_community_as_a_resident() -> None:
    capacities = {getattr(each, "__name__", each): each for rights in RIGHTS.values() for each in rights}
    acting = sorted(name for name, each in capacities.items() if acts_for_community(each))
    assert acting == ["crew", "crew_in_charge", "staff"]


# --- everybody at every button ----------------------------------------------------------------------


def test_forged_subjects_are_refused(scene: Scene) -> None:
    values = [
        f"{name}:{subject}"
        for name in BUTTONS
        for subject in FORGED
        if ACTIONS[name].table is not None or subject
    ]
    assert refusals(scene, values) == {"refused.unknown"}


def refusals(scene: Scene, values: list[str]) -> set[str]:
    """What everybody hears who taps these values."""

    def work(session: Session) -> set[str]:
        return {refusal(*scene.tx(session, kind), value) for kind in PEOPLE for value in values}

    return set(scene.write(work))


def refusal(tx: Tx, person: Person, what: str) -> str:
    with pytest.raises(Refused) as caught:
        tap(tx, person, what)
    return caught.value.key


@pytest.mark.parametrize("kind", PEOPLE)
def test_nobody_does_what_is_not_theirs(scene: Scene, kind: str) -> None:
    def work(session: Session) -> dict[str, str]:
        tx, person = scene.tx(session, kind)
        return {
            f"{name} {state}": attempt(session, tx, person, f"{name}:{number}")
            for name in BUTTONS
            if ACTIONS[name].table is Repair
            for state, number in scene.repairs.items()
        }

    outcomes = scene.write(work)
    not_theirs = {what: key for what, key in outcomes.items() if kind not in MAY[what.split()[0]]}
    no = "refused.unknown" if kind.endswith("elsewhere") else "refused.not_yours"
    assert not_theirs == dict.fromkeys(not_theirs, no)
    theirs = {key for what, key in outcomes.items() if what not in not_theirs}
    assert theirs <= {"done", "refused.over", "refused.taken"}


def test_buttons_about_no_row_are_for_whom_they_are(scene: Scene) -> None:
    plain = [name for name in BUTTONS if ACTIONS[name].table is None]

    def work(session: Session) -> dict[tuple[str, str], str]:
        outcomes = {}
        for kind in PEOPLE:
            tx, person = scene.tx(session, kind)
            outcomes |= {(kind, name): attempt(session, tx, person, name) for name in plain}
        return outcomes

    assert scene.write(work) == {
        (kind, name): "done" if kind in MAY[name] else "refused.not_yours"
        for kind in PEOPLE
        for name in plain
    }


DOES = {
    "waiting": {
        "owner": {"show", "more", "withdraw", "raise", "affirm"},
        "crew in charge": {"show", "accept", "decline"},
    },
    "accepted": {
        "owner": {"show", "more", "withdraw", "raise", "affirm"},
        "crew in charge": {"show", "accept", "decline", "go", "finish"},
    },
    "on_way": {
        "owner": {"show", "more", "withdraw", "raise", "affirm"},
        "crew in charge": {"show", "accept", "decline", "go", "finish"},
    },
    "done": {"owner": {"show", "confirm", "dispute", "more"}, "crew in charge": {"show"}},
    "closed": {"owner": {"show", "dispute"}, "crew in charge": {"show"}},
    "withdrawn": {"owner": {"show"}, "crew in charge": {"show"}},
}


@pytest.mark.parametrize("kind", ["owner", "crew in charge"])
def test_each_state_allows_its_own_steps(scene: Scene, kind: str) -> None:
    def work(session: Session) -> dict[str, set[str]]:
        tx, person = scene.tx(session, kind)
        return {
            state: {
                name.removeprefix("repair.")
                for name in BUTTONS
                if ACTIONS[name].table is Repair
                and attempt(session, tx, person, f"{name}:{number}") == "done"
            }
            for state, number in scene.repairs.items()
        }

    assert scene.write(work) == {state: does[kind] for state, does in DOES.items()}


# --- what is no button ------------------------------------------------------------------------------


def test_what_stands_on_no_button_cannot_be_tapped(scene: Scene) -> None:
    others = sorted(set(ACTIONS) - set(BUTTONS))
    values = [f"{name}{subject}" for name in others for subject in ("", ":1", f":{scene.repairs['waiting']}")]
    values += [
        "",
        ":",
        ":1",
        "nonsense",
        "repair",
        "repair.",
        "repair.accept ",
        "REPAIR.ACCEPT:1",
        "__class__:1",
    ]
    assert refusals(scene, values) == {"refused.unknown"}


def test_the_clock_s_acts_are_nobody_else_s(scene: Scene) -> None:
    def work(session: Session) -> set[str]:
        keys = set()
        for kind in ("owner", "crew in charge", "staff"):
            tx, person = scene.tx(session, kind)
            assert tx.place is not None
            talk = Talk(
                community_id=person.community_id,
                person_id=person.id,
                place_id=tx.place.id,
                script="repair",
                touched_at=tx.now,
            )
            session.add(talk)
            session.flush()
            subjects = {Talk: talk.id, Repair: scene.repairs["waiting"]}
            for name in (name for name, rights in RIGHTS.items() if rights == (CLOCK,)):
                with pytest.raises(Refused) as caught:
                    perform(tx, person, f"{name}:{subjects[ACTIONS[name].table]}")  # type: ignore[index]
                keys.add(caught.value.key)
        return keys

    assert scene.write(work) == {"refused.not_yours"}


def test_the_clock_does_nothing_that_is_a_person_s(scene: Scene) -> None:
    def work(session: Session) -> list[str]:
        tx = Tx(session, scene.building.clock.now(), scene.building.app.house)
        done = []
        for name in BUTTONS:
            subject = f":{scene.repairs['waiting']}" if ACTIONS[name].table is Repair else ""
            try:
                perform(tx, None, name + subject)
                done.append(name)
            except Refused:
                pass
        return done

    assert scene.write(work) == []


# --- the log ----------------------------------------------------------------------------------------


def test_acts_of_staff_and_crew_are_logged_and_no_others(scene: Scene) -> None:
    def logged(session: Session, kind: str, what: str) -> list[tuple[Any, ...]]:
        """The log after somebody tapped something; all is undone."""
        tx, person = scene.tx(session, kind)
        with session.begin_nested() as savepoint:
            with suppress(Refused):
                tap(tx, person, what)
            session.flush()
            rows = [(row.action, row.pseudonym, row.community_id) for row in session.exec(select(Audit))]
            came_through = session.exec(select(Outgoing.id).limit(1)).first() is not None
            savepoint.rollback()
        session.expire_all()
        for_community = came_through and kind in LOGGED & MAY[name_of(what)] and what not in UNLOGGED
        assert rows == ([(what, person.pseudonym, person.community_id)] if for_community else []), kind
        return rows

    def work(session: Session) -> int:
        values = [
            f"{name}:{scene.repairs['accepted']}" if ACTIONS[name].table is Repair else name
            for name in BUTTONS
        ]
        return sum(len(logged(session, kind, what)) for kind in PEOPLE for what in values)

    # In charge: open, show, accept, decline, go, finish; another: open, show; staff: open, show, raise,
    # link; elsewhere: open, open, link.
    assert scene.write(work) == 6 + 2 + 4 + 3


UNLOGGED = ("help", "my", "language")


def name_of(what: str) -> str:
    return what.partition(":")[0]


def test_the_log_names_nobody(scene: Scene) -> None:
    def work(session: Session) -> dict[str, Any]:
        tx, person = scene.tx(session, "crew in charge")
        tap(tx, person, f"repair.go:{scene.repairs['accepted']}")
        session.flush()
        return session.exec(select(Audit)).one().model_dump(exclude={"id", "at"})

    row = scene.write(work)
    with scene.building.app.database.read() as session:
        _, person = scene.tx(session, "crew in charge")
    assert row == {
        "community_id": scene.building.community.id,
        "pseudonym": person.pseudonym,
        "action": f"repair.go:{scene.repairs['accepted']}",
        "facts": {},
    }


# --- through the door -------------------------------------------------------------------------------


async def test_forged_buttons_through_the_door_fail_nothing_and_change_nothing(scene: Scene) -> None:
    building = scene.building
    owner = building.phone("陈女士")
    await owner.says("/repair")
    (talk,) = building.read(select(Talk))
    values = [f"repair.accept:{subject}" for subject in FORGED] + [
        f"{talk.id}.place=lift",
        f"{talk.id}.place!drop",
        f"{talk.id}.sure=yes",
        f"{talk.id}.nothing=x",
        f"{talk.id}.place=nowhere",
        "0.place=lift",
        f"{'9' * 17}.place=lift",
        "repair.report",
        "repair.page:1",
        f"talk.expire:{talk.id}",
        f"repair.confirm:{scene.repairs['done']}",
        f"repair.withdraw:{scene.repairs['waiting']}",
        "x" * 300,
    ]
    before = building.read(select(Repair).order_by(col(Repair.id)))
    for name in ("周先生", "外人", "刘经理", "某人"):
        phone = building.phone(name)
        for value in values:
            await phone.forges(value)
    assert building.read(select(Inbox).where(Inbox.state == "failed")) == []
    assert building.read(select(Repair).order_by(col(Repair.id))) == before
    (after,) = building.read(select(Talk).where(Talk.person_id == talk.person_id))
    assert (after.id, after.answers) == (talk.id, {})


def test_an_action_is_declared_once() -> None:
    with pytest.raises(AssertionError, match="help"):
        action("help")(lambda tx, person: None)
    assert isinstance(ACTIONS["help"], Action)
