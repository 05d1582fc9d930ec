"""Every table of Linli; each row knows its community, the tenant and future shard key."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

# Constraints need names, or Alembic cannot change them later on SQLite.
SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An instant: only aware datetimes go in, UTC comes out, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")


def _id() -> Any:
    return Field(default=None, primary_key=True, sa_type=BigInt)


def _ref(target: str, **options: Any) -> Any:
    return Field(foreign_key=f"{target}.id", sa_type=BigInt, **options)


def _time(**options: Any) -> Any:
    return Field(sa_type=UtcTime, **options)


def _json(factory: Any, **options: Any) -> Any:
    return Field(default_factory=factory, sa_type=Json, **options)


def _later(default: str) -> Any:
    """What a column needs that was added to rows that stand: a default in the schema."""
    return {"server_default": text(default)}


def _text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


# --- the community and what differs between communities ---------------------------------------------


class Community(SQLModel, table=True):
    id: int = _id()
    name: str = Field(unique=True)
    time_zone: str = "Asia/Shanghai"
    language: str = "zh"
    created_at: datetime = _time()


class CommunitySetting(SQLModel, table=True):
    """One value of the community's policy that differs from the installation's default."""

    __tablename__ = "community_setting"
    community_id: int = _ref("community", primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = Field(sa_type=Json)


class CommunityRule(SQLModel, table=True):
    """What a community's staff added to the rules of judgement, or silenced in them."""

    __tablename__ = "community_rule"
    id: int = _id()
    community_id: int = _ref("community", index=True)
    judgement: str = "urgency"
    rule: str
    words: list[str] = _json(list)
    verdict: str = "urgent"
    kind: str = "other"
    sentence: str = ""
    silenced: bool = False
    created_at: datetime = _time()


class CalendarDay(SQLModel, table=True):
    """A day that departs from Monday to Friday: a holiday, or a weekend on which people work."""

    __tablename__ = "calendar_day"
    community_id: int = _ref("community", primary_key=True)
    day: date = Field(primary_key=True, sa_type=Date)
    working: bool
    name: str = ""


class Counter(SQLModel, table=True):
    """The last number given out in a community, for example to a repair."""

    community_id: int = _ref("community", primary_key=True)
    name: str = Field(primary_key=True)
    value: int


# --- people, homes, and where they talk -------------------------------------------------------------


class Person(SQLModel, table=True):
    id: int = _id()
    community_id: int = _ref("community", index=True)
    name: str
    """Empty: forgotten; the number still stands in logs and counts."""
    name_hash: str = Field(default="", sa_column_kwargs=_later("''"))
    """Of somebody forgotten: the keyed hash, so that the next roster does not bring the name back."""
    phone: str = _text(default="", sa_column_kwargs=_later("''"))
    """Sealed by the vault; empty: not known."""
    phone_hash: str = Field(default="", index=True, sa_column_kwargs=_later("''"))
    left_at: datetime | None = _time(default=None)
    """Since when nothing ties them to the community any more, if something ever did."""
    is_developer: bool = Field(default=False, sa_column_kwargs=_later("false"))
    language: str = "zh"
    # Append-only logs name a person by this number, so that the person can be forgotten.
    pseudonym: int = Field(sa_type=BigInt, unique=True)
    created_at: datetime = _time()


class Home(SQLModel, table=True):
    __table_args__ = (UniqueConstraint("community_id", "building", "entrance", "room"),)
    id: int = _id()
    community_id: int = _ref("community")
    building: str
    entrance: str = ""
    room: str
    area: int = Field(sa_type=BigInt)
    """Exclusive area in 0.001 m²."""
    status: str = Field(default="delivered", sa_column_kwargs=_later("'delivered'"))
    """delivered, undelivered (sold, but not handed over) or unsold"""


class Parking(SQLModel, table=True):
    """A parking space, and the home to which it belongs."""

    __table_args__ = (UniqueConstraint("community_id", "number"),)
    id: int = _id()
    community_id: int = _ref("community")
    number: str
    home_id: int | None = _ref("home", default=None, index=True)


class HomeRole(SQLModel, table=True):
    """A person's tie to a home: owner (a co-owner if there are several), tenant or family."""

    __tablename__ = "home_role"
    __table_args__ = (UniqueConstraint("home_id", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    home_id: int = _ref("home")
    person_id: int = _ref("person", index=True)
    role: str
    share: str = Field(default="", sa_column_kwargs=_later("''"))
    """The part of the home that an owner owns, as an exact fraction, "1/2"; empty: not known."""
    represents: bool = Field(default=False, sa_column_kwargs=_later("false"))
    """Whether the co-owners speak through this one."""
    from_roster: bool = Field(default=True, sa_column_kwargs=_later("true"))
    """False: staff let them in; the roster, which does not name them, does not put them out."""


class Agent(SQLModel, table=True):
    """Somebody who may act for another: by a written proxy, or as the guardian."""

    id: int = _id()
    community_id: int = _ref("community")
    kind: str
    """proxy or guardian"""
    principal_id: int = _ref("person", index=True)
    agent_id: int = _ref("person", index=True)
    home_id: int | None = _ref("home", default=None)
    """The home for which it holds; none: all homes of the principal."""
    scope: str = ""
    """What about, in the words of the paper; empty: everything."""
    starts_at: datetime = _time()
    ends_at: datetime | None = _time(default=None)
    revoked_at: datetime | None = _time(default=None)


class JoinRequest(SQLModel, table=True):
    """Somebody whom nobody invited says who they are; staff decide."""

    __tablename__ = "join_request"
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person", index=True)
    """The guest who asks."""
    name: str
    home: str
    """The address as it was written."""
    role: str
    """owner, tenant or family"""
    home_id: int | None = _ref("home", default=None)
    match_id: int | None = _ref("person", default=None)
    """Who of the roster they say they are, if the roster has them."""
    state: str = "waiting"
    """waiting, approved or declined"""
    created_at: datetime = _time()
    due_at: datetime | None = _time(default=None)
    """Until when staff have to decide."""
    decided_at: datetime | None = _time(default=None)


class RosterFile(SQLModel, table=True):
    """A roster that staff sent in the admin group, until it is imported or put aside."""

    __tablename__ = "roster_file"
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person")
    storage: str
    """The key in the storage, where it lies sealed; empty: imported, or put aside."""
    name: str
    created_at: datetime = _time()


class Role(SQLModel, table=True):
    """A person's work in the community: staff, crew, committee or manager (who is called when no crew comes); crew
    with skills, buildings and duty hours."""

    __table_args__ = (UniqueConstraint("person_id", "role"), Index("ix_role_of", "community_id", "role"))
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person")
    role: str
    skills: list[str] = _json(list)
    buildings: list[str] = _json(list, sa_column_kwargs=_later("'[]'"))
    """The buildings for which a member of the crew is there; none: all."""
    duty: str = ""
    """Hours of the day in the community's time, as "08:00-20:00"; may pass midnight; empty: always."""


class Account(SQLModel, table=True):
    """Who somebody is on a messenger."""

    __table_args__ = (UniqueConstraint("messenger", "external_id", "community_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person", index=True)
    messenger: str
    external_id: str
    agreed_at: datetime | None = _time(default=None)
    """When its holder agreed to what is stored about them."""


class Place(SQLModel, table=True):
    """One chat on one messenger: somebody's private chat, the admin group, or the board."""

    __table_args__ = (
        UniqueConstraint("messenger", "external_id"),
        Index("ix_place_kind", "community_id", "kind"),
    )
    id: int = _id()
    # Empty until it is known to which community the chat of a stranger belongs.
    community_id: int | None = _ref("community", default=None)
    messenger: str
    external_id: str
    kind: str = "private"
    """private, group (one that is no community's), staff (the admin group), board, or hook (the web hook that calls
    people)"""
    person_id: int | None = _ref("person", default=None, index=True)
    """As whom the holder of a private chat speaks; who lives in several communities has one chat for all."""
    heard_at: datetime | None = _time(default=None)
    blocked_at: datetime | None = _time(default=None)
    forum: bool = Field(default=False, sa_column_kwargs=_later("false"))
    """Whether the group has topics."""
    topics: dict[str, str] = _json(dict, sa_column_kwargs=_later("'{}'"))
    """The topic of each kind of matter, by its name ("repair"), as the messenger numbers it."""
    wrong_codes: int = Field(default=0, sa_column_kwargs=_later("0"))
    """How many wrong codes came from here since the last right one."""
    codes_barred_until: datetime | None = _time(default=None)
    free_until: datetime | None = _time(default=None)
    """Until when a messenger where pushes are scarce lets us write here freely; empty: never, or without limit."""
    free_left: int = Field(default=0, sa_column_kwargs=_later("0"))
    """How many messages it still lets us write until then."""
    consents: dict[str, int] = _json(dict, sa_column_kwargs=_later("'{}'"))
    """To how many notifications its holder agreed that were not sent yet, by template."""


class Link(SQLModel, table=True):
    """A personal link to a page, which speaks for the holder of a private chat; only its hash is kept."""

    id: int = _id()
    community_id: int | None = _ref("community", default=None)
    place_id: int = _ref("place", index=True)
    outgoing_id: int | None = _ref("outgoing", default=None, index=True)
    """The message whose page it is; empty: what `leads` says."""
    leads: str = Field(default="", sa_column_kwargs=_later("''"))
    """board: the public page, to members; empty: the page on which its holder agrees to notifications."""
    hash: str = Field(unique=True)
    expires_at: datetime = _time()
    used_at: datetime | None = _time(default=None)
    """When something was done by it, which can be once."""


class Code(SQLModel, table=True):
    """A one-time code that lets somebody in, or makes a group the community's; only its hash is kept."""

    id: int = _id()
    community_id: int = _ref("community", index=True)
    purpose: str
    """person (come in as that person), staff (this is the admin group) or board (this is the community's group)"""
    person_id: int | None = _ref("person", default=None)
    hash: str = Field(unique=True)
    expires_at: datetime = _time()
    used_at: datetime | None = _time(default=None)


# --- what comes in, what goes out, what is due ------------------------------------------------------


class Inbox(SQLModel, table=True):
    """One thing that came in; kept with its error when handling it failed."""

    __table_args__ = (
        UniqueConstraint("messenger", "key"),
        Index("ix_inbox_place", "messenger", "place", "id"),
        Index("ix_inbox_received", "community_id", "received_at"),
        Index(
            "ix_inbox_failed",
            "id",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
    )
    id: int = _id()
    community_id: int | None = _ref("community", default=None)
    messenger: str
    key: str
    place: str
    sender: str
    payload: dict[str, Any] = _json(dict)
    state: str
    """done or failed"""
    error: str = _text(default="")
    received_at: datetime = _time()


class Talk(SQLModel, table=True):
    """An open conversation; its answers are its only state."""

    # Numbers are never given twice: an old button must not fit a new talk.
    __table_args__ = (UniqueConstraint("person_id", "place_id"), {"sqlite_autoincrement": True})
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person")
    place_id: int = _ref("place")
    script: str
    about: str = ""
    answers: dict[str, Any] = _json(dict)
    touched_at: datetime = _time()


class Notice(SQLModel, table=True):
    """One message to many; its rows to send are written in batches."""

    __table_args__ = (
        Index(
            "ix_notice_open",
            "id",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )
    id: int = _id()
    community_id: int = _ref("community")
    about: str = ""
    key: str
    facts: dict[str, Any] = _json(dict)
    photos: list[int] = _json(list)
    but_person_id: int | None = _ref("person", default=None)
    audience: str = Field(default="", sa_column_kwargs=_later("''"))
    """Whom it is for: followers:17 (of that repair), building:3; empty: everybody who lives or owns here."""
    lane: int
    buttons: list[dict[str, Any]] = _json(list, sa_column_kwargs=_later("'[]'"))
    """What stands below it: the action ("vote.show:17"), the number of its matter, and whether only owners get it."""
    silent: bool = True
    wish: str = Field(default="", sa_column_kwargs=_later("''"))
    """What its readers may choose to hear otherwise of, such as listing; empty: it always comes as it is."""
    reached: int = Field(default=0, sa_type=BigInt)
    """The highest person's id that the fan-out has passed."""
    error: str = _text(default="")
    created_at: datetime = _time()
    done_at: datetime | None = _time(default=None)


class Outgoing(SQLModel, table=True):
    """One message to one person or chat: the delivery ledger, together with Attempt."""

    __table_args__ = (
        # The predicate stands here literally: rows to send stay cheap to find beside millions of sent ones.
        Index(
            "ix_outgoing_waiting",
            "lane",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_outgoing_head",
            "place_id",
            "lane",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_outgoing_held",
            "place_id",
            "id",
            sqlite_where=text("state = 'held'"),
            postgresql_where=text("state = 'held'"),
        ),
        Index(
            "ix_outgoing_digest",
            "community_id",
            "digest",
            "place_id",
            sqlite_where=text("state = 'held'"),
            postgresql_where=text("state = 'held'"),
        ),
        Index("ix_outgoing_place", "place_id", "id"),
        Index("ix_outgoing_inbox", "inbox_id"),
        Index("ix_outgoing_card", "card", "place_id"),
        Index("ix_outgoing_message", "place_id", "message_id"),
    )
    id: int = _id()
    community_id: int | None = _ref("community", default=None)
    inbox_id: int | None = _ref("inbox", default=None)
    notice_id: int | None = _ref("notice", default=None)
    person_id: int | None = _ref("person", default=None)
    place_id: int | None = _ref("place", default=None)
    lane: int
    card: str | None = None
    """The logical id: a later row with the same card and place changes the message instead of adding one."""
    change: str = "send"
    """send, edit, close (its buttons have done their work), delete, pin or unpin; of a group's members remove (the
    message `message_id` goes) or silence (what the member of its card may do is as their row says)"""
    thread: str = Field(default="", sa_column_kwargs=_later("''"))
    """The topic of a group in which somebody spoke whom this answers."""
    text: str = _text()
    buttons: list[dict[str, str]] = _json(list)
    """Each with label and value, the action; with the number of its matter if it has one, and with what to type for it
    if that is not its place among the others."""
    keyboard: str = Field(default="", sa_column_kwargs=_later("''"))
    """contact (below the message one can share one's own number), remove (no more) or none"""
    photos: list[int] = _json(list)
    silent: bool = False
    state: str = "waiting"
    """waiting, sent, failed (the messenger will never take it), unreachable (no chat to send it to), held (until its
    reader is heard or, if it is silent, until the next digest), digested (its words went into a digest) or dropped
    (taken back before it was sent)"""
    digest: str = Field(default="", sa_column_kwargs=_later("''"))
    """Of what is held: the digest that its reader chose for it, day or week; empty: the next one; gathered: it is
    one itself."""
    digest_id: int | None = Field(default=None, index=True, sa_type=BigInt)
    """The row of the digest into which its words went."""
    tries: int = 0
    error: str = ""
    retry_at: datetime | None = _time(default=None)
    message_id: str = ""
    parts: list[str] = _json(list, sa_column_kwargs=_later("'[]'"))
    """Further messages that belong to it, such as its photos."""
    created_at: datetime = _time()
    sent_at: datetime | None = _time(default=None)


class Rest(SQLModel, table=True):
    """What did not fit into one message; whoever was sent the beginning may read it."""

    id: int = _id()
    community_id: int = _ref("community")
    person_id: int | None = _ref("person", default=None)
    place_id: int | None = _ref("place", default=None)
    """Whose it is: a person's, a chat's, or, with neither, everybody's in the community."""
    text: str = _text()
    created_at: datetime = _time()


class Attempt(SQLModel, table=True):
    """One try to deliver one Outgoing."""

    id: int = _id()
    community_id: int | None = _ref("community", default=None)
    outgoing_id: int = _ref("outgoing", index=True)
    place_id: int | None = _ref("place", default=None)
    at: datetime = _time()
    rung: str = Field(default="", sa_column_kwargs=_later("''"))
    """The way that was tried, where a messenger has several: passive, page, free, template or notification."""
    error: str = ""
    """Empty: it was taken."""


class Timer(SQLModel, table=True):
    """When which action is due; setting the same action again moves it."""

    __table_args__ = (
        Index(
            "ix_timer_due",
            "due_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )
    id: int = _id()
    community_id: int = _ref("community")
    action: str = Field(unique=True)
    due_at: datetime = _time()
    state: str = "waiting"
    """waiting, done or failed"""
    tries: int = 0
    error: str = _text(default="")


class Token(SQLModel, table=True):
    """What a messenger lets us in with for a while, for all processes; belongs to the installation."""

    name: str = Field(primary_key=True)
    value: str = _text()
    """Sealed by the vault."""
    expires_at: datetime = _time()


class Lease(SQLModel, table=True):
    """Who may do what only one process may do, until when; belongs to the installation."""

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = _time()


# --- matters, their photos, their timeline, and the log of acts -------------------------------------


class Repair(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_repair_state", "community_id", "state"),
        Index("ix_repair_crew", "crew_id", "state"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    person_id: int = _ref("person", index=True)
    place: str = ""
    """home, hall, lift, garage, other; empty: not known yet"""
    home_id: int | None = _ref("home", default=None)
    building: str = ""
    spot: str = _text(default="")
    entry: str = ""
    what: str = _text()
    added: str = _text(default="", sa_column_kwargs=_later("''"))
    """What was told after the report; never on the board."""
    kind: str = "other"
    urgent: bool = False
    confirmed: bool = True
    """False: it sounds dangerous, but nobody confirmed it."""
    why: list[dict[str, str]] = _json(list)
    """The reasons, each in every language."""
    state: str = "waiting"
    """waiting, accepted, on_way, parts (it waits for parts), access (for access), done, closed, withdrawn or merged
    (into another one)"""
    crew_id: int | None = _ref("person", default=None)
    ring: int = 0
    """How often it was paged."""
    reported_at: datetime = _time()
    due_at: datetime | None = _time(default=None)
    incident: bool = Field(default=False, sa_column_kwargs=_later("false"))
    """Staff opened it for everybody whom it concerns ("3 号楼停水"); it gathers the reports of it."""
    expected_at: datetime | None = _time(default=None)
    """Of an incident: when staff expect it to end."""
    merged_id: int | None = _ref("repair", default=None, index=True)
    """Of one that is merged: the one that it is part of."""
    homes: int = Field(default=1, sa_column_kwargs=_later("1"))
    """How many have reported it: whoever did first, and those who follow."""
    accepted_at: datetime | None = _time(default=None)
    """When somebody first had it."""
    done_at: datetime | None = _time(default=None)
    """When the crew last said that it is repaired."""
    paused_at: datetime | None = _time(default=None)
    """Since when its clock stands: it waits for parts or for access ..."""
    paused_until: datetime | None = _time(default=None)
    """... and until when."""
    paused_seconds: int = Field(default=0, sa_column_kwargs=_later("0"))
    """How long its clock has stood before."""
    cost: int | None = Field(default=None, sa_type=BigInt)
    """What its owner has to pay, in 0.01 yuan."""
    cost_for: str = _text(default="", sa_column_kwargs=_later("''"))
    cost_state: str = Field(default="", sa_column_kwargs=_later("''"))
    """asked, agreed or refused; empty: nothing has to be paid"""
    urged_at: datetime | None = _time(default=None)
    """When somebody who waits for it last urged."""
    reopened: int = Field(default=0, sa_column_kwargs=_later("0"))
    """How often its owner said that it is not repaired."""
    stars: int | None = None
    """What its owner thinks of the work, 1 to 5."""
    praise: str = _text(default="", sa_column_kwargs=_later("''"))


class Follower(SQLModel, table=True):
    """Somebody who has reported the same thing, and hears what becomes of it."""

    __table_args__ = (UniqueConstraint("repair_id", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    repair_id: int = _ref("repair")
    person_id: int = _ref("person", index=True)
    what: str = _text(default="")
    """In their words."""
    place: str = ""
    """Where they see it: home, hall …; empty: they did not say."""
    sure: bool = True
    """False: it was taken for the same, and they have not said yet whether it is."""
    at: datetime = _time()


class Letter(SQLModel, table=True):
    """What two people write to each other through a matter, without knowing each other's number."""

    __table_args__ = (Index("ix_letter_due", "community_id", "due_at"),)
    id: int = _id()
    community_id: int = _ref("community")
    about: str = Field(index=True)
    person_id: int = _ref("person", index=True)
    """Who wrote it."""
    to_id: int | None = _ref("person", default=None, index=True)
    """To whom; empty: to the property office."""
    text: str = _text(default="")
    files: list[int] = _json(list)
    """The ids of the photos and recordings that came with it."""
    at: datetime = _time()
    due_at: datetime | None = _time(default=None)
    """Of one to the property office: until when it has to be answered; empty: it was, or nobody has to."""


class Spot(SQLModel, table=True):
    """A place that has a QR code on its wall: whoever scans it need not say where they are."""

    __table_args__ = (UniqueConstraint("community_id", "number"),)
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    code: str = Field(unique=True)
    """What the QR code says; it opens nothing."""
    place: str
    """hall, lift, garage or other"""
    building: str = ""
    spot: str = _text(default="")
    """In words: 2 号梯"""
    retired_at: datetime | None = _time(default=None)
    created_at: datetime = _time()


class Example(SQLModel, table=True):
    """A judgement that people corrected or confirmed: what the rules said of a text, and what it is."""

    __table_args__ = (Index("ix_example_mark", "community_id", "mark"),)
    id: int = _id()
    community_id: int = _ref("community", index=True)
    judgement: str = "urgency"
    text: str = _text()
    """Without telephone numbers, rooms and the name of who wrote it."""
    mark: str = Field(default="", sa_column_kwargs=_later("''"))
    """Of a post: the hash by which the very same text is known again, however it is spaced."""
    verdict: str
    """What the rules said: urgent, ask or normal; of a post: ok, hold or violation."""
    label: str
    """What it is: urgent or normal; ok or violation."""
    kind: str = "other"
    about: str = ""
    """The matter: repair:17"""
    reason: str = _text(default="")
    """Why, in the words of who corrected it."""
    pseudonym: int = Field(default=0, sa_type=BigInt)
    """Who corrected it."""
    at: datetime = _time()


class Listing(SQLModel, table=True):
    """What somebody lets, sells, looks for, gives away, has lost or found."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_listing_state", "community_id", "state", "id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    person_id: int = _ref("person", index=True)
    kind: str
    """rent, sale, wanted, gift, lost or found"""
    title: str = _text()
    text: str = _text(default="")
    price: int | None = Field(default=None, sa_type=BigInt)
    """In 0.01 yuan, a month if it is a rent; empty: none, or to be agreed."""
    details: dict[str, Any] = _json(dict)
    """What a rental must show."""
    draft: dict[str, Any] = _json(dict)
    """An edit that waits for a decision: what is to stand instead, by column; what stands meanwhile is published."""
    state: str = "open"
    """held (staff decide), open, refused (it breaks a rule), closed (sold, let, found), expired or withdrawn"""
    ruling_id: int | None = _ref("ruling", default=None)
    """The ruling that decides on it, or on its draft."""
    created_at: datetime = _time()
    published_at: datetime | None = _time(default=None)
    expires_at: datetime | None = _time(default=None)
    closed_at: datetime | None = _time(default=None)


class Post(SQLModel, table=True):
    """What somebody said in the community's group; its words are kept for some days only."""

    __table_args__ = (
        UniqueConstraint("place_id", "message_id"),
        Index("ix_post_account", "place_id", "account", "at"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    place_id: int = _ref("place")
    message_id: str
    """As the messenger names it."""
    account: str
    """Whose it is, as the messenger names them ..."""
    person_id: int | None = _ref("person", default=None, index=True)
    """... and who that is, if we know them."""
    name: str = ""
    """What they call themselves there."""
    text: str = _text(default="")
    files: list[dict[str, Any]] = _json(list)
    """Each with its name, and with what its messenger calls it: nothing was fetched."""
    parts: list[str] = _json(list)
    """Further messages that belong to it: an album's."""
    thread: str = ""
    """The topic in which it stood."""
    at: datetime = _time()
    edited_at: datetime | None = _time(default=None)
    ruling_id: int | None = _ref("ruling", default=None)
    """The ruling that decides on it."""
    removed_at: datetime | None = _time(default=None)


class Member(SQLModel, table=True):
    """Somebody in the community's group: since when, and whether they may write."""

    __table_args__ = (UniqueConstraint("place_id", "account"),)
    id: int = _id()
    community_id: int = _ref("community")
    place_id: int = _ref("place")
    account: str
    """As the messenger names them."""
    joined_at: datetime | None = _time(default=None)
    """When they came in; empty: before we saw it."""
    heard_at: datetime | None = _time(default=None)
    """When they first said something."""
    silent_until: datetime | None = _time(default=None)
    """Until when they may write nothing ..."""
    ruling_id: int | None = _ref("ruling", default=None)
    """... and because of which ruling."""


class Ruling(SQLModel, table=True):
    """A judgement on something that was not simply fine, or that neighbours reported, and what became of it."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_ruling_state", "community_id", "state", "id"),
        Index("ix_ruling_account", "community_id", "account", "at"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    about: str = Field(index=True)
    """listing:5 or post:17"""
    person_id: int | None = _ref("person", default=None, index=True)
    """Who wrote it, if we know them ..."""
    account: str = ""
    """... and by which account, where that is not their own chat with us: telegram:7345"""
    text: str = _text()
    """The words that were judged."""
    verdict: str
    """hold or violation"""
    category: str = ""
    rules: list[str] = _json(list)
    why: list[dict[str, str]] = _json(list)
    """The reasons, each in every language."""
    state: str
    """held (staff decide), deleted (it may be appealed), appealed (staff decide), restored (it stands as it was
    written), upheld, or moot (changed or withdrawn meanwhile)"""
    at: datetime = _time()
    appealed_at: datetime | None = _time(default=None)
    due_at: datetime | None = _time(default=None)
    """Until when staff have to decide."""
    decided_at: datetime | None = _time(default=None)
    pseudonym: int = Field(default=0, sa_type=BigInt)
    """Who decided it."""


class Flag(SQLModel, table=True):
    """A neighbour's report that something published breaks a rule."""

    __table_args__ = (UniqueConstraint("about", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    about: str
    """listing:5"""
    person_id: int = _ref("person", index=True)
    reason: str = _text(default="")
    at: datetime = _time()


class Media(SQLModel, table=True):
    """A photo or a file that belongs to a matter; its bytes lie in the media storage."""

    id: int = _id()
    community_id: int = _ref("community")
    person_id: int | None = _ref("person", default=None)
    """Whose it is; nobody's: drawn by the house."""
    about: str = Field(default="", index=True)
    kind: str = "photo"
    storage: str
    """The key in the storage, the SHA-256 of the bytes."""
    mime: str
    size: int = Field(sa_type=BigInt)
    name: str = _text(default="", sa_column_kwargs=_later("''"))
    """What the sender of a file calls it; photos and recordings have no name."""
    created_at: datetime = _time()


class Event(SQLModel, table=True):
    """One line of a matter's timeline."""

    id: int = _id()
    community_id: int = _ref("community")
    about: str = Field(index=True)
    at: datetime = _time()
    key: str
    facts: dict[str, Any] = _json(dict)
    pseudonym: int = Field(default=0, sa_type=BigInt)


class Audit(SQLModel, table=True):
    """One act of staff or crew; rows are only ever added (a trigger refuses all else)."""

    id: int = _id()
    community_id: int = _ref("community", index=True)
    at: datetime = _time()
    pseudonym: int = Field(sa_type=BigInt)
    action: str
    facts: dict[str, Any] = _json(dict)


# --- from a request to a decision -------------------------------------------------------------------


class Equipment(SQLModel, table=True):
    """What the community has: one line of the register."""

    __table_args__ = (UniqueConstraint("community_id", "number"),)
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    kind: str
    """What it is, in words: 电动车充电桩"""
    building: str = ""
    """Empty: it belongs to the whole community."""
    spot: str = ""
    count: int = 1
    since: int | None = None
    """The year in which it was put up."""
    note: str = _text(default="")
    retired_at: datetime | None = _time(default=None)
    created_at: datetime = _time()


class Purchase(SQLModel, table=True):
    """An owner's request for equipment, from the request to the delivery."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_purchase_state", "community_id", "state"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    person_id: int = _ref("person", index=True)
    """Who asks for it."""
    equipment_id: int | None = _ref("equipment", default=None)
    """The line of the register that it is about, if it is not something new."""
    what: str = _text()
    building: str = ""
    """Empty: for the whole community."""
    spot: str = _text(default="")
    why: str = _text(default="")
    count: int = 1
    cost: int | None = Field(default=None, sa_type=BigInt)
    """Estimated, in 0.01 yuan."""
    state: str = "review"
    """signing (co-signers are needed first), review, declined, withdrawn, opening (the committee has to open the vote),
    voting, objecting (the result stands and can be objected to), rejected, approved, ordered, delivered, installed,
    done"""
    note: str = _text(default="")
    """What staff say of the existing equipment."""
    payer: str = ""
    """fund, revenue, owners or company"""
    nature: str = ""
    """same (bought or renewed), alter (a facility is altered or added) or business (common space earns money)"""
    reason: str = _text(default="")
    """Why it was declined, in public."""
    insisted: bool = False
    """Brought back by co-signers: it cannot be declined again."""
    spent: int | None = Field(default=None, sa_type=BigInt)
    """What it cost in the end, in 0.01 yuan."""
    vote_id: int | None = _ref("vote", default=None, index=True)
    """The vote that decides it."""
    due_at: datetime | None = _time(default=None)
    """Until when staff have to do the next thing."""
    created_at: datetime = _time()


class Supporter(SQLModel, table=True):
    """Who supports a request besides whoever made it."""

    __table_args__ = (UniqueConstraint("purchase_id", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    purchase_id: int = _ref("purchase")
    person_id: int = _ref("person", index=True)
    at: datetime = _time()


class Opening(SQLModel, table=True):
    """A statutory vote that is proposed: one of the committee opens it, a second one confirms."""

    id: int = _id()
    community_id: int = _ref("community")
    purchase_id: int | None = _ref("purchase", default=None, index=True)
    vote: dict[str, Any] = _json(dict)
    """What the vote will be made of."""
    opened_by: int | None = _ref("person", default=None)
    state: str = "proposed"
    """proposed, seconding (opened by one), made or dropped"""
    created_at: datetime = _time()


# --- the board --------------------------------------------------------------------------------------


class Entry(SQLModel, table=True):
    """What stands on the board about one matter now: a line of the public page, free of anything private."""

    __table_args__ = (
        Index("ix_entry_list", "community_id", "wide", "kind", "open", "at", "id"),
        Index("ix_entry_building", "community_id", "building", "kind", "open", "at", "id"),
        Index("ix_entry_due", "community_id", "wide", "open", "due_at", "id"),
        Index("ix_entry_changed", "community_id", "wide", "changed_at", "id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    about: str = Field(unique=True)
    """The matter: repair:17"""
    kind: str
    """repair, purchase, vote, listing, complaint, announcement or report"""
    number: int
    building: str = ""
    """Empty: it concerns the whole community."""
    wide: bool = True
    """False: it stands under its building only."""
    title: str = _text()
    state: dict[str, Any] = _json(dict)
    """What state it is in, in words: packed facts with the one fact "state"."""
    open: bool = True
    due_at: datetime | None = _time(default=None)
    """Until when the next thing has to be done about it; past: it is overdue. Empty: no clock runs."""
    at: datetime = _time()
    changed_at: datetime = _time()


class Complaint(SQLModel, table=True):
    """A complaint or a suggestion, published at once; those whom it concerns answer in public."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_complaint_state", "community_id", "state", "id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    person_id: int = _ref("person", index=True)
    kind: str
    """complaint or suggestion"""
    topic: str = ""
    """What it is about: staff, cleaning, security, noise, parking, green, fees, facility or other"""
    building: str = ""
    """Of whose people alone it is shown to; empty: to the whole community."""
    state: str = "open"
    """open (staff have to answer), answered, closed or withdrawn"""
    helped: bool | None = None
    """What its author says of the latest answer; empty: nothing yet."""
    round: int = 1
    """How often it had to be answered: each follow-up begins a new round."""
    created_at: datetime = _time()
    due_at: datetime | None = _time(default=None)
    """Until when staff have to answer."""
    overdue_at: datetime | None = _time(default=None)
    """Since when everybody sees that it was not answered in time."""
    answered_at: datetime | None = _time(default=None)
    """When the first answer of this round was given."""
    closed_at: datetime | None = _time(default=None)


class Statement(SQLModel, table=True):
    """One version of what was said in a complaint: by its author, or by staff as their answer; all are kept."""

    __table_args__ = (
        UniqueConstraint("complaint_id", "round", "side", "version"),
        Index("ix_statement_message", "place_id", "message_id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    complaint_id: int = _ref("complaint")
    round: int
    side: str
    """owner or office"""
    version: int = 1
    person_id: int | None = _ref("person", default=None, index=True)
    """Who said it."""
    text: str = _text()
    """As it was written ..."""
    shown: str = _text()
    """... and as everybody reads it: what is abusive or private is masked."""
    why: list[dict[str, str]] = _json(list)
    """Why something of it was masked, each reason in every language."""
    place_id: int | None = _ref("place", default=None)
    """Of an answer: in which admin group it was given ..."""
    message_id: str = ""
    """... and how the messenger names that message, so that its changes are known."""
    at: datetime = _time()


class Joiner(SQLModel, table=True):
    """A neighbour who says the same as a complaint, and hears what becomes of it."""

    __table_args__ = (UniqueConstraint("complaint_id", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    complaint_id: int = _ref("complaint")
    person_id: int = _ref("person", index=True)
    at: datetime = _time()


class Announcement(SQLModel, table=True):
    """What property staff tell the community, a building or an entrance."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_announcement_state", "community_id", "state", "id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    person_id: int = _ref("person", index=True)
    """Who wrote it."""
    topic: str = ""
    """What of the Civil Code, article 943, it discloses: services, quality, fees, fund or revenue; empty: an ordinary
    notice"""
    audience: dict[str, Any] = _json(dict)
    """For whom it is: places (["3"] is building 3, ["3", "2"] its entrance 2; none: the whole community), and whether
    it is for owners only."""
    urgent: bool = False
    """It goes out at any hour, with sound, whatever its readers chose."""
    receipt: bool = False
    """Its readers are asked to say that they have read it."""
    state: str = "scheduled"
    """scheduled, asks (its author has left before it went out: a colleague decides), sent, withdrawn (after it was
    sent) or dropped (before)"""
    send_at: datetime = _time()
    sent_at: datetime | None = _time(default=None)
    version: int = 1
    """The edition that counts."""
    created_at: datetime = _time()


class Edition(SQLModel, table=True):
    """One version of an announcement; its photos and files are Media about "edition:5"."""

    __table_args__ = (UniqueConstraint("announcement_id", "version"),)
    id: int = _id()
    community_id: int = _ref("community")
    announcement_id: int = _ref("announcement")
    version: int
    title: str = _text()
    text: str = _text()
    pseudonym: int = Field(default=0, sa_type=BigInt)
    """Who wrote it."""
    at: datetime = _time()


class Reading(SQLModel, table=True):
    """That somebody has read an announcement, as they say."""

    __table_args__ = (UniqueConstraint("announcement_id", "person_id"),)
    id: int = _id()
    community_id: int = _ref("community")
    announcement_id: int = _ref("announcement")
    person_id: int = _ref("person", index=True)
    version: int
    at: datetime = _time()


class Preference(SQLModel, table=True):
    """How somebody wants to hear of one kind of what is published."""

    __table_args__ = (UniqueConstraint("person_id", "kind"),)
    id: int = _id()
    community_id: int = _ref("community")
    person_id: int = _ref("person")
    kind: str
    """repair, listing, complaint, announcement, purchase or report; all: everything of these, which goes before"""
    how: str
    """now (with sound), silent, day, week (in that digest) or board (not at all)"""
    until: datetime | None = _time(default=None)
    """When it ends by itself; empty: never."""


class Report(SQLModel, table=True):
    """The figures of one month, as they were published."""

    __table_args__ = (UniqueConstraint("community_id", "month"),)
    id: int = _id()
    community_id: int = _ref("community")
    month: str
    """2026-11, in the community's time"""
    facts: dict[str, Any] = _json(dict)
    picture_id: int | None = _ref("media", default=None)
    sheet_id: int | None = _ref("media", default=None)
    at: datetime = _time()


# --- votes ------------------------------------------------------------------------------------------


class Vote(SQLModel, table=True):
    """One vote of the owners; what is counted stands in its roster and its log, and cannot be changed."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ix_vote_state", "community_id", "state"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    number: int
    kind: str
    """statutory or poll"""
    title: str = _text()
    policy: dict[str, Any] = _json(dict)
    """The content of policy.json."""
    policy_hash: str
    roster: dict[str, Any] = _json(dict)
    """What roster.json has beside its units: the legal agents and, in a named poll, the names."""
    roster_hash: str
    record_date: date = Field(sa_type=Date)
    """The day on which the roster was frozen, in the community's time."""
    opens_at: datetime = _time()
    deadline: datetime = _time()
    """The one that holds now; a poll can be extended."""
    state: str = "open"
    """open or closed"""
    entries: int = 0
    """The number of the last entry of the log ..."""
    head: str = ""
    """... and its hash."""
    closed_at: datetime | None = _time(default=None)
    result: dict[str, Any] = _json(dict)
    """The content of result.json, since it was closed."""
    readme: str = _text(default="")
    """The content of README.txt, since it was closed."""
    reached: int = Field(default=0, sa_type=BigInt, sa_column_kwargs=_later("0"))
    """The highest voter's id to whom the ballot, or the reminder that goes out now, was written."""
    turnout: list[dict[str, Any]] = _json(list, sa_column_kwargs=_later("'[]'"))
    """Since it was closed: each building with its homes and those that took part; none where only totals are public."""
    objections_until: datetime | None = _time(default=None)
    final_at: datetime | None = _time(default=None)
    annulled_at: datetime | None = _time(default=None)
    """When an objection was upheld: what was decided does not hold."""


class RosterEntry(SQLModel, table=True):
    """One home as it was when its vote was made; rows are only ever added (a trigger refuses all else)."""

    __tablename__ = "roster_entry"
    __table_args__ = (UniqueConstraint("vote_id", "position"),)
    id: int = _id()
    community_id: int = _ref("community")
    vote_id: int = _ref("vote")
    home_id: int = _ref("home")
    position: int
    """Its place among the units of roster.json, from 0."""
    unit: dict[str, Any] = _json(dict)


class Voter(SQLModel, table=True):
    """Which number somebody has in a vote; never published."""

    __table_args__ = (UniqueConstraint("vote_id", "number"), UniqueConstraint("vote_id", "person_id"))
    id: int = _id()
    community_id: int = _ref("community")
    vote_id: int = _ref("vote")
    person_id: int | None = _ref("person", default=None, index=True)
    """Empty: the owner of a home whom the roster does not name, and who counts all the same."""
    number: str
    """P12"""
    homes: list[int] = _json(list)
    """The positions of the homes for which they may vote."""
    delivered_at: datetime | None = _time(default=None)
    """When the ballot reached them."""


class Ballot(SQLModel, table=True):
    """One entry of a vote's log, ballots and others; rows are only ever added (a trigger refuses all else)."""

    __table_args__ = (
        UniqueConstraint("vote_id", "n"),
        Index("ix_ballot_voter", "voter_id", "kind"),
        Index("ix_ballot_principal", "principal_id"),
    )
    id: int = _id()
    community_id: int = _ref("community")
    vote_id: int = _ref("vote")
    n: int
    kind: str
    """open, ballot, proxy, revoke, extend or close"""
    voter_id: int | None = _ref("voter", default=None)
    """Who votes, or the agent ..."""
    principal_id: int | None = _ref("voter", default=None)
    """... and for whom; oneself, if for nobody else."""
    entry: str = _text()
    """The canonical JSON, as in log.jsonl."""
    opened: str = _text(default="")
    """Of a sealed ballot: the canonical JSON of its body and its nonce."""


class Paper(SQLModel, table=True):
    """A ballot on paper: entered with its photo, and counted when a second person has confirmed it."""

    id: int = _id()
    community_id: int = _ref("community")
    vote_id: int = _ref("vote", index=True)
    voter_id: int = _ref("voter")
    """Whose ballot it is."""
    choice: Any = Field(default=None, sa_type=Json, nullable=True)
    photos: list[int] = _json(list)
    """The ids of its photos."""
    evidence: str
    """The SHA-256 of the first photo as it is stored, which stands in the log."""
    entered_by: int = Field(sa_type=BigInt)
    """Whose pseudonymous number it is that entered it."""
    received_at: datetime = _time()
    state: str = "waiting"
    """waiting, confirmed or refused"""


class Objection(SQLModel, table=True):
    """What somebody says against a result, and what was decided on it."""

    id: int = _id()
    community_id: int = _ref("community")
    vote_id: int = _ref("vote", index=True)
    person_id: int = _ref("person", index=True)
    what: str = _text()
    state: str = "waiting"
    """waiting, upheld or rejected"""
    answer: str = _text(default="")
    at: datetime = _time()
    decided_at: datetime | None = _time(default=None)
