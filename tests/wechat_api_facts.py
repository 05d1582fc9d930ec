"""What WeChat's API accepts: its limits, error codes and checks, from developers.weixin.qq.com.

Where the documentation gives no limit, or sources conflict, the stricter one stands here, with its source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

TEXT_BYTES = 2048
HEAD_BYTES = 1024
"""Head and tail of a menu message: as for WeCom's customer service (kf/send_msg); undocumented for service accounts."""
OPTION_ID_BYTES, OPTION_BYTES = 64, 128
IMAGE_BYTES = 10 * 1024 * 1024
VOICE_BYTES, VIDEO_BYTES = 2 * 1024 * 1024, 10 * 1024 * 1024
"""Of what is uploaded (material/temporary/api_uploadtempmedia): AMR or MP3 of 60 s at most, MP4."""
UPLOADS = {
    "image": (IMAGE_BYTES, (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"), 0, 40009),
    "voice": (VOICE_BYTES, (b"#!AMR", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"), 0, 40010),
    "video": (VIDEO_BYTES, (b"ftypmp4", b"ftypisom", b"ftypavc1", b"ftypM4V"), 4, 40011),
}
"""By kind: the most bytes, how a file begins, from which byte on, and the code if it is too large."""
MEDIA_SECONDS = 3 * 24 * 3600
TOKEN_SECONDS = 7200
TOKEN_OVERLAP = 300
"""So many seconds before a token ends stable_token gives the next one; both are valid until then."""
FORCED_A_DAY, FORCED_PAUSE = 20, 30
QR_SECONDS = 2_592_000
QR_DEFAULT_SECONDS = 60
SCENE_BYTES = 64
BUTTONS, SUB_BUTTONS = 3, 5
BUTTON_BYTES, SUB_BUTTON_BYTES, KEY_BYTES, URL_BYTES = 16, 60, 128, 1024
CLICKS = {"click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin",
          "location_select"}  # fmt: skip
SAME_MESSAGE_SECONDS = 600
"""How long a client_msg_id keeps a template from being sent twice."""
OUT_OF_SERVICE = "该公众号暂时无法提供服务，请稍后再试"

ERRORS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest, could get access_token by "
    "getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40010: "invalid voice size",
    40011: "invalid video size",
    40013: "invalid appid",
    40016: "invalid button size",
    40018: "invalid button name size",
    40019: "invalid button key size",
    40020: "invalid button url size",
    40023: "invalid sub button size",
    40025: "invalid sub button name size",
    40026: "invalid sub button key size",
    40027: "invalid sub button url size",
    40033: "invalid charset. please check your request, if include \\uxxxx will create fail!",
    40035: "invalid parameter",
    40037: "invalid template_id",
    40052: "invalid action name",
    40053: "invalid action info, please check document",
    40055: "invalid button url domain",
    40066: "invalid url",
    40097: "invalid args",
    40125: "invalid appsecret",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    43101: "user refuse to accept the msg",
    44002: "empty post data",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, please retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    45098: "msgmenu list size is out of limit",
    46003: "menu no exist",
    47001: "data format error",
    47003: "argument invalid!",
    48001: "api unauthorized",
    50002: "user limited",
}


class Refused(Exception):
    """An error code; `mistake` says that a correct program never gets it."""

    def __init__(self, code: int, about: str = "", *, mistake: bool = False) -> None:
        self.code, self.about, self.mistake = code, about, mistake
        super().__init__(f"{code} {ERRORS.get(code, 'error')} {about}".strip())


def wrong(code: int, about: str = "") -> Refused:
    """A refusal that only a program with a mistake gets."""
    return Refused(code, about, mistake=True)


@dataclass(frozen=True)
class Template:
    """One template (模板消息) or notification (订阅通知) of the account."""

    id: str
    title: str
    content: str
    """Lines such as "时间:{{time3.DATA}}"."""

    @property
    def fields(self) -> list[str]:
        return re.findall(r"\{\{(\w+)\.DATA\}\}", self.content)

    def shown(self, values: dict[str, str]) -> str:
        """What people read: the title, and each line with its value."""
        lines = re.sub(r"\{\{(\w+)\.DATA\}\}", lambda found: values.get(found[1], ""), self.content)
        return f"{self.title}\n{lines.strip()}"


_M, _D = r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DAY = rf"(?:\d{{4}}年{_M}月{_D}日|\d{{4}}年{_M}月|{_M}月{_D}日|\d{{4}}([-/.]){_M}\1{_D})"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_TIME = re.compile(rf"(?:{_DAY} ?)?{_CLOCK}")
_DATE = re.compile(rf"{_DAY}(?: ?{_CLOCK})?")
_KINDS = {
    "thing": re.compile(r"[^\x00-\x1f\x7f\u2028\u2029]{1,20}"),
    "const": re.compile(r"[^\x00-\x1f\x7f\u2028\u2029]{1,20}"),
    "phrase": re.compile(r"[\u3400-\u9fff]{1,5}"),
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "number": re.compile(r"(?=.{1,32}$)-?\d+(\.\d+)?"),
    "amount": re.compile(r"[¥￥$€£]?\d{1,10}(\.\d+)?元?"),
    "phone_number": re.compile(r"[\d+\-()]{1,17}"),
    "car_number": re.compile(r"[\u3400-\u9fff]?[A-Z0-9·]{1,7}[\u3400-\u9fff]?"),
    "name": re.compile(r"[\u3400-\u9fff·]{1,10}|[^\x00-\x1f\u3400-\u9fff]{1,20}"),
}


def fits(name: str, value: str) -> bool:
    """Whether a value obeys the rule of a template's field, which is named by its kind and a number ("thing2")."""
    kind = name.rstrip("0123456789")
    if kind in ("time", "date"):  # a span has "~" between its two ends
        one = _TIME if kind == "time" else _DATE
        ends = value.split("~")
        return len(ends) <= 2 and all(one.fullmatch(end) for end in ends)
    assert kind in _KINDS, f"the test server has no rule for {name}"
    return bool(_KINDS[kind].fullmatch(value))


def size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode())


def text_of(body: Body, name: str, code: int = 47001) -> str:
    """A string that must be there and not be empty."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(code, f"{name} is {value!r}, not a text")
    return value


def object_of(body: Body, name: str, code: int = 47001) -> Body:
    """An object that must be there."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise wrong(code, f"{name} is {value!r}, not an object")
    return value


def known(body: Body, *names: str) -> None:
    """Refuse names that the documentation has not: WeChat ignores them, so that a wrong name does nothing."""
    if more := set(body) - set(names):
        raise wrong(47001, f"unknown {sorted(more)}")


def web_address(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"https?://[^\s/]+\S*", value))


def check_menu(menu: Body) -> None:
    """Refuse a menu that `menu/create` would."""
    known(menu, "button")
    buttons = menu.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        raise wrong(40016, "1 to 3 buttons")
    for button in buttons:
        _check_name(button, BUTTON_BYTES, 40018)
        below = button.get("sub_button")
        if not below:
            _check_button(button, (40019, 40020))
            continue
        known(button, "name", "sub_button")
        if not isinstance(below, list) or len(below) > SUB_BUTTONS:
            raise wrong(40023, "1 to 5 buttons below one")
        for each in below:
            _check_name(each, SUB_BUTTON_BYTES, 40025)
            if each.get("sub_button"):
                raise wrong(40023, "a third level")
            _check_button(each, (40026, 40027))


def _check_name(button: Any, most: int, code: int) -> None:
    if not isinstance(button, dict) or not 1 <= size(text_of(button, "name", code)) <= most:
        raise wrong(code, f"{button!r}: a name has 1 to {most} bytes")


def _check_button(button: Body, codes: tuple[int, int]) -> None:
    known(button, "type", "name", "key", "url", "sub_button", "appid", "pagepath")
    kind = text_of(button, "type", 40035)
    if kind in CLICKS:
        if size(text_of(button, "key", codes[0])) > KEY_BYTES:
            raise wrong(codes[0], f"a key has 1 to {KEY_BYTES} bytes")
    elif kind in ("view", "miniprogram"):
        if size(text_of(button, "url", codes[1])) > URL_BYTES:
            raise wrong(codes[1], f"an address has 1 to {URL_BYTES} bytes")
        if not web_address(button["url"]):
            raise wrong(40055, button["url"])
    else:
        raise wrong(40035, f"type {kind!r}")
