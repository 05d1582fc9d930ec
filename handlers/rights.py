"""Who may do what: one table, asked at the moment of acting."""

from collections.abc import Callable, Mapping
from typing import Any

from conversations.errors import Refused
from conversations.repair import WIDE
from conversations.words import Say
from handlers.announcement_cards import OUT, is_for_all, is_reader
from handlers.people import is_guest, is_resident, joiner_of, lives_in, owns, roles_of, works
from handlers.proxies import powers_given_to
from handlers.repair_cards import follower_of, is_common
from handlers.tx import Tx
from store.tables import Person, Vote

Capacity = Callable[[Tx, Person, Any], bool]
"""As what somebody acts, on the row that the action is about (None if it is about none)."""


def resident(tx: Tx, person: Person, row: Any) -> bool:
    """Owner, co-owner, tenant or family of a home in the community."""
    return is_resident(tx, person)


def owner_here(tx: Tx, person: Person, row: Any) -> bool:
    """Owner or co-owner of a home in the community."""
    return owns(tx, person)


def guest(tx: Tx, person: Person, row: Any) -> bool:
    """Somebody who is not in: not let in yet, or gone."""
    return is_guest(tx, person)


def newcomer(tx: Tx, person: Person, row: Any) -> bool:
    """A guest whose own telephone number is that of the person in the row, who is tied to the community."""
    same = row is not None and person.phone_hash != "" and row.phone_hash == person.phone_hash
    return same and is_guest(tx, person) and not is_guest(tx, row)


def holder(tx: Tx, person: Person, row: Any) -> bool:
    """Who speaks by the account in the row, there or in another community."""
    account = tx.account
    return (
        row is not None
        and account is not None
        and (row.messenger, row.external_id) == (account.messenger, account.external_id)
    )


def reporter(tx: Tx, person: Person, row: Any) -> bool:
    """Who brought the matter; an incident is the office's."""
    return row is not None and row.person_id == person.id and not getattr(row, "incident", False)


def follower(tx: Tx, person: Person, row: Any) -> bool:
    """Who has reported the repair, too."""
    return row is not None and follower_of(tx, person, row) is not None


def neighbour(tx: Tx, person: Person, row: Any) -> bool:
    """Who lives here, where the repair is of a part that belongs to all."""
    return row is not None and is_resident(tx, person) and is_common(row)


def affected(tx: Tx, person: Person, row: Any) -> bool:
    """Who lives here, where what fails fails for all: a common part, or the supply of a building."""
    wide = row is not None and row.kind in WIDE
    return neighbour(tx, person, row) or (wide and is_resident(tx, person))


def staff(tx: Tx, person: Person, row: Any) -> bool:
    """Property staff: whoever acts in the community's admin group, at this moment, and is in it."""
    place = tx.place
    inside = tx.said is None or not tx.said.outsider
    return place is not None and (place.kind, place.community_id, inside) == (
        "staff",
        person.community_id,
        True,
    )


def colleague(tx: Tx, person: Person, row: Any) -> bool:
    """Somebody who works for the community, wherever they speak."""
    return bool(roles_of(tx, person) & {"staff", "crew", "manager"})


def crew(tx: Tx, person: Person, row: Any) -> bool:
    """Repair crew."""
    return "crew" in roles_of(tx, person)


def manager(tx: Tx, person: Person, row: Any) -> bool:
    """Who manages the crew, and takes a repair in hand when nobody else does."""
    return "manager" in roles_of(tx, person)


def crew_in_charge(tx: Tx, person: Person, row: Any) -> bool:
    """The member of the crew, or the manager, who has this very ticket."""
    return row is not None and row.crew_id == person.id and works(tx, person)


def in_this_group(tx: Tx, person: Person, row: Any) -> bool:
    """Property staff, in the very group for which the message in the row is."""
    return staff(tx, person, row) and tx.place is not None and row is not None and row.place_id == tx.place.id


def recipient(tx: Tx, person: Person, row: Any) -> bool:
    """To whom the message in the row was sent."""
    return row is not None and row.person_id == person.id


def addressee(tx: Tx, person: Person, row: Any) -> bool:
    """To whom the letter in the row was written."""
    return row is not None and row.to_id == person.id


def for_office(tx: Tx, person: Person, row: Any) -> bool:
    """Staff, to whom the letter in the row was written as to the property office."""
    return row is not None and row.to_id is None and staff(tx, person, row)


def principal(tx: Tx, person: Person, row: Any) -> bool:
    """Who gave the power to act for them."""
    return row is not None and row.principal_id == person.id


def committee(tx: Tx, person: Person, row: Any) -> bool:
    """A member of the owners' committee."""
    return "committee" in roles_of(tx, person)


def accused(tx: Tx, person: Person, row: Any) -> bool:
    """Who wrote what the ruling is about."""
    return row is not None and row.person_id == person.id


def stands_in(tx: Tx, person: Person, row: Any) -> bool:
    """A member of the owners' committee, where staff have let the time pass in which they had to decide on others."""
    late = row is not None and row.due_at is not None and row.due_at <= tx.now
    return late and not accused(tx, person, row) and committee(tx, person, row)


def judges(tx: Tx, person: Person, row: Any) -> bool:
    """Staff who decide on a ruling, but not on their own words."""
    return staff(tx, person, row) and not accused(tx, person, row)


def reads(tx: Tx, person: Person, row: Any) -> bool:
    """Whom the complaint in the row is shown to: everybody here, or the people of its building alone."""
    return row is not None and (
        lives_in(tx, person, row.building) if row.building else known(tx, person, row)
    )


def shares(tx: Tx, person: Person, row: Any) -> bool:
    """Who lives where the complaint in the row is shown."""
    return row is not None and is_resident(tx, person) and reads(tx, person, row)


def joiner(tx: Tx, person: Person, row: Any) -> bool:
    """Who says the same as the complaint in the row."""
    return row is not None and joiner_of(tx, row, person) is not None


def votes_for(tx: Tx, person: Person, row: Any) -> bool:
    """Who has this number in a vote, or was given the power to vote for who has it."""
    if row is None or row.person_id is None or not row.homes:
        return False
    return row.person_id == person.id or any(
        each.principal_id == row.person_id for each in powers_given_to(tx, person)
    )


def decides(tx: Tx, person: Person, row: Any) -> bool:
    """Who decides on the objection in the row: the committee on a vote of the assembly, staff on a poll.

    Never whoever filed it.
    """
    vote = tx.session.get(Vote, row.vote_id) if row is not None else None
    if vote is None or row.person_id == person.id:
        return False
    return committee(tx, person, row) if vote.kind == "statutory" else staff(tx, person, row)


def shown_to(tx: Tx, person: Person, row: Any) -> bool:
    """Whom the beginning of a text was shown to: a person, the people of a chat, or everybody."""
    if row is None or (row.person_id, row.place_id) == (None, None):
        return row is not None
    return row.person_id == person.id or (tx.place is not None and row.place_id == tx.place.id)


def anybody(tx: Tx, person: Person, row: Any) -> bool:
    """Everybody whom the community knows."""
    return True


def known(tx: Tx, person: Person, row: Any) -> bool:
    """Somebody whom anything ties to the community: who lives there, works for it, or sits in its committee."""
    return not is_guest(tx, person) or staff(tx, person, row)


def notified(tx: Tx, person: Person, row: Any) -> bool:
    """For whom the notice in the row is, once it was sent: everybody whom the community knows, or who lives there."""
    if row is None or row.state not in OUT:
        return False
    return known(tx, person, row) if is_for_all(row.audience) else is_reader(tx, person, row)


CLOCK = "clock"

RIGHTS: Mapping[str, tuple[Capacity | str, ...]] = {
    "help": (anybody,),
    "thanks": (anybody,),
    "my": (anybody,),
    "mine.page": (anybody,),
    "waiting": (known,),
    "waits.page": (staff,),
    "waiting.morning": (CLOCK,),
    "waiting.week": (CLOCK,),
    "figures": (known,),
    "report.show": (known,),
    "month.picture": (staff,),
    "month.sheet": (staff,),
    "figures.publish": (CLOCK,),
    "language": (anybody,),
    "consent.agree": (anybody,),
    "consent.refuse": (anybody,),
    "communities": (anybody,),
    "community.enter": (holder,),
    "join": (anybody,),
    "join.start": (guest,),
    "join.as": (newcomer,),
    "join.request": (guest,),
    "join.show": (reporter, staff),
    "join.remind": (CLOCK,),
    "join.overdue": (CLOCK,),
    "letter.remind": (CLOCK,),
    "letter.overdue": (CLOCK,),
    "join.approve": (staff,),
    "join.decline": (staff,),
    "link": (staff,),
    "rest.show": (shown_to,),
    "equipment": (known,),
    "equipment.add": (staff,),
    "equipment.added": (staff,),
    "equipment.find": (staff,),
    "equipment.found": (staff,),
    "equipment.change": (staff,),
    "equipment.changed": (staff,),
    "equipment.retire": (staff,),
    "equipment.restore": (staff,),
    "equipment.explain": (staff,),
    "equipment.apply": (staff,),
    "equipment.drop": (staff,),
    "spots": (staff,),
    "spot.add": (staff,),
    "spot.added": (staff,),
    "spot.show": (staff,),
    "spot.change": (staff,),
    "spot.changed": (staff,),
    "spot.retire": (staff,),
    "spot.restore": (staff,),
    "spot.report": (resident, staff),
    "home.find": (staff,),
    "home.found": (staff,),
    "home.show": (staff,),
    "tie.show": (staff,),
    "tie.invite": (staff,),
    "tie.represent": (staff,),
    "tie.remove": (staff,),
    "tie.removed": (staff,),
    "agents": (resident,),
    "agent.new": (staff,),
    "agent.appoint": (staff,),
    "agent.revoke": (principal, staff),
    "crew.list": (staff,),
    "crew.show": (staff,),
    "crew.add": (staff,),
    "crew.added": (staff,),
    "crew.invite": (staff,),
    "crew.skills": (staff,),
    "crew.skilled": (staff,),
    "crew.buildings": (staff,),
    "crew.served": (staff,),
    "crew.hours": (staff,),
    "crew.timed": (staff,),
    "crew.remove": (staff,),
    "crew.removed": (staff,),
    "committee.list": (staff,),
    "committee.add": (staff,),
    "committee.added": (staff,),
    "manager.list": (staff,),
    "manager.add": (staff,),
    "manager.added": (staff,),
    "audit": (staff,),
    "canvass": (staff,),
    "digest.send": (CLOCK,),
    "digest.week": (CLOCK,),
    "group.summary": (CLOCK,),
    "group.list": (staff,),
    "group.open": (in_this_group,),
    "digest.open": (recipient,),
    "digest.more": (anybody,),
    "notify": (resident,),
    "wish.kind": (resident,),
    "wish.choose": (resident,),
    "mute": (resident,),
    "quiet.for": (resident,),
    "quiet.end": (resident,),
    "mydata": (anybody,),
    "forget": (anybody,),
    "erase": (anybody,),
    "forget.clear": (CLOCK,),
    "privacy.retain": (CLOCK,),
    "repair.for": (staff,),
    "repair.enter": (staff,),
    "repair.enter_urgent": (staff,),
    "roster.explain": (staff,),
    "roster.apply": (staff,),
    "roster.drop": (staff,),
    "talk.expire": (CLOCK,),
    "vote.head": (CLOCK,),
    "vote.begin": (CLOCK,),
    "vote.send": (CLOCK,),
    "vote.remind": (CLOCK,),
    "vote.close": (CLOCK,),
    "vote.turnout": (staff, committee),
    "vote.canvass": (staff,),
    "papers": (staff,),
    "paper.new": (staff,),
    "paper.enter": (staff,),
    "paper.show": (staff,),
    "paper.confirm": (staff,),
    "paper.refuse": (staff,),
    "paper.remind": (CLOCK,),
    "vote.final": (CLOCK,),
    "votes": (anybody,),
    "vote.show": (anybody,),
    "vote.extend": (staff, committee),
    "vote.extended": (staff, committee),
    "ballot.for": (votes_for,),
    "ballot.against": (votes_for,),
    "ballot.abstain": (votes_for,),
    "ballot.choose": (votes_for,),
    "ballot.chosen": (votes_for,),
    "poll.start": (staff, committee),
    "poll.open": (staff, committee),
    "objection.start": (anybody,),
    "objection.file": (anybody,),
    "objection.show": (decides,),
    "objection.wait": (CLOCK,),
    "objection.uphold": (decides,),
    "objection.reject": (decides,),
    "objection.upheld": (decides,),
    "objection.rejected": (decides,),
    "repair.start": (resident,),
    "repair.report": (resident,),
    "repair.emergency": (resident, crew, staff, colleague),
    "repair.unconfirmed": (CLOCK,),
    "repair.affirm": (reporter,),
    "repair.locate": (reporter,),
    "repair.located": (reporter,),
    "repair.more": (reporter,),
    "repair.add": (reporter,),
    "repair.raise": (reporter, staff),
    "repair.withdraw": (reporter,),
    "repair.page": (CLOCK,),
    "repair.warn": (CLOCK,),
    "repair.overdue": (CLOCK,),
    "repair.urge": (reporter, follower),
    "overdue": (known,),
    "times": (staff,),
    "repair.silence": (CLOCK,),
    "repair.disputed": (CLOCK,),
    "repair.resume": (CLOCK,),
    "repair.price_wait": (CLOCK,),
    "repair.accept": (crew, manager),
    "repair.decline": (crew, manager),
    "repair.appoint": (staff,),
    "repair.appointed": (staff,),
    "repair.go": (crew_in_charge,),
    "repair.finish": (crew_in_charge,),
    "repair.done": (crew_in_charge,),
    "repair.parts": (crew_in_charge,),
    "repair.access": (crew_in_charge,),
    "repair.wait_parts": (crew_in_charge,),
    "repair.wait_access": (crew_in_charge,),
    "repair.hand": (crew_in_charge,),
    "repair.handed": (crew_in_charge,),
    "repair.price": (crew_in_charge,),
    "repair.priced": (crew_in_charge,),
    "repair.free": (crew_in_charge,),
    "repair.agree": (reporter,),
    "repair.refuse": (reporter,),
    "repair.write": (reporter, follower),
    "repair.wrote": (reporter, follower),
    "repair.write_owner": (crew_in_charge,),
    "repair.wrote_owner": (crew_in_charge,),
    "letter.reply": (addressee, for_office),
    "letter.replied": (addressee, for_office),
    "repair.confirm": (reporter,),
    "repair.stars1": (reporter,),
    "repair.stars2": (reporter,),
    "repair.stars3": (reporter,),
    "repair.stars4": (reporter,),
    "repair.stars5": (reporter,),
    "repair.praise": (reporter,),
    "repair.praised": (reporter,),
    "repair.dispute": (reporter, follower),
    "repair.explain": (reporter,),
    "repair.reopen": (reporter, follower),
    "repair.show": (reporter, follower, crew, manager, staff, neighbour),
    "repair.join": (affected,),
    "follow.unsure": (CLOCK,),
    "repair.leave": (follower,),
    "repair.apart": (follower,),
    "repair.whether_same": (follower,),
    "repair.merge": (staff,),
    "repair.merged": (staff,),
    "incident.list": (staff,),
    "incident.card": (staff,),
    "incident.start": (staff,),
    "incident.opened": (staff,),
    "incident.gather": (staff,),
    "incident.update": (staff,),
    "incident.updated": (staff,),
    "incident.end": (staff,),
    "incident.ended": (staff,),
    "incident.due": (CLOCK,),
    "repair.lower": (staff,),
    "repair.lowered": (staff,),
    "repair.correct": (reporter,),
    "repair.corrected": (reporter,),
    "repair.open": (staff, crew, manager),
    "board": (known,),
    "market.page": (known,),
    "listing.start": (resident,),
    "listing.publish": (resident,),
    "listing.change": (reporter,),
    "listing.changed": (reporter,),
    "listing.close": (reporter,),
    "listing.withdraw": (reporter,),
    "listing.renew": (reporter,),
    "listing.remind": (CLOCK,),
    "listing.expire": (CLOCK,),
    "listing.show": (known,),
    "listing.write": (resident,),
    "listing.wrote": (resident,),
    "listing.report": (staff, resident),
    "listing.reason": (resident,),
    "listing.explained": (resident,),
    "complaint.start": (resident,),
    "complaint.publish": (resident,),
    "complaint.reword": (reporter,),
    "complaint.reworded": (reporter,),
    "complaint.withdraw": (reporter,),
    "complaint.show": (reporter, reads, joiner, staff, committee, manager),
    "complaint.join": (shares,),
    "complaint.leave": (joiner,),
    "complaint.answer": (staff,),
    "complaint.answered": (staff,),
    "complaint.solved": (reporter,),
    "complaint.unsolved": (reporter,),
    "complaint.more": (reporter,),
    "complaint.followed": (reporter,),
    "complaint.remind": (CLOCK,),
    "complaint.overdue": (CLOCK,),
    "complaint.silence": (CLOCK,),
    "letter.report": (addressee,),
    "post.unsay": (CLOCK,),
    "rules": (anybody,),
    "public": (known,),
    "address.ask": (staff,),
    "address.change": (staff,),
    "board.fill": (CLOCK,),
    "rule.add": (staff,),
    "rule.added": (staff,),
    "rule.silence": (staff,),
    "rule.silenced": (staff,),
    "rule.drop": (staff,),
    "rule.dropped": (staff,),
    "ruling.appeal": (accused,),
    "ruling.allow": (judges, stands_in),
    "ruling.uphold": (judges, stands_in),
    "ruling.list": (staff,),
    "ruling.show": (staff, stands_in, accused),
    "ruling.remind": (CLOCK,),
    "ruling.overdue": (CLOCK,),
    "purchases": (anybody,),
    "purchase.start": (resident,),
    "purchase.submit": (owner_here,),
    "purchase.support": (resident,),
    "purchase.show": (anybody,),
    "purchase.withdraw": (reporter,),
    "purchase.insist": (reporter,),
    "purchase.remind": (CLOCK,),
    "purchase.overdue": (CLOCK,),
    "purchase.note": (staff,),
    "purchase.noted": (staff,),
    "purchase.register": (staff,),
    "purchase.decline": (staff,),
    "purchase.declined": (staff,),
    "review.start": (staff,),
    "review.finish": (staff,),
    "opening.open": (committee,),
    "opening.confirm": (committee,),
    "opening.drop": (committee,),
    "opening.dropped": (committee,),
    "opening.remind": (CLOCK,),
    "purchase.order": (staff,),
    "purchase.ordered": (staff,),
    "purchase.deliver": (staff,),
    "purchase.delivered": (staff,),
    "purchase.install": (staff,),
    "purchase.installed": (staff,),
    "purchase.confirm": (reporter,),
    "purchase.problem": (reporter,),
    "purchase.reported": (reporter,),
    "purchase.silence": (CLOCK,),
    "announcement.start": (known,),
    "announcement.disclose": (staff,),
    "announcement.publish": (staff,),
    "announcement.send": (CLOCK,),
    "announcement.now": (staff,),
    "announcement.change": (staff,),
    "announcement.drop": (staff,),
    "announcement.correct": (staff,),
    "announcement.withdraw": (staff,),
    "announcement.withdrawn": (staff,),
    "announcement.read": (notified,),
    "announcement.remind": (CLOCK,),
    "announcement.card": (staff,),
    "announcement.canvass": (staff,),
    "announcement.show": (staff, notified),
    "announcement.list": (known,),
    "disclosures": (known,),
    "disclosure.look": (CLOCK,),
}


def may(tx: Tx, person: Person | None, action: str, row: Any) -> Capacity | str | None:
    """The first capacity in which the person may perform the action on the row; None: no right.

    The clock is nobody, and may do what stands under CLOCK.
    """
    for capacity in RIGHTS[action]:
        if isinstance(capacity, str):
            if person is None:
                return capacity
        elif person is not None and capacity(tx, person, row):
            return capacity
    return None


def acts_for_community(capacity: Capacity | str) -> bool:
    """Whether acting in this capacity belongs into the audit log."""
    return capacity in (
        staff,
        colleague,
        crew,
        crew_in_charge,
        manager,
        for_office,
        committee,
        decides,
        judges,
        stands_in,
    )


def refusal(tx: Tx, person: Person | None, action: str, row: Any) -> Refused:
    """Why there is no right: one of the crew whose tap came late hears who has the repair now."""
    if person is None or crew_in_charge not in RIGHTS[action] or not works(tx, person):
        return Refused("refused.not_yours")
    has = tx.session.get_one(Person, row.crew_id).name if row.crew_id is not None else Say("where.nobody_yet")
    return Refused("refused.not_in_charge", number=row.number, who=has or Say("person.forgotten"))
