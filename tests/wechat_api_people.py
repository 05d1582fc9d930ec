"""The people of the WeChat test server: what they do is delivered to the program, and what stands on their screens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tests.wechat_api import Answer, WeChatApi

Fields = dict[str, Any]
MESSAGE_HOURS, TAP_SECONDS = 48, 60


@dataclass
class Shown:
    """One message as it stands on a person's screen."""

    id: int
    kind: Literal["text", "menu", "image", "voice", "video", "template", "notification", "trouble"]
    """"trouble" is WeChat's own "该公众号暂时无法提供服务"."""
    text: str
    """All that is read: of a menu its head, options and tail, of a template its title and lines."""
    options: list[tuple[str, str]] = field(default_factory=list)
    """Of a menu message: id and content."""
    url: str = ""
    """What a tap on a template or notification opens."""
    rung: Literal["passive", "custom", "template", "subscribe", ""] = ""
    passive_to: str = ""
    """What a passive reply answers: the MsgId of a message, or "CreateTime:Event" of an event, which has none."""
    data: bytes = field(default=b"", repr=False)
    """Of an image, a voice message or a video."""


@dataclass
class Window:
    """Room for a few messages that are sent freely (客服消息)."""

    until: float = 0
    left: int = 0


class User:
    """Somebody on WeChat. What they do is delivered as WeChat would, and returns the answers in their order.

    Each action takes `deliveries` (up to three of the same message, all of which must be answered alike; the last
    answer is shown) and `overlapping` (all at once, instead of one after the other).
    """

    def __init__(self, api: WeChatApi, name: str, openid: str) -> None:
        self.api, self.name, self.openid = api, name, openid
        self.following = False
        self.chat: list[Shown] = []
        self.consents: Counter[str] = Counter()
        """Unspent consents by template."""
        self.talk, self.touch = Window(), Window()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # --- what opens the chat

    async def follows(self, scene: str = "", **how: Any) -> list[Answer]:
        """Follow the account; with a scene through its QR code."""
        assert not self.following, f"{self} follows already"
        self.following = True
        self._touches()
        fields = (
            {"EventKey": f"qrscene_{scene}", "Ticket": self.api.ticket_of(scene)}
            if scene
            else {"EventKey": ""}
        )
        return await self._event("subscribe", fields, **how)

    async def unfollows(self, **how: Any) -> list[Answer]:
        """Leave: nothing can be sent until they follow again."""
        assert self.following, f"{self} does not follow"
        self.following = False
        self.talk, self.touch = Window(), Window()
        return await self._event("unsubscribe", {"EventKey": ""}, **how)

    async def scans(self, scene: str, **how: Any) -> list[Answer]:
        """Scan a QR code with this scene; an expired one only says so on the phone. A stranger follows by it."""
        if self.api.is_expired(scene):
            return []
        if not self.following:
            return await self.follows(scene, **how)
        self._touches()
        return await self._event("SCAN", {"EventKey": scene, "Ticket": self.api.ticket_of(scene)}, **how)

    async def clicks(self, key: str, **how: Any) -> list[Answer]:
        """Tap a button of the account's menu that sends its key."""
        assert self.following, f"{self} does not follow"
        self._touches()
        return await self._event("CLICK", {"EventKey": key}, **how)

    async def views(self, url: str, **how: Any) -> list[Answer]:
        """Tap a button of the account's menu that opens a page; it opens no room for messages."""
        assert self.following, f"{self} does not follow"
        return await self._event("VIEW", {"EventKey": url, "MenuId": 100000001}, **how)

    # --- messages

    async def writes(self, text: str, **how: Any) -> list[Answer]:
        return await self._message("text", {"Content": text}, **how)

    async def taps(self, id: str, content: str, **how: Any) -> list[Answer]:
        """Tap an option of a menu message: a text with its id, which opens the same room as a tap on the menu.

        So says 客服消息介绍 (guide/product/kf/intro): it is no message that opens the 48 hours.
        """
        assert self.following, f"{self} does not follow"
        self._touches()
        return await self._deliver(
            {"MsgType": "text", "Content": content, "bizmsgmenuid": id}, message=True, **how
        )

    async def replies_to_template(self, text: str, **how: Any) -> list[Answer]:
        """Answer below a template message, which is a text like any other."""
        return await self.writes(text, **how)

    async def sends_photo(self, data: bytes, **how: Any) -> list[Answer]:
        media_id = self.api.keep_media("image", data)
        address = f"http://mmbiz.qpic.cn/mmbiz_jpg/{media_id}/0"
        return await self._message("image", {"PicUrl": address, "MediaId": media_id}, **how)

    async def sends_voice(self, recognition: str = "", data: bytes = b"#!AMR\n", **how: Any) -> list[Answer]:
        fields: Fields = {"MediaId": self.api.keep_media("voice", data), "Format": "amr"}
        return await self._message(
            "voice", fields | ({"Recognition": recognition} if recognition else {}), **how
        )

    async def sends_video(
        self, data: bytes = b"\0\0\0\x18ftypmp42", *, short: bool = False, **how: Any
    ) -> list[Answer]:
        """Send a video; a short one is made in the chat (小视频)."""
        ids = (self.api.keep_media("video", data), self.api.keep_media("image", b"\xff\xd8\xff"))
        kind = "shortvideo" if short else "video"
        return await self._message(kind, {"MediaId": ids[0], "ThumbMediaId": ids[1]}, **how)

    async def sends_location(self, label: str, **how: Any) -> list[Answer]:
        place: Fields = {"Location_X": "23.134521", "Location_Y": "113.358803", "Scale": 20, "Label": label}
        return await self._message("location", place, **how)

    async def sends_link(self, **how: Any) -> list[Answer]:
        link = {
            "Title": "公众平台官网链接",
            "Description": "公众平台官网链接",
            "Url": "https://mp.weixin.qq.com/",
        }
        return await self._message("link", link, **how)

    # --- consent

    async def answers_consent(self, template_id: str, accept: bool = True, **how: Any) -> list[Answer]:
        """Answer the question whether a notification may come, on a page: one yes is one notification."""
        self.consents[template_id] += accept
        each = {"TemplateId": template_id, "SubscribeStatusString": "accept" if accept else "reject"}
        fields = {"SubscribeMsgPopupEvent": {"List": [{**each, "PopupScene": 1}]}}
        return await self._event("subscribe_msg_popup_event", fields, **how)

    async def changes_consent(self, template_id: str, **how: Any) -> list[Answer]:
        """Turn a notification off in WeChat's settings; WeChat tells only this direction."""
        self.consents[template_id] = 0
        each = {"TemplateId": template_id, "SubscribeStatusString": "reject"}
        fields = {"SubscribeMsgChangeEvent": {"List": [each]}}
        return await self._event("subscribe_msg_change_event", fields, **how)

    # --- room for messages

    def send_freely(self) -> str:
        """Use up room for one message: "" if there was some, "used" if it is all used, "closed" outside of any window.

        Whether two open windows add up is not documented; here they do not: one message counts in both.
        """
        windows = [each for each in (self.talk, self.touch) if each.until > self.api.now()]
        if not windows:
            return "closed"
        if not any(each.left > 0 for each in windows):
            return "used"
        for each in windows:
            each.left -= 1
        return ""

    def _touches(self) -> None:
        self.touch = Window(self.api.now() + TAP_SECONDS, self.api.tap_messages)

    async def _message(self, kind: str, fields: Fields, **how: Any) -> list[Answer]:
        assert self.following, f"{self} does not follow"
        self.talk = Window(self.api.now() + self.api.free_hours * 3600, self.api.free_messages)
        return await self._deliver({"MsgType": kind, **fields}, message=True, **how)

    async def _event(self, event: str, fields: Fields, **how: Any) -> list[Answer]:
        return await self._deliver({"MsgType": "event", "Event": event, **fields}, message=False, **how)

    async def _deliver(self, fields: Fields, *, message: bool, **how: Any) -> list[Answer]:
        return await self.api.deliver_to_program(self, fields, message=message, **how)
