"""Ballots on paper: entered with a photo, confirmed by a second person, cast, and told to whom they concern."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from conversations.paper import picked_in
from handlers.ballot_log import receipt
from handlers.people import bind_account
from handlers.tx import Tx
from store.tables import Audit, Ballot, Media, Paper, Talk, Timer, Vote, Voter
from tests.handlers.test_votes import HOURS, STATUTORY, adds_home, begin, home, one, votes, write
from tests.people import Building, Phone, photo

CHOICES = {"question": "choose", "choices": ["甲方案", "乙方案", "丙方案"]}


@pytest.fixture
def colleague(building: Building) -> Phone:
    """Another member of the admin group."""
    return building.group("周经理")


async def enters(office: Phone, *answers: str, where: str = "3-2-1201", width: int = 40) -> None:
    """Enter a paper up to its end."""
    await office.says("纸质票")
    await office.says(where)
    for answer in answers:
        await office.says(answer)
    await office.sends_photo(photo(width))
    await office.taps("好了")
    await office.taps("提交")


def ballots(building: Building) -> list[dict[str, Any]]:
    """What the ballots in the log say."""
    rows = building.read(select(Ballot.entry).where(Ballot.kind == "ballot").order_by(col(Ballot.n)))
    return [json.loads(each)["body"] for each in rows]


def states(building: Building) -> list[str]:
    return building.read(select(Paper.state).order_by(col(Paper.id)))


# --- from the paper to the log ----------------------------------------------------------------------


async def test_a_paper_is_entered_confirmed_and_counted(
    building: Building, owner: Phone, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    await office.says("纸质票")
    office.sees("录入投票 1「充电桩」的纸质票。是哪一户的？", "取消")
    await office.says("3栋1201")
    office.sees("陈女士的票上选了哪一项？", "赞成", "反对", "弃权", "返回")
    await building.restart()
    await office.taps("反对")
    office.sees("请发纸质票的照片", "返回")
    await office.sends_photo()
    await office.taps("好了")
    office.sees("业主：陈女士\n房屋：3 号楼 2 单元 1201\n选择：反对\n照片：1", "提交", "修改")
    await office.taps("提交")
    card = office.sees("纸质票 1 · 投票 1「充电桩」· 等另一位同事确认", "确认无误", "退回")
    assert "3 号楼 2 单元 1201，陈女士：反对" in card.text
    assert "刘经理 录入" in card.text
    assert "已经投过" not in card.text
    assert card.photos == 1
    assert ballots(building) == []
    owner.sees_nothing()
    await building.later(hours=3)
    await colleague.taps("确认无误")
    (body,) = ballots(building)
    (entry,) = building.read(select(Ballot).where(Ballot.kind == "ballot"))
    shown = str(receipt(entry.n, json.loads(entry.entry)["hash"]))
    colleague.sees(f"纸质票 1 已记入投票 1「充电桩」。回执（请抄在票根上）：\n{shown}")
    owner.sees(f"您在投票 1「充电桩」的纸质票已记录：反对。回执 {shown}")
    (media,) = building.read(select(Media).where(Media.about == "paper:1"))
    (paper,) = building.read(select(Paper))
    assert (body["channel"], body["choice"], body["evidence"]) == ("paper", "against", media.storage)
    assert body["at"] == "2026-03-02T01:00:00.000000Z"  # when it came in, not when it was confirmed
    assert (body["on_behalf_of"], paper.state, paper.photos) == (None, "confirmed", [media.id])
    acts = building.read(select(Audit.action).where(col(Audit.action).startswith("paper.")))
    assert acts == ["paper.enter:1", "paper.confirm:1"]


@pytest.mark.in_place
async def test_the_card_shows_what_became_of_it(building: Building, office: Phone, colleague: Phone) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await colleague.taps("确认无误")
    assert not office.sees("纸质票 1 · 投票 1「充电桩」· 已确认，计入").buttons
    await enters(office, "赞成", where="3-2-1202", width=41)
    await office.taps("退回")
    assert not office.sees("纸质票 2 · 投票 1「充电桩」· 已退回，不计").buttons
    assert states(building) == ["confirmed", "refused"]
    assert len(ballots(building)) == 1


async def test_who_entered_a_paper_does_not_confirm_it(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await office.taps("确认无误")
    office.sees("录入和确认要由两个人做")
    assert (states(building), ballots(building)) == (["waiting"], [])
    await colleague.taps("确认无误")
    assert states(building) == ["confirmed"]


async def test_nobody_confirms_their_own_ballot(building: Building, office: Phone) -> None:
    write(building, begin)

    def own(tx: Tx) -> None:
        (paper,) = tx.session.exec(select(Paper)).all()
        tx.session.get_one(Voter, paper.voter_id).person_id = one(tx, "周经理").id

    await building.group("周经理").says("/home")
    await building.group("周经理").says("取消")
    await enters(office, "赞成")
    write(building, own)
    await building.group("周经理").taps("确认无误")
    building.group("周经理").sees("投票人本人也不能确认自己的票")
    assert states(building) == ["waiting"]


async def test_a_second_tap_casts_nothing_more(building: Building, office: Phone, colleague: Phone) -> None:
    write(building, begin)
    await enters(office, "赞成")
    for action in ("paper.confirm:1", "paper.confirm:1", "paper.refuse:1"):
        await colleague.forges(action)
    colleague.sees("这张纸质票已经处理过了")
    assert (states(building), len(ballots(building))) == (["confirmed"], 1)


async def test_a_refused_paper_is_entered_anew(building: Building, office: Phone, colleague: Phone) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await enters(office, "反对", width=41)
    office.sees("这位业主已有一张纸质票在等确认")
    await colleague.taps("退回")
    await enters(office, "反对", width=41)
    await colleague.taps("确认无误")
    assert [each["choice"] for each in ballots(building)] == ["against"]


@pytest.mark.by_hand
async def test_owners_enter_and_confirm_nothing(building: Building, owner: Phone, office: Phone) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await owner.says("纸质票")
    for action in ("paper.new:1", "paper.confirm:1", "paper.refuse:1", "paper.enter:1", "papers"):
        await owner.forges(action)
    manager = building.phone("刘经理")  # in their own chat, where nobody sees it
    await manager.forges("paper.new:1")
    assert (states(building), ballots(building), building.read(select(Talk))) == (["waiting"], [], [])


# --- whose it is ------------------------------------------------------------------------------------


async def test_of_several_owners_one_is_chosen_and_the_others_hear_of_it(
    building: Building, office: Phone, colleague: Phone, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    phone("陈先生")

    def share(tx: Tx) -> None:
        person = next(iter(adds_owner(tx, "陈先生", "1201")))
        bind_account(tx, person, building.messenger_of("陈先生"), building.account("陈先生"), agreed=True)
        begin(tx)

    write(building, share)
    await office.says("纸质票")
    await office.says("3-2-1201")
    office.sees("是哪位业主的票？", "陈女士", "陈先生")
    await office.says("谁知道")
    office.sees("请")
    await office.taps("陈先生")
    office.sees("陈先生的票上选了哪一项？")
    await office.taps("赞成")
    await office.sends_photo()
    await office.taps("好了")
    office.sees("业主：陈先生\n房屋：3 号楼 2 单元 1201\n业主：陈先生")
    await office.taps("提交")
    await colleague.taps("确认无误")
    (body,) = ballots(building)
    voter = building.read(select(Voter).where(Voter.number == body["voter"]))[0]
    assert voter.person_id == write(building, lambda tx: one(tx, "陈先生").id)
    if building.messenger != "wechat":
        phone("陈先生").sees("您在投票 1「充电桩」的纸质票已记录：赞成")
    owner.sees("回执")


def adds_owner(tx: Tx, name: str, room: str) -> list[Any]:
    """One more owner of a home."""
    from handlers.people import new_person
    from store.tables import HomeRole

    person = new_person(tx, 1, name)
    tx.session.add(HomeRole(community_id=1, home_id=home(tx, room).id, person_id=person.id, role="owner"))
    tx.session.flush()
    return [person]


@pytest.mark.by_hand
async def test_another_home_asks_for_its_owner_again(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", "乙")
        adds_home(tx, "102", "丙", "丁")
        begin(tx)

    write(building, work)
    await office.says("纸质票")
    for answer in ("9-101", "乙", "赞成"):
        await office.says(answer)
    await office.sends_photo()
    await office.taps("好了")
    await office.taps("修改")
    await office.taps("房屋")
    await office.says("9-102")
    office.sees("是哪位业主的票？", "丙", "丁")
    await office.taps("丁")
    await office.taps("提交")
    office.sees("9 号楼 102，丁：赞成")


@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("9-9-999", "这次投票的名册上没有这一户"),
        ("随便", "这次投票的名册上没有这一户"),
        ("2-1-1504", "名册上这一户没有写业主"),
        ("3-2-1201" * 20, "最多"),
        ("PHOTO", "照片收到了"),
        ("1" * 60, "这次投票的名册上没有这一户"),
    ],
)
async def test_a_home_that_is_none_is_asked_for_again(
    building: Building, office: Phone, where: str, said: str
) -> None:
    write(building, begin)
    await office.says("纸质票")
    if where == "PHOTO":
        await office.sends_photo()
    else:
        await office.says(where)
    office.sees(said)
    await office.says("3-2-1201")
    office.sees("陈女士的票上选了哪一项？")


async def test_a_home_outside_the_scope_is_none(building: Building, office: Phone) -> None:
    write(building, lambda tx: begin(tx, options={"scope": {"buildings": ["3"]}}))
    await office.says("纸质票")
    await office.says("1-1-101")
    office.sees("这次投票的名册上没有这一户")


@pytest.mark.by_hand
async def test_who_speaks_for_a_home_is_the_only_one_asked_for(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        from handlers.people import ties_of

        made = adds_home(tx, "101", "甲", "乙")
        (tie,) = [tie for who, tie in ties_of(tx, made) if who.name == "乙"]
        tie.represents = True
        begin(tx)

    write(building, work)
    await office.says("纸质票")
    await office.says("9-101")
    office.sees("乙的票上选了哪一项？")


async def test_a_paper_speaks_for_all_homes_of_its_owner(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    await enters(office, "赞成", where="1-2-803")
    office.sees("1 号楼 1 单元 101、1 号楼 2 单元 803，王奶奶：赞成")
    await colleague.taps("确认无误")
    assert [each["units"] for each in ballots(building)] == ["all"]


# --- which vote, and when ---------------------------------------------------------------------------


async def test_of_several_votes_one_is_chosen(building: Building, office: Phone) -> None:
    write(building, begin)
    write(building, lambda tx: begin(tx, title="门禁"))
    write(building, lambda tx: begin(tx, title="保密", poll={"visible": "totals"}))
    write(building, lambda tx: begin(tx, title="以后", opens_at=tx.now + timedelta(hours=1)))
    await office.says("纸质票")
    shown = office.sees("录入哪一次投票的纸质票？", "1「充电桩」", "2「门禁」")
    assert len(shown.buttons) == 2
    await office.taps("2「门禁」")
    office.sees("录入投票 2「门禁」的纸质票")
    await office.taps("1「充电桩」")
    office.sees("录入投票 1「充电桩」的纸质票")


async def test_without_a_vote_there_is_no_paper(building: Building, office: Phone) -> None:
    await office.says("纸质票")
    office.sees("现在没有可以录入纸质票的投票")


@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("options", "later", "said"),
    [
        ({"poll": {"visible": "totals"}}, 0, "只公示总数，不收纸质票"),
        ({"opens": 1}, 0, "投票还没开始"),
        ({}, HOURS * 3600 + 2, "截止，这一票没有记"),
        ({}, HOURS * 3600 + 60, "这次投票已经结束"),
    ],
)
async def test_a_paper_is_refused_in_words(
    building: Building, office: Phone, options: dict[str, Any], later: int, said: str
) -> None:
    def work(tx: Tx) -> None:
        given = dict(options)
        if given.pop("opens", None):
            given["opens_at"] = tx.now + timedelta(hours=1)
        begin(tx, **given)

    write(building, work)
    await building.later(seconds=later)
    await office.forges("paper.new:1")
    office.sees(said)
    assert building.read(select(Talk)) == []


@pytest.mark.by_hand
async def test_a_vote_that_ends_in_mid_talk_takes_no_paper(building: Building, office: Phone) -> None:
    building.set_policy("talk_hours", 700)
    write(building, begin)
    await office.says("纸质票")
    for answer in ("3-2-1201", "赞成"):
        await office.says(answer)
    await office.sends_photo()
    await office.taps("好了")
    await building.later(hours=HOURS, minutes=1)
    await office.taps("提交")
    office.sees("这次投票已经结束")
    assert states(building) == []


async def test_a_half_entered_paper_goes_on(building: Building, office: Phone) -> None:
    write(building, begin)
    await office.says("纸质票")
    await office.says("3-2-1201")
    await office.says("纸质票")
    office.sees("这次投票有一张纸质票还没录完")
    await office.taps("赞成")
    office.sees("请发纸质票的照片")


async def test_no_photo_no_paper(building: Building, office: Phone) -> None:
    write(building, begin)
    await office.says("纸质票")
    for answer in ("3-2-1201", "赞成", "跳过"):
        await office.says(answer)
    office.sees("这一项需要回答")
    await office.says("没有照片")
    await office.says("好了")
    assert building.read(select(Talk.answers))[0].get("photos") is None


# --- several choices --------------------------------------------------------------------------------


async def test_one_of_several_is_chosen(building: Building, office: Phone, colleague: Phone) -> None:
    write(building, lambda tx: begin(tx, poll=CHOICES))
    await office.says("纸质票")
    await office.says("3-2-1201")
    office.sees("陈女士的票上选了哪一项？", "甲方案", "乙方案", "丙方案", "以上都不选", "弃权")
    await office.taps("乙方案")
    await office.sends_photo()
    await office.taps("好了")
    office.sees("选项：乙方案")
    await office.taps("提交")
    office.sees("陈女士：乙方案")
    await colleague.taps("确认无误")
    await enters(office, "以上都不选", where="3-2-1202", width=41)
    office.sees("周先生：以上都不选")
    await colleague.taps("确认无误")
    await enters(office, "弃权", where="1-1-101", width=42)
    await colleague.taps("确认无误")
    assert [each["choice"] for each in ballots(building)] == [["乙方案"], [], "abstain"]


async def test_several_are_written_by_their_numbers(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, lambda tx: begin(tx, poll={**CHOICES, "most": 2}))
    await office.says("纸质票")
    await office.says("3-2-1201")
    office.sees("都不选请写「以上都不选」，弃权请写「弃权」。\n1. 甲方案\n2. 乙方案\n3. 丙方案")
    for wrong in ("1 2 3", "4", "看着办"):
        await office.says(wrong)
        office.sees("没有对上，或者超过了 2 项。")
    await office.says("3 1")
    await office.sends_photo()
    await office.taps("好了")
    await office.taps("提交")
    office.sees("陈女士：丙方案、甲方案")
    await colleague.taps("确认无误")
    assert [each["choice"] for each in ballots(building)] == [["甲方案", "丙方案"]]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1 3", ["甲", "丙"]),
        ("1、3", ["甲", "丙"]),
        ("１，２", ["甲", "乙 号"]),
        ("乙 号、甲", ["乙 号", "甲"]),
        ("乙号", ["乙 号"]),
        ("甲 甲", ["甲"]),
        ("三", ["丙"]),
        ("以上都不选", []),
        ("none of these", []),
        ("弃权", "abstain"),
        ("1 2 3", None),
        ("", None),
        ("、、", None),
        ("0", None),
        ("1 9", None),
        ("1 丁", None),
    ],
)
def test_what_is_written_means_choices(text: str, meant: Any) -> None:
    assert picked_in(text, ["甲", "乙 号", "丙"], 2) == meant


def test_a_name_goes_before_a_number() -> None:
    """So that what was read is read the same again."""
    assert picked_in("2", ["3", "1", "2"], 2) == ["2"]
    assert picked_in("2、3", ["3", "1", "2"], 2) == ["2", "3"]


# --- beside other ballots ---------------------------------------------------------------------------


async def test_the_card_says_that_the_home_has_voted(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    write(building, lambda tx: votes(tx, "陈女士"))
    await enters(office, "反对")
    office.sees("注意：这一户已经投过，最后记入的一张算数。")
    await colleague.taps("确认无误")
    await building.later(hours=HOURS, minutes=1)
    (vote,) = building.read(select(Vote))
    assert vote.result["ballot_outcomes"] == ["superseded", "counted"]


async def test_a_paper_takes_no_later_choice_back(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    await enters(office, "反对")
    await building.later(minutes=5)
    write(building, lambda tx: votes(tx, "陈女士"))
    await colleague.taps("确认无误")
    colleague.sees("这张纸质票录入之后，业主本人又在线上投了")
    assert [each["choice"] for each in ballots(building)] == ["for"]
    await colleague.taps("退回")
    assert states(building) == ["refused"]


@pytest.mark.by_hand
async def test_where_paper_wins_it_is_taken_all_the_same(building: Building, office: Phone) -> None:
    write(building, lambda tx: begin(tx, options={"channel_conflict": "paper_wins"}))
    await enters(office, "反对")
    await building.later(minutes=5)
    write(building, lambda tx: votes(tx, "陈女士"))
    await building.group("周经理").taps("确认无误")
    assert [each["channel"] for each in ballots(building)] == ["bot", "paper"]


@pytest.mark.by_hand
async def test_what_casting_refuses_leaves_the_paper_waiting(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        from tests.handlers.test_votes import appoint

        appoint(tx, "陈女士", "周先生", "guardian")
        begin(tx, **STATUTORY)

    write(building, work)
    await enters(office, "反对")
    await building.group("周经理").taps("确认无误")
    building.group("周经理").sees("名册上登记了您的监护人")
    assert (states(building), ballots(building)) == (["waiting"], [])


# --- the clock --------------------------------------------------------------------------------------


async def test_an_hour_before_the_end_the_group_hears_what_waits(
    building: Building, office: Phone, colleague: Phone
) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await enters(office, "赞成", where="3-2-1202", width=41)
    await colleague.says("确认无误 1")
    await building.later(hours=HOURS - 1, seconds=1)
    shown = office.sees("还有 1 张纸质票没确认，过时不计：")
    assert "· 纸质票 2：3 号楼 2 单元 1202，周先生" in shown.text
    assert "陈女士" not in shown.text
    await building.later(hours=1, seconds=10)
    await colleague.says("确认无误 2")
    colleague.sees("这次投票已经结束")
    assert states(building) == ["confirmed", "waiting"]
    (vote,) = building.read(select(Vote))
    assert vote.result["ballot_outcomes"] == ["counted"]


@pytest.mark.by_hand
async def test_the_reminder_moves_with_the_deadline(building: Building, office: Phone) -> None:
    from handlers.votes import extend

    write(building, begin)
    await enters(office, "赞成")
    write(building, lambda tx: extend(tx, tx.session.get_one(Vote, 1), tx.now + timedelta(hours=HOURS + 24)))
    many = len(office.chat.messages)
    await building.later(hours=HOURS - 1, seconds=1)
    assert not any("没确认，过时" in message.text for message in office.chat.messages[many:])
    await building.later(hours=24)
    assert any("没确认，过时" in message.text for message in office.chat.messages[many:])


@pytest.mark.by_hand
async def test_nothing_that_waits_no_word(building: Building, office: Phone, colleague: Phone) -> None:
    write(building, begin)
    await enters(office, "赞成")
    await colleague.taps("确认无误")
    await building.later(hours=HOURS - 1, seconds=1)
    assert not any("没确认，过时" in message.text for message in office.chat.messages)
    assert building.read(select(Timer.state).where(col(Timer.action).startswith("paper."))) == ["done"]


@pytest.mark.by_hand
async def test_in_english(building: Building, office: Phone, colleague: Phone) -> None:
    from store.tables import Community

    def english(tx: Tx) -> None:
        tx.session.get_one(Community, 1).language = "en"
        begin(tx)

    write(building, english)
    await office.says("papers")
    office.sees("Of which home is it?")
    await office.says("3-2-1201")
    await office.taps("Against")
    await office.sends_photo()
    await office.taps("Done")
    office.sees("Owner: 陈女士\nHome: Building 3, entrance 2, 1201\nChoice: Against", "Submit")
    await office.taps("Submit")
    office.sees("waits for a colleague", "It is right")
    await colleague.taps("It is right")
    office.sees("Its receipt, for the stub:")
