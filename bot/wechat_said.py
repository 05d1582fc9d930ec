"""What came in from WeChat, as a Said: a pure reading of one message's fields (`bot/wechat_seal.py`)."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.settings import Wechat
from conversations.said import Change, File, Said

NAME = "wechat"
LONGEST_KEY = 128
TELLING = ("EventKey", "MsgID", "Content", "MediaId")
"""What tells two things apart that somebody did in the same second."""
OPTION = re.compile(r"([0-9]{1,18}):(\S{1,200})")
"""The id of a choice in a message of ours: the number of the row that brought it, and the button's value."""
SCENE = "qrscene_"
UNSUPPORTED = "【收到不支持的消息类型，暂无法显示】"
"""The text that WeChat delivers in place of what it does not pass on, stickers above all."""
TAPS = ("CLICK", "subscribe", "SCAN")
VIDEOS = ("video", "shortvideo")
Fields = Mapping[str, Any]


def said_from(fields: Fields, settings: Wechat, now: datetime) -> Said | None:
    """What one message or event says, heard at `now`; None for what nobody said to us, such as VIEW.

    The photo or recording of a message is not fetched yet: `media_of` names it.
    """
    what = _event(fields) if fields["MsgType"] == "event" else _message(fields)
    if what is None:
        return None
    openid = fields["FromUserName"]
    return Said(
        messenger=NAME, key=key_of(fields), place=openid, sender=openid, language="zh", at=now, **what
    )


def key_of(fields: Fields) -> str:
    """The same at each delivery of one message: its MsgId; events have none, and are known by who, when and what."""
    if fields["MsgType"] != "event" and fields.get("MsgId"):
        key = f"m{fields['MsgId']}"
    else:
        event = fields.get("Event") or fields["MsgType"]
        about = next((fields[name] for name in TELLING if fields.get(name)), "")
        key = f"{fields['FromUserName']} {fields['CreateTime']} {event} {about}".rstrip()
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:64]} {hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}"


def media_of(fields: Fields) -> str:
    """The media id of the photo or recording that a message is; "" if it is none."""
    return str(fields.get("MediaId", "")) if fields["MsgType"] in ("image", "voice", *VIDEOS) else ""


def _message(fields: Fields) -> dict[str, Any]:
    kind = fields["MsgType"]
    if kind == "text":
        return _text(fields)
    if kind == "voice":
        words = fields.get("Recognition", "")
        return {"text": words, "files": (File(kind="voice", heard=bool(words.strip())),)}
    if kind == "image":
        return {"files": (File(kind="photo"),)}
    if kind in VIDEOS:
        return {"files": (File(kind="video"),)}
    if kind == "location":
        return {"text": _place(fields), "other": "location"}
    return {"other": kind[:32]}


def _text(fields: Fields) -> dict[str, Any]:
    words = fields.get("Content", "")
    chosen = OPTION.fullmatch(fields.get("bizmsgmenuid", ""))
    if chosen is not None:
        return {"tap": chosen[2], "on": chosen[1]}
    return {"other": "sticker"} if words == UNSUPPORTED else {"text": words}


def _place(fields: Fields) -> str:
    """A place that was shared, in words that the crew can use; "" if it is not whole."""
    try:
        where = f"📍 {float(fields['Location_X']):.5f}, {float(fields['Location_Y']):.5f}"
    except (KeyError, ValueError):
        return ""
    return f"{fields.get('Label', '')} {where}".strip()


def _event(fields: Fields) -> dict[str, Any] | None:
    event, about = fields.get("Event", ""), fields.get("EventKey", "")
    if event == "subscribe":
        code = about.removeprefix(SCENE) if about.startswith(SCENE) else ""
        return {"text": f"/start {code}".strip()}
    if event == "SCAN":
        return {"text": f"/start {about}".strip()}
    if event == "CLICK":
        return {"text": f"/{about}"} if about else None
    if event == "unsubscribe":
        return {"change": Change(kind="blocked")}
    return None


def opens(fields: Fields, settings: Wechat) -> tuple[int, timedelta] | None:
    """How many messages may now be sent to the sender, and for how long; None if this opens nothing.

    A choice in a message of ours opens what a tap on the menu does, not what a text does (客服消息下发规则).
    """
    is_event = fields["MsgType"] == "event"
    if fields.get("Event") in TAPS if is_event else fields.get("bizmsgmenuid"):
        return settings.tap_messages, timedelta(seconds=settings.tap_seconds)
    return None if is_event else (settings.free_messages, timedelta(hours=settings.free_hours))


def delivered(fields: Fields) -> tuple[str, str] | None:
    """Of which template message or notification (its msgid) this tells what became of it: "success", else why not."""
    if fields.get("Event") == "TEMPLATESENDJOBFINISH":
        sent, status = fields.get("MsgID", ""), fields.get("Status", "")
    elif fields.get("Event") == "subscribe_msg_sent_event" and fields.get("List"):
        sent, status = (fields["List"][0].get(name, "") for name in ("MsgID", "ErrorStatus"))
    else:
        return None
    return (sent, status) if sent else None


def consents(fields: Fields) -> dict[str, int | None]:
    """How many more notifications the sender agreed to, by template; None: to none any more."""
    event, entries = fields.get("Event"), fields.get("List", ())
    if event == "subscribe_msg_popup_event":
        return dict(Counter(_templates(entries, "accept")))
    if event == "subscribe_msg_change_event":
        return dict.fromkeys(_templates(entries, "reject"))
    return {}


def _templates(entries: Any, status: str) -> list[str]:
    return [
        entry["TemplateId"]
        for entry in entries
        if entry.get("SubscribeStatusString") == status and entry.get("TemplateId")
    ]
