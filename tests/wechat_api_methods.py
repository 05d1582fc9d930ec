"""The methods of the WeChat test server: what each path takes and answers, and when it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests import wechat_api_facts as facts
from tests.wechat_api_facts import Body, Refused, Template, known, object_of, size, text_of, wrong
from tests.wechat_api_people import Shown, User

if TYPE_CHECKING:
    from tests.wechat_api import WeChatApi

Perform = Callable[[Body], Body]
IMAGES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
TYPES = {"voice": "audio/amr", "video": "video/mp4"}


@dataclass
class Media:
    """One temporary file (临时素材)."""

    kind: str
    data: bytes
    until: float

    @property
    def content_type(self) -> str:
        found = (kind for start, kind in IMAGES.items() if self.data.startswith(start))
        return TYPES.get(self.kind) or next(found, "image/jpeg")


@dataclass
class Code:
    """One QR code with a scene."""

    scene: str
    ticket: str
    until: float | None


@dataclass
class Upload:
    """The file of a multipart request."""

    name: str
    data: bytes


@dataclass
class Job:
    """One template message or notification whose end the program has not been told."""

    user: User
    template: Template
    shown: Shown
    number: int
    kind: Literal["template", "notification"]


class Methods:
    """What the paths do, after token, limits and JSON were checked."""

    def __init__(self, api: WeChatApi) -> None:
        self.api = api
        self.menu: Body | None = None
        self.media: dict[str, Media] = {}
        self.codes: list[Code] = []
        self.jobs: list[Job] = []
        self.upload: Upload | None = None
        self._sent: dict[tuple[str, str], tuple[float, int]] = {}
        self._jsapi = ("", 0.0)
        self.paths: dict[str, tuple[str, Perform, bool]] = {
            "message/custom/send": ("POST", self.custom_send, True),
            "message/template/send": ("POST", self.template_send, True),
            "message/subscribe/bizsend": ("POST", self.bizsend, True),
            "qrcode/create": ("POST", self.qrcode, True),
            "template/get_all_private_template": ("GET", self.templates, True),
            "wxaapi/newtmpl/gettemplate": ("GET", self.notifications, True),
            "menu/create": ("POST", self.menu_create, False),
            "menu/get": ("GET", self.menu_get, False),
            "menu/delete": ("GET", self.menu_delete, False),
            "media/get": ("GET", self.media_get, False),
            "media/upload": ("POST", self.media_upload, False),
            "ticket/getticket": ("GET", self.getticket, False),
            "get_api_domain_ip": ("GET", self.addresses, False),
            "getcallbackip": ("GET", self.addresses, False),
            "clear_quota": ("POST", self.clear_quota, False),
        }
        """By path: the HTTP method, what it does, and whether only a verified account may."""

    # --- messages

    def custom_send(self, given: Body) -> Body:
        makers = {"text": self._text, "image": self._image, "msgmenu": self._menu_message}
        makers |= {"voice": self._voice, "video": self._video}
        known(given, "touser", "msgtype", *makers, "customservice")
        user, kind = self._user(given), text_of(given, "msgtype", 40008)
        if kind not in makers:
            raise wrong(40008, kind)
        if more := set(makers) & set(given) - {kind}:
            raise wrong(47001, f"{sorted(more)} in a message of kind {kind}")
        content = object_of(given, kind, 44004)
        make = makers[kind]
        shown = make(content)
        if not user.following:
            raise Refused(43004)
        if closed := user.send_freely():
            raise Refused(45015 if closed == "closed" else 45047)
        user.chat.append(shown)
        return {}

    def _text(self, given: Body) -> Shown:
        known(given, "content")
        text = text_of(given, "content", 44004)
        if size(text) > facts.TEXT_BYTES:
            raise wrong(45002, f"{size(text)} bytes")
        return self.api.shown("text", text, rung="custom")

    def _image(self, given: Body) -> Shown:
        known(given, "media_id")
        media = self._media(text_of(given, "media_id", 40007))
        if media.kind != "image":
            raise wrong(40007, f"a {media.kind}")
        return self.api.shown("image", "", rung="custom", data=media.data)

    def _voice(self, given: Body) -> Shown:
        known(given, "media_id")
        return self._recording("voice", given)

    def _video(self, given: Body) -> Shown:
        """Title and description may be left out; a thumb_media_id is in the examples, and made errors for some."""
        known(given, "media_id", "title", "description")
        return self._recording("video", given)

    def _recording(self, kind: Literal["voice", "video"], given: Body) -> Shown:
        media = self._media(text_of(given, "media_id", 40007))
        if media.kind != kind:
            raise wrong(40007, f"a {media.kind}")
        return self.api.shown(kind, "", rung="custom", data=media.data)

    def _menu_message(self, given: Body) -> Shown:
        known(given, "head_content", "list", "tail_content")
        head, tail, options = given.get("head_content", ""), given.get("tail_content", ""), given.get("list")
        if not isinstance(head, str) or not isinstance(tail, str):
            raise wrong(47001, "head and tail are texts")
        if max(size(head), size(tail)) > facts.HEAD_BYTES:
            raise wrong(45002, "head or tail")
        if not isinstance(options, list) or not 1 <= len(options) <= self.api.menu_options:
            raise wrong(45098, f"1 to {self.api.menu_options} options")
        read: list[tuple[str, str]] = []
        for each in options:
            if not isinstance(each, dict):
                raise wrong(47001, f"option {each!r}")
            known(each, "id", "content")
            option = (text_of(each, "id"), text_of(each, "content"))
            if size(option[0]) > facts.OPTION_ID_BYTES or size(option[1]) > facts.OPTION_BYTES:
                raise wrong(45002, f"option {option}")
            read.append(option)
        if len({id for id, _ in read}) < len(read):
            raise wrong(47001, "two options of one id")
        text = "\n".join(filter(None, [head, *(content for _, content in read), tail]))
        return self.api.shown("menu", text, rung="custom", options=read)

    def template_send(self, given: Body) -> Body:
        known(
            given, "touser", "template_id", "url", "miniprogram", "client_msg_id", "data", "color", "topcolor"
        )
        user = self._user(given)
        template = self._template(self.api.templates, given)
        values = self._values(template, given, cut=True)
        url = given.get("url", "")
        if url and not facts.web_address(url):
            raise wrong(40035, f"url {url!r}")
        if not user.following:
            raise Refused(43004)
        known_as = given.get("client_msg_id")
        if known_as is not None:
            if not isinstance(known_as, str) or not 1 <= size(known_as) <= 32:
                raise wrong(40035, f"client_msg_id {known_as!r}")
            until, number = self._sent.get((user.openid, known_as), (0.0, 0))
            if until > self.api.now():
                return {"msgid": number}
        shown = self.api.shown("template", template.shown(values), rung="template", url=url)
        number = self._send(user, template, shown, "template")
        if known_as is not None:
            self._sent[user.openid, known_as] = (self.api.now() + facts.SAME_MESSAGE_SECONDS, number)
        return {"msgid": number}

    def bizsend(self, given: Body) -> Body:
        known(given, "touser", "template_id", "page", "miniprogram", "data", "miniprogram_state", "lang")
        user = self._user(given)
        template = self._template(self.api.notifications, given)
        values = self._values(template, given, cut=False)
        page = given.get("page", "")
        if page and not facts.web_address(page):
            raise wrong(40035, f"page {page!r}")
        if user.consents[template.id] <= 0:
            raise Refused(43101)
        user.consents[template.id] -= 1
        shown = self.api.shown("notification", template.shown(values), rung="subscribe", url=page)
        self._send(user, template, shown, "notification")
        return {}

    def _send(
        self, user: User, template: Template, shown: Shown, kind: Literal["template", "notification"]
    ) -> int:
        number = self.api.next_number()
        user.chat.append(shown)
        self.jobs.append(Job(user, template, shown, number, kind))
        return number

    def _user(self, given: Body) -> User:
        openid = text_of(given, "touser", 40003)
        if openid not in self.api.users:
            raise wrong(40003, openid)
        return self.api.users[openid]

    def _template(self, templates: dict[str, Template], given: Body) -> Template:
        number = text_of(given, "template_id", 40037)
        if number not in templates:
            raise wrong(40037, number)
        return templates[number]

    def _values(self, template: Template, given: Body, *, cut: bool) -> dict[str, str]:
        """The fields' values. A template message's value that is too long is only cut; both are mistakes."""
        data = object_of(given, "data", 47003)
        if set(data) != set(template.fields):
            raise wrong(47003, f"fields {sorted(data)} instead of {template.fields}")
        values: dict[str, str] = {}
        for name, each in data.items():
            if not isinstance(each, dict):
                raise wrong(47003, f"data.{name}")
            known(each, "value", "color")
            value = text_of(each, "value", 47003)
            if not facts.fits(name, value):
                if not (cut and facts.fits(name, value[:20])):
                    raise wrong(47003, f"data.{name}.value {value!r}")
                self.api.mistakes.append(f"data.{name}.value {value!r} is cut to 20 characters")
            values[name] = value[:20] if name.startswith("thing") else value
        return values

    # --- templates

    def templates(self, _: Body) -> Body:
        listed = [
            {
                "template_id": each.id, "title": each.title, "primary_industry": "", "deputy_industry": "",
                "content": each.content, "example": "",
            }
            for each in self.api.templates.values()
        ]  # fmt: skip
        return {"template_list": listed}

    def notifications(self, _: Body) -> Body:
        listed = [
            {"priTmplId": each.id, "title": each.title, "content": each.content, "example": "", "type": 2}
            for each in self.api.notifications.values()
        ]
        return {"errcode": 0, "errmsg": "ok", "data": listed}

    # --- the menu below the chat

    def menu_create(self, given: Body) -> Body:
        facts.check_menu(given)
        self.menu = given
        return {}

    def menu_get(self, _: Body) -> Body:
        if self.menu is None:
            raise Refused(46003)

        def filled(button: Body) -> Body:
            return {**button, "sub_button": [filled(each) for each in button.get("sub_button", [])]}

        return {"menu": {"button": [filled(each) for each in self.menu["button"]]}}

    def menu_delete(self, _: Body) -> Body:
        self.menu = None
        return {}

    # --- QR codes

    def qrcode(self, given: Body) -> Body:
        known(given, "expire_seconds", "action_name", "action_info")
        name = text_of(given, "action_name", 40052)
        if name not in ("QR_STR_SCENE", "QR_LIMIT_STR_SCENE"):
            raise wrong(40052, name)
        scene = text_of(object_of(object_of(given, "action_info", 40053), "scene", 40053), "scene_str", 40053)
        if size(scene) > facts.SCENE_BYTES:
            raise wrong(40053, f"a scene has 1 to {facts.SCENE_BYTES} bytes")
        temporary = name == "QR_STR_SCENE"
        seconds = given.get("expire_seconds", facts.QR_DEFAULT_SECONDS)
        if type(seconds) is not int or not 1 <= seconds <= facts.QR_SECONDS:
            raise wrong(40053, f"expire_seconds {seconds!r}")
        if not temporary and "expire_seconds" in given:
            raise wrong(40053, "expire_seconds of a code that lasts")
        number = self.api.next_number()
        ticket = f"gQ{hashlib.sha512(f'{scene} {number}'.encode()).hexdigest()[:94]}=="
        until = self.api.now() + seconds if temporary else None
        self.codes.append(Code(scene, ticket, until))
        lasts = {"expire_seconds": seconds} if temporary else {}
        return {"ticket": ticket, **lasts, "url": f"http://weixin.qq.com/q/{ticket[2:24]}"}

    # --- files

    def media_get(self, given: Body) -> Body:
        """Only the answer for a video; other files are bytes, which the server sends itself.

        A video may also come as bytes, some say (developers.weixin.qq.com/community, 00006a6ecc8ff89f67bd8485056800).
        """
        known(given, "media_id")
        media = self._media(text_of(given, "media_id", 40007))
        address = media.kind == "video" and not self.api.videos_as_bytes
        return {"video_url": f"{self.api.url}/video/{given['media_id']}"} if address else {}

    def media_upload(self, given: Body) -> Body:
        kind = given.get("type")
        if kind not in facts.UPLOADS:
            raise wrong(40004, f"type {kind!r}")
        if self.upload is None:
            raise wrong(41005, "a form with one file `media` that has a filename")
        data, (most, starts, at, too_large) = self.upload.data, facts.UPLOADS[kind]
        if not any(data[at:].startswith(start) for start in starts):
            raise wrong(40004, f"no {kind} begins with {data[:12]!r}")
        if len(data) > most:
            raise wrong(too_large, f"{len(data)} bytes")
        return {"type": kind, "media_id": self.api.keep_media(kind, data), "created_at": int(self.api.now())}

    def _media(self, media_id: str) -> Media:
        if media_id not in self.media:
            raise wrong(40007, media_id)
        media = self.media[media_id]
        if media.until <= self.api.now():
            raise Refused(40007)
        return media

    # --- the rest

    def getticket(self, given: Body) -> Body:
        if given.get("type") != "jsapi":
            raise wrong(40097, f"type {given.get('type')!r}")
        ticket, until = self._jsapi
        if until <= self.api.now():
            ticket, until = f"jsapi-{self.api.next_number()}", self.api.now() + facts.TOKEN_SECONDS
            self._jsapi = (ticket, until)
        left = round(until - self.api.now())
        return {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": left}

    def addresses(self, _: Body) -> Body:
        return {"ip_list": ["127.0.0.1"]}

    def clear_quota(self, given: Body) -> Body:
        known(given, "appid")
        if text_of(given, "appid", 41002) != self.api.app_id:
            raise wrong(40013)
        self.api.counts.clear()
        return {}


def answer_of(result: Body) -> Body:
    """A result as it goes out: most have an errcode of 0, those that give something often none."""
    return result if result and "msgid" not in result else {"errcode": 0, "errmsg": "ok", **result}


def is_bytes(path: str, result: Body) -> bool:
    """Whether this answer is the file itself."""
    return path == "media/get" and not result


def as_text(given: Any) -> Any:
    """What a record keeps of a request: the size of a file instead of its bytes."""
    return f"<{given.name}, {len(given.data)} bytes>" if isinstance(given, Upload) else given
