"""Who may do what, said once more by hand, and a scene with everybody who could lay hands on everything."""

import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import event, text
from sqlmodel import Session, SQLModel, col, select

from conversations.errors import Refused, Unclear
from conversations.said import Said
from handlers.actions import ACTIONS, perform, tap
from handlers.equipment import add_line
from handlers.joining import WHICH
from handlers.month import Month, read
from handlers.people import bind_account, new_person
from handlers.phones import set_phone
from handlers.repair_cards import add_event
from handlers.results import close_and_publish
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.spots import add_spot
from handlers.tell import tell
from handlers.tx import Tx
from handlers.vote_log import voter_of
from handlers.votes import open_vote
from store.tables import (
    Account,
    Agent,
    Announcement,
    Audit,
    Community,
    CommunityRule,
    Complaint,
    Edition,
    Flag,
    Follower,
    Home,
    HomeRole,
    Joiner,
    JoinRequest,
    Letter,
    Listing,
    Notice,
    Objection,
    Opening,
    Outgoing,
    Paper,
    Person,
    Place,
    Purchase,
    Repair,
    Report,
    Rest,
    Role,
    RosterFile,
    Ruling,
    Statement,
    Talk,
    Vote,
    Voter,
)
from tests.people import NAME, ROSTER, Building

# --- who there is -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """Somebody who acts somewhere: the person, as what they act there, and the chat.

    `chat` is empty for their own, else "staff" or "staff elsewhere"; an `outsider` may not be in that group.
    """

    name: str
    titles: frozenset[str]
    chat: str = ""
    outsider: bool = False
    here: bool = True


def _kind(name: str, *titles: str, chat: str = "", outsider: bool = False, here: bool = True) -> Kind:
    tied = () if "guest" in titles else ("known",)
    return Kind(name, frozenset({*titles, *tied, "anybody"}), chat, outsider, here)


KINDS: dict[str, Kind] = {
    "owner": _kind("陈女士", "resident", "owns"),
    "co-owner": _kind("陈先生", "resident", "owns"),
    "neighbour": _kind("周先生", "resident", "owns"),
    "tenant": _kind("Mr Smith", "resident"),
    "family": _kind("小陈", "resident"),
    "owner here and elsewhere": _kind("两家", "resident", "owns"),
    "guest": _kind("访客", "guest"),
    "newcomer": _kind("新人", "guest"),
    "former tenant": _kind("前租户", "guest"),
    "crew in charge": _kind("王师傅", "crew", "colleague"),
    "other crew": _kind("张师傅", "crew", "colleague"),
    "committee": _kind("委员", "committee"),
    "manager": _kind("经理", "manager", "colleague"),
    "staff": _kind("刘经理", "staff", "colleague", chat="staff"),
    "staff in their own chat": _kind("刘经理", "colleague"),
    "staff who may have left": _kind("刘经理", "colleague", chat="staff", outsider=True),
    "staff who lives here": _kind("王奶奶", "staff", "colleague", "resident", "owns", chat="staff"),
    "owner who is not in the group": _kind("周先生", "resident", "owns", chat="staff", outsider=True),
    "guest who is not in the group": _kind("访客", "guest", chat="staff", outsider=True),
    "owner elsewhere": _kind("外人", "resident", "owns", here=False),
    "crew elsewhere": _kind("外修", "crew", "colleague", here=False),
    "staff elsewhere": _kind("外管", "staff", "colleague", chat="staff elsewhere", here=False),
    "staff elsewhere in our group": _kind("外管", "colleague", chat="staff", here=False),
}


def _kinds_of(*names: str) -> frozenset[str]:
    """Every way in which these people act."""
    return frozenset(kind for kind, each in KINDS.items() if each.name in names)


def _titled(title: str) -> frozenset[str]:
    """Every kind that acts under this title."""
    return frozenset(kind for kind, each in KINDS.items() if title in each.titles and each.here)


# --- who may do what --------------------------------------------------------------------------------

# As what one may perform an action. What somebody is to the row: its reporter, in charge of it, its principal,
# its holder (an account's), its twin (the same number), its reader; or what they are: the titles above. An action
# that is missing here fails the tests.
MAY: dict[str, set[str]] = {
    "help": {"anybody"},
    "thanks": {"anybody"},
    "my": {"anybody"},
    "mine.page": {"anybody"},
    "waiting": {"known"},
    "waits.page": {"staff"},
    "waiting.morning": {"clock"},
    "waiting.week": {"clock"},
    "figures": {"known"},
    "report.show": {"known"},
    "month.picture": {"staff"},
    "month.sheet": {"staff"},
    "figures.publish": {"clock"},
    "language": {"anybody"},
    "communities": {"anybody"},
    "community.enter": {"holder"},
    "rest.show": {"reader"},
    "equipment": {"known"},
    "equipment.add": {"staff"},
    "equipment.added": {"staff"},
    "equipment.find": {"staff"},
    "equipment.found": {"staff"},
    "equipment.change": {"staff"},
    "equipment.changed": {"staff"},
    "equipment.retire": {"staff"},
    "equipment.restore": {"staff"},
    "equipment.explain": {"staff"},
    "equipment.apply": {"staff"},
    "equipment.drop": {"staff"},
    "spots": {"staff"},
    "spot.add": {"staff"},
    "spot.added": {"staff"},
    "spot.show": {"staff"},
    "spot.change": {"staff"},
    "spot.changed": {"staff"},
    "spot.retire": {"staff"},
    "spot.restore": {"staff"},
    "spot.report": {"resident", "staff"},
    "consent.agree": {"anybody"},
    "consent.refuse": {"anybody"},
    "mydata": {"anybody"},
    "forget": {"anybody"},
    "erase": {"anybody"},
    "join": {"anybody"},
    "join.start": {"guest"},
    "join.as": {"twin"},
    "join.request": {"guest"},
    "join.show": {"reporter", "staff"},
    "join.remind": {"clock"},
    "join.overdue": {"clock"},
    "letter.remind": {"clock"},
    "letter.overdue": {"clock"},
    "join.approve": {"staff"},
    "join.decline": {"staff"},
    "link": {"staff"},
    "audit": {"staff"},
    "canvass": {"staff"},
    "digest.send": {"clock"},
    "digest.week": {"clock"},
    "group.summary": {"clock"},
    "group.list": {"staff"},
    "group.open": {"in the group"},
    "digest.open": {"reader"},
    "digest.more": {"anybody"},
    "notify": {"resident"},
    "wish.kind": {"resident"},
    "wish.choose": {"resident"},
    "mute": {"resident"},
    "quiet.for": {"resident"},
    "quiet.end": {"resident"},
    "home.find": {"staff"},
    "home.found": {"staff"},
    "home.show": {"staff"},
    "tie.show": {"staff"},
    "tie.invite": {"staff"},
    "tie.represent": {"staff"},
    "tie.remove": {"staff"},
    "tie.removed": {"staff"},
    "agents": {"resident"},
    "agent.new": {"staff"},
    "agent.appoint": {"staff"},
    "agent.revoke": {"principal", "staff"},
    "crew.list": {"staff"},
    "crew.show": {"staff"},
    "crew.add": {"staff"},
    "crew.added": {"staff"},
    "crew.invite": {"staff"},
    "crew.skills": {"staff"},
    "crew.skilled": {"staff"},
    "crew.buildings": {"staff"},
    "crew.served": {"staff"},
    "crew.hours": {"staff"},
    "crew.timed": {"staff"},
    "crew.remove": {"staff"},
    "crew.removed": {"staff"},
    "committee.list": {"staff"},
    "committee.add": {"staff"},
    "committee.added": {"staff"},
    "manager.list": {"staff"},
    "manager.add": {"staff"},
    "manager.added": {"staff"},
    "roster.explain": {"staff"},
    "roster.apply": {"staff"},
    "roster.drop": {"staff"},
    "repair.for": {"staff"},
    "repair.enter": {"staff"},
    "repair.enter_urgent": {"staff"},
    "repair.start": {"resident"},
    "repair.report": {"resident"},
    "repair.emergency": {"resident", "crew", "staff", "colleague"},
    "repair.affirm": {"reporter"},
    "repair.locate": {"reporter"},
    "repair.located": {"reporter"},
    "repair.more": {"reporter"},
    "repair.add": {"reporter"},
    "repair.raise": {"reporter", "staff"},
    "repair.withdraw": {"reporter"},
    "repair.urge": {"reporter", "follower"},
    "overdue": {"known"},
    "times": {"staff"},
    "repair.confirm": {"reporter"},
    **{f"repair.stars{count}": {"reporter"} for count in range(1, 6)},
    "repair.praise": {"reporter"},
    "repair.praised": {"reporter"},
    "repair.dispute": {"reporter", "follower"},
    "repair.explain": {"reporter"},
    "repair.reopen": {"reporter", "follower"},
    "repair.agree": {"reporter"},
    "repair.refuse": {"reporter"},
    "repair.write": {"reporter", "follower"},
    "repair.wrote": {"reporter", "follower"},
    "letter.reply": {"addressee", "for the office"},
    "letter.replied": {"addressee", "for the office"},
    "repair.accept": {"crew", "manager"},
    "repair.decline": {"crew", "manager"},
    "repair.appoint": {"staff"},
    "repair.appointed": {"staff"},
    "repair.go": {"in charge"},
    "repair.finish": {"in charge"},
    "repair.done": {"in charge"},
    "repair.show": {"reporter", "follower", "crew", "manager", "staff", "neighbour"},
    "repair.join": {"neighbour"},
    "repair.leave": {"follower"},
    "repair.apart": {"follower"},
    "repair.whether_same": {"follower"},
    "repair.lower": {"staff"},
    "repair.lowered": {"staff"},
    "repair.correct": {"reporter"},
    "repair.corrected": {"reporter"},
    "repair.merge": {"staff"},
    "repair.merged": {"staff"},
    "incident.list": {"staff"},
    "incident.card": {"staff"},
    "incident.start": {"staff"},
    "incident.opened": {"staff"},
    "incident.gather": {"staff"},
    "incident.update": {"staff"},
    "incident.updated": {"staff"},
    "incident.end": {"staff"},
    "incident.ended": {"staff"},
    "repair.parts": {"in charge"},
    "repair.access": {"in charge"},
    "repair.wait_parts": {"in charge"},
    "repair.wait_access": {"in charge"},
    "repair.hand": {"in charge"},
    "repair.handed": {"in charge"},
    "repair.price": {"in charge"},
    "repair.priced": {"in charge"},
    "repair.free": {"in charge"},
    "repair.write_owner": {"in charge"},
    "repair.wrote_owner": {"in charge"},
    "repair.open": {"crew", "manager", "staff"},
    "board": {"known"},
    "market.page": {"known"},
    "listing.start": {"resident"},
    "listing.publish": {"resident"},
    "listing.change": {"author"},
    "listing.changed": {"author"},
    "listing.close": {"author"},
    "listing.withdraw": {"author"},
    "listing.renew": {"author"},
    "listing.show": {"known"},
    "listing.write": {"resident"},
    "listing.wrote": {"resident"},
    "listing.report": {"resident", "staff"},
    "listing.reason": {"resident"},
    "listing.explained": {"resident"},
    "listing.remind": {"clock"},
    "listing.expire": {"clock"},
    "complaint.start": {"resident"},
    "complaint.publish": {"resident"},
    "complaint.reword": {"author"},
    "complaint.reworded": {"author"},
    "complaint.withdraw": {"author"},
    "complaint.show": {"author", "reads", "joiner", "staff", "committee", "manager"},
    "complaint.join": {"shares"},
    "complaint.leave": {"joiner"},
    "complaint.answer": {"staff"},
    "complaint.answered": {"staff"},
    "complaint.solved": {"author"},
    "complaint.unsolved": {"author"},
    "complaint.more": {"author"},
    "complaint.followed": {"author"},
    "complaint.remind": {"clock"},
    "complaint.overdue": {"clock"},
    "complaint.silence": {"clock"},
    "letter.report": {"addressee"},
    "rules": {"anybody"},
    "public": {"known"},
    "address.ask": {"staff"},
    "address.change": {"staff"},
    "board.fill": {"clock"},
    "rule.add": {"staff"},
    "rule.added": {"staff"},
    "rule.silence": {"staff"},
    "rule.silenced": {"staff"},
    "rule.drop": {"staff"},
    "rule.dropped": {"staff"},
    "post.unsay": {"clock"},
    "ruling.appeal": {"author"},
    "ruling.allow": {"judge", "stands in"},
    "ruling.uphold": {"judge", "stands in"},
    "ruling.list": {"staff"},
    "ruling.show": {"staff", "stands in", "author"},
    "ruling.remind": {"clock"},
    "ruling.overdue": {"clock"},
    "purchases": {"anybody"},
    "purchase.start": {"resident"},
    "purchase.submit": {"owns"},
    "purchase.support": {"resident"},
    "purchase.show": {"anybody"},
    "purchase.withdraw": {"reporter"},
    "purchase.insist": {"reporter"},
    "purchase.note": {"staff"},
    "purchase.noted": {"staff"},
    "purchase.register": {"staff"},
    "purchase.decline": {"staff"},
    "purchase.declined": {"staff"},
    "review.start": {"staff"},
    "review.finish": {"staff"},
    "opening.open": {"committee"},
    "opening.confirm": {"committee"},
    "opening.drop": {"committee"},
    "opening.dropped": {"committee"},
    "purchase.order": {"staff"},
    "purchase.ordered": {"staff"},
    "purchase.deliver": {"staff"},
    "purchase.delivered": {"staff"},
    "purchase.install": {"staff"},
    "purchase.installed": {"staff"},
    "purchase.confirm": {"reporter"},
    "purchase.problem": {"reporter"},
    "purchase.reported": {"reporter"},
    "purchase.remind": {"clock"},
    "purchase.overdue": {"clock"},
    "purchase.silence": {"clock"},
    "opening.remind": {"clock"},
    "talk.expire": {"clock"},
    "vote.head": {"clock"},
    "vote.close": {"clock"},
    "vote.turnout": {"staff", "committee"},
    "vote.canvass": {"staff"},
    "papers": {"staff"},
    "paper.new": {"staff"},
    "paper.enter": {"staff"},
    "paper.show": {"staff"},
    "paper.confirm": {"staff"},
    "paper.refuse": {"staff"},
    "paper.remind": {"clock"},
    "vote.begin": {"clock"},
    "vote.send": {"clock"},
    "vote.remind": {"clock"},
    "vote.final": {"clock"},
    "votes": {"anybody"},
    "vote.show": {"anybody"},
    "vote.extend": {"staff", "committee"},
    "vote.extended": {"staff", "committee"},
    "ballot.for": {"voter"},
    "ballot.against": {"voter"},
    "ballot.abstain": {"voter"},
    "ballot.choose": {"voter"},
    "ballot.chosen": {"voter"},
    "poll.start": {"staff", "committee"},
    "poll.open": {"staff", "committee"},
    "objection.start": {"anybody"},
    "objection.file": {"anybody"},
    "objection.show": {"decider"},
    "objection.wait": {"clock"},
    "objection.uphold": {"decider"},
    "objection.reject": {"decider"},
    "objection.upheld": {"decider"},
    "objection.rejected": {"decider"},
    "repair.unconfirmed": {"clock"},
    "repair.page": {"clock"},
    "incident.due": {"clock"},
    "follow.unsure": {"clock"},
    "repair.warn": {"clock"},
    "repair.overdue": {"clock"},
    "repair.silence": {"clock"},
    "repair.disputed": {"clock"},
    "repair.resume": {"clock"},
    "repair.price_wait": {"clock"},
    "announcement.start": {"staff", "known"},
    "announcement.disclose": {"staff"},
    "announcement.publish": {"staff"},
    "announcement.send": {"clock"},
    "announcement.now": {"staff"},
    "announcement.change": {"staff"},
    "announcement.drop": {"staff"},
    "announcement.correct": {"staff"},
    "announcement.withdraw": {"staff"},
    "announcement.withdrawn": {"staff"},
    "announcement.read": {"addressed"},
    "announcement.remind": {"clock"},
    "announcement.card": {"staff"},
    "announcement.canvass": {"staff"},
    "announcement.show": {"staff", "addressed"},
    "announcement.list": {"staff", "known"},
    "disclosures": {"known"},
    "disclosure.look": {"clock"},
    "forget.clear": {"clock"},
    "privacy.retain": {"clock"},
}
FOR_THE_COMMUNITY = {
    *("staff", "crew", "manager", "colleague", "in charge", "for the office", "committee", "decider"),
    *("judge", "stands in"),
}
ABROAD = {"community.enter"}
REPORT: dict[str, Any] = {"place": "lift", "what": "电梯门关不上", "building": "3"}
WALL: dict[str, Any] = {"place": "lift", "building": "3", "words": "2 号梯"}
WORDS: dict[str, Any] = {"message": {"text": "明天在家", "files": []}}
OFFER: dict[str, Any] = {"kind": "sale", "text": "出台灯 20 元", "title": "台灯", "price": 2000, "sure": True}
LINE: dict[str, Any] = {"kind": "充电桩", "building": "3", "count": 4, "since": 2021}
# What the talks that end in an action give it.
ANSWERS: dict[str, dict[str, Any]] = {
    "equipment.added": LINE,
    "equipment.changed": LINE,
    "equipment.found": {"number": "1"},
    "spot.added": WALL,
    "spot.changed": WALL,
    "join.request": {"home": "3-2-1201", "name": "陈女士", "role": "owner"},
    "home.found": {"home": "3-2-1201"},
    "agent.appoint": {"kind": "proxy", "agent": "周先生", "scope": None, "until": None},
    "crew.added": {"name": "新师傅", "phone": None},
    "crew.skilled": {"kinds": "水管"},
    "crew.served": {"buildings": "3号楼"},
    "crew.timed": {"hours": "8:00-20:00"},
    "committee.added": {"who": "周先生"},
    "manager.added": {"who": "周先生"},
    "paper.enter": {
        "home": "3-2-1202",
        "choice": "for",
        "photos": {"files": [{"storage": "a" * 64, "mime": "image/jpeg", "size": 9}], "done": True},
    },
    "purchase.submit": {"what": "长椅", "why": "老人没处坐", "count": 2},
    "purchase.noted": {"note": "现有 4 个"},
    "purchase.declined": {"reason": "电容量不够", "sure": True},
    "purchase.reported": {"what": "有两个充不了电"},
    "review.finish": {"payer": "company", "nature": "same", "kind": "poll", "opens": "马上开始", "lasts": 3},
    "opening.dropped": {"reason": "还没问清楚"},
    "vote.extended": {"days": 2},
    "ballot.chosen": {"picked": {"chosen": ["1"], "done": True}},
    "poll.open": {"question": "长椅放哪里", "detail": None, "choices": None, "how": "usual", "sure": True},
    "objection.file": {"what": "1201 的票不是我投的", "sure": True},
    "objection.upheld": {"why": "票数有误", "sure": True},
    "objection.rejected": {"why": "核对无误", "sure": True},
    "repair.enter": REPORT,
    "repair.enter_urgent": {"answers": {**REPORT, "what": "电梯里困了人"}},
    "repair.report": REPORT,
    "repair.emergency": {"answers": {**REPORT, "what": "电梯里困了人"}},
    "repair.locate": {"answers": {"place": "lift"}},
    "repair.located": {"place": "lift"},
    "repair.add": {"photos": None, "note": "更严重了"},
    "repair.done": {"photos": None, "note": "换了门机"},
    "repair.appointed": {"who": "6"},  # 王师傅, the sixth of the roster
    "repair.reopen": {"why": "又坏了"},
    "repair.whether_same": {"same": "yes"},
    "repair.lowered": {"why": "只是滴水"},
    "repair.corrected": REPORT,
    "repair.merged": {"into": "1"},
    "incident.opened": {"what": "3号楼停水", "building": "3", "expected": None},
    "incident.updated": {"words": "水泵在修", "expected": None},
    "incident.ended": {"words": None},
    "repair.explain": {"why": "还在滴"},
    "repair.praised": {"words": "师傅很准时"},
    "repair.wait_parts": {"until": "2026-03-05"},
    "repair.wait_access": {"until": "2026-03-05"},
    "repair.priced": {"amount": 8000, "purpose": "换阀芯"},
    "repair.wrote": WORDS,
    "repair.wrote_owner": WORDS,
    "letter.replied": WORDS,
    "listing.publish": OFFER,
    "listing.changed": OFFER,
    "listing.wrote": WORDS,
    "listing.explained": {"why": "是中介"},
    "complaint.publish": {"kind": "complaint", "text": "楼道没扫", "topic": "cleaning", "sure": True},
    "complaint.reworded": {"what": "楼道三天没扫", "sure": True},
    "complaint.followed": {"what": "还是没扫", "sure": True},
    "complaint.answered": {"message": {"text": "今天扫", "files": []}},
    "rule.added": {"words": "招代理", "verdict": "hold", "category": "ad", "sentence": None, "sure": True},
    "rule.silenced": {"what": "F1", "sure": True},
    "rule.dropped": {"sure": True},
    "announcement.publish": {
        **{"text": "明天停水", "title": "明天停水", "files": None, "where": "全小区", "who": "everybody"},
        **{"receipt": "no", "urgent": "no", "when": "", "topic": "none", "sure": True},
    },
    "announcement.withdrawn": {"reason": "改期", "sure": True},
}


def words_for(kind: str, name: str, row: "Row | None") -> set[str]:
    """As what this kind may perform an action on the row, by hand; empty: not at all."""
    who = KINDS[kind]
    if row is not None and row.here != who.here and name not in ABROAD:
        return set()
    to_row = {word for word, kinds in row.related.items() if kind in kinds} if row is not None else set()
    return MAY[name] & (who.titles | to_row)


# --- the scene --------------------------------------------------------------------------------------

STATES = ("waiting", "accepted", "on_way", "parts", "access", "done", "closed", "withdrawn", "merged")
PURCHASE_STATES = (
    *("signing", "review", "declined", "withdrawn", "opening", "voting", "objecting", "rejected", "approved"),
    *("ordered", "delivered", "installed", "done"),
)
TWIN_PHONE = "13800138000"
ELSEWHERE = """楼栋,单元,房号,面积,姓名,身份
1号楼,1单元,101,50,外人,业主
1号楼,1单元,102,50,两家,业主
,,,,外修,维修
,,,,外管,物业
"""


@dataclass(frozen=True)
class Row:
    """A row that actions are about: what it is, where, and which kinds are what to it."""

    id: int
    label: str
    here: bool = True
    related: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Scene:
    """Two communities with everybody, and with a row of somebody's for every table."""

    building: Building
    communities: dict[bool, int]
    people: dict[tuple[str, bool], int]
    accounts: dict[tuple[str, bool], int]
    pseudonyms: dict[tuple[str, bool], int]
    chats: dict[str, int]
    rows: dict[type[SQLModel], list[Row]]
    others: dict[type[SQLModel], list[Row]]
    """The further rows of the same tables, which nobody tries in turn."""

    def write(self, work: Any) -> Any:
        return self.building.app.database.write_now(work)

    def tx(self, session: Session, kind: str) -> tuple[Tx, Person]:
        """A new transaction in which somebody of this kind speaks."""
        who = KINDS[kind]
        person = session.get_one(Person, self.people[who.name, who.here])
        place = session.get_one(Place, self.chats[who.chat or who.name])
        now = self.building.clock.now()
        said = Said(
            messenger=NAME,
            key=f"{kind} says",
            place=place.external_id,
            sender=who.name,
            at=now,
            tap="something",
            place_kind="group" if who.chat else "private",
            outsider=who.outsider,
        )
        account = session.get_one(Account, self.accounts[who.name, who.here])
        house = self.building.app.house
        return Tx(session, now, house, said=said, place=place, person=person, account=account), person

    def signature(self, kind: str) -> tuple[int, int]:
        """How the log names somebody: by a number, in their community."""
        who = KINDS[kind]
        return self.pseudonyms[who.name, who.here], self.communities[who.here]

    def row(self, table: type[SQLModel], label: str) -> Row:
        return next(each for each in self.rows[table] if each.label == label)

    def tries(self) -> Iterator[tuple[str, Row | None, str]]:
        """Each action with each row that it could be about, and its value."""
        for name, act in sorted(ACTIONS.items()):
            if act.table is None:
                yield name, None, name
            else:
                assert act.table in self.rows, f"the scene has no {act.table.__name__}"
                for row in self.rows[act.table]:
                    yield name, row, f"{name}:{row.id}"

    def allowed(self, kind: str, what: str) -> bool:
        """Whether this kind may tap this value, by hand, whatever the value is."""
        name, _, subject = what.partition(":")
        act = ACTIONS.get(name)
        if act is None or not act.button:
            return False
        if act.table is None:
            fits = not subject or (act.words is not None and bool(act.words.fullmatch(subject)))
            return fits and bool(words_for(kind, name, None))
        if not re.fullmatch(r"[0-9]{1,17}", subject):
            return False
        rows = [*self.rows[act.table], *self.others[act.table]]
        return any(words_for(kind, name, row) for row in rows if row.id == int(subject))


@dataclass
class Outcome:
    """What came of an attempt: "done", the key of a refusal, or "failed: …"; and what it wrote and logged."""

    key: str
    wrote: list[str]
    logged: list[tuple[str, int, int]]


class Attempts:
    """Attempts in one session: each is undone, and whatever it writes is seen."""

    def __init__(self, scene: Scene, session: Session) -> None:
        self.scene = scene
        self.session = session
        self.wrote: list[str] = []
        event.listen(session.connection(), "before_cursor_execute", self._look)

    def _look(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.split(None, 1)[0].upper() in ("INSERT", "UPDATE", "DELETE"):
            self.wrote.append(statement)

    def __call__(
        self, kind: str, what: str, answers: Mapping[str, Any] | None = None, *, theirs: bool = True
    ) -> Outcome:
        """Let somebody tap a value or, with answers, come to the end of a talk.

        What is not `theirs` must write nothing, so that there is nothing to undo: it is quicker without a savepoint.
        """
        tx, person = self.scene.tx(self.session, kind)
        self.wrote = []
        with self.session.begin_nested() if theirs else nullcontext() as savepoint:
            key, logged = self._try(tx, person, what, answers)
            if savepoint is not None:
                savepoint.rollback()
        if self.wrote:
            self.session.expire_all()
        return Outcome(key, self.wrote, logged)

    def _try(
        self, tx: Tx, person: Person, what: str, answers: Mapping[str, Any] | None
    ) -> tuple[str, list[tuple[str, int, int]]]:
        """The outcome's key and log."""
        key, log = "done", select(Audit.action, Audit.pseudonym, Audit.community_id)
        try:
            try:
                if answers is None:
                    tap(tx, person, what)
                else:
                    perform(tx, person, what, **answers)
            except (Refused, Unclear) as error:
                key = error.key
            self.session.flush()
            return key, list(self.session.exec(log).all()) if self.wrote else []
        except Exception as error:  # the door would keep the message as failed
            return f"failed: {error!r}", []


def everything(session: Session, *, but: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Every row of every table."""
    session.flush()
    connection = session.connection()
    tables = [table for table in SQLModel.metadata.sorted_tables if table.name not in but]
    found = {table.name: connection.execute(text(f'SELECT * FROM "{table.name}"')).all() for table in tables}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


# --- its furniture ----------------------------------------------------------------------------------


def furnish(building: Building) -> Scene:
    """Put everybody and everything into a building's database."""
    return building.app.database.write_now(lambda session: _Furniture(building, session).scene())


class _Furniture:
    def __init__(self, building: Building, session: Session) -> None:
        self.building = building
        self.session = session
        self.tx = Tx(session, building.clock.now(), building.app.house)
        self.here = session.get_one(Community, building.community.id)
        self.elsewhere = add_community(self.tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(self.tx, self.elsewhere, read_roster(ELSEWHERE.encode()))
        add_place(self.tx, self.elsewhere, NAME, "staff elsewhere", "staff")
        for person in session.exec(select(Person).where(Person.community_id == self.elsewhere.id)).all():
            bind_account(self.tx, person, NAME, person.name, agreed=True)
        session.flush()
        self.rows: dict[type[SQLModel], list[Row]] = {}

    def scene(self) -> Scene:
        self._people()
        self._ties()
        self._repairs()
        self._others()
        chats = {place.external_id: place.id for place in self.session.exec(select(Place)).all()}
        people = {
            (each.name, each.community_id == self.here.id): each
            for each in self.session.exec(select(Person)).all()
        }
        ids = {who: person.id for who, person in people.items()}
        pseudonyms = {who: person.pseudonym for who, person in people.items()}
        communities = {True: self.here.id, False: self.elsewhere.id}
        accounts = {
            (each.external_id, each.community_id == self.here.id): each.id
            for each in self.session.exec(select(Account)).all()
        }
        return Scene(self.building, communities, ids, accounts, pseudonyms, chats, self.rows, self._rest())

    def _rest(self) -> dict[type[SQLModel], list[Row]]:
        """All rows that nobody named: whoever holds an account holds it, too."""
        others: dict[type[SQLModel], list[Row]] = {}
        for table, rows in self.rows.items():
            known = {row.id for row in rows}
            for row in self.session.exec(select(table)).all():
                if row.id not in known:  # type: ignore[attr-defined]
                    others.setdefault(table, []).append(self._row("another", row))
        return {table: others.get(table, []) for table in self.rows}

    def _row(self, label: str, row: SQLModel, related: Mapping[str, frozenset[str]] | None = None) -> Row:
        key: int = row.id  # type: ignore[attr-defined]
        where = key if isinstance(row, Community) else row.community_id  # type: ignore[attr-defined]
        if isinstance(row, Account):
            related = {"holder": _kinds_of(row.external_id)}
        if isinstance(row, Voter) and row.homes:
            related = {"voter": self._voters(row)}
        if isinstance(row, Outgoing) and row.person_id is not None and related is None:
            whom = self.session.get_one(Person, row.person_id).name
            related = {"reader": _kinds_of(whom)}
        return Row(key, label, where == self.here.id, related or {})

    def _voters(self, row: Voter) -> frozenset[str]:
        """Whose ballot it is, and whoever was given the power to cast it."""
        given = select(Agent.agent_id).where(Agent.principal_id == row.person_id)
        ids = [row.person_id, *self.session.exec(given)]
        names = select(Person.name).where(col(Person.id).in_(ids))
        here = row.community_id == self.here.id
        return frozenset(kind for kind in _kinds_of(*self.session.exec(names)) if KINDS[kind].here == here)

    def _add(self, label: str, row: SQLModel, **related: frozenset[str]) -> Any:
        """A row of the scene, with which kinds are what to it ("in_charge" is the word "in charge")."""
        self.session.add(row)
        self.session.flush()
        words = {word.replace("_", " "): kinds for word, kinds in related.items()}
        self.rows.setdefault(type(row), []).append(self._row(label, row, words))
        return row

    def _named(self, name: str, *, here: bool = True) -> Person:
        community = self.here if here else self.elsewhere
        found = select(Person).where(Person.name == name, Person.community_id == community.id)
        return self.session.exec(found).one()

    def _new(self, name: str, phone: str = "", *, here: bool = True) -> Person:
        person = new_person(self.tx, self.here.id if here else self.elsewhere.id, name)
        set_phone(self.tx, person, phone)
        bind_account(self.tx, person, NAME, name, agreed=True)
        return person

    def _people(self) -> None:
        for name in ("陈先生", "小陈", "两家", "委员", "经理"):
            self._new(name)
        self._new("双一", TWIN_PHONE)
        self._new("双二", TWIN_PHONE)
        self._new("访客")
        self._new("求入")
        self._new("新人", TWIN_PHONE)
        self._new("前租户")
        twin = _kinds_of("新人")
        self._add("the owner", self._named("陈女士"))
        self._add("a guest", self._named("访客"))
        self._add("one of the number", self._named("双一"), twin=twin)
        self._add("another of the number", self._named("双二"), twin=twin)
        self._add("a guest of the number", self._named("新人"))
        self._add("somebody elsewhere", self._named("外人", here=False))

    def _ties(self) -> None:
        home = self.session.exec(
            select(Home).where(Home.community_id == self.here.id, Home.room == "1201")
        ).one()
        there = self.session.exec(
            select(Home).where(Home.community_id == self.elsewhere.id, Home.room == "101")
        ).one()
        self._add("the owner's", home)
        self._add("elsewhere", there)
        for name, role in (("陈先生", "owner"), ("小陈", "family"), ("双一", "family"), ("双二", "family")):
            self._tie(home, name, role)
        self._tie(home, "两家", "owner")
        ties = select(HomeRole).join(Person).where(Person.name == "陈女士")
        self._add("the owner's", self.session.exec(ties).one())
        tenants = select(HomeRole).join(Person).where(Person.name == "Mr Smith")
        self._add("the tenant's", self.session.exec(tenants).one())
        strangers = select(HomeRole).join(Person).where(Person.name == "外人")
        self._add("elsewhere", self.session.exec(strangers).one())
        for label, name, role in (
            ("crew", "王师傅", "crew"),
            ("staff", "刘经理", "staff"),
            ("crew elsewhere", "外修", "crew"),
        ):
            found = select(Role).join(Person).where(Person.name == name, Role.role == role)
            self._add(label, self.session.exec(found).one())
        member = self._named("委员")
        self._add("committee", Role(community_id=self.here.id, person_id=member.id, role="committee"))
        manages = self._named("经理")
        self._add("manager", Role(community_id=self.here.id, person_id=manages.id, role="manager"))
        lives_here = self._named("王奶奶")
        self.session.add(Role(community_id=self.here.id, person_id=lives_here.id, role="staff"))

    def _tie(self, home: Home, name: str, role: str) -> None:
        who = self._named(name)
        tie = HomeRole(community_id=home.community_id, home_id=home.id, person_id=who.id, role=role)
        self.session.add(tie)
        self.session.flush()

    def _repairs(self) -> None:
        owner, charge = _kinds_of("陈女士"), _kinds_of("王师傅")
        others = {"follower": _kinds_of("Mr Smith"), "neighbour": _titled("resident")}
        ANSWERS["repair.handed"] = {"to": str(self._named("张师傅").id)}
        for number, state in enumerate(STATES, 101):
            repair = self._repair(number, "陈女士", "王师傅", state)
            if state == "on_way":
                repair.place, repair.cost, repair.cost_state = "home", 8000, "asked"
            seen_by = {"follower": others["follower"]} if repair.place == "home" else others
            self._add(f"the owner's, {state}", repair, reporter=owner, in_charge=charge, **seen_by)
            self._follow(repair)
            if state == "done":
                add_event(self.tx, repair, "event.done", self._named("王师傅"), note="")
        neighbour, other = _kinds_of("周先生"), _kinds_of("张师傅")
        theirs = self._repair(111, "周先生", "张师傅", "accepted")
        near = {"neighbour": _titled("resident")}
        self._add("the neighbour's", theirs, reporter=neighbour, in_charge=other, **near)
        at_home = self._repair(113, "周先生", "张师傅", "accepted")
        at_home.place = "home"
        self._add("the neighbour's, at home", at_home, reporter=neighbour, in_charge=other)
        incident = self._repair(114, "刘经理", "张师傅", "waiting")
        incident.incident = True
        self._add("an incident", incident, in_charge=other, **near)
        urgent = self._repair(115, "周先生", "张师傅", "accepted")
        urgent.urgent = True
        self._add("the neighbour's, urgent", urgent, reporter=neighbour, in_charge=other, **near)
        strange = self._repair(112, "外人", "外修", "accepted", here=False)
        strangers = _kinds_of("外人")
        self._add("elsewhere", strange, reporter=strangers, neighbour=strangers, in_charge=_kinds_of("外修"))

    def _follow(self, repair: Repair) -> None:
        who = self._named("Mr Smith")
        repair.homes = 2
        row = {"community_id": self.here.id, "repair_id": repair.id, "person_id": who.id, "what": "我家也是"}
        follows = Follower.model_validate({**row, "at": self.building.clock.now()})
        self._add(f"of the owner's, {repair.state}", follows, reporter=_kinds_of("Mr Smith"))

    def _repair(self, number: int, by: str, crew: str, state: str, *, here: bool = True) -> Repair:
        return Repair(
            community_id=self.here.id if here else self.elsewhere.id,
            number=number,
            person_id=self._named(by, here=here).id,
            place="lift",
            what="电梯门关不上",
            state=state,
            crew_id=self._named(crew, here=here).id,
            reported_at=self.building.clock.now(),
            due_at=self.building.clock.now(),
        )

    def _others(self) -> None:
        self._agents()
        self._letters()
        self._requests()
        self._accounts()
        self._add("here", self.here)
        self._add("elsewhere", self.elsewhere)
        self._places()
        self._rests()
        self._messages()
        self._talks()
        self._files()
        self._equipment()
        self._spots()
        self._votes()
        self._purchases()
        self._openings()
        self._question()
        self._conduct()
        self._complaints()
        self._announcements()

    def _announcements(self) -> None:
        """Notices: one for all, one for the owner's entrance alone, one that is planned, one elsewhere."""
        known = frozenset(kind for kind, each in KINDS.items() if each.here and "known" in each.titles)
        there = frozenset(kind for kind, each in KINDS.items() if not each.here and "known" in each.titles)
        home = self.session.exec(
            select(Person.name)
            .join(HomeRole, col(HomeRole.person_id) == col(Person.id))
            .join(Home, col(Home.id) == col(HomeRole.home_id))
            .where(Home.community_id == self.here.id, Home.building == "3", Home.entrance == "2")
        )
        theirs = _kinds_of(*home.all())
        for label, places, state, here, addressed in (
            ("to all", [], "sent", True, known),
            ("to an entrance", [["3", "2"]], "sent", True, theirs),
            ("planned", [], "scheduled", True, frozenset[str]()),
            ("elsewhere", [], "sent", False, there),
        ):
            writer = self._named("刘经理" if here else "外管", here=here)
            made = Announcement(
                community_id=writer.community_id,
                number=len(self.rows.get(Announcement, [])) + 101,
                person_id=writer.id,
                audience={"places": places, "owners": False},
                receipt=True,
                state=state,
                send_at=self.tx.now + timedelta(hours=1),
                sent_at=self.tx.now if state == "sent" else None,
                created_at=self.tx.now,
            )
            self._add(label, made, addressed=addressed)
            words = {"title": "停水", "text": "停水", "version": 1, "at": self.tx.now}
            row = {"community_id": writer.community_id, "announcement_id": made.id, **words}
            self.session.add(Edition.model_validate(row))

    def _conduct(self) -> None:
        """What was judged: held, too late, appealed, deleted and decided; and a rule of staff's own."""
        late = self.tx.now - timedelta(hours=1)
        for label, state, due, here in (
            ("held", "held", self.tx.now + timedelta(hours=1), True),
            ("held too long", "held", late, True),
            ("appealed too long", "appealed", late, True),
            ("deleted", "deleted", None, True),
            ("restored", "restored", None, True),
            ("elsewhere", "held", late, False),
        ):
            name = "陈女士" if here else "外人"
            writer = self._named(name, here=here)
            listing = Listing(
                community_id=writer.community_id,
                number=len(self.rows.get(Listing, [])) + 101,
                person_id=writer.id,
                kind="sale",
                title="书桌",
                text="书桌 180 元",
                state={"deleted": "refused", "restored": "open"}.get(state, "held"),
                created_at=self.tx.now,
            )
            self._add(label, listing, author=_kinds_of(name))
            ruling = Ruling(
                community_id=writer.community_id,
                number=listing.number,
                about=f"listing:{listing.id}",
                person_id=writer.id,
                text=listing.text,
                verdict="hold",
                category="ad",
                state=state,
                at=self.tx.now,
                due_at=due,
            )
            stands_in = _kinds_of("委员") if due == late else frozenset()
            office = (kind for kind, each in KINDS.items() if "staff" in each.titles and each.here == here)
            judges = {"judge": frozenset(office), "stands_in": stands_in}
            self._add(label, ruling, author=_kinds_of(name), **judges)
            listing.ruling_id = ruling.id
            if here:
                flag = {"community_id": writer.community_id, "about": ruling.about, "at": late}
                self.session.add(Flag.model_validate({**flag, "person_id": self._named("周先生").id}))
        for label, community in (("here", self.here), ("elsewhere", self.elsewhere)):
            row = {"community_id": community.id, "judgement": "conduct", "rule": "C1", "words": ["招代理"]}
            rule = CommunityRule.model_validate({**row, "verdict": "hold", "kind": "ad", "created_at": late})
            self._add(label, rule)

    def _complaints(self) -> None:
        """For all and for one building alone, answered or not, with a neighbour who says the same."""
        residents, here = _titled("resident"), _titled("known")
        there = _kinds_of("外人", "外修", "外管")
        at_home = _kinds_of("陈女士", "陈先生", "小陈", "两家", "周先生")
        for number, (label, by, building, state) in enumerate(
            (
                ("the owner's", "陈女士", "", "open"),
                ("answered", "陈女士", "", "answered"),
                ("closed", "陈女士", "", "closed"),
                ("withdrawn", "陈女士", "", "withdrawn"),
                ("of a building", "陈女士", "3", "open"),
                ("of another building", "Mr Smith", "2", "answered"),
                ("elsewhere", "外人", "", "open"),
            ),
            301,
        ):
            author = self._named(by, here=label != "elsewhere")
            complaint = Complaint(
                community_id=author.community_id,
                number=number,
                person_id=author.id,
                kind="complaint",
                topic="cleaning",
                building=building,
                state=state,
                created_at=self.tx.now,
                due_at=self.tx.now,
            )
            in_place = {"": here, "3": at_home, "2": _kinds_of("Mr Smith")}[building]
            lives = {"": residents, "3": at_home, "2": _kinds_of("Mr Smith")}[building]
            if label == "elsewhere":
                in_place, lives = there, _kinds_of("外人")
            joins = _kinds_of("周先生") if label == "answered" else frozenset()
            self._add(label, complaint, author=_kinds_of(by), reads=in_place, shares=lives, joiner=joins)
            said = {"community_id": author.community_id, "complaint_id": complaint.id, "round": 1}
            words = {"text": "楼道没扫", "shown": "楼道没扫", "at": self.tx.now - timedelta(days=2)}
            self.session.add(
                Statement.model_validate({**said, **words, "side": "owner", "person_id": author.id})
            )
            if joins:
                row = {"community_id": author.community_id, "complaint_id": complaint.id, "at": self.tx.now}
                self.session.add(Joiner.model_validate({**row, "person_id": self._named("周先生").id}))

    def _agents(self) -> None:
        for label, principal, agent, here in (
            ("of the owner", "陈女士", "周先生", True),
            ("of the neighbour", "周先生", "陈女士", True),
            ("elsewhere", "外人", "两家", False),
        ):
            power = Agent(
                community_id=self.here.id if here else self.elsewhere.id,
                kind="proxy",
                principal_id=self._named(principal, here=here).id,
                agent_id=self._named(agent, here=here).id,
                starts_at=self.building.clock.now() - timedelta(days=1),
            )
            self._add(label, power, principal=_kinds_of(principal))

    def _letters(self) -> None:
        """What was written through the owner's accepted repair, and through one elsewhere."""
        ids = {row.label: row.id for row in self.rows[Repair]}
        for label, by, to, here in (
            ("to the crew", "陈女士", "王师傅", True),
            ("to the owner", "王师傅", "陈女士", True),
            ("to the office", "陈女士", "", True),
            ("elsewhere", "外人", "外修", False),
        ):
            repair = "the owner's, accepted" if here else "elsewhere"
            row = Letter(
                community_id=self.here.id if here else self.elsewhere.id,
                about=f"repair:{ids[repair]}",
                person_id=self._named(by, here=here).id,
                to_id=self._named(to, here=here).id if to else None,
                text="在家",
                at=self.tx.now,
            )
            related = {"addressee": _kinds_of(to)} if to else {"for_the_office": _titled("staff")}
            self._add(label, row, **related)

    def _requests(self) -> None:
        guest = self._named("求入")
        for state in ("waiting", "approved", "declined"):
            self._add(state, self._request(guest, state))
        self._add("elsewhere", self._request(self._new("外客", here=False), "waiting"))
        for label, here in (("here", self.here), ("elsewhere", self.elsewhere)):
            found = read(self.tx, here.id, Month(2026, 2))
            self._add(label, Report(community_id=here.id, month="2026-02", facts=found, at=self.tx.now))

    def _request(self, guest: Person, state: str) -> JoinRequest:
        home = None
        if guest.community_id == self.here.id:
            home = self.session.exec(select(Home.id).where(Home.room == "1202")).first()
        return JoinRequest(
            community_id=guest.community_id,
            person_id=guest.id,
            name=guest.name,
            home="3-2-1202",
            role="owner",
            home_id=home,
            state=state,
            created_at=self.building.clock.now(),
        )

    def _accounts(self) -> None:
        for label, name, here in (
            ("the owner's", "陈女士", True),
            ("of both here", "两家", True),
            ("of both elsewhere", "两家", False),
            ("elsewhere", "外人", False),
        ):
            person = self._named(name, here=here)
            account = self.session.exec(select(Account).where(Account.person_id == person.id)).one()
            if name == "两家":  # one chat for both: they speak as who they are here
                chat = self.session.exec(select(Place).where(Place.external_id == name)).one()
                home = self._named(name)
                chat.person_id, chat.community_id = home.id, home.community_id
            self._add(label, account)

    def _places(self) -> None:
        for label, name in (("the owner's", "陈女士"), ("staff", "staff"), ("elsewhere", "staff elsewhere")):
            found = select(Place).where(Place.external_id == name)
            self._add(label, self.session.exec(found).one())

    def _rests(self) -> None:
        group = frozenset(kind for kind, each in KINDS.items() if each.chat == "staff")
        owner = self._named("陈女士")
        staff = self.session.exec(select(Place).where(Place.external_id == "staff")).one()
        for label, community_id, person_id, place_id, reader in (
            ("the owner's", self.here.id, owner.id, None, _kinds_of("陈女士")),
            ("the group's", self.here.id, None, staff.id, group),
            ("everybody's", self.here.id, None, None, frozenset(KINDS)),
            ("everybody's elsewhere", self.elsewhere.id, None, None, frozenset(KINDS)),
        ):
            whose = {"community_id": community_id, "person_id": person_id, "place_id": place_id}
            rest = Rest.model_validate({**whose, "text": "其余", "created_at": self.tx.now})
            self._add(label, rest, reader=reader)

    def _messages(self) -> None:
        """What was written to the owner, and to somebody elsewhere."""
        for label, name, here in (("to the owner", "陈女士", True), ("elsewhere", "外人", False)):
            person = self._named(name, here=here)
            row = Outgoing(
                community_id=person.community_id,
                person_id=person.id,
                lane=3,
                text="公示",
                state="sent",
                created_at=self.tx.now,
            )
            self._add(label, row, reader=_kinds_of(name))
        group = frozenset(
            kind for kind, each in KINDS.items() if each.chat == "staff" and "staff" in each.titles
        )
        place = self.session.exec(select(Place).where(Place.external_id == "staff")).one()
        card = Outgoing(
            community_id=self.here.id,
            place_id=place.id,
            lane=2,
            card="repair:0",
            text="卡",
            state="sent",
            created_at=self.tx.now,
        )
        self._add("to the group", card, **{"in the group": group})

    def _talks(self) -> None:
        for label, name, here in (("the family's", "小陈", True), ("elsewhere", "外人", False)):
            person = self._named(name, here=here)
            chat = self.session.exec(select(Place).where(Place.external_id == name)).one()
            talk = Talk(
                community_id=person.community_id,
                person_id=person.id,
                place_id=chat.id,
                script="repair",
                touched_at=self.tx.now,
            )
            self._add(label, talk)

    def _votes(self) -> None:
        """One of each community that is open, and one whose time is over."""
        for label, here, ended in (("open", True, False), ("over", True, True), ("elsewhere", False, False)):
            began = self.tx.now - timedelta(days=2)
            tx = Tx(self.session, began, self.tx.house)
            deadline = self.tx.now + timedelta(days=-1 if ended else 1)
            community = self.here if here else self.elsewhere
            vote = open_vote(tx, community.id, kind="poll", title="充电桩", opens_at=began, deadline=deadline)
            self._add(label, vote)
            self._voter(label, vote)
            self._paper(label, vote)
            if ended:
                close_and_publish(self.tx, None, vote)
                self._objection("to the poll", vote, _titled("staff"))
        chosen = {"question": "choose", "choices": ["东门", "西门"], "most": 1}
        tx = Tx(self.session, began, self.tx.house)
        what: dict[str, Any] = {"title": "长椅", "opens_at": began}
        ends = self.tx.now + timedelta(days=1)
        self._voter(
            "of several", open_vote(tx, self.here.id, kind="poll", poll=chosen, deadline=ends, **what)
        )
        notice = began - timedelta(days=15)
        what |= {"notice_at": notice, "deadline": self.tx.now - timedelta(days=1), "rule": "ordinary"}
        vote = open_vote(tx, self.here.id, kind="statutory", **what)
        close_and_publish(self.tx, None, vote)
        self._objection("to the statutory vote", vote, _titled("committee"))
        for notice in self.session.exec(select(Notice)).all():
            notice.done_at = self.tx.now  # the results are no news in these tests

    def _voter(self, label: str, vote: Vote) -> None:
        """The ballot of somebody who has given somebody else the power to cast it."""
        here = vote.community_id == self.here.id
        voter = voter_of(self.tx, vote, self._named("陈女士" if here else "外人", here=here))
        assert voter is not None
        self._add(label, voter)

    def _objection(self, label: str, vote: Vote, decider: frozenset[str]) -> None:
        by = self._named("陈先生")
        filed = Objection(
            community_id=vote.community_id, vote_id=vote.id, person_id=by.id, what="错", at=self.tx.now
        )
        self._add(label, filed, decider=decider)

    def _purchases(self) -> None:
        owner, neighbour, outsider = (_kinds_of(name) for name in ("陈女士", "周先生", "外人"))
        for number, state in enumerate(PURCHASE_STATES, 201):
            self._add(f"the owner's, {state}", self._purchase(number, "陈女士", state), reporter=owner)
        self._add("the neighbour's", self._purchase(221, "周先生", "review"), reporter=neighbour)
        theirs = self._purchase(222, "外人", "review", here=False)
        self._add("elsewhere", theirs, reporter=outsider)

    def _purchase(self, number: int, by: str, state: str, *, here: bool = True) -> Purchase:
        return Purchase(
            community_id=self.here.id if here else self.elsewhere.id,
            number=number,
            person_id=self._named(by, here=here).id,
            what="充电桩",
            why="没处充电",
            note="现有 4 个",
            state=state,
            due_at=self.tx.now,
            created_at=self.tx.now,
        )

    def _openings(self) -> None:
        vote = {
            "rule": "ordinary",
            "title": "充电桩",
            "text": "",
            "buildings": None,
            "opens": None,
            "days": 15,
        }
        for number, label, by, state in (
            (231, "proposed", "王奶奶", "proposed"),
            (232, "seconding", "王奶奶", "seconding"),
            (233, "elsewhere", "外人", "proposed"),
        ):
            asked = self._purchase(number, by, "opening", here=label != "elsewhere")
            self.session.add(asked)
            self.session.flush()
            self._add(label, self._opening(asked, state, vote))

    def _opening(self, asked: Purchase, state: str, vote: dict[str, Any]) -> Opening:
        return Opening(
            community_id=asked.community_id,
            purchase_id=asked.id,
            vote=vote,
            state=state,
            opened_by=self._named("双一").id if state == "seconding" else None,
            created_at=self.tx.now,
        )

    def _equipment(self) -> None:
        """A line of each community, and one that was retired."""
        for label, here, retired in (
            ("here", True, False),
            ("retired", True, True),
            ("elsewhere", False, False),
        ):
            community = self.here if here else self.elsewhere
            line = add_line(self.tx, community.id, kind=f"电梯 {label}")
            line.retired_at = self.tx.now if retired else None
            self._add(label, line)

    def _spots(self) -> None:
        """A spot of each community, and one that was retired."""
        for label, here, retired in (
            ("here", True, False),
            ("retired", True, True),
            ("elsewhere", False, False),
        ):
            community = self.here if here else self.elsewhere
            spot, _ = add_spot(self.tx, community.id, place="lift", building="", words=label)
            spot.retired_at = self.tx.now if retired else None
            self._add(label, spot)

    def _paper(self, label: str, vote: Vote) -> None:
        """A ballot on paper that waits, entered by nobody of the scene."""
        here = vote.community_id == self.here.id
        owner = voter_of(self.tx, vote, self._named("陈女士" if here else "外人", here=here))
        assert owner is not None
        paper = Paper(
            community_id=vote.community_id,
            vote_id=vote.id,
            voter_id=owner.id,
            choice="for",
            evidence="b" * 64,
            entered_by=0,
            received_at=self.tx.now,
        )
        self._add(label, paper)

    def _question(self) -> None:
        """The newcomer has shared their number, and was asked which of two they are."""
        buttons = [f"join.as:{row.id}" for row in self.rows[Person] if row.related.get("twin")]
        chat = self.session.exec(select(Place).where(Place.external_id == "新人")).one()
        tx = Tx(self.session, self.tx.now, self.tx.house, place=chat)
        tell(tx, self._named("新人"), "join.which", last=WHICH, buttons=buttons)

    def _files(self) -> None:
        kept = self.building.app.media.keep_file(f"{ROSTER}9号楼,,901,80,新邻居,业主,,,\n".encode())
        for label, name, here in (("here", "刘经理", True), ("elsewhere", "外管", False)):
            sender = self._named(name, here=here)
            roster = RosterFile(
                community_id=sender.community_id,
                person_id=sender.id,
                storage=kept.storage,
                name="名册.csv",
                created_at=self.tx.now,
            )
            self._add(label, roster)
