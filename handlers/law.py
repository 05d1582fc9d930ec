"""The law of votes as data: what the Civil Code says, and what some cities say besides, each with its source.

The packs are `law/*.toml`; a community names its city in its policy.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

FOLDER = Path(__file__).parent / "law"
DEFAULT = "civil_code"
MARKS = ("S", "W", "K")
"""How far a fact was checked: read in the law's own text, known from an excerpt, not checked."""

SCOPE: Mapping[str, None] = {"buildings": None, "entrances": None, "floors": None, "homes": None}
OPTIONS: Mapping[str, Any] = {
    "people_count": "interp9",
    "person_merge": "exact_owner_set",
    "parking_votes": False,
    "scope": SCOPE,
    "multi_unit": "owner_wide",
    "co_owner_no_rep": "agree_or_invalid",
    "revote": "last",
    "principal_vs_proxy": "principal_wins",
    "channel_conflict": "latest",
    "proxy_max_principals": None,
    "proxy_barred": [],
    "proxy_follow_instruction": True,
    "silence": "not_participating",
    "abstain_in_denominator": True,
    "blank_ballot": "invalid",
}
"""The lawful default of each option of docs/votes.md."""
POLL: Mapping[str, Any] = {
    "electorate": "homes",
    "weight": "heads",
    "quorum": "1/2",
    "threshold": "1/2",
    "of": "for_against",
    "question": "yes_no",
    "choices": [],
    "most": 1,
    "visible": "by_room",
}
"""The default of each key of a poll, section 3 of docs/votes.md."""


@dataclass(frozen=True)
class Fact:
    """One sentence of the law in every language, where it stands, and how far that was checked."""

    says: Mapping[str, str]
    source: str
    mark: str


@dataclass(frozen=True)
class Pack:
    """What the law says of votes in one city."""

    key: str
    city: str
    facts: tuple[Fact, ...]
    """The city's own; the Civil Code's hold everywhere."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Options that a statutory vote may not change there."""
    statutory_here: bool = True
    reasons: Mapping[str, str] = field(default_factory=dict)
    notice_days: int = 0
    """Days from the notice to the opening of a statutory vote."""
    period_days: tuple[int, int] | None = None
    """How many days a statutory vote lasts at least and at most; None: nothing is said."""
    publish_days: int | None = None
    """Within how many days the result is published; None: nothing is said."""
    staff_may_be_agents: bool = True
    paper_on_request: bool = False

    def reason(self, language: str) -> str:
        """Why no statutory vote can be held here; empty: it can."""
        return self.reasons.get(language, "")

    def options(self, kind: str) -> dict[str, Any]:
        """The complete lawful options of a vote of this kind, to be changed by whoever makes it."""
        made: dict[str, Any] = deepcopy({**OPTIONS, "scope": dict(SCOPE), **self.fixed})
        if kind == "poll":  # as its electorate says, which is homes unless it is changed
            made["multi_unit"] = MULTI_UNIT[POLL["electorate"]]
        return made

    def poll(self) -> dict[str, Any]:
        """The complete defaults of a poll."""
        return deepcopy(dict(POLL))


MULTI_UNIT = {"homes": "per_unit", "persons": "owner_wide"}
"""What the electorate of a poll means for `multi_unit`."""


@cache
def packs() -> Mapping[str, Pack]:
    """All rule packs, by their keys."""
    found = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml"))}
    notice = found[DEFAULT]["statutory"]["notice_days"]
    return MappingProxyType({key: _pack(key, raw, notice) for key, raw in found.items()})


def _pack(key: str, raw: Mapping[str, Any], notice_days: int) -> Pack:
    statutory: Mapping[str, Any] = raw.get("statutory", {})
    period = statutory.get("period_days")
    return Pack(
        key=key,
        city=raw["city"],
        facts=tuple(
            Fact({language: each[language] for language in ("zh", "en")}, each["source"], each["mark"])
            for each in raw["fact"]
        ),
        fixed=raw.get("options", {}),
        statutory_here=statutory.get("here", True),
        reasons=statutory.get("reason", {}),
        notice_days=statutory.get("notice_days", notice_days),
        period_days=(period[0], period[1]) if period else None,
        publish_days=statutory.get("publish_days"),
        staff_may_be_agents=statutory.get("staff_may_be_agents", True),
        paper_on_request=statutory.get("paper_on_request", False),
    )


def pack_of(city: str) -> Pack:
    """The pack of a city, by its Chinese name or its key; one that has none: the Civil Code's alone.

    Its province and its district may be named, too: "北京市朝阳区" is in Beijing.
    """
    name, known = city.lower(), packs()
    cities = (pack for pack in known.values() if pack.key != DEFAULT)
    return next((pack for pack in cities if pack.city in name or pack.key in name), known[DEFAULT])
