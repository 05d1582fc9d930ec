"""The roster: a community's homes and people, brought as the file that staff have, all of it or nothing."""

from sqlmodel import select

from handlers.digests import begin_digests
from handlers.figures import begin_reports
from handlers.privacy import begin_retention
from handlers.roster_file import BadRoster
from handlers.roster_lines import Roster, read_roster
from handlers.roster_plan import Plan, apply, plan_roster
from handlers.tx import Tx
from handlers.waiting import begin_summaries
from store.tables import Community, Place

__all__ = ["BadRoster", "add_community", "add_place", "apply", "import_roster", "plan_roster", "read_roster"]


def import_roster(tx: Tx, community: Community, roster: Roster) -> Plan:
    """Let the community be as the roster says, without asking; what that changed."""
    plan = plan_roster(tx, community, roster)
    apply(tx, plan)
    return plan


def add_community(tx: Tx, name: str, *, time_zone: str, language: str) -> Community:
    """A new community; ValueError if the name is taken."""
    if tx.session.exec(select(Community).where(Community.name == name)).first():
        raise ValueError(name)
    community = Community(name=name, time_zone=time_zone, language=language, created_at=tx.now)
    tx.session.add(community)
    tx.session.flush()
    begin_clocks(tx)
    return community


def begin_clocks(tx: Tx) -> None:
    """Let every community have the clocks that run in each, whatever happens there."""
    begin_retention(tx)
    begin_digests(tx)
    begin_summaries(tx)
    begin_reports(tx)


def add_place(tx: Tx, community: Community, messenger: str, external_id: str, kind: str) -> None:
    """Let a chat be the community's admin group ("staff") or its board ("board")."""
    tx.session.add(Place(community_id=community.id, messenger=messenger, external_id=external_id, kind=kind))
