"""tx: all that one message or one timer causes, in one database transaction, or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from conversations.said import Said
from conversations.words import Reader
from store.tables import Community, Person, Place


@dataclass(frozen=True)
class House:
    """What the installation gives to every transaction: the defaults of each community's policy."""

    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Tx:
    """One transaction: its session, its instant, and the message that caused it, if one did."""

    session: Session
    now: datetime
    house: House
    said: Said | None = None
    place: Place | None = None
    person: Person | None = None
    inbox_id: int | None = None
    fresh: set[tuple[str, int]] = field(default_factory=set)
    """Cards that this transaction sent anew, by card and place: they show the present already."""

    def community(self, community_id: int) -> Community:
        """The row of a community that exists."""
        row = self.session.get(Community, community_id)
        if row is None:
            raise LookupError(f"no community {community_id}")
        return row

    def reader(self, community_id: int, language: str | None = None) -> Reader:
        """How somebody of the community reads; `language` None: the community's own."""
        community = self.community(community_id)
        return Reader(language or community.language, community.time_zone, self.now)
