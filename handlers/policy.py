"""What a community may set for itself, with the defaults that settings.toml gives."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlmodel import Session, select

from conversations.announcement import TOPICS
from conversations.words import texts
from handlers.tx import Tx
from store.tables import CommunitySetting

Time = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

Span = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]
Hours = Annotated[str, Field(pattern=r"^(\d{1,4}(, ?\d{1,4})*)?$")]

LONGEST = {"h": 500, "d": 60}


def hours_in(text: str) -> list[int]:
    """The hours in "48, 12"."""
    return [int(each) for each in text.split(",") if each.strip()]


def deadlines_in(text: str) -> dict[str, tuple[int, str]]:
    """What "lift 8h, paint 5d" says: {"lift": (8, "h"), "paint": (5, "d")}; ValueError names what it cannot mean."""
    found: dict[str, tuple[int, str]] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = re.fullmatch(r"([a-z]+) +([0-9]{1,3})([hd])", part)
        if match is None:
            raise ValueError(f"「{part}」 is not like: lift 8h, paint 5d")
        kind, count, unit = match[1], int(match[2]), match[3]
        if f"kind.{kind}" not in texts("zh"):
            kinds = ", ".join(key.removeprefix("kind.") for key in texts("zh") if key.startswith("kind."))
            raise ValueError(f"「{kind}」 is no kind of repair; there are: {kinds}")
        if kind in found:
            raise ValueError(f"「{kind}」 stands there twice")
        if not 1 <= count <= LONGEST[unit]:
            raise ValueError(f"「{part}」 is not between 1 and {LONGEST[unit]}{unit}")
        found[kind] = count, unit
    return found


def _deadlines(text: str) -> str:
    deadlines_in(text)
    return text


LONGEST_MONTHS = 60


def months_in(text: str) -> dict[str, int]:
    """What "fees 12m, fund 6m" says: {"fees": 12, "fund": 6}; ValueError names what it cannot mean."""
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = re.fullmatch(r"([a-z]+) +([0-9]{1,2})m", part)
        if match is None:
            raise ValueError(f"「{part}」 is not like: fees 12m, fund 6m")
        if match[1] not in TOPICS:
            raise ValueError(f"「{match[1]}」 is nothing to disclose; there are: {', '.join(TOPICS)}")
        if match[1] in found:
            raise ValueError(f"「{match[1]}」 stands there twice")
        if not 1 <= int(match[2]) <= LONGEST_MONTHS:
            raise ValueError(f"「{part}」 is not between 1 and {LONGEST_MONTHS}m")
        found[match[1]] = int(match[2])
    return found


def _months(text: str) -> str:
    months_in(text)
    return text


Months = Annotated[str, AfterValidator(_months)]
Deadlines = Annotated[str, AfterValidator(_deadlines)]
RINGS = ("duty", "present", "everybody")
HOOK = "hook"


def rings_in(text: str) -> list[tuple[str, bool]]:
    """Whom each ring of "duty, present + hook, everybody" calls, and whether it calls by the web hook, too.

    ValueError, in words, for what is no such list; without "everybody" in the end an emergency might call nobody.
    """
    rings = []
    for part in text.split(","):
        whom, *more = (word.strip() for word in part.split("+"))
        if whom not in RINGS or more not in ([], [HOOK]):
            raise ValueError(
                f"{part.strip()!r} is no ring: write {', '.join(RINGS)}, each with or without + {HOOK}"
            )
        rings.append((whom, bool(more)))
    if rings[-1][0] != "everybody":
        raise ValueError("the last ring must be everybody, or an emergency might go on calling nobody")
    return rings


def uses_hook(rings: str) -> bool:
    """Whether one of these rings calls by the web hook."""
    return any(by_hook for _, by_hook in rings_in(rings))


def _rings(text: str) -> str:
    rings_in(text)
    return text


Rings = Annotated[str, AfterValidator(_rings)]


class Policy(BaseModel):
    """Every value has a line in settings.toml; a community overrides it with a CommunitySetting row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    office_phone: str = ""
    repair_days: int = Field(2, ge=1, le=60)
    kind_deadlines: Deadlines = "power 4h, water 4h, lift 8h, heat 8h, paint 5d, furniture 5d, garden 5d"
    day_starts: Time = "08:30"
    day_ends: Time = "18:00"
    warn_hours: int = Field(4, ge=0, le=100)
    urge_hours: int = Field(12, ge=1, le=720)
    rings: Rings = "duty, present, everybody"
    page_again_minutes: int = Field(3, ge=1, le=60)
    urgent_hours: int = Field(4, ge=1, le=72)
    confirm_days: int = Field(3, ge=1, le=60)
    unconfirmed_seconds: int = Field(60, ge=10, le=3600)
    talk_hours: int = Field(24, ge=1, le=720)
    reports_a_day: int = Field(20, ge=1, le=1000)
    many_homes: int = Field(3, ge=2, le=1000)
    said_days: int = Field(180, ge=1, le=3650)
    sent_days: int = Field(1095, ge=30, le=36500)
    guest_days: int = Field(30, ge=1, le=3650)
    join_days: int = Field(3, ge=1, le=60)
    letter_days: int = Field(3, ge=1, le=60)
    city: str = ""
    cosigners: int = Field(0, ge=0, le=1000)
    insist_cosigners: int = Field(10, ge=1, le=1000)
    open_requests: int = Field(3, ge=1, le=100)
    review_days: int = Field(5, ge=1, le=60)
    poll_days: int = Field(3, ge=1, le=60)
    statutory_days: int = Field(15, ge=1, le=120)
    remind_hours: Hours = "48, 12"
    waking: Span = "08:30-21:00"
    objection_days: int = Field(7, ge=1, le=60)
    listing_days: int = Field(30, ge=1, le=365)
    listing_limit: int = Field(10, ge=1, le=100)
    ruling_hours: int = Field(24, ge=1, le=240)
    newcomer_hours: int = Field(24, ge=0, le=720)
    strike_days: int = Field(30, ge=1, le=365)
    silence_hours: Hours = "1, 24, 168"
    flood_messages: int = Field(8, ge=3, le=100)
    posts_days: int = Field(7, ge=1, le=365)
    complaints_a_day: int = Field(5, ge=1, le=100)
    answer_days: int = Field(10, ge=1, le=60)
    board_page: Literal["all", "link", "members", "off"] = "link"
    disclosures: Months = "services 12m, quality 12m, fees 12m, fund 6m, revenue 6m"

    @model_validator(mode="after")
    def _day_has_hours(self) -> Self:
        if self.day_starts >= self.day_ends:
            raise ValueError(f"day_starts {self.day_starts} is not before day_ends {self.day_ends}")
        return self


DEMO_STATE = "playground.demo"
RESTS = "rests"


def resting(session: Session) -> list[int]:
    """The demo communities that a reset of the playground has put aside."""
    states = session.exec(select(CommunitySetting).where(CommunitySetting.name == DEMO_STATE))
    return [state.community_id for state in states if state.value == RESTS]


def is_demo(session: Session, community_id: int) -> bool:
    """Whether a community stands in the playground only: nobody's real telephone rings for it."""
    return session.get(CommunitySetting, (community_id, DEMO_STATE)) is not None


def policy_of(tx: Tx, community_id: int) -> Policy:
    """The policy in force in a community."""
    return tx.once("policy", community_id, lambda: _policy(tx, community_id))


def _policy(tx: Tx, community_id: int) -> Policy:
    rows = tx.session.exec(select(CommunitySetting).where(CommunitySetting.community_id == community_id))
    own: dict[str, Any] = {row.name: row.value for row in rows if row.name in Policy.model_fields}
    return Policy.model_validate({**tx.house.policy, **own})
