"""The roster in the admin group: staff send the file, read what it would change, and let it be done."""

from collections.abc import Callable, Iterable
from pathlib import PurePath

from sqlmodel import select

from conversations.errors import Refused
from conversations.said import File
from conversations.words import Say
from handlers.actions import action
from handlers.people import roles_of
from handlers.roster import BadRoster, apply, plan_roster, read_roster
from handlers.roster_plan import Plan
from handlers.talk import here
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, RosterFile

ENDINGS = (".xlsx", ".xlsm", ".xls", ".csv")
OTHER_TABLES: list[Callable[[Tx, Person, RosterFile, bytes], bool]] = []
"""What takes a file that is a table, but no roster: True if it is theirs."""


@action("roster.explain", button=True, stays=True)
def how(tx: Tx, person: Person) -> None:
    """How a roster is imported."""
    tell(tx, here(tx, person), "roster.help")


def is_roster(file: File) -> bool:
    """Whether a file may be a roster; what else staff send each other is not ours."""
    return file.kind == "file" and PurePath(file.name).suffix.lower() in ENDINGS


def take_file(tx: Tx, person: Person, file: File) -> None:
    """Say what is wrong with a file, or what it would change, and ask whether to do it."""
    if "staff" not in roles_of(tx, person):
        return
    if file.problem == "too_large":
        tell(tx, here(tx, person), "roster.too_large")
    elif file.problem or tx.house.file is None:
        tell(tx, here(tx, person), "unclear.not_fetched")
    else:
        _put_aside(tx, person.community_id)  # the newest file counts
        row = RosterFile(
            community_id=person.community_id,
            person_id=person.id,
            storage=file.storage,
            name=PurePath(file.name).name[-80:],
            created_at=tx.now,
        )
        tx.session.add(row)
        tx.session.flush()
        plan = _plan(tx, person, row)
        if plan is not None:
            _ask(tx, person, row, plan)


def _put_aside(tx: Tx, community_id: int) -> None:
    waiting = select(RosterFile).where(RosterFile.community_id == community_id, RosterFile.storage != "")
    for row in tx.session.exec(waiting).all():
        row.storage = ""
        tx.session.add(row)


def _plan(tx: Tx, person: Person, row: RosterFile) -> Plan | None:
    """What the file would change now; None if it cannot be imported, which is then said."""
    assert tx.house.file is not None
    card, data = card_of(row), b""
    try:
        data = tx.house.file(row.storage)
        return plan_roster(tx, tx.community(row.community_id), read_roster(data))
    except FileNotFoundError:
        tell(tx, here(tx, person), "unclear.not_fetched")
    except BadRoster as bad:
        no_roster = bad.problems[0].key == "roster.file.columns"
        if no_roster and any(take(tx, person, row, data) for take in OTHER_TABLES):
            return None
        listed = shown_lines(tx, person, bad.problems)
        tell(
            tx,
            here(tx, person),
            "roster.bad",
            last=card,
            file=row.name,
            count=len(bad.problems),
            list=listed,
        )
    row.storage = ""
    return None


def _ask(tx: Tx, person: Person, row: RosterFile, plan: Plan) -> None:
    unnamed = [Say("roster.unnamed", count=plan.unnamed)] if plan.unnamed else []
    if plan.is_empty:
        row.storage = ""
        listed = shown_lines(tx, person, [*plan.remarks, *unnamed])
        tell(tx, here(tx, person), "roster.same", last=card_of(row), file=row.name, list=listed)
        return
    changes = plan.changes or [Say("roster.new_only")]
    tell(
        tx,
        here(tx, person),
        "roster.plan",
        last=card_of(row),
        file=row.name,
        counts=plan.counts(),
        list=shown_lines(tx, person, [*changes, *plan.remarks, *unnamed]),
        buttons=(Button(f"roster.apply:{row.id}"), Button(f"roster.drop:{row.id}")),
    )


def card_of(row: RosterFile) -> str:
    """Of all files of a community only the newest has buttons."""
    return f"roster:{row.community_id}"


def shown_lines(tx: Tx, person: Person, words: Iterable[Say]) -> str:
    """Words one below the other, as whoever reads them here wants them."""
    reader = reader_of(tx, here(tx, person))
    return "\n".join(str(reader.show(each)) for each in words)


@action("roster.apply", RosterFile, button=True)
def apply_file(tx: Tx, person: Person, row: RosterFile) -> None:
    """Let the community be as the file says, by what is known now."""
    _check_open(row)
    plan = _plan(tx, person, row)
    if plan is not None:
        apply(tx, plan)
        row.storage = ""
        tell(tx, here(tx, person), "roster.done", file=row.name, counts=plan.counts())
    tx.session.add(row)


@action("roster.drop", RosterFile, button=True)
def drop(tx: Tx, person: Person, row: RosterFile) -> None:
    """Put a file aside."""
    _check_open(row)
    row.storage = ""
    tx.session.add(row)
    tell(tx, here(tx, person), "roster.dropped", file=row.name)


def _check_open(row: RosterFile) -> None:
    if not row.storage:
        raise Refused("roster.over")
