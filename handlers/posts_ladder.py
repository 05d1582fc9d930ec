"""What follows when a member breaks the rules again: told, warned, then silent for a time that ends by itself."""

from datetime import timedelta

from sqlmodel import col, select

from conversations.words import Say
from handlers.people import roles_of
from handlers.policy import hours_in, policy_of
from handlers.tell import places_of_kind, silence
from handlers.tx import Tx
from store.tables import Member, Person, Place, Ruling

COUNTS = ("deleted", "appealed", "upheld")
"""The states of a ruling by which it counts."""
ONCE = timedelta(seconds=60)
"""What is said within a minute of the last time counts as the same time."""
TOLD, WARNED = 1, 2


def strike(tx: Tx, place: Place, member: Member, person: Person | None, ruling: Ruling) -> Say:
    """Let a ruling count; what its author is told of that."""
    policy = policy_of(tx, member.community_id)
    count, days = max(strikes(tx, place, member), 1), policy.strike_days
    hours = hours_in(policy.silence_hours)
    # The committee speaks for the owners, and a channel cannot be silenced.
    spared = member.account.startswith("-") or (person is not None and "committee" in roles_of(tx, person))
    if count == TOLD:
        return Say("post.told", days=days)
    if not hours or spared:
        return Say("post.warned_only", days=days, count=count)
    if count == WARNED:
        return Say("post.warned", days=days, hours=hours[0])
    until = tx.now + timedelta(hours=hours[min(count - WARNED, len(hours)) - 1])
    if member.silent_until is None or member.silent_until < until:
        member.silent_until, member.ruling_id = until, ruling.id
        tx.session.add(member)
        tx.session.flush()
        silence(tx, place, member)
    return Say("post.silenced", days=days, count=count, until=member.silent_until)


def ladder(tx: Tx, community_id: int) -> Say | str:
    """What follows in the group, for whoever reads the rules; empty where the community has no group."""
    if not places_of_kind(tx, community_id, "board"):
        return ""
    policy = policy_of(tx, community_id)
    hours = hours_in(policy.silence_hours)
    then = Say("post.ladder_silence", hours=hours) if hours else ""
    return Say("post.ladder", days=policy.strike_days, then=then, kept=policy.posts_days)


def strikes(tx: Tx, place: Place, member: Member) -> int:
    """How often a member broke the rules of late, as far as staff have not said otherwise."""
    since = tx.now - timedelta(days=policy_of(tx, member.community_id).strike_days)
    counted = select(Ruling.at).where(
        Ruling.community_id == member.community_id,
        Ruling.account == f"{place.messenger}:{member.account}",
        col(Ruling.at) > since,
        col(Ruling.state).in_(COUNTS),
    )
    count, last = 0, None
    for at in tx.session.exec(counted.order_by(col(Ruling.at))):
        if last is None or at - last > ONCE:
            count, last = count + 1, at
    return count


def lift(tx: Tx, place: Place, ruling: Ruling) -> None:
    """A ruling counts no longer: whoever is silent because of it, or would not be without it, may write again."""
    silent = select(Member).where(
        Member.place_id == place.id,
        Member.account == ruling.account.partition(":")[2],
        col(Member.silent_until) > tx.now,
    )
    for member in tx.session.exec(silent).all():
        if member.ruling_id == ruling.id or strikes(tx, place, member) <= WARNED:
            member.silent_until = member.ruling_id = None
            tx.session.add(member)
            tx.session.flush()
            silence(tx, place, member)
