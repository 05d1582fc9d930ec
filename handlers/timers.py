"""Timers: rows that say when which action is due; the tick that looks for them holds no state."""

from contextlib import suppress
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from conversations.errors import Refused
from handlers.actions import perform
from handlers.policy import policy_of
from handlers.tx import House, Tx
from store.tables import Timer

TRIES = 5
KEPT = ("vote.", "objection.", "opening.", "announcement.")
"""What is tried again every hour for good: a vote that nobody closes, or a notice, would hang for ever."""
URGENT = ("repair.page", "repair.unconfirmed", "follow.unsure")
"""What is tried again every half minute: somebody waits for help."""
HOUR = timedelta(hours=1)
LAST_CALL = timedelta(hours=1)
"""Before the deadline: a reminder that would come later comes not at all."""
CLEARED_AFTER = timedelta(minutes=1)
"""How long the last word to somebody who is forgotten may take; then their chat is cleared, too."""


def set_timer(tx: Tx, community_id: int, action: str, due_at: datetime, *, move: bool = True) -> None:
    """Let `action` be performed by the clock at `due_at`; the same action again moves its time, if `move`."""
    timer = tx.session.exec(select(Timer).where(Timer.action == action)).first()
    if timer is not None and timer.state == "waiting" and not move:
        return
    if timer is None:
        timer = Timer(community_id=community_id, action=action, due_at=due_at)
    timer.due_at, timer.state, timer.tries, timer.error = due_at, "waiting", 0, ""
    tx.session.add(timer)
    tx.session.flush()


def set_due(tx: Tx, community_id: int, about: str, due_at: datetime, remind_at: datetime) -> None:
    """Whoever has to act on "purchase:17" has until then: purchase.remind, if there is time, and purchase.overdue."""
    kind, _, number = about.partition(":")
    if remind_at > tx.now:
        set_timer(tx, community_id, f"{kind}.remind:{number}", remind_at)
    set_timer(tx, community_id, f"{kind}.overdue:{number}", due_at)


def stop_due(tx: Tx, about: str, *more: str) -> None:
    """Nobody has to act on it any more; `more` are further clocks of the matter."""
    kind, _, number = about.partition(":")
    for clock in ("remind", "overdue", *more):
        stop_timer(tx, f"{kind}.{clock}:{number}")


def next_at(tx: Tx, community_id: int, at: time, *, after: datetime | None = None) -> datetime:
    """The next instant, from now or `after`, at which it is that time of day in the community."""
    zone, after = ZoneInfo(tx.community(community_id).time_zone), after or tx.now
    today = datetime.combine(after.astimezone(zone).date(), at, zone)
    return today if today > after else today + timedelta(days=1)


def awake(tx: Tx, community_id: int, at: datetime, *, until: datetime | None = None) -> datetime:
    """The time itself if people are awake then, else the next such time; the evening before if that is too late."""
    zone = ZoneInfo(tx.community(community_id).time_zone)
    first, last = (time.fromisoformat(each) for each in policy_of(tx, community_id).waking.split("-"))
    local = at.astimezone(zone)
    now = local.time()
    if first <= now < last or (last <= first and not last <= now < first):  # they may be awake over midnight
        return at
    morning = datetime.combine(local.date() + timedelta(days=now >= first), first, zone)
    evening = datetime.combine(local.date() - timedelta(days=now < last), last, zone)
    return evening - LAST_CALL if until is not None and morning > until else morning


def is_set(tx: Tx, action: str) -> bool:
    """Whether `action` is due, now or later."""
    waits = select(Timer.id).where(Timer.action == action, Timer.state == "waiting")
    return tx.session.exec(waits).first() is not None


def stop_timer(tx: Tx, action: str) -> None:
    """Forget that `action` was due, if it was."""
    timer = tx.session.exec(select(Timer).where(Timer.action == action, Timer.state == "waiting")).first()
    if timer is not None:
        timer.state = "done"
        tx.session.add(timer)


def due(session: Session, now: datetime, most: int = 100) -> list[int]:
    """The ids of the timers that are due, in the order of their due times."""
    return list(
        session.exec(
            select(Timer.id)
            .where(Timer.state == "waiting", Timer.due_at <= now)
            .order_by(col(Timer.due_at), col(Timer.id))
            .limit(most)
        )
    )


def fire(session: Session, timer_id: int, *, now: datetime, house: House) -> bool:
    """Perform what one timer is for, once; False if another process has it or has done it."""
    timer = _claim(session, timer_id, now)
    if timer is None:
        return False
    timer.state = "done"  # before the action, which may set itself anew
    session.add(timer)
    session.flush()
    with suppress(Refused):  # the row it was about is gone
        perform(Tx(session, now, house), None, timer.action)
    return True


def put_off(session: Session, timer_id: int, error: str, *, now: datetime) -> None:
    """Keep the error of a timer whose action failed: tried again later and later, then laid aside as failed."""
    timer = _claim(session, timer_id, now)
    if timer is None:
        return
    timer.tries += 1
    timer.error = error
    timer.due_at = now + timedelta(seconds=10 * 4 ** min(timer.tries, TRIES))
    if timer.action.startswith(URGENT):
        timer.due_at = now + timedelta(seconds=30)
    elif timer.tries >= TRIES and timer.action.startswith(KEPT):
        timer.due_at = now + HOUR
    elif timer.tries >= TRIES:
        timer.state = "failed"
    session.add(timer)


def _claim(session: Session, timer_id: int, now: datetime) -> Timer | None:
    return session.exec(
        select(Timer)
        .where(Timer.id == timer_id, Timer.state == "waiting", Timer.due_at <= now)
        .with_for_update(skip_locked=True)
    ).first()
