"""What WeChat delivers is read as one Said, with the same key at each delivery."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.wechat_said import UNSUPPORTED, consents, delivered, key_of, media_of, opens, said_from
from conversations.said import Change, File, Said
from tests.bot.wechat_settings import settings_of
from tests.wechat_api import WeChatApi

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
OPENID = "oOwner-1_abcdefghijklmnopqrs"


SETTINGS = settings_of(WeChatApi())


def fields(kind: str, **more: str) -> dict[str, Any]:
    base = {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": "1764320400", "MsgType": kind}
    return {**base, **({} if kind == "event" else {"MsgId": "23456789012345678"}), **more}


def event(name: str, **more: str) -> dict[str, Any]:
    return fields("event", Event=name, **more)


def said(what: dict[str, Any]) -> Said:
    found = said_from(what, SETTINGS, NOW)
    assert found is not None
    return found


# --- messages ---------------------------------------------------------------------------------------


def test_a_text_is_said_by_its_sender() -> None:
    assert said(fields("text", Content="厨房漏水")) == Said(
        messenger="wechat",
        key="m23456789012345678",
        place=OPENID,
        sender=OPENID,
        place_kind="private",
        language="zh",
        at=NOW,
        text="厨房漏水",
    )


def test_a_choice_in_a_message_of_ours_is_a_tap() -> None:
    chosen = said(fields("text", Content="接单", bizmsgmenuid="123:repair.accept:17"))
    assert (chosen.tap, chosen.on, chosen.text) == ("repair.accept:17", "123", "")


@pytest.mark.parametrize(
    "option",
    [
        "",
        "101",
        "123:",
        ":repair.accept",
        "a:repair.accept",
        "12 3:x",
        "123:a b",
        "１２:x",
        "1:" + "x" * 201,
        "1:x\n",
    ],
)
def test_a_choice_that_is_not_ours_is_its_words(option: str) -> None:
    chosen = said(fields("text", Content="满意", bizmsgmenuid=option))
    assert (chosen.tap, chosen.on, chosen.text) == ("", "", "满意")


def test_what_wechat_does_not_pass_on_is_a_sticker() -> None:
    assert (
        said(fields("text", Content=UNSUPPORTED)).text,
        said(fields("text", Content=UNSUPPORTED)).other,
    ) == (
        "",
        "sticker",
    )


def test_a_voice_message_is_what_wechat_heard_or_a_file() -> None:
    heard = said(fields("voice", MediaId="v", Recognition="厨房漏水。"))
    assert (heard.text, heard.files) == ("厨房漏水。", (File(kind="voice", heard=True),))
    assert said(fields("voice", MediaId="v", Recognition="")).files == (File(kind="voice"),)
    assert said(fields("voice", MediaId="v")).files == (File(kind="voice"),)


@pytest.mark.parametrize("kind", ["video", "shortvideo"])
def test_videos_are_files_and_name_what_to_fetch(kind: str) -> None:
    assert said(fields(kind, MediaId="m")).files == (File(kind="video"),)
    assert media_of(fields(kind, MediaId="m")) == "m"


def test_a_photo_is_a_file_and_names_what_to_fetch() -> None:
    photo = fields("image", MediaId="media-1", PicUrl="http://mmbiz.example/1")
    assert said(photo).files == (File(kind="photo"),)
    assert media_of(photo) == media_of(fields("voice", MediaId="media-1")) == "media-1"
    assert media_of(fields("image")) == media_of(event("CLICK", MediaId="x")) == ""


def test_a_place_is_said_in_words() -> None:
    place = said(fields("location", Location_X="31.2304160", Location_Y="121.473701", Label="人民大道"))
    assert (place.other, place.text) == ("location", "人民大道 📍 31.23042, 121.47370")
    assert said(fields("location", Location_X="here")) == said(fields("location"))
    assert said(fields("location")).text == ""


@pytest.mark.parametrize("kind", ["link", "file", "miniprogrampage", "something new"])
def test_what_is_new_is_something_else(kind: str) -> None:
    other = said(fields(kind, Title="x", Content="y"))
    assert (other.other, other.text, other.files, other.tap) == (kind, "", (), "")


# --- events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (event("subscribe"), "/start"),
        (event("subscribe", EventKey=""), "/start"),
        (event("subscribe", EventKey="qrscene_7F3AK2", Ticket="t"), "/start 7F3AK2"),
        (event("subscribe", EventKey="last_trade_no_4003"), "/start"),
        (event("SCAN", EventKey="7F3AK2", Ticket="t"), "/start 7F3AK2"),
        (event("SCAN", EventKey="qrscene_"), "/start qrscene_"),
        (event("SCAN"), "/start"),
        (event("CLICK", EventKey="repair"), "/repair"),
    ],
)
def test_a_follow_a_scan_and_a_menu_are_commands(what: dict[str, Any], text: str) -> None:
    assert said(what).text == text


def test_who_unfollows_is_reached_no_more() -> None:
    gone = said(event("unsubscribe", EventKey=""))
    assert (gone.change, gone.text) == (Change(kind="blocked"), "")


@pytest.mark.parametrize(
    "name",
    ["VIEW", "LOCATION", "TEMPLATESENDJOBFINISH", "subscribe_msg_popup_event", "Subscribe", "", "new"],
)
def test_nobody_says_other_events(name: str) -> None:
    assert said_from(event(name, EventKey="https://example.org", MsgID="1"), SETTINGS, NOW) is None


def test_a_menu_without_a_key_says_nothing() -> None:
    assert said_from(event("CLICK"), SETTINGS, NOW) is None


# --- keys -------------------------------------------------------------------------------------------


def test_an_event_is_known_by_who_when_and_what() -> None:
    """wechatpy gives all of them the id 0."""
    assert said(event("CLICK", EventKey="my")).key == f"{OPENID} 1764320400 CLICK my"
    assert said(event("subscribe", EventKey="")).key == f"{OPENID} 1764320400 subscribe"
    assert key_of(event("TEMPLATESENDJOBFINISH", MsgID="200163836")) == (
        f"{OPENID} 1764320400 TEMPLATESENDJOBFINISH 200163836"
    )


def test_two_events_have_two_keys() -> None:
    events = [
        event("CLICK", EventKey="my"),
        event("CLICK", EventKey="help"),
        event("SCAN", EventKey="my"),
        event("CLICK", EventKey="my", CreateTime="1764320401"),
        event("CLICK", EventKey="my", FromUserName="oNeighbour"),
        event("CLICK", EventKey="m" * 300 + "1"),
        event("CLICK", EventKey="m" * 300 + "2"),
    ]
    keys = [key_of(each) for each in events]
    assert len(set(keys)) == len(keys)
    assert max(map(len, keys)) <= 128


def test_a_repetition_has_the_same_key() -> None:
    """Each delivery is signed and sealed anew, but its fields are the same."""
    for what in (fields("text", Content="x"), event("SCAN", EventKey="长" * 300)):
        assert said_from(what, SETTINGS, NOW) == said_from(dict(what), SETTINGS, NOW)
        later = said_from(what, SETTINGS, NOW + timedelta(seconds=5))
        assert later is not None
        assert later.key == said(what).key


def test_a_message_without_an_id_still_has_a_key() -> None:
    nameless = {name: value for name, value in fields("text", Content="x").items() if name != "MsgId"}
    assert key_of(nameless) == f"{OPENID} 1764320400 text x"


# --- what they let us send --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "image", "voice", "location", "link", "new"])
def test_a_message_lets_us_write_for_two_days(kind: str) -> None:
    assert opens(fields(kind), SETTINGS) == (5, timedelta(hours=48))


def test_a_choice_in_a_message_of_ours_lets_us_write_for_a_minute() -> None:
    assert opens(fields("text", bizmsgmenuid="1:my"), SETTINGS) == (3, timedelta(minutes=1))
    assert opens(fields("text", bizmsgmenuid=""), SETTINGS) == (5, timedelta(hours=48))


@pytest.mark.parametrize("name", ["CLICK", "subscribe", "SCAN"])
def test_a_tap_a_follow_and_a_scan_let_us_write_for_a_minute(name: str) -> None:
    assert opens(event(name, EventKey="x"), SETTINGS) == (3, timedelta(minutes=1))


@pytest.mark.parametrize(
    "name", ["VIEW", "unsubscribe", "TEMPLATESENDJOBFINISH", "subscribe_msg_popup_event"]
)
def test_other_events_let_us_write_nothing(name: str) -> None:
    assert opens(event(name), SETTINGS) is None


def test_the_limits_are_settings() -> None:
    other = settings_of(WeChatApi(), free_messages=20, free_hours=0.5, tap_messages=1, tap_seconds=5)
    assert opens(fields("text"), other) == (20, timedelta(minutes=30))
    assert opens(event("SCAN"), other) == (1, timedelta(seconds=5))


# --- what became of what we sent --------------------------------------------------------------------


@pytest.mark.parametrize("status", ["success", "failed:user block", "failed: system failed", ""])
def test_wechat_says_what_became_of_a_template_message(status: str) -> None:
    done = event("TEMPLATESENDJOBFINISH", MsgID="200163836", Status=status)
    assert delivered(done) == ("200163836", status)
    assert said_from(done, SETTINGS, NOW) is None


def test_wechat_says_what_became_of_a_notification() -> None:
    entry = {"TemplateId": "T", "MsgID": "7", "ErrorCode": "43101", "ErrorStatus": "user refuse"}
    assert delivered({**event("subscribe_msg_sent_event"), "List": [entry]}) == ("7", "user refuse")
    assert delivered({**event("subscribe_msg_sent_event"), "List": []}) is None


def test_other_things_are_no_delivery() -> None:
    assert delivered(event("TEMPLATESENDJOBFINISH", MsgID="")) is None
    assert delivered(event("MASSSENDJOBFINISH", MsgID="1", Status="success")) is None
    assert delivered(fields("text", Content="TEMPLATESENDJOBFINISH")) is None


def consent(name: str, *entries: tuple[str, str]) -> dict[str, Any]:
    return {
        **event(name),
        "List": [{"TemplateId": template, "SubscribeStatusString": status} for template, status in entries],
    }


def test_each_yes_is_one_notification_more() -> None:
    popup = "subscribe_msg_popup_event"
    assert consents(consent(popup, ("A", "accept"), ("B", "reject"), ("C", "accept"))) == {"A": 1, "C": 1}
    assert consents(consent(popup, ("A", "accept"), ("A", "accept"))) == {"A": 2}
    assert consents(consent(popup, ("", "accept"))) == {}
    assert consents(event(popup)) == {}


def test_who_turns_them_off_agrees_to_none_any_more() -> None:
    change = "subscribe_msg_change_event"
    assert consents(consent(change, ("A", "reject"), ("B", "accept"))) == {"A": None}
    assert consents(fields("text")) == consents(event("subscribe_msg_sent_event")) == {}
