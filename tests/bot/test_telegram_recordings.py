"""Recordings on Telegram: each kind comes in, and goes out as what plays in the chat, behind its words and once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from handlers.tell import tell
from handlers.tx import Tx
from store.media import Kept
from store.tables import Inbox, Media, Outgoing, Person
from tests.bot.hall import Hall, hall
from tests.bot_api import User, flooded
from tests.people import RECORDINGS, photo, recording

SENDING = (
    "sendMessage",
    "sendPhoto",
    "sendMediaGroup",
    "sendVoice",
    "sendAudio",
    "sendVideo",
    "sendDocument",
)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Hall]:
    async with hall(tmp_path / "data") as made:
        yield made
        assert made.api.mistakes == []


def files(there: Hall) -> list[Any]:
    return [file for row in there.read(select(Inbox).order_by(Inbox.id)) for file in row.payload["files"]]


def tells(there: Hall, name: str, *forms: str, bad: bool = False) -> list[Kept]:
    """Write a message with these photos and recordings to somebody."""
    storage = there.app.media

    def kept(form: str) -> Kept:
        if form == "jpg":
            return storage.keep_photo(photo())
        data = recording(form)
        made = storage.keep_recording(data, "video" if form in ("mp4", "mov", "webm") else "voice")
        return Kept("0" * 64, made.mime, made.size) if bad else made

    made = [kept(form) for form in forms]

    def work(tx: Tx) -> None:
        person = tx.session.exec(select(Person).where(Person.name == name)).one()
        rows = [
            Media(
                community_id=person.community_id,
                about="repair:1",
                kind={"audio": "voice", "image": "photo"}.get(each.mime.partition("/")[0], "video"),
                storage=each.storage,
                mime=each.mime,
                size=each.size,
                created_at=tx.now,
            )
            for each in made
        ]
        tx.session.add_all(rows)
        tx.session.flush()
        tell(tx, person, "rest.text", text="请看", photos=[row.id for row in rows])

    there.write(work)
    return made


def sent(there: Hall, user: User) -> list[str]:
    """The kinds of what stands in a chat since the words of the message."""
    kinds = [each.kind for each in user.chat.from_bot if each.text in ("", "请看")]
    return kinds[kinds.index("text") :]


def calls(there: Hall) -> list[str]:
    return [call.method for call in there.api.calls if call.method in SENDING]


# --- in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sends", "kind", "mime"),
    [
        (lambda owner: owner.sends_voice(recording("ogg")), "voice", "audio/ogg"),
        (lambda owner: owner.sends_audio(recording("mp3")), "voice", "audio/mpeg"),
        (lambda owner: owner.sends_audio(recording("m4a"), "audio/mp4"), "voice", "audio/mp4"),
        (lambda owner: owner.sends_video(recording("mp4")), "video", "video/mp4"),
        (lambda owner: owner.sends_video(recording("mov")), "video", "video/quicktime"),
        (lambda owner: owner.sends_video_note(recording("mp4")), "video", "video/mp4"),
        (
            lambda owner: owner.sends_document(recording("webm"), "a.webm", "video/webm"),
            "video",
            "video/webm",
        ),
        (lambda owner: owner.sends_document(recording("amr"), "a.amr", "audio/amr"), "voice", "audio/amr"),
        (lambda owner: owner.sends_video(recording("m4a")), "voice", "audio/mp4"),
    ],
    ids=["voice", "audio", "m4a", "video", "mov", "round", "webm as file", "amr as file", "sound as video"],
)
async def test_each_kind_of_recording_is_kept(there: Hall, sends: Any, kind: str, mime: str) -> None:
    owner = there.people["owner"]
    sends(owner)
    await there.settles()
    (file,) = files(there)
    assert (file["kind"], file["mime"], file["problem"]) == (kind, mime, "")
    assert there.app.media.read_as(mime, file["storage"]) in map(recording, RECORDINGS)
    owner.sees("现在有危险")


@pytest.mark.parametrize(
    ("sends", "problem", "answer"),
    [
        (lambda owner: owner.sends_video(b"a text"), "not_a_recording", "不是能播放的语音或视频"),
        (lambda owner: owner.sends_video(recording("mp4"), size=21 * 1024 * 1024), "too_large", "太大了"),
    ],
)
async def test_a_bad_recording_is_answered(there: Hall, sends: Any, problem: str, answer: str) -> None:
    owner = there.people["owner"]
    sends(owner)
    await there.settles()
    assert [file["problem"] for file in files(there)] == [problem]
    owner.sees(answer)


async def test_a_recording_that_does_not_come_is_answered_and_its_words_count(there: Hall) -> None:
    owner = there.people["owner"]
    there.api.fails_by(lambda method, params: "500" if method == "getFile" else None)
    owner.sends_video(recording("mp4"), "厨房水龙头滴水")
    await there.settles()
    assert [file["problem"] for file in files(there)] == ["not_fetched"]
    owner.sees("请看一下对不对")
    owner.sees("没有传完整")


async def test_what_colleagues_tell_each_other_is_fetched_only_while_they_answer(there: Hall) -> None:
    boss = there.people["boss"]
    boss.sends_voice(recording("ogg"), there.office)
    await there.settles()
    assert [file["storage"] for file in files(there)] == [""]


# --- out --------------------------------------------------------------------------------------------


async def test_the_words_come_first_then_the_photos_then_each_recording(there: Hall) -> None:
    owner = there.people["owner"]
    tells(there, "陈女士", "ogg", "jpg", "mp4", "jpg")
    await there.delivers()
    assert calls(there)[-4:] == ["sendMessage", "sendMediaGroup", "sendVoice", "sendVideo"]
    assert sent(there, owner) == ["text", "photo", "photo", "voice", "video"]
    (row,) = there.read(select(Outgoing).where(Outgoing.text == "请看"))
    assert len(row.parts) == 4
    silent = [each.silent for each in owner.chat.from_bot][-4:]
    assert silent == [True] * 4


@pytest.mark.parametrize(
    ("form", "kind"),
    [("ogg", "voice"), ("mp3", "voice"), ("m4a", "voice"), ("amr", "document"),
     ("mp4", "video"), ("mov", "document"), ("webm", "document")],
)  # fmt: skip
async def test_a_recording_goes_as_what_plays(there: Hall, form: str, kind: str) -> None:
    owner = there.people["owner"]
    tells(there, "陈女士", form)
    await there.delivers()
    assert sent(there, owner) == ["text", kind]
    (body,) = [each.body for each in owner.chat.from_bot if each.kind == kind]
    stored = there.api.files[body[kind]["file_id"]]
    assert stored.data == recording(form)
    if kind == "document":
        assert body["document"]["file_name"] in (f"voice.{form}", f"video.{form}")


async def test_whoever_takes_no_voice_messages_gets_a_piece_of_music_or_a_file(there: Hall) -> None:
    owner = there.people["owner"]
    owner.refuses_voices = True
    tells(there, "陈女士", "mp3", "ogg")
    await there.delivers()
    assert sent(there, owner) == ["text", "audio", "document"]


async def test_a_recording_is_uploaded_once_for_many(there: Hall) -> None:
    owner, neighbour = there.people["owner"], there.people["neighbour"]
    tells(there, "陈女士", "ogg", "mp4", "amr")
    await there.delivers()
    before = len(there.api.files)
    tells(there, "周先生", "ogg", "mp4", "amr")
    await there.delivers()
    assert sent(there, neighbour) == sent(there, owner) == ["text", "voice", "video", "document"]
    assert len(there.api.files) == before


async def test_a_name_that_telegram_knows_no_more_is_uploaded_again(there: Hall) -> None:
    owner = there.people["owner"]
    tells(there, "陈女士", "mp4")
    await there.delivers()
    telegram = there.app.telegram
    assert telegram is not None
    (way,) = telegram.uploaded
    telegram.uploaded[way] = "gone"
    tells(there, "陈女士", "mp4")
    await there.delivers()
    there.api.mistakes.clear()  # of the name that is gone
    assert [each.kind for each in owner.chat.from_bot][-2:] == ["text", "video"]


async def test_a_recording_that_is_lost_takes_nothing_with_it(there: Hall) -> None:
    owner = there.people["owner"]
    tells(there, "陈女士", "ogg", bad=True)
    tells(there, "陈女士", "mp4")
    await there.delivers()
    assert sent(there, owner) == ["text", "text", "video"]
    assert there.read(select(Outgoing).where(Outgoing.state != "sent")) == []


@pytest.mark.parametrize("how", ["500", flooded(3)], ids=["500", "429"])
async def test_what_was_broken_off_goes_on_where_it_was(there: Hall, how: Any) -> None:
    owner = there.people["owner"]
    broken: list[str] = []

    def choose(method: str, params: dict[str, Any]) -> Any:
        if method == "sendVideo" and not broken:
            broken.append(method)
            return how
        return None

    there.api.fails_by(choose)
    tells(there, "陈女士", "jpg", "ogg", "mp4", "amr")
    await there.delivers()
    assert broken
    assert sent(there, owner) == ["text", "photo", "voice", "video", "document"]
    (row,) = there.read(select(Outgoing).where(Outgoing.text == "请看"))
    assert (row.state, len(row.parts)) == ("sent", 4)
    telegram = there.app.telegram
    assert telegram is not None and telegram.begun == {}
