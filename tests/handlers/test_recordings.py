"""Voice messages and videos: they travel along with repairs, sealed, and are refused in words everywhere else."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from conversations.said import File
from handlers.matters import files_of, photos_of
from handlers.tx import Tx
from store.tables import Media, Notice, Outgoing, Person
from tests.people import Building, Phone, recording

MEGABYTE = 1024 * 1024


def media(building: Building) -> list[Media]:
    return building.read(select(Media).order_by(Media.id))


async def reports(owner: Phone, words: str = "厨房水龙头滴水") -> None:
    await owner.says("报修")
    await owner.taps("我家")
    await owner.says(words)
    await owner.taps("随时可以")
    owner.sees("有照片吗", "跳过")


@pytest.mark.playground
async def test_a_lone_voice_message_becomes_a_report(
    building: Building,
    owner: Phone,
    neighbour: Phone,
    crew: Phone,
    plumber: Phone,
    board: Phone,
    office: Phone,
) -> None:
    await owner.sends_recording("ogg")
    owner.sees("收到了。现在有危险", "不是，普通报修")
    await owner.taps("不是，普通报修")
    owner.sees("哪里需要报修？", "我家")
    await owner.taps("我家")
    owner.sees("什么坏了")
    await owner.says("水龙头滴水")
    await owner.taps("随时可以")
    owner.sees("附件：语音 1 段", "提交")
    await owner.taps("提交")
    (kept,) = media(building)
    assert (kept.kind, kept.mime, kept.about) == ("voice", kept.mime, "repair:1")
    assert kept.mime in ("audio/ogg", "audio/amr")
    assert building.app.media.read(kept.storage) not in (recording("ogg"), recording("amr"))
    assert building.app.media.read_as(kept.mime, kept.storage) in (recording("ogg"), recording("amr"))
    assert plumber.sees("报修 1", "接单").photos == 1
    assert board.sees("报修 1 · 3 号楼 · 水龙头").photos == 0
    assert neighbour.sees("报修 1 · 3 号楼").photos == 0
    assert office.sees("🧾 报修 1").photos == 1
    assert [notice.photos for notice in building.read(select(Notice))] == [[]]
    await owner.says("我的")
    await owner.taps("查看 1")
    assert owner.sees("报修 1").photos == 1


@pytest.mark.playground
async def test_recordings_count_together_with_photos(
    building: Building, owner: Phone, plumber: Phone, board: Phone
) -> None:
    await reports(owner)
    await owner.sends_photo()
    owner.sees("收到 1 张，还可以再发 5 张")
    await owner.sends_recording("ogg")
    owner.sees("收到 2 个，还可以再发 4 个")
    await owner.sends_recording("mp4")
    owner.sees("收到 3 个，还可以再发 3 个", "好了")
    await owner.taps("好了")
    owner.sees("附件：照片 1 张、语音 1 段、视频 1 段", "提交")
    await owner.taps("提交")
    assert [each.kind for each in media(building)] == ["photo", "voice", "video"]
    assert board.sees("报修 1").photos == 1
    assert plumber.sees("报修 1", "接单").photos == 3
    with building.app.database.read() as session:
        tx = Tx(session, building.clock.now(), building.app.house)
        assert (photos_of(tx, "repair:1"), files_of(tx, "repair:1")) == ([1], [1, 2, 3])


async def test_what_was_said_aloud_is_read_and_travels_along(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.sends_recording("amr", words="电梯里困了人")
    assert crew.sees("🚨 紧急报修 1", "接单").photos == 1
    (kept,) = media(building)
    assert (kept.kind, kept.about) == ("voice", "repair:1")


async def test_an_option_that_is_said_aloud_is_only_an_option(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    await owner.sends_recording("amr", words="我家")
    owner.sees("什么坏了")
    await owner.sends_recording("amr", words="水龙头滴水")
    await owner.sends_recording("amr", words="随时可以")
    owner.sees("收到 1 个", "好了")


async def test_a_voice_without_words_in_the_midst_of_a_report_is_kept(
    building: Building, owner: Phone
) -> None:
    await owner.says("/repair")
    await owner.sends_recording("ogg")
    owner.sees("语音、视频收到了，会转给师傅；里面的内容我还听不懂，请再回答一下。\n\n哪里需要报修？", "我家")
    await owner.taps("我家")
    await owner.says("水龙头滴水")
    await owner.taps("随时可以")
    owner.sees("收到 1 个", "好了")


@pytest.mark.playground
async def test_a_renamed_text_file_is_no_video(building: Building, owner: Phone) -> None:
    await reports(owner)
    await owner.sends_recording("mp4", b"Hello, I am a text file.")
    owner.sees("这个文件不是能播放的语音或视频，没有收下", "跳过")
    await owner.taps("跳过")
    owner.sees("附件：无", "提交")
    assert media(building) == []


@pytest.mark.playground
async def test_a_recording_of_21_mb_is_too_large(building: Building, owner: Phone) -> None:
    await reports(owner)
    await owner.sends_recording("mp4", recording("mp4", 21 * MEGABYTE))
    owner.sees("这段语音或视频太大了，没有收下。请发 20 MB 以内的", "跳过")
    await owner.sends_recording("mp4", recording("mp4", 20 * MEGABYTE))
    owner.sees("收到 1 个", "好了")


async def test_a_lone_file_that_is_nothing_is_answered(building: Building, owner: Phone) -> None:
    await owner.sends_recording("mp4", b"Hello, I am a text file.")
    owner.sees("这个文件不是能播放的语音或视频")


@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("problem", "answer"),
    [("too_large", "太大了"), ("not_a_recording", "不是能播放的"), ("not_fetched", "没有传完整")],
)
async def test_the_words_of_a_bad_recording_count(
    building: Building, owner: Phone, crew: Phone, problem: str, answer: str
) -> None:
    await owner.says("电梯里困了人", files=[File(kind="video", problem=problem)])
    crew.sees("🚨 紧急报修 1", "接单")
    owner.sees("已按紧急报修处理")
    owner.sees(answer)


@pytest.mark.by_hand
async def test_a_voice_message_that_was_understood_but_lost_is_told(building: Building, owner: Phone) -> None:
    await owner.says("水龙头滴水", files=[File(kind="voice", heard=True, problem="not_fetched")])
    owner.sees("请看一下对不对")
    owner.sees("您说的话已记成文字，但语音没有收到")


async def test_a_purchase_wants_photos_only(building: Building, owner: Phone) -> None:
    await owner.says("/purchase")
    await owner.says("电动车充电桩")
    await owner.says("3 号楼")
    await owner.says("东侧车棚")
    await owner.says("大家都在楼道里充电，很危险，想有个安全的地方")
    owner.sees("需要几个")
    await owner.sends_recording("ogg")
    owner.sees("语音已收到，但我还听不懂。请用文字再说一遍。\n\n", "返回")
    assert "需要几个" in owner.last.text
    await owner.sends_recording("mp4")
    owner.sees("视频已收到，但我还看不懂")
    await owner.says("十个")
    await owner.says("跳过")
    owner.sees("拍一张报价单", "跳过")
    await owner.sends_recording("ogg")
    owner.sees("语音已收到，但我还听不懂")
    assert "拍一张报价单" in owner.last.text
    await owner.sends_photo()
    owner.sees("收到 1 张", "好了")


async def test_a_number_can_be_said_aloud(building: Building, owner: Phone) -> None:
    await owner.says("/purchase")
    await owner.says("电动车充电桩")
    await owner.says("3 号楼")
    await owner.says("东侧车棚")
    await owner.says("大家都在楼道里充电，很危险，想有个安全的地方")
    await owner.sends_recording("amr", words="十个")
    owner.sees("一共大约多少钱")
    assert "语音已收到" not in owner.last.text


@pytest.mark.playground
async def test_a_video_of_the_emergency_reaches_who_has_it(
    building: Building, owner: Phone, crew: Phone, neighbour: Phone, board: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await owner.sends_recording("mp4")
    assert crew.last.photos == 1
    await owner.says("取消")
    await owner.sends_recording("ogg")
    assert crew.last.photos == 2
    assert sum(message.photos for message in [*neighbour.chat.messages, *board.chat.messages]) == 0


@pytest.mark.playground
async def test_the_video_of_the_work_reaches_its_reporter_alone(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, board: Phone
) -> None:
    await reports(owner)
    await owner.taps("跳过")
    await owner.taps("提交")
    await plumber.taps("接单")
    await plumber.taps("修好了")
    await plumber.sends_recording("mp4")
    await plumber.taps("好了")
    await plumber.says("换了垫圈")
    assert owner.sees("换了垫圈", "确认修好").photos == 1
    assert sum(message.photos for message in [*neighbour.chat.messages, *board.chat.messages]) == 0


async def test_staff_bring_a_recording_in_for_an_owner_and_chat_about_nothing(
    building: Building, office: Phone, plumber: Phone
) -> None:
    await office.sends_recording("ogg")
    assert [row.photos for row in building.read(select(Outgoing))] == []
    await office.says("/home")
    await office.says("3-2-1201")
    await office.taps("陈女士")
    await office.taps("代报修")
    await office.taps("业主家里")
    await office.says("厨房水龙头滴水")
    await office.taps("随时可以")
    await office.sends_recording("ogg")
    office.sees("收到 1 个", "好了")
    await office.taps("好了")
    await office.taps("提交")
    assert plumber.sees("报修 1", "接单").photos == 1


async def test_who_only_works_here_reports_nothing_by_voice(building: Building, plumber: Phone) -> None:
    await plumber.sends_recording("ogg")
    plumber.sees("语音已收到，但我还听不懂")


async def test_recordings_are_told_and_forgotten_like_photos(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await reports(owner)
    await owner.sends_photo()
    await owner.sends_recording("ogg")
    await owner.taps("好了")
    await owner.taps("提交")
    await owner.says("/mydata")
    assert "照片 1 张，语音和视频 1 段" in "".join(message.text for message in owner.chat.messages)
    await plumber.taps("接单")
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.says("跳过")
    await owner.taps("确认修好")
    voice = media(building)[1]
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(minutes=10)
    assert media(building) == []
    building.app.housekeeper.now = lambda: datetime.now(UTC) + timedelta(days=2)
    await building.app.housekeeper.look()
    with pytest.raises(FileNotFoundError):
        building.app.media.read(voice.storage)
    assert [person.name for person in building.read(select(Person)) if person.name == "陈女士"] == []
