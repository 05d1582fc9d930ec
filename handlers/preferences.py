"""How somebody hears of what is published: their choice for each kind, and a mute for all that is ordinary."""

import re
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.words import Say
from handlers.actions import action
from handlers.board_page import page_mark
from handlers.digests import CARD as DIGEST
from handlers.tell import OWN_CHAT, Button, reader_of, tell
from handlers.tx import Tx
from handlers.wishes import ALL, HOWS, KINDS, USUAL, is_ordinary, preference_of
from store.tables import Account, Notice, Outgoing, Person, Place, Preference

CARD = "notify"
LONGEST = timedelta(days=365)
UNITS = {"h": "hours", "d": "days"}
KIND = re.compile("|".join(KINDS))
CHOICE = re.compile(rf"({'|'.join(KINDS)})\.({'|'.join(HOWS)})")
FOR = re.compile(r"(\d{1,4})([hd])|ever", re.ASCII)
TYPED = re.compile(
    r"(?:/mute(?:@\w+)?|mute|免打扰|静音)[\s:：]*(?:for\s+)?(\d{1,4}|[一二两三四五六七八九十]{1,3}|半|an?|one)?\s*个?\s*"
    r"(小时|钟头|天|日|周|星期|礼拜|月|hours?|days?|weeks?|months?|h|d|w)",
    re.IGNORECASE,
)
UNCLEAR = re.compile(
    r"(?:/mute(?:@\w+)?|免打扰)(?:[\s::,,]+|(?=[到至一二两三四五六七八九十半\d])).{1,40}|(?:静音|mute)[\s::]*(?:到|至|until|till).{1,40}",
    re.IGNORECASE,
)
"""Says for how long, but not so that it could be read."""
FEW = {"半": 0.5, "a": 1, "an": 1, "one": 1}
DIGITS = {word: at for at, word in enumerate("一二三四五六七八九", 1)} | {"两": 2}
LENGTHS = dict.fromkeys("小钟h", 1) | dict.fromkeys("天日d", 24) | dict.fromkeys("周星礼w", 168)
LENGTHS |= dict.fromkeys("月m", 720)


# --- one kind ---------------------------------------------------------------------------------------


@action("notify", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """How each kind comes, with a button to change it, in one's own chat."""
    _show(tx, person, anew=True)


def _show(tx: Tx, person: Person, *, anew: bool = False) -> None:
    mute = preference_of(tx, person.id, ALL)
    reader = reader_of(tx, person)
    lines = [reader.say("notify.line", kind=_kind(kind), how=_how(tx, person, kind)) for kind in KINDS]
    tell(
        tx,
        person,
        "notify.all",
        lines="\n".join(lines),
        mute=_until(mute) if mute is not None else "",
        buttons=[
            *(Button(f"wish.kind:{kind}", f"notify.kind.{kind}") for kind in KINDS),
            "quiet.end" if mute is not None else "mute",
        ],
        card=CARD,
        anew=anew,
    )


@action("wish.kind", button=True, stays=True, words=KIND)
def ask(tx: Tx, person: Person, kind: str) -> None:
    """Ask how one kind shall come."""
    if not kind:
        _show(tx, person)
        return
    tell(
        tx,
        person,
        "notify.ask",
        kind=_kind(kind),
        how=_how(tx, person, kind),
        buttons=[*(Button(f"wish.choose:{kind}.{how}", f"notify.how.{how}") for how in HOWS), "notify"],
        card=CARD,
    )


@action("wish.choose", button=True, stays=True, words=CHOICE)
def choose(tx: Tx, person: Person, choice: str) -> None:
    """From now on this kind comes so; what waits for a digest already comes with the next one all the same."""
    kind, _, how = choice.partition(".")
    if kind:
        _keep(tx, person, kind, how)
    _show(tx, person)


def _keep(tx: Tx, person: Person, kind: str, how: str, until: Any = None) -> None:
    rows = select(Preference).where(Preference.person_id == person.id, Preference.kind == kind)
    row = tx.session.exec(rows.with_for_update()).first()
    row = row or Preference(community_id=person.community_id, person_id=person.id, kind=kind, how=how)
    row.how, row.until = how, until
    tx.session.add(row)
    tx.session.flush()


def lines(tx: Tx, person: Person) -> list[Say]:
    """What somebody chose, for who asks what is stored of them."""
    chose = select(Preference).where(Preference.person_id == person.id).order_by(col(Preference.id))
    return [_line(each) for each in tx.session.exec(chose)]


def _line(row: Preference) -> Say:
    if row.kind != ALL:
        return Say("mydata.preference", kind=_kind(row.kind), how=Say(f"notify.how.{row.how}"))
    return Say("mydata.mute_until", until=row.until) if row.until is not None else Say("mydata.mute")


def _kind(kind: str) -> Say:
    return Say(f"notify.kind.{kind}")


def _how(tx: Tx, person: Person, kind: str) -> Say:
    found = preference_of(tx, person.id, kind)
    how = Say(f"notify.how.{found.how if found is not None else USUAL.get(kind, 'silent')}")
    return how if found is not None else Say("notify.usual", how=how)


# --- mute -------------------------------------------------------------------------------------------


def muted_in(text: str) -> str:
    """For how long somebody wants nothing ordinary: "7d" in 免打扰 7天; empty if they do not say."""
    found = TYPED.fullmatch(text.strip())
    if found is None:
        return ""
    count, unit = (found[1] or "1").lower(), LENGTHS[found[2][0].lower()]
    hours = _number(count) * unit
    if not hours:
        return ""
    return f"{max(1, int(hours))}h" if hours <= 9999 else "ever"


def _number(count: str) -> float:
    """Digits, or a word: 十五 is 15, 三十 is 30, 半 a half."""
    if count.isdecimal():
        return int(count)
    if count in FEW:
        return FEW[count]
    tens, ten, ones = count.rpartition("十")
    if not ten:
        return DIGITS.get(count, 0)
    return 10 * (DIGITS.get(tens, 0) if tens else 1) + DIGITS.get(ones, 0)


def asks_to_mute(text: str) -> bool:
    """Whether somebody wants to be muted for a time that cannot be read: 免打扰到明天早上."""
    return not muted_in(text) and UNCLEAR.fullmatch(text.strip()) is not None


@action("mute", button=True, stays=True)
def ask_how_long(tx: Tx, person: Person) -> None:
    """Ask for how long nothing ordinary shall come; say what always does."""
    now = preference_of(tx, person.id, ALL)
    tell(
        tx,
        person,
        "mute.ask",
        mute=_until(now) if now is not None else "",
        buttons=[
            Button("quiet.for:1d", "mute.day"),
            Button("quiet.for:7d", "mute.week"),
            Button("quiet.for:ever", "mute.ever"),
            *(["quiet.end"] if now is not None else []),
            "notify",
        ],
        card=CARD,
        anew=True,
    )


@action("quiet.for", button=True, stays=True, words=FOR)
def mute(tx: Tx, person: Person, span: str) -> None:
    """Nothing ordinary comes for so long, and what waits of it does not come either."""
    if not span:
        ask_how_long(tx, person)
        return
    found = FOR.fullmatch(span)
    length = timedelta(**{UNITS[found[2]]: int(found[1])}) if found is not None and found[1] else None
    until = tx.now + min(length, LONGEST) if length is not None else None
    _keep(tx, person, ALL, "board", until)
    drop_ordinary(tx, person.id)
    tell(
        tx,
        person,
        "mute.on" if until is not None else "mute.on_ever",
        until=until or "",
        buttons=["quiet.end", "notify"],
        card=CARD,
        anew=True,
    )


@action("quiet.end", button=True, stays=True)
def unmute(tx: Tx, person: Person) -> None:
    """The next things come again; what was missed stands on the board."""
    found = preference_of(tx, person.id, ALL)
    if found is not None:
        tx.session.delete(found)
        tx.session.flush()
    tell(
        tx,
        person,
        "mute.off" if found is not None else "mute.was_off",
        page=page_mark(tx, person.community_id),
        buttons=["notify"],
        card=CARD,
        anew=True,
    )


def _until(mute: Preference) -> Say:
    return Say("mute.until_mark", until=mute.until) if mute.until is not None else Say("mute.said_mark")


def drop_ordinary(tx: Tx, person_id: int) -> None:
    """Take back what waits or is held for somebody and is ordinary.

    A notice whose rows are just being written in another process is waited for. What was gathered into a digest that
    has not gone out yet comes apart again, and what is not ordinary of it waits for the next one.
    """
    opened = select(Notice.id).where(col(Notice.done_at).is_(None), Notice.wish != "")
    tx.session.exec(opened.with_for_update()).all()
    places = select(Place.id).join(Account, OWN_CHAT).where(Account.person_id == person_id)
    unsent = select(Outgoing).where(
        col(Outgoing.place_id).in_(places),
        Outgoing.person_id == person_id,
        col(Outgoing.state).in_(("waiting", "held")),
    )
    rows = tx.session.exec(unsent).all()
    gathered = [row.id for row in rows if (row.card or "").startswith(DIGEST)]
    within = tx.session.exec(select(Outgoing).where(col(Outgoing.digest_id).in_(gathered))).all()
    for row in within:
        row.state, row.digest_id, row.message_id = "held", None, ""
    for row in (*rows, *within):
        if row.id in gathered or _goes(tx, row):
            row.state = "dropped"
    tx.session.add_all((*rows, *within))
    tx.session.flush()


def _goes(tx: Tx, row: Outgoing) -> bool:
    """Whether a row says something ordinary; what only takes away what stands in the chat already says nothing."""
    says = row.change in ("send", "edit") or (row.change == "delete" and row.state == "held")
    return says and is_ordinary(tx, row)
