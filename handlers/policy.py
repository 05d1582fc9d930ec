"""What a community may set for itself, with the defaults that settings.toml gives."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, select

from handlers.tx import Tx
from store.tables import CommunitySetting

Time = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

Span = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]
Hours = Annotated[str, Field(pattern=r"^(\d{1,4}(, ?\d{1,4})*)?$")]


class Policy(BaseModel):
    """Every value has a line in settings.toml; a community overrides it with a CommunitySetting row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    office_phone: str = ""
    repair_days: int = Field(2, ge=1, le=60)
    day_ends: Time = "18:00"
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


DEMO_STATE = "playground.demo"
RESTS = "rests"


def resting(session: Session) -> list[int]:
    """The demo communities that a reset of the playground has put aside."""
    states = session.exec(select(CommunitySetting).where(CommunitySetting.name == DEMO_STATE))
    return [state.community_id for state in states if state.value == RESTS]


def policy_of(tx: Tx, community_id: int) -> Policy:
    """The policy in force in a community."""
    return tx.once("policy", community_id, lambda: _policy(tx, community_id))


def _policy(tx: Tx, community_id: int) -> Policy:
    rows = tx.session.exec(select(CommunitySetting).where(CommunitySetting.community_id == community_id))
    own: dict[str, Any] = {row.name: row.value for row in rows if row.name in Policy.model_fields}
    return Policy.model_validate({**tx.house.policy, **own})
