"""Actions: whatever can happen is one, and `perform` is the only way to make it happen."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import SQLModel, select

from conversations.errors import Refused
from handlers.numbers import wait_turn
from handlers.rights import acts_for_community, may, refusal
from handlers.tx import Tx
from store.tables import Audit, Community, Person


@dataclass(frozen=True)
class Action:
    """A function that makes something happen, and the table of the row it is about, if it is about one.

    Only a `button` can be tapped or typed; the others are the ends of talks and the clock's. One that `stays` can be
    tapped again and again, since it only shows or asks something; another has done its work with the first tap.
    The row is one of the person's own community, unless the action goes `abroad`. One that is `grave`, since it cannot
    be undone, is typed by its words and by no number. One that `makes` a matter of a kind waits for its number before
    it locks its row, since all lock in this order. One without a row may take `words` of this form in its place,
    such as the page of a list.
    """

    name: str
    do: Callable[..., None]
    table: type[SQLModel] | None
    button: bool
    stays: bool = False
    abroad: bool = False
    grave: bool = False
    makes: str = ""
    words: re.Pattern[str] | None = None


ACTIONS: dict[str, Action] = {}


def action(
    name: str,
    table: type[SQLModel] | None = None,
    *,
    button: bool = False,
    stays: bool = False,
    abroad: bool = False,
    grave: bool = False,
    makes: str = "",
    words: re.Pattern[str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare `do(tx, person, row, **answers)`, or without a table `do(tx, person, **answers)`, as an action."""

    def declare(do: Callable[..., None]) -> Callable[..., None]:
        assert name not in ACTIONS, name
        ACTIONS[name] = Action(name, do, table, button, stays, abroad, grave, makes, words)
        return do

    return declare


def perform(tx: Tx, person: Person | None, what: str, /, **answers: Any) -> None:
    """Make `what` ("repair.accept:17") happen for a person, or for the clock (None).

    The role and the right to that very row are checked each time: a button's data can be forged. Raises
    Refused when there is no such thing or no right; acts of staff and crew are written to the audit log.
    """
    name, _, subject = what.partition(":")
    act = ACTIONS.get(name)
    if act is None:
        raise Refused("refused.unknown")
    if act.makes and person is not None:
        wait_turn(tx, person.community_id, act.makes)
    row = _row(tx, act, subject, person)
    capacity = may(tx, person, name, row)
    if capacity is None:
        raise refusal(tx, person, name, row)
    facts = _about(tx, row)
    if act.words is not None:
        act.do(tx, person, subject, **answers)
    elif act.table is None:
        act.do(tx, person, **answers)
    else:
        act.do(tx, person, row, **answers)
    if person is not None and acts_for_community(capacity):
        tx.session.add(
            Audit(
                community_id=person.community_id,
                at=tx.now,
                pseudonym=person.pseudonym,
                action=what,
                facts=facts,
            )
        )


def _about(tx: Tx, row: Any) -> dict[str, Any]:
    """Whom the row is about, by their number: it may be gone when the log is read. A matter has a number of its own."""
    if hasattr(row, "number"):
        return {}
    whose = getattr(row, "person_id", None) or getattr(row, "principal_id", None)
    who = tx.session.get(Person, whose) if isinstance(whose, int) else None
    return {"about": who.pseudonym} if who is not None else {}


def tap(tx: Tx, person: Person, what: str) -> None:
    """`perform` for what came from outside: only actions that stand on buttons."""
    act = ACTIONS.get(what.partition(":")[0])
    if act is None or not act.button:
        raise Refused("refused.unknown")
    perform(tx, person, what)


def is_grave(what: str) -> bool:
    """Whether it must be typed by its words, since a slip of a digit could not be undone."""
    act = ACTIONS.get(what.partition(":")[0])
    return act is not None and act.grave


def stays(what: str) -> bool:
    """Whether a button of this value can be tapped again and again."""
    act = ACTIONS.get(what.partition(":")[0])
    return act is not None and act.stays


def _row(tx: Tx, act: Action, subject: str, person: Person | None) -> Any:
    """The row an action is about, locked; one of another community does not exist for this person.

    Only its change is locked: rows that refer to it, as all of a community do, can be written meanwhile.
    """
    if act.table is None:
        if subject and (act.words is None or not act.words.fullmatch(subject)):
            raise Refused("refused.unknown")
        return None
    if not (subject.isascii() and subject.isdigit() and len(subject) < 18):
        raise Refused("refused.unknown")
    key = act.table.__table__.c.id  # type: ignore[attr-defined]
    locked = select(act.table).where(key == int(subject)).with_for_update(key_share=True)
    # As it is now, whatever was read of it before it was locked.
    row: Any = tx.session.exec(locked.execution_options(populate_existing=True)).first()
    if row is None:
        raise Refused("refused.unknown")
    community_id = row.id if isinstance(row, Community) else row.community_id
    if person is not None and community_id != person.community_id and not act.abroad:
        raise Refused("refused.unknown")
    return row
