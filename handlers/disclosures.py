"""What the Civil Code, article 943, wants disclosed: when each was published last, and when it is due again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.words import Say
from handlers.actions import action
from handlers.announcement_cards import brief
from handlers.policy import months_in, policy_of
from handlers.rights import may, staff
from handlers.talk import here
from handlers.tell import Button, reader_of, tell, tell_staff
from handlers.timers import next_at, set_timer
from handlers.tx import Tx
from store.tables import Announcement, Community, CommunitySetting, Person

BEFORE = timedelta(days=14)
"""How long before it is due staff are reminded; once more on the day."""
DAY = timedelta(days=1)
SINCE, LOOKED = "disclosures.since", "disclosures.looked"
"""The settings that keep since when, and when last, we looked what is due."""


@dataclass(frozen=True)
class Disclosure:
    """One of the things to be disclosed: the notice that did it last, and when it is due again."""

    topic: str
    last: Announcement | None
    due: datetime | None
    """None: never published, and we have not looked yet since when it would be missing."""


def standing(tx: Tx, community_id: int) -> list[Disclosure]:
    """All that the community discloses, with when it did so last; only what went to all buildings counts."""
    since = tx.session.get(CommunitySetting, (community_id, SINCE))
    began = datetime.fromisoformat(since.value) if since is not None else None
    found = []
    for topic, months in months_in(policy_of(tx, community_id).disclosures).items():
        sent = select(Announcement).where(
            Announcement.community_id == community_id,
            Announcement.topic == topic,
            Announcement.state == "sent",
        )
        rows = tx.session.exec(sent.order_by(col(Announcement.sent_at).desc()))
        last = next((each for each in rows if not each.audience.get("places")), None)
        due = began + BEFORE if began is not None else None
        if last is not None and last.sent_at is not None:
            zone = ZoneInfo(tx.community(community_id).time_zone)
            due = _months_later(last.sent_at.astimezone(zone), months)
        found.append(Disclosure(topic, last, due))
    return found


def _months_later(at: datetime, months: int) -> datetime:
    """The same day so many months later, or the last one of that month."""
    years, month = divmod(at.month - 1 + months, 12)
    first = at.replace(year=at.year + years, month=month + 1, day=1)
    day_after = (first + timedelta(days=31)).replace(day=1)
    return first.replace(day=min(at.day, (day_after - DAY).day))


@action("disclosures", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """For everybody: what was disclosed when, what is due when, and what is overdue."""
    to, in_group = here(tx, person), staff(tx, person, None)
    reader = reader_of(tx, to)
    found = standing(tx, person.community_id)
    lines = [
        reader.say(
            "disclosure.line",
            topic=name_of(each),
            last=Say(
                "disclosure.last", at=each.last.sent_at, number=each.last.number, title=brief(tx, each.last)
            )
            if each.last is not None and _may_read(tx, person, each.last)
            else Say("disclosure.last_owners", at=each.last.sent_at)
            if each.last is not None
            else Say("disclosure.never"),
            due=_due_words(tx, each),
        )
        for each in found
    ]
    buttons = [
        Button(f"announcement.show:{each.last.id}", "announcement.open", number=each.last.number)
        for each in found
        if each.last is not None and _may_read(tx, person, each.last)
    ]
    if in_group:
        buttons += [write_button(each) for each in found]
    tell(
        tx,
        to,
        "disclosure.list" if lines else "disclosure.none",
        list="\n".join(lines),
        last="disclosures",
        buttons=buttons,
    )


def _may_read(tx: Tx, person: Person, made: Announcement) -> bool:
    """What went to owners only is told to nobody else."""
    return may(tx, person, "announcement.show", made) is not None


def write_button(each: Disclosure) -> Button:
    """The way to the form with this topic."""
    return Button(f"announcement.disclose:{each.topic}", f"disclosure.write.{each.topic}")


def name_of(each: Disclosure) -> Say:
    """What is disclosed, in words."""
    return Say(f"announcement.topic.{each.topic}")


def _due_words(tx: Tx, each: Disclosure) -> Say | str:
    if each.due is None:
        return ""
    return Say("disclosure.overdue" if each.due <= tx.now else "disclosure.due", at=each.due)


# --- the clock --------------------------------------------------------------------------------------


def begin_disclosures(tx: Tx) -> None:
    """Look each day what is due, in every community that has not begun."""
    for community_id in tx.session.exec(select(Community.id)).all():
        at = _next_look(tx, community_id)
        set_timer(tx, community_id, f"disclosure.look:{community_id}", at, move=False)


def _next_look(tx: Tx, community_id: int) -> datetime:
    """When the office opens next."""
    return next_at(tx, community_id, time.fromisoformat(policy_of(tx, community_id).day_starts))


@action("disclosure.look", Community)
def look(tx: Tx, person: None, community: Community) -> None:
    """Remind staff of what is due in two weeks, and of what is due since we looked last."""
    before = tx.session.get(CommunitySetting, (community.id, LOOKED))
    looked = datetime.fromisoformat(before.value) if before is not None else tx.now - DAY
    if before is None:
        _keep(tx, community.id, SINCE, tx.now)
    _keep(tx, community.id, LOOKED, tx.now)
    tx.session.flush()
    found = standing(tx, community.id)
    soon = [
        each for each in found if each.due is not None and looked < each.due - BEFORE <= tx.now < each.due
    ]
    now = [each for each in found if each.due is not None and looked < each.due <= tx.now]
    if soon:
        tell_staff(tx, community.id, "disclosure.soon", **_listed(tx, community.id, soon))
    if now:
        tell_staff(tx, community.id, "disclosure.now", **_listed(tx, community.id, now))
    set_timer(tx, community.id, f"disclosure.look:{community.id}", _next_look(tx, community.id))


def _listed(tx: Tx, community_id: int, due: Sequence[Disclosure]) -> dict[str, Any]:
    """What is due, a line each, with the way to the form."""
    reader = tx.reader(community_id)
    lines = [reader.say("disclosure.short", topic=name_of(each), at=each.due) for each in due]
    return {"list": "\n".join(lines), "buttons": [write_button(each) for each in due]}


def _keep(tx: Tx, community_id: int, name: str, at: datetime) -> None:
    tx.session.merge(CommunitySetting(community_id=community_id, name=name, value=at.isoformat()))
