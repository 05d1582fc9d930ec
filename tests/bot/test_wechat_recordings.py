"""Recordings on WeChat: voice messages with and without their words, videos; and what goes out where there is room."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import bot.wechat
from handlers.tx import Tx
from store.tables import Inbox, Media
from tests.bot.estate import OWNER, Estate, estate
from tests.people import photo, recording
from tests.wechat_people import ADDRESS

CUSTOM, UPLOAD, FETCH = "message/custom/send", "media/upload", "media/get"
MEGABYTE = 1024 * 1024


@pytest.fixture
async def there(tmp_path: Path, database_url: str) -> AsyncIterator[Estate]:
    async with estate(tmp_path / "data", database_url) as made:
        yield made


def files(there: Estate) -> list[Any]:
    return [file for row in there.read(select(Inbox).order_by(Inbox.id)) for file in row.payload["files"]]


def kept(there: Estate, *forms: str, size: int = 0) -> list[int]:
    """The ids of photos and recordings of a matter."""
    storage = there.app.media

    def work(tx: Tx) -> list[int]:
        rows = []
        for form in forms:
            kind = {"jpg": "photo", "mp4": "video", "mov": "video"}.get(form, "voice")
            made = storage.keep_photo(photo()) if form == "jpg" else None
            made = made or storage.keep_recording(recording(form, size), kind)
            rows.append(
                Media(
                    community_id=there.community.id,
                    about="repair:1",
                    kind=kind,
                    storage=made.storage,
                    mime=made.mime,
                    size=made.size,
                    created_at=tx.now,
                )
            )
        tx.session.add_all(rows)
        tx.session.flush()
        return [row.id for row in rows]

    return list(there.write(work))


async def tells(there: Estate, *forms: str, size: int = 0) -> None:
    """Write a message with these photos and recordings to the owner, who was heard before."""
    there.tells(OWNER, "请看。", photos=kept(there, *forms, size=size))
    await there.settle()


def kinds(there: Estate) -> list[str]:
    return [each.kind for each in there.user(OWNER).chat]


# --- in ---------------------------------------------------------------------------------------------


async def test_a_voice_message_comes_with_its_words_and_itself(there: Estate) -> None:
    await there.user(OWNER).sends_voice("厨房水龙头滴水。", recording("amr"))
    assert "请看一下对不对" in there.last(OWNER).text
    (file,) = files(there)
    assert (file["kind"], file["mime"], file["heard"], file["problem"]) == ("voice", "audio/amr", True, "")
    assert there.app.media.read_file(file["storage"]) == recording("amr")


async def test_a_voice_message_without_words_is_kept(there: Estate) -> None:
    await there.user(OWNER).sends_voice("", recording("amr"))
    assert "现在有危险" in there.last(OWNER).text
    (file,) = files(there)
    assert (file["kind"], file["mime"], file["heard"]) == ("voice", "audio/amr", False)


@pytest.mark.parametrize("short", [False, True], ids=["video", "short"])
@pytest.mark.parametrize("as_bytes", [False, True], ids=["address", "bytes"])
async def test_a_video_is_fetched_through_the_media_api(there: Estate, short: bool, as_bytes: bool) -> None:
    there.api.videos_as_bytes = as_bytes
    await there.user(OWNER).sends_video(recording("mp4", 300_000), short=short)
    assert "现在有危险" in there.last(OWNER).text
    (file,) = files(there)
    assert (file["kind"], file["mime"], file["size"]) == ("video", "video/mp4", 300_000)


@pytest.mark.parametrize(
    ("data", "problem", "answer"),
    [
        (b"a text", "not_a_recording", "不是能播放的语音或视频"),
        (recording("mp4", 21 * MEGABYTE), "too_large", "太大了"),
    ],
    ids=["text", "21 MB"],
)
async def test_a_bad_video_is_answered(there: Estate, data: bytes, problem: str, answer: str) -> None:
    await there.user(OWNER).sends_video(data)
    assert [file["problem"] for file in files(there)] == [problem]
    assert answer in there.last(OWNER).text


async def test_a_video_that_does_not_come_is_answered(there: Estate) -> None:
    there.api.choose = lambda path, payload: "500" if path == FETCH else None
    await there.user(OWNER).sends_video(recording("mp4"))
    assert [file["problem"] for file in files(there)] == ["not_fetched"]
    assert "没有传完整" in there.last(OWNER).text


async def test_words_of_danger_do_not_wait_for_their_sound(
    there: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(media_id: str) -> bytes:
        await asyncio.Event().wait()  # for good
        return b""

    monkeypatch.setattr(there.app.wechat.client if there.app.wechat else None, "fetch_media", hangs)
    monkeypatch.setattr(bot.wechat, "FETCHING_HEARD", 0.01)
    await there.user(OWNER).sends_voice("电梯里困了人。", recording("amr"))
    await there.settle()
    there.phone("李师傅").sees("🚨 紧急报修 1", "接单")
    assert [file["problem"] for file in files(there)] == ["not_fetched"]


async def test_a_spoken_label_is_a_button(there: Estate) -> None:
    await there.says(OWNER, "电梯里困了人")
    await there.says(OWNER, "取消")
    await there.user(OWNER).sends_voice("撤回。", recording("amr"))
    await there.settle()
    assert "已撤回" in there.last(OWNER).text


# --- out --------------------------------------------------------------------------------------------


async def test_recordings_play_in_the_chat_where_there_is_room(there: Estate) -> None:
    await there.says(OWNER, "帮助")
    await tells(there, "amr", "jpg", "mp4")
    words, voice, video = there.user(OWNER).chat[-3:]
    assert "照片 1 张、语音 1 段、视频 1 段：" in words.text
    assert [(each.kind, each.data) for each in (voice, video)] == [
        ("voice", recording("amr")),
        ("video", recording("mp4")),
    ]
    assert there.place(OWNER).free_left == 2


async def test_one_message_is_kept_for_words(there: Estate) -> None:
    await there.says(OWNER, "帮助")
    await tells(there, "amr", "amr", "mp3", "mp4", "mp3")
    assert kinds(there)[-4:] == ["text", "voice", "voice", "voice"]
    assert there.place(OWNER).free_left == 1
    await tells(there, "mp3")
    assert kinds(there)[-1] == "text"
    assert "语音 1 段：" in there.last(OWNER).text


@pytest.mark.parametrize(
    ("form", "size"),
    [("ogg", 0), ("m4a", 0), ("mov", 0), ("amr", 2 * MEGABYTE + 1), ("mp4", 10 * MEGABYTE + 1)],
)
async def test_what_wechat_does_not_play_is_on_the_page(there: Estate, form: str, size: int) -> None:
    await there.says(OWNER, "帮助")
    await tells(there, form, size=size)
    assert kinds(there)[-1] == "text"
    assert not [path for path, _ in there.api.calls if path == UPLOAD]
    address = re.search(rf"{ADDRESS}(\S+)", there.last(OWNER).text)
    assert address is not None
    page = await there.http.get(address[1])
    source = re.search(r'<(?:audio|video) [^>]*src="([^"]+)"', page.text)
    assert source is not None
    assert (await there.http.get(source[1])).content == recording(form, size)


@pytest.mark.parametrize(
    ("path", "how", "left"),
    [
        (UPLOAD, 40004, 4),
        (UPLOAD, "500", 4),
        (CUSTOM, 45015, 0),
        (CUSTOM, 40004, 4),
        (CUSTOM, "500", 3),  # nobody knows whether WeChat took it
        (CUSTOM, "cut", 3),
    ],
)
async def test_a_recording_that_is_refused_leaves_the_words_as_they_are(
    there: Estate, path: str, how: Any, left: int
) -> None:
    await there.says(OWNER, "帮助")
    there.api.choose = lambda called, payload: (
        how if called == path and (path == UPLOAD or payload.get("msgtype") == "voice") else None
    )
    await tells(there, "amr")
    assert len([each for each in there.user(OWNER).chat if "请看" in each.text]) == 1
    row = there.rows(OWNER, state="sent")[-1]
    assert there.tries(row) == [("free", "")]
    assert there.place(OWNER).free_left == left


async def test_without_room_the_words_say_where_a_recording_is(there: Estate) -> None:
    await tells(there, "amr")
    (row,) = there.rows(OWNER)
    assert row.photos and kinds(there)[-1] != "voice"
    assert there.user(OWNER).chat[-1].url.startswith(ADDRESS)
