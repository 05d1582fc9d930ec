"""Digests: one short message a day or a week for who chose so; one tap opens each matter."""

from typing import Any

import pytest
from sqlmodel import Session, col, select

from conversations.words import Say
from handlers import public
from handlers.digests import CARD, send_digests
from handlers.listing_cards import card_of
from handlers.notices import notify, take_back
from handlers.preferences import drop_ordinary
from handlers.public import Line, Matter
from handlers.tx import Tx
from store.tables import Listing, Outgoing
from tests.handlers.test_announcements import writes
from tests.handlers.test_preferences import DESK, LAMP, chooses, copies, write
from tests.people import Building, Phone


def digests(phone: Phone) -> list[str]:
    return [message.text for message in phone.chat.messages if "汇总 ·" in message.text]


async def publishes(building: Building, about: str, words: str, **options: Any) -> None:
    facts: Any = {"begun": about, "words": words, "wish": "listing", **options}
    write(building, lambda tx: notify(tx, building.community.id, "reach.taken_back", about=about, **facts))
    await building.settle()


async def test_a_daily_digest_is_one_line_a_matter_and_one_tap_opens_it(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    await chooses(owner, "报修", "每天汇总")
    await neighbour.offers(DESK)
    await neighbour.offers(LAMP)
    await neighbour.says("卧室灯不亮")
    await neighbour.taps("提交")
    assert {row.state for row in copies(building)} == {"held"}
    await building.restart()
    await building.later(hours=9, minutes=29)
    assert digests(owner) == []
    await building.later(minutes=1)
    (digest,) = digests(owner)
    assert digest.startswith("公示栏今日汇总 · 3月2日周一 · 3 件\n")
    assert "书桌" in digest and "台灯" in digest and "报修 1" in digest and DESK not in digest
    assert owner.last.silent or not building.changes
    assert owner.last.photos == 0
    labels = list(owner.last.buttons)
    assert len(labels) == 3
    await owner.taps(next(label for label in labels if "书桌" in label or "信息 1" in label))
    owner.sees(DESK)
    await building.later(days=3)
    assert len(digests(owner)) == 1
    assert {row.state for row in copies(building)} == {"digested"}


async def test_a_weekly_digest_comes_on_monday(building: Building, owner: Phone, neighbour: Phone) -> None:
    await chooses(owner, "集市信息", "每周汇总")
    await building.later(days=1)  # on Tuesday
    await neighbour.offers(DESK)
    await neighbour.offers(LAMP)
    await building.later(days=5)
    assert digests(owner) == []
    await building.later(days=1, hours=9, minutes=30)
    (digest,) = digests(owner)
    assert digest.startswith("公示栏一周汇总 · 3月9日周一 · 2 件\n")


async def test_a_weekly_digest_is_not_lost_when_nobody_was_there_on_monday(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每周汇总")
    await neighbour.offers(DESK)
    await building.later(days=9)
    assert len(digests(owner)) == 1
    await building.later(days=7)
    assert len(digests(owner)) == 1


async def test_what_is_withdrawn_meanwhile_is_not_listed(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    await neighbour.offers(DESK)
    await neighbour.offers(LAMP)
    await neighbour.says("撤下信息 1")
    await building.later(days=1)
    (digest,) = digests(owner)
    assert "1 件" in digest and "书桌" not in digest and "台灯" in digest


async def test_a_notice_for_some_is_in_their_digest_though_not_on_the_board(
    building: Building, owner: Phone, office: Phone
) -> None:
    await chooses(owner, "物业通知", "每天汇总")
    await writes(office, "业主大会筹备组第一次会议。", "只发业主")
    await building.later(days=1)
    (digest,) = digests(owner)
    assert "1 件" in digest and "业主大会筹备组第一次会议" in digest
    await owner.taps(next(iter(owner.last.buttons)))
    owner.sees("业主大会筹备组第一次会议")
    await building.later(days=1)
    assert len(digests(owner)) == 1


async def test_of_many_matters_ten_have_buttons_and_the_others_are_one_tap_away(
    building: Building, owner: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    for number in range(23):
        await publishes(building, f"事{number}", f"<b>第{number}件</b> *_[x](y)")
    await publishes(building, "事3", "第3件又来了。")  # one matter, however often it was published
    await building.later(hours=10)
    (digest,) = digests(owner)
    assert "23 件" in digest and "另有 13 件，见公示栏" in digest and digest.count("\n· ") == 10
    assert len(digest) < 1500
    assert len(owner.last.buttons) == 11
    await owner.taps("其余 13 件")
    owner.sees("第12件", "其余 3 件")
    await owner.taps("其余 3 件")
    assert owner.last.text.count("· ") == 3
    await owner.taps(next(iter(owner.last.buttons)))
    owner.sees("<b>第")


async def test_who_changes_their_mind_still_gets_what_was_held(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    await neighbour.offers(DESK)
    await chooses(owner, "集市信息", "马上，有声")
    await neighbour.offers(LAMP)
    owner.sees("台灯")
    await building.later(days=1)
    (digest,) = digests(owner)
    assert "书桌" in digest and "台灯" not in digest


async def test_what_was_taken_back_after_the_digest_leaves_other_messages_alone(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    await publishes(building, "书桌", "一张书桌。")
    await publishes(building, "台灯", "一盏台灯。")
    await building.later(days=1)
    before = [message.text for message in owner.chat.messages]
    write(building, lambda tx: take_back(tx, building.community.id, "书桌"))
    await building.later(days=2)
    if building.changes:
        assert [message.text for message in owner.chat.messages] == before


@pytest.mark.by_hand
async def test_nobody_opens_the_message_of_somebody_else(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await publishes(building, "书桌", "一张书桌。")
    (row,) = copies(building)
    await neighbour.forges(f"digest.open:{row.id}")
    neighbour.sees("不归您办理")


@pytest.mark.by_hand
async def test_a_mute_undoes_a_digest_that_has_not_gone_out(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    """What is not ordinary of it comes with the next one."""
    await publishes(building, "书桌", "一张书桌。")
    await publishes(building, "停水", "明天停水。", wish="")
    building.app.database.write_now(_not_sent)
    write(building, lambda tx: send_digests(tx, None, tx.community(building.community.id)))
    assert {row.state for row in copies(building)} == {"digested"}
    write(building, lambda tx: drop_ordinary(tx, copies(building)[0].person_id or 0))
    found = building.read(select(Outgoing).where(col(Outgoing.card).startswith(CARD)))
    assert {row.state for row in found if row.person_id == copies(building)[0].person_id} == {"dropped"}
    assert [row.state for row in copies(building)] == ["dropped", "held"]
    assert {row.state for row in copies(building, "周先生")} == {"digested"}


def _not_sent(session: Session) -> None:
    """As if a daily digest had been chosen for all of it."""
    for row in session.exec(select(Outgoing).where(col(Outgoing.notice_id).is_not(None))):
        row.state, row.digest, row.message_id = "held", "day", ""
        session.add(row)


@pytest.mark.by_hand
async def test_a_matter_of_the_board_is_shown_as_it_is_now(
    building: Building, owner: Phone, neighbour: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line and its state are the board's, whatever they were when it was published; what is gone is not listed."""
    know = {
        "listing": Matter("listing", Listing, _line, card_of, lambda tx, row, reader: [], show="listing.show")
    }
    monkeypatch.setattr(public, "MATTERS", know)
    await chooses(owner, "集市信息", "每周汇总")
    for words in (DESK, LAMP):
        await neighbour.offers(words)
    await neighbour.says("撤下信息 2")
    await building.later(days=1)  # Monday's comes late
    (digest,) = digests(owner)
    assert digest == "公示栏一周汇总 · 3月3日周二 · 1 件\n· 信息 1 · 实木书桌 · 撤下信息"
    await owner.taps("信息 1")
    owner.sees(DESK, "写信给发布人")


def _line(tx: Tx, listing: Listing) -> Line | None:
    if listing.state != "open":
        return None
    return Line(listing.number, listing.title, Say("button.listing.withdraw", number=1), listing.created_at)
