"""The community's group on Telegram: whatever its members show there is read, and what the group refuses is told."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from store.tables import Inbox, Member, Outgoing, Place, Post, Ruling
from tests.bot_api import BotApi, Group, User
from tests.bot_api_people import SERVICE
from tests.people import Phone, StoppedClock, photo
from tests.telegram_people import TelegramBuilding

BAD, DOUBTFUL, FINE = "这里有蓝词甲", "这里有绿词乙", "今晚停水到几点？"


class Yard:
    """A community with its group on the strict server."""

    def __init__(self, building: TelegramBuilding) -> None:
        self.building, self.api = building, building.api
        self.group: Group = building.group_of("board")
        self.office: Phone = building.group("刘经理")
        self.chen: User = building.user("陈女士")
        self.group.settles(self.chen)

    async def after(self, does: Callable[[], Any]) -> Any:
        """Let something happen, and all that follows from it."""
        before = len(self.api.updates)
        done = does()
        await self.building.take(before)
        return done

    async def goes(self, does: Callable[[], Any]) -> bool:
        """Whether what somebody shows in the group is gone then."""
        before = self.standing()
        await self.after(does)
        return self.standing() == before

    def standing(self) -> list[int]:
        """What stands in the group and is not ours."""
        return [
            each.message_id
            for each in self.group.messages
            if each.sender_id != self.api.bot_id and each.kind not in SERVICE
        ]

    def calls(self, method: str) -> list[Any]:
        return [each for each in self.api.calls if each.method == method]


@pytest.fixture
async def yard(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Yard]:
    clock = StoppedClock()
    (tmp_path / "linli.db").write_bytes(sqlite_template.read_bytes())
    async with BotApi(flood=False, now=lambda: clock.now().timestamp()) as api:
        building = TelegramBuilding(tmp_path / "data", f"sqlite:///{tmp_path / 'linli.db'}", clock, api)
        building.add_rule("C甲", "蓝词甲", "violation", "不要写蓝词甲")
        building.add_rule("C乙", "绿词乙", "hold", "不要写绿词乙")
        await building.open()
        yield Yard(building)
        await building.close()
        assert api.mistakes == []


# --- whatever can be read ---------------------------------------------------------------------------


async def test_whatever_shows_words_is_judged(yard: Yard) -> None:
    chen, group = yard.chen, yard.group
    yard.building.set_policy("silence_hours", "")
    ways: dict[str, Callable[[], Any]] = {
        "a text": lambda: chen.writes(BAD, group),
        "a caption": lambda: chen.sends_photo(photo(), BAD, group),
        "a video's caption": lambda: chen.sends_video(caption=BAD, chat=group),
        "the name of a file": lambda: chen.sends_document(b"x", f"{BAD}.pdf", chat=group),
        "a link behind words": lambda: chen.writes("点这里", group, links={"这里": f"https://t.me/{BAD}"}),
        "where it was passed on from": lambda: chen.forwards(FINE, group, origin=f"{BAD}频道"),
        "what was passed on": lambda: chen.forwards(BAD, group, origin=yard.building.user("周先生")),
        "a card": lambda: chen._sends({"contact": {"phone_number": "10086", "first_name": BAD}}, group),
        "a poll's question": lambda: chen.sends_poll(BAD, ["好", "不好"], group),
        "a poll's options": lambda: chen.sends_poll("去吗？", ["去", BAD], group),
        "a command to us": lambda: chen.writes(f"/help {BAD}", group),
        "a command to another bot": lambda: chen.writes(f"/help@other_bot {BAD}", group),
    }
    for name, way in ways.items():
        await yard.building.later(minutes=3)
        assert await yard.goes(way), name
    await yard.building.later(minutes=3)
    innocent: dict[str, Callable[[], Any]] = {
        "a photo": lambda: chen.sends_photo(photo(), chat=group),
        "a sticker": lambda: chen.sends_sticker(group),
        "a voice message": lambda: chen.sends_voice(chat=group),
        "a place": lambda: chen.sends_location(31.2, 121.5, group),
        "a file": lambda: chen.sends_document(b"x", "通知.pdf", chat=group),
        "a poll": lambda: chen.sends_poll("周六去吗？", ["去", "不去"], group),
    }
    for name, way in innocent.items():
        await yard.building.later(minutes=3)
        assert not await yard.goes(way), name
    assert yard.calls("getFile") == []


async def test_an_edited_message_is_judged_again_also_twice_within_a_second(yard: Yard) -> None:
    sent = await yard.after(lambda: yard.chen.writes(FINE, yard.group))

    def edits() -> None:
        for words in ("停水到八点", f"{BAD}，加我"):
            yard.chen.edits(sent, words)

    await yard.after(edits)
    assert yard.standing() == []
    yard.chen.sees("您在业主群里的一条消息已删除")


async def test_a_message_that_comes_behind_its_own_change_acts_no_more(yard: Yard) -> None:
    before = len(yard.api.updates)
    sent = yard.chen.writes(FINE, yard.group)
    yard.chen.edits(sent, "停水到八点")
    first, change = yard.api.updates[before:]
    telegram = yard.building.app.telegram
    assert telegram is not None
    for raw in (change, first):
        await telegram.take(raw)
    assert [each.text for each in yard.building.read(select(Post))] == ["停水到八点"]


async def test_an_edit_of_long_ago_that_cannot_be_deleted_is_told_to_staff(yard: Yard) -> None:
    sent = await yard.after(lambda: yard.chen.writes(FINE, yard.group))
    await yard.building.later(hours=49)
    await yard.after(lambda: yard.chen.edits(sent, BAD))
    yard.office.sees("超过 48 小时")
    assert len(yard.standing()) == 1


async def test_an_album_goes_as_one_whichever_photo_has_the_words(yard: Yard) -> None:
    def sends() -> None:
        yard.chen.sends_album([photo(20), photo(30), photo(40)], "好看吗", yard.group)
        bodies = [each for each in yard.api.updates if "message" in each][-3:]
        bodies[2]["message"]["caption"] = BAD

    await yard.after(sends)
    assert yard.standing() == []
    (post,) = yard.building.read(select(Post))
    assert len(post.parts) == 2 and len(post.files) == 3
    yard.building.phone("陈女士").sees("好看吗")


async def test_what_is_restored_comes_with_its_files_and_nothing_is_fetched(yard: Yard) -> None:
    chen, owner = yard.chen, yard.building.phone("陈女士")
    for send in (
        lambda: chen.sends_photo(photo(), f"{BAD} 1", yard.group),
        lambda: chen.sends_document(b"x", "表.pdf", caption=f"{BAD} 2", chat=yard.group),
        lambda: chen.sends_video(caption=f"{BAD} 3", chat=yard.group),
    ):
        await yard.building.later(minutes=3)
        await yard.after(send)
        await owner.taps("判错了，申诉")
        await yard.office.taps(f"没违规，放行 {len(yard.building.read(select(Ruling)))}")
    shown = [each.kind for each in yard.group.from_bot]
    assert shown == ["text", "photo", "text", "document", "text", "video"]
    assert f"{BAD} 1" in yard.group.from_bot[0].text
    assert yard.calls("getFile") == []
    assert not yard.group.is_silenced(chen.id)


# --- who is not judged ------------------------------------------------------------------------------


async def test_administrators_anonymous_ones_and_the_channel_are_never_judged(yard: Yard) -> None:
    group, zhou = yard.group, yard.building.user("周先生")
    group.settles(zhou)
    channel = yard.api.group("小区频道", zhou)
    assert await yard.goes(lambda: zhou.writes(BAD, group))
    await yard.after(lambda: group.promotes(zhou))
    assert not await yard.goes(lambda: zhou.writes(f"{BAD} 2", group))
    assert not await yard.goes(lambda: yard.building.user("刘经理").writes(BAD, group))
    assert not await yard.goes(lambda: group.says_anonymously(BAD))
    assert not await yard.goes(lambda: group.hears_its_channel(channel, BAD))
    await yard.after(lambda: group.demotes(zhou))
    await yard.building.later(minutes=3)
    assert await yard.goes(lambda: zhou.writes(f"{BAD} 3", group))
    assert (
        len(yard.calls("getChatAdministrators")) == 3
    )  # at first, and when somebody became one or was none any more


async def test_whoever_hides_behind_a_channel_of_their_own_is_judged(yard: Yard) -> None:
    channel = yard.api.group("好物频道", yard.chen)
    assert await yard.goes(lambda: yard.group.hears_from(channel, BAD))
    assert not await yard.goes(lambda: yard.group.hears_from(channel, FINE))
    assert "好物频道 的消息不合小区的规则，已从群里收走" in yard.group.from_bot[-1].text


async def test_when_telegram_does_not_name_the_administrators_nothing_is_deleted(yard: Yard) -> None:
    yard.api.fails("getChatAdministrators", 502)
    assert not await yard.goes(lambda: yard.chen.writes(BAD, yard.group))
    assert await yard.goes(lambda: yard.chen.writes(BAD, yard.group))


# --- newcomers, strangers, silence ------------------------------------------------------------------


async def test_a_newcomer_s_doubtful_message_is_put_aside_and_a_neighbour_s_is_not(yard: Yard) -> None:
    zhou = yard.building.user("周先生")
    assert not await yard.goes(lambda: yard.chen.writes(DOUBTFUL, yard.group))
    await yard.after(lambda: yard.group.joins(zhou))
    assert await yard.goes(lambda: zhou.writes(f"{DOUBTFUL} 2", yard.group))
    await yard.building.later(hours=25)
    assert not await yard.goes(lambda: zhou.writes(f"{DOUBTFUL} 3", yard.group))
    await yard.after(lambda: yard.group.leaves(zhou))
    assert yard.building.read(select(Member.account)) == [str(yard.chen.id)]


async def test_who_never_wrote_to_us_is_told_in_the_group_for_a_minute(yard: Yard) -> None:
    stranger = yard.api.user("小广告")
    yard.group.settles(stranger)
    assert await yard.goes(lambda: stranger.writes(BAD, yard.group))
    notice = yard.group.sees("小广告 的消息不合小区的规则，已从群里收走")
    assert "蓝词甲" not in notice.text and notice.silent
    await yard.building.later(seconds=61)
    assert yard.group.from_bot == []


async def test_a_stranger_with_a_chat_is_told_there(yard: Yard) -> None:
    stranger = yard.building.user("生人")
    yard.group.settles(stranger)
    await yard.after(lambda: stranger.writes("你好"))
    assert await yard.goes(lambda: stranger.writes(BAD, yard.group))
    assert "不要写蓝词甲" in stranger.sees("您在业主群里的一条消息已删除").text
    assert yard.group.from_bot == []


async def breaks(yard: Yard, times: int) -> None:
    for number in range(times):
        await yard.building.later(minutes=3)
        await yard.after(lambda number=number: yard.chen.writes(f"{BAD} {number}", yard.group))


async def test_telegram_silences_and_ends_it_by_itself(yard: Yard) -> None:
    await breaks(yard, 3)
    (call,) = yard.calls("restrictChatMember")
    assert call.params["until_date"] == int(yard.api.now()) + 3600
    assert yard.group.is_silenced(yard.chen.id)
    await yard.building.later(hours=1)
    assert not yard.group.is_silenced(yard.chen.id)
    assert yard.group.status(yard.chen.id) == "member"


# --- what the group refuses -------------------------------------------------------------------------


async def test_without_rights_staff_are_told_once_a_day_what_to_do(yard: Yard) -> None:
    await yard.after(lambda: yard.group.promotes_bot(can_delete_messages=False, can_restrict_members=False))
    await breaks(yard, 4)
    told = [each.text for each in yard.office.chat.messages if "没有权限处理" in each.text]
    assert len(told) == 1 and "删除消息" in told[0]
    assert len(yard.standing()) == 4
    failed = yard.building.read(select(Outgoing.change).where(Outgoing.state == "failed"))
    assert sorted(failed) == ["remove"] * 4 + ["silence"] * 2
    await yard.building.later(days=1)
    await breaks(yard, 1)
    told = [each.text for each in yard.office.chat.messages if "没有权限处理" in each.text]
    assert len(told) == 2


async def test_one_that_cannot_go_keeps_none_of_the_others(yard: Yard) -> None:
    old = await yard.after(lambda: yard.chen.writes(FINE, yard.group))
    await yard.building.later(hours=49)

    def does() -> None:
        yard.chen.edits(old, f"{BAD} 旧")
        yard.chen.writes(f"{BAD} 新", yard.group)

    await yard.after(does)
    assert yard.standing() == [old["message_id"]]


async def test_a_basic_group_keeps_order_as_far_as_it_can(yard: Yard) -> None:
    small = yard.api.group("小群", yard.building.user("刘经理"), supergroup=False)
    small.adds_bot()
    small.settles(yard.chen)

    def linked(session: Session) -> None:
        place = session.exec(select(Place).where(Place.kind == "board")).one()
        place.external_id = str(small.id)
        session.add(place)

    yard.building.app.database.write_now(linked)
    yard.group = small
    await breaks(yard, 3)
    assert yard.standing() == []
    yard.office.sees("还是普通群")
    assert not small.is_silenced(yard.chen.id)
    await yard.after(small.upgrades)
    await yard.after(lambda: yard.chen.writes(FINE, small))
    await breaks(yard, 1)
    assert small.is_silenced(yard.chen.id)


async def test_a_failure_of_ours_says_nothing_to_the_group_and_keeps_the_words(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("handlers.posts._noted", lambda *_: 1 / 0)
        await yard.after(lambda: yard.chen.writes(BAD, yard.group))
    assert yard.group.from_bot == []
    (row,) = yard.building.read(select(Inbox).where(Inbox.state == "failed"))
    await yard.building.app.run_again(row.id)
    await yard.building.settle()
    assert yard.standing() == []


async def test_the_same_update_twice_acts_once(yard: Yard) -> None:
    before = len(yard.api.updates)
    await yard.after(lambda: yard.chen.writes(BAD, yard.group))
    await yard.building.take(before)
    assert len(yard.building.read(select(Ruling))) == 1
    assert len(yard.building.read(select(Post))) == 1


# --- times, topics, several groups ------------------------------------------------------------------


async def test_what_waited_while_we_were_away_is_no_flood(yard: Yard) -> None:
    before = len(yard.api.updates)
    for number in range(10):
        yard.chen.writes(f"停水第 {number} 天的闲话", yard.group)
        yard.chen.writes("有没有人一起拼车去机场", yard.group)
        yard.building.clock.at += timedelta(minutes=3)
    await yard.building.take(before)
    assert len(yard.standing()) == 20


async def test_who_shows_many_photos_one_by_one_floods_nobody_but_with_stickers_they_do(yard: Yard) -> None:
    for _ in range(10):
        await yard.after(lambda: yard.chen.sends_photo(photo(), chat=yard.group))
    assert len(yard.standing()) == 10
    for _ in range(10):
        await yard.after(lambda: yard.chen.sends_sticker(yard.group))
    assert len(yard.standing()) == 17


async def test_what_is_restored_comes_back_in_its_topic(yard: Yard) -> None:
    forum = yard.api.group("有话题的群", yard.building.user("刘经理"), forum=True)
    forum.adds_bot()
    forum.settles(yard.chen)
    second = {"messenger": "telegram", "external_id": str(forum.id), "kind": "board", "forum": True}
    place = Place(community_id=yard.building.community.id, **second)
    yard.building.app.database.write_now(lambda session: session.add(place))
    topic = forum.makes_topic("闲置")
    await yard.after(lambda: forum.writes_in(topic, yard.chen, BAD))
    assert [each.text for each in forum.messages if each.text] == []
    owner = yard.building.phone("陈女士")
    await owner.taps("判错了，申诉")
    await yard.office.taps("没违规，放行 1")
    assert [(each.thread, BAD in each.text) for each in forum.from_bot if each.text] == [(topic, True)]
    assert yard.group.from_bot == []


async def test_each_group_of_a_community_is_one_of_its_own(yard: Yard) -> None:
    other = yard.api.group("二群", yard.building.user("刘经理"))
    other.adds_bot()
    other.settles(yard.chen)
    second = {"messenger": "telegram", "external_id": str(other.id), "kind": "board"}
    place = Place(community_id=yard.building.community.id, **second)
    yard.building.app.database.write_now(lambda session: session.add(place))
    await yard.after(lambda: yard.chen.writes("蓝词", yard.group))
    await yard.after(lambda: yard.chen.writes("甲", other))
    assert len(yard.standing()) == 1
    await breaks(yard, 2)
    await yard.building.later(minutes=3)
    await yard.after(lambda: yard.chen.writes(f"{BAD}，二群", other))
    assert other.is_silenced(yard.chen.id)
    assert not yard.group.is_silenced(yard.chen.id)
