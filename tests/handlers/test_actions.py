"""Actions and rights: whoever tries whatever, nobody does what is not theirs, and acts for the community are logged."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlmodel import Session, select

from conversations.errors import Refused
from handlers.actions import ACTIONS, Action, action, perform, tap
from handlers.rights import CLOCK, RIGHTS, acts_for_community
from handlers.tx import Tx
from store.tables import Audit, Person, Repair
from tests.people import Building
from tests.rights import (
    ABROAD,
    ANSWERS,
    FOR_THE_COMMUNITY,
    KINDS,
    MAY,
    STATES,
    Attempts,
    Outcome,
    Row,
    Scene,
    everything,
    furnish,
    words_for,
)

BUTTONS = sorted(name for name, act in ACTIONS.items() if act.button)
FORGED = ["", "0", "999999", "1;drop", "-1", "+1", " 1", "1 ", "1.0", "1e0", "0x1", "٣", "１", "9" * 17]
FORGED += ["9" * 40, "None", "1:1", "1\0", "'", "%s", "1 OR 1=1", "🙂"]


@pytest.fixture
def scene(building: Building) -> Scene:
    return furnish(building)


# --- the tables -------------------------------------------------------------------------------------


def test_every_action_has_rights_and_every_right_an_action() -> None:
    assert sorted(RIGHTS) == sorted(ACTIONS)


def test_this_test_knows_every_action() -> None:
    assert sorted(MAY) == sorted(ACTIONS)


def test_no_button_is_the_clock_s_alone() -> None:
    assert [name for name in BUTTONS if RIGHTS[name] == (CLOCK,)] == []


def test_nobody_acts_for_the_community_as_a_resident() -> None:
    capacities = {each for rights in RIGHTS.values() for each in rights if not isinstance(each, str)}
    acting = sorted(each.__name__ for each in capacities if acts_for_community(each))
    at_work = [
        "colleague",
        "committee",
        "crew",
        "crew_in_charge",
        "decides",
        "for_office",
        "judges",
        "manager",
        "staff",
        "stands_in",
    ]
    assert acting == at_work


# --- everybody at everything ------------------------------------------------------------------------


@pytest.mark.on_sqlite
def test_everybody_tries_every_action_on_every_row(scene: Scene) -> None:
    """A button is tapped; the end of a talk is come to, as if its talk stood open."""

    def work(session: Session) -> tuple[list[str], set[str]]:
        attempts, wrong, done = Attempts(scene, session), [], set()
        before = everything(session)
        for kind in KINDS:
            for name, row, what in scene.tries():
                answers = None if ACTIONS[name].button else ANSWERS.get(name, {})
                theirs = bool(words_for(kind, name, row))
                outcome = attempts(kind, what, answers, theirs=theirs)
                wrong += mistakes(scene, kind, name, row, outcome)
                done |= {name} if outcome.key == "done" else set()
        assert everything(session) == before
        return wrong, done

    wrong, done = scene.write(work)
    assert wrong == []
    # Each action has been performed by somebody to whom it is theirs; but who has agreed refuses no more.
    assert set(MAY) - done == {name for name, words in MAY.items() if "clock" in words} | {"consent.refuse"}


def mistakes(scene: Scene, kind: str, name: str, row: Row | None, outcome: Outcome) -> list[str]:
    """What is wrong with an outcome: a way in, a write of what was refused, a no to whom it is theirs, the log."""
    words = words_for(kind, name, row)
    said = f"{kind}, {name}, {row.label if row else '-'}: {outcome.key}"
    if not words:
        strange = row is not None and row.here != KINDS[kind].here and name not in ABROAD
        no = "refused.unknown" if strange else "refused.not_yours"
        late = {"crew", "manager"} & KINDS[kind].titles
        if not strange and "in charge" in MAY[name] and late:
            no = "refused.not_in_charge"  # a tap that came late is told who has it now
        return [] if outcome.key == no and not outcome.wrote else [f"{said} {outcome.wrote}"]
    if outcome.key == "refused.not_yours" or outcome.key.startswith("failed"):
        return [said]
    if outcome.key != "done":
        return []
    mine = (name if row is None else f"{name}:{row.id}", *scene.signature(kind))
    if words <= FOR_THE_COMMUNITY and mine not in outcome.logged:
        return [f"{said}, but it is not in the log"]
    if not words & FOR_THE_COMMUNITY and outcome.logged:
        return [f"{said}, but the log has {outcome.logged}"]
    return []


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
        heard = set()
        for kind in KINDS:
            tx, person = scene.tx(session, kind)
            heard |= {refusal(tx, person, value) for value in values}
        return heard

    return set(scene.write(work))


def refusal(tx: Tx, person: Person, what: str) -> str:
    with pytest.raises(Refused) as caught:
        tap(tx, person, what)
    return caught.value.key


ALWAYS = {"show", "more", "correct", "withdraw", "raise", "affirm", "write"}
AT_WORK = {"show", "accept", "decline", "go", "finish", "parts", "access", "hand", "free", "write_owner"}
STARS = {f"stars{count}" for count in range(1, 6)}
DOES = {
    "waiting": {"owner": ALWAYS | {"urge"}, "crew in charge": {"show", "accept", "decline"}},
    "accepted": {"owner": ALWAYS | {"urge"}, "crew in charge": AT_WORK},
    # In the owner's home, who was asked whether they pay for it.
    "on_way": {
        "owner": ALWAYS | {"urge", "agree", "refuse"},
        "crew in charge": AT_WORK - {"finish"} | {"price"},
    },
    "parts": {"owner": ALWAYS, "crew in charge": AT_WORK},
    "access": {"owner": ALWAYS, "crew in charge": AT_WORK},
    "done": {"owner": {"show", "confirm", "dispute", "more", "write"}, "crew in charge": {"show"}},
    "closed": {"owner": {"show", "dispute", "praise", "write", *STARS}, "crew in charge": {"show"}},
    "withdrawn": {"owner": {"show"}, "crew in charge": {"show"}},
    "merged": {"owner": {"show"}, "crew in charge": {"show"}},
}


@pytest.mark.parametrize("kind", ["owner", "crew in charge"])
def test_each_state_allows_its_own_steps(scene: Scene, kind: str) -> None:
    names = [name for name in BUTTONS if ACTIONS[name].table is Repair]

    def work(session: Session) -> dict[str, set[str]]:
        attempts = Attempts(scene, session)
        repairs = {state: scene.row(Repair, f"the owner's, {state}").id for state in STATES}
        return {
            state: {
                name.removeprefix("repair.")
                for name in names
                if attempts(kind, f"{name}:{number}").key == "done"
            }
            for state, number in repairs.items()
        }

    assert scene.write(work) == {state: does[kind] for state, does in DOES.items()}


# --- what is no button ------------------------------------------------------------------------------


def test_what_stands_on_no_button_cannot_be_tapped(scene: Scene) -> None:
    values = [what for name, _, what in scene.tries() if name not in BUTTONS]
    values += [f"{what}{end}" for what in values for end in (":", ":1")]
    values += ["", ":", ":1", "nonsense", "repair", "repair.", "repair.accept ", "REPAIR.ACCEPT:1"]
    values += ["__class__:1", "repair.accept\n:1", "ｒepair.accept:1"]
    assert refusals(scene, values) == {"refused.unknown"}


def test_the_clock_does_nothing_that_is_a_person_s(scene: Scene) -> None:
    """And what is the clock's it does, on every row: nobody has to be there."""

    def work(session: Session) -> dict[str, set[str]]:
        keys: dict[str, set[str]] = {"clock": set(), "person": set()}
        for name, _, what in scene.tries():
            whose = "clock" if "clock" in MAY[name] else "person"
            with session.begin_nested() as savepoint:
                keys[whose].add(by_the_clock(scene, session, what, ANSWERS.get(name, {})))
                savepoint.rollback()
            session.expire_all()
        return keys

    assert scene.write(work) == {"clock": {"done"}, "person": {"refused.not_yours"}}


def by_the_clock(scene: Scene, session: Session, what: str, answers: Mapping[str, Any]) -> str:
    try:
        perform(Tx(session, scene.building.clock.now(), scene.building.app.house), None, what, **answers)
    except Refused as refused:
        return refused.key
    return "done"


# --- the log ----------------------------------------------------------------------------------------


def test_the_log_names_nobody(scene: Scene) -> None:
    accepted = scene.row(Repair, "the owner's, accepted")
    what = f"repair.go:{accepted.id}"

    def work(session: Session) -> tuple[dict[str, Any], int]:
        tx, person = scene.tx(session, "crew in charge")
        tap(tx, person, what)
        session.flush()
        return session.exec(select(Audit)).one().model_dump(exclude={"id", "at"}), person.pseudonym

    row, pseudonym = scene.write(work)
    community_id = scene.building.community.id
    assert row == {"community_id": community_id, "pseudonym": pseudonym, "action": what, "facts": {}}


def test_an_action_is_declared_once() -> None:
    with pytest.raises(AssertionError, match="help"):
        action("help")(lambda tx, person: None)
    assert isinstance(ACTIONS["help"], Action)
