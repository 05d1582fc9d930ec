"""The methods of the Bot API that the test server simulates, each under its own name."""

from __future__ import annotations

import copy
import json
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from tests.bot_api_facts import Refused, Upload, bad, check_markup, wrong
from tests.bot_api_people import (
    CAPTIONED,
    PRESENT,
    SERVICE,
    UNDELETABLE,
    Body,
    Chat,
    Group,
    PrivateChat,
    Stored,
    Topic,
    kind_of,
    member,
)
from tests.bot_api_text import read
from tests.bot_api_updates import Webhook, check_kinds

if TYPE_CHECKING:
    from tests.bot_api import BotApi

TWO_DAYS = 48 * 3600
PHOTO_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024
DOWNLOAD_BYTES = 20 * 1024 * 1024
PORTS = (80, 88, 443, 8443)
CHAT_ACTIONS = (
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note",
)  # fmt: skip
_MP3 = ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"))
PLAYABLE = {
    "voice": ((0, b"OggS"), (4, b"ftypM4A"), (4, b"ftypmp4"), (4, b"ftypisom"), *_MP3),
    "audio": ((4, b"ftypM4A"), (4, b"ftypmp4"), (4, b"ftypisom"), *_MP3),
    "video": ((4, b"ftypmp4"), (4, b"ftypisom"), (4, b"ftypavc1"), (4, b"ftypM4V")),
}
"""How files begin that the Bot API lets one send so: "other formats may be sent as Audio or Document"."""
ICON_COLORS = (7322096, 16766590, 13338331, 9367192, 16749490, 16478047)
STALE = "query is too old and response timeout expired or query ID is invalid"
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


class Methods:
    """One method of the Bot API a method; each takes the checked parameters and gives the result."""

    def __init__(self, api: BotApi) -> None:
        self.api = api
        self.hooks = api.queue

    # --- updates

    async def getUpdates(self, p: Body) -> list[Body]:
        allowed = check_kinds(p["allowed_updates"]) if "allowed_updates" in p else None
        if p.get("timeout", 0) < 0:
            raise wrong("timeout must not be negative")
        return await self.hooks.poll(p.get("offset", 0), p.get("limit", 100), p.get("timeout", 0), allowed)

    def setWebhook(self, p: Body) -> bool:
        allowed = check_kinds(p["allowed_updates"]) if "allowed_updates" in p else None
        url, secret = p["url"], p.get("secret_token", "")
        if url:
            self._check_webhook(url)
        if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
            raise wrong("secret token contains unallowed characters")
        if not 1 <= p.get("max_connections", 40) <= 100:
            raise wrong("max_connections must be between 1 and 100")
        webhook = Webhook(
            url,
            secret,
            p.get("max_connections", 40),
            "certificate" in p,
            p.get("ip_address", ""),
        )
        self.hooks.set_webhook(webhook, allowed, p.get("drop_pending_updates", False))
        return True

    def _check_webhook(self, url: str) -> None:
        parts = urlsplit(url)
        if self.api.insecure_webhooks and parts.scheme == "http" and parts.hostname:
            return
        if parts.scheme != "https" or not parts.hostname:
            raise wrong("bad webhook: An HTTPS URL must be provided for webhook")
        if not self.api.insecure_webhooks and (parts.port or 443) not in PORTS:
            raise wrong("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")

    def deleteWebhook(self, p: Body) -> bool:
        self.hooks.set_webhook(Webhook(), None, p.get("drop_pending_updates", False))
        return True

    def getWebhookInfo(self, p: Body) -> Body:
        hook = self.hooks.webhook
        self.hooks.expire()
        info: Body = {
            "url": hook.url,
            "has_custom_certificate": hook.has_certificate,
            "pending_update_count": len(self.hooks.pending),
        }
        if hook.url:
            info["max_connections"] = hook.max_connections
        if hook.ip_address:
            info["ip_address"] = hook.ip_address
        if hook.error:
            info |= {"last_error_date": hook.error_at, "last_error_message": hook.error}
        if self.hooks.allowed:
            info["allowed_updates"] = list(self.hooks.allowed)
        return info

    # --- the bot itself

    def getMe(self, p: Body) -> Body:
        more = ("can_connect_to_business", "has_main_web_app", "has_topics_enabled")
        return {
            **self.api.bot_card(),
            "can_join_groups": True,
            "can_read_all_group_messages": not self.api.privacy,
            "supports_inline_queries": False,
            **dict.fromkeys((*more, "allows_users_to_create_topics"), False),
        }

    def logOut(self, p: Body) -> bool:
        self.api.logged_out = True
        return True

    def close(self, p: Body) -> bool:
        return True

    def setMyCommands(self, p: Body) -> bool:
        if len(p["commands"]) > 100:
            raise wrong("BOT_COMMANDS_TOO_MUCH")
        for command in p["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                raise wrong(f"BOT_COMMAND_INVALID: {command['command']}")
            if not command["description"].strip():
                raise wrong("command description must be non-empty")
        names = [command["command"] for command in p["commands"]]
        if len(set(names)) < len(names):
            raise wrong("BOT_COMMAND_INVALID: a command is there twice")
        self.api.commands[self._scope(p), self._language(p)] = copy.deepcopy(p["commands"])
        return True

    def getMyCommands(self, p: Body) -> list[Body]:
        return self.api.commands.get((self._scope(p), self._language(p)), [])

    def deleteMyCommands(self, p: Body) -> bool:
        self.api.commands.pop((self._scope(p), self._language(p)), None)
        return True

    def _scope(self, p: Body) -> tuple[Any, ...]:
        scope = p.get("scope", {"type": "default"})
        if "chat_id" not in scope:
            return (scope["type"],)
        chat = self._known(scope["chat_id"])
        if scope["type"] != "chat" and isinstance(chat, PrivateChat):
            raise wrong("can't use specified scope in private chats")
        return (scope["type"], chat.id, *([scope["user_id"]] if "user_id" in scope else []))

    def _language(self, p: Body) -> str:
        code = str(p.get("language_code", ""))
        if code and not re.fullmatch(r"[a-z]{2}", code):
            raise wrong("invalid language code specified")
        return code

    def setMyName(self, p: Body) -> bool:
        return self._set_words("name", p)

    def getMyName(self, p: Body) -> Body:
        return {"name": self._words("name", p) or self.api.first_name}

    def setMyDescription(self, p: Body) -> bool:
        return self._set_words("description", p)

    def getMyDescription(self, p: Body) -> Body:
        return {"description": self._words("description", p)}

    def setMyShortDescription(self, p: Body) -> bool:
        return self._set_words("short_description", p)

    def getMyShortDescription(self, p: Body) -> Body:
        return {"short_description": self._words("short_description", p)}

    def _set_words(self, what: str, p: Body) -> bool:
        self.api.words[what, self._language(p)] = p.get(what, "")
        return True

    def _words(self, what: str, p: Body) -> str:
        words = self.api.words
        return words.get((what, self._language(p))) or words.get((what, "")) or ""

    def setChatMenuButton(self, p: Body) -> bool:
        if "chat_id" in p and not isinstance(self._known(p["chat_id"]), PrivateChat):
            raise wrong("chat_id must be that of a private chat")
        self.api.menu_buttons[p.get("chat_id")] = p.get("menu_button", {"type": "default"})
        return True

    def getChatMenuButton(self, p: Body) -> Body:
        default: Body = {"type": "commands"}
        button = self.api.menu_buttons.get(p.get("chat_id"), {"type": "default"})
        if "chat_id" in p and button["type"] == "default":
            return self.api.menu_buttons.get(None, default)
        return button if button["type"] != "default" else default

    # --- sending

    def sendMessage(self, p: Body) -> Body:
        return self._send("sendMessage", p, self._text(p))

    def sendPhoto(self, p: Body) -> Body:
        content = {"photo": self._file("photo", p["photo"])} | self._caption(p)
        if p.get("has_spoiler"):
            content["has_media_spoiler"] = True
        return self._send("sendPhoto", p, content)

    def sendVoice(self, p: Body) -> Body:
        """Ogg, MP3 or M4A; some of those with Premium take no voice messages, from bots neither."""
        about = {"duration": p.get("duration", 0), "mime_type": "audio/ogg"}
        content = {"voice": self._file("voice", p["voice"], about)} | self._caption(p)
        chat = self._writable(p["chat_id"])
        if isinstance(chat, PrivateChat) and chat.user.refuses_voices:
            raise bad("VOICE_MESSAGES_FORBIDDEN")
        return self._send("sendVoice", p, content)

    def sendAudio(self, p: Body) -> Body:
        about = {"duration": p.get("duration", 0), "mime_type": "audio/mpeg"}
        content = {"audio": self._file("audio", p["audio"], about)} | self._caption(p)
        return self._send("sendAudio", p, content)

    def sendVideo(self, p: Body) -> Body:
        about = {"width": p.get("width", 0), "height": p.get("height", 0), "duration": p.get("duration", 0)}
        about["mime_type"] = "video/mp4"
        return self._send(
            "sendVideo", p, {"video": self._file("video", p["video"], about)} | self._caption(p)
        )

    def sendDocument(self, p: Body) -> Body:
        content = {"document": self._file("document", p["document"])} | self._caption(p)
        return self._send("sendDocument", p, content)

    def sendLocation(self, p: Body) -> Body:
        if not -90 <= p["latitude"] <= 90 or not -180 <= p["longitude"] <= 180:
            raise wrong("location is out of range")
        names = ("latitude", "longitude", "horizontal_accuracy", "live_period", "heading")
        place = {name: p[name] for name in (*names, "proximity_alert_radius") if name in p}
        return self._send("sendLocation", p, {"location": place})

    def sendContact(self, p: Body) -> Body:
        if not p["phone_number"] or not p["first_name"]:
            raise wrong("phone number and first name must not be empty")
        names = ("phone_number", "first_name", "last_name", "vcard")
        return self._send("sendContact", p, {"contact": {name: p[name] for name in names if name in p}})

    def sendMediaGroup(self, p: Body) -> list[Body]:
        kinds = {item["type"] for item in p["media"]}
        if len(kinds) > 1 and kinds & {"audio", "document"}:
            raise wrong(f"{', '.join(sorted(kinds))} can't be mixed in one album")
        if kinds - {"photo", "video", "document"}:
            raise bad("method is not simulated for this media")
        contents = []
        for item in p["media"]:
            about = {"width": 0, "height": 0, "duration": 0} if item["type"] == "video" else {}
            contents.append(
                {item["type"]: self._file(item["type"], item["media"], about)} | self._caption(item)
            )
        return self._send_all("sendMediaGroup", p, contents, album=self.api.next_album())

    def _send(self, method: str, p: Body, content: Body) -> Body:
        return self._send_all(method, p, [content])[0]

    def _send_all(self, method: str, p: Body, contents: list[Body], album: str = "") -> list[Body]:
        for name in ("business_connection_id", "direct_messages_topic_id", "ephemeral_message_parameters",
                     "suggested_post_parameters", "message_effect_id"):  # fmt: skip
            if name in p:
                raise wrong(f"{name} is not simulated")
        chat = self._writable(p["chat_id"])
        markup = p.get("reply_markup")
        check_markup(markup, private=chat.private)
        thread = self._thread(chat, p)
        reply = self._reply(chat, p)
        self.api.flood.check(chat.id, private=chat.private, sends=len(contents))
        bodies = []
        for content in contents:
            body = chat.compose(self.api.bot_card(), content, thread=thread, reply=reply)
            if album:
                body["media_group_id"] = album
            if markup and markup.get("inline_keyboard"):
                body["reply_markup"] = _inline(markup)
            if p.get("protect_content"):
                body["has_protected_content"] = True
            self._check_links(method, body)
            under_keyboard = bool(markup) and "inline_keyboard" not in (markup or {})
            chat.keep(body, silent=p.get("disable_notification", False), under_keyboard=under_keyboard)
            self.api.accept(method, body)
            bodies.append(body)
        self._keyboard(chat, markup or {})
        return copy.deepcopy(bodies)

    def _check_links(self, method: str, body: Body) -> None:
        """Telegram takes every link, but one with a wrong payload does not start the bot."""
        for payload in re.findall(r"://t\.me/\w+\?start(?:group)?=([^\s&\"'\\]*)", json.dumps(body)):
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", payload):
                self.api.mistakes.append(f"{method}: no link has the payload {payload!r}")

    @staticmethod
    def _keyboard(chat: Chat, markup: Body) -> None:
        if "keyboard" in markup:
            chat.keys = [button for row in markup["keyboard"] for button in row]
            chat.keys_once = markup.get("one_time_keyboard", False)
        elif "remove_keyboard" in markup:
            chat.keys = []

    def _thread(self, chat: Chat, p: Body) -> int | None:
        thread = p.get("message_thread_id")
        if thread is None:
            return None
        if not isinstance(chat, Group) or thread not in chat.topics:
            raise bad("message thread not found")
        if chat.topics[thread].closed and not chat.may(self.api.bot_id, "can_manage_topics"):
            raise bad("TOPIC_CLOSED")
        return int(thread)

    def _reply(self, chat: Chat, p: Body) -> int | None:
        reply = p.get("reply_parameters")
        if not reply:
            return None
        if "message_id" not in reply:
            raise wrong("replied message must be specified")
        if reply.get("chat_id", chat.id) != chat.id:
            raise wrong("replies to another chat are not simulated")
        if reply["message_id"] not in chat.kept:
            if reply.get("allow_sending_without_reply"):
                return None
            raise bad("message to be replied not found")
        return int(reply["message_id"])

    def _text(self, p: Body) -> Body:
        if "text" not in p:
            raise wrong(
                "message text is empty" if "rich_message" not in p else "rich_message is not simulated"
            )
        text, entities = read(p["text"], p.get("parse_mode", ""), p.get("entities"), self.api.user_cards())
        if not text:
            raise wrong("message text is empty")
        if len(text) > 4096:
            raise wrong("message is too long")
        content: Body = {"text": text}
        if entities:
            content["entities"] = entities
        if "link_preview_options" in p:
            content["link_preview_options"] = p["link_preview_options"]
        return content

    def _caption(self, p: Body) -> Body:
        if not p.get("caption"):
            return {}
        text, entities = read(
            p["caption"], p.get("parse_mode", ""), p.get("caption_entities"), self.api.user_cards()
        )
        if len(text) > 1024:
            raise wrong("message caption is too long")
        above = {"show_caption_above_media": True} if p.get("show_caption_above_media") else {}
        if not text:
            return {}
        return {"caption": text, **({"caption_entities": entities} if entities else {}), **above}

    # --- files

    def _file(self, kind: str, given: Any, about: Body | None = None) -> Any:
        """What a message says of a file: of one that came along, or of one that is there."""
        if isinstance(given, str) and given.startswith("attach://"):
            given = self.api.attached(given.removeprefix("attach://"))
        if isinstance(given, Upload):
            return self._uploaded(kind, given, about or {})
        if re.match(r"https?://", given):
            raise wrong("failed to get HTTP URL content")
        stored = self.api.files.get(given)
        if not stored:
            raise wrong("wrong file identifier/HTTP URL specified")
        if stored.kind != kind:
            raise wrong(f"can't use file of type {stored.kind.title()} as {kind.title()}")
        return copy.deepcopy(stored.about)

    def _uploaded(self, kind: str, upload: Upload, about: Body) -> Any:
        size = len(upload.data)
        if not size:
            raise wrong("file must be non-empty")
        if kind == "photo":
            if size > PHOTO_BYTES:
                raise wrong(
                    f"file of size {size} bytes is too big for a photo; the maximum size is {PHOTO_BYTES} bytes"
                )
            self._check_image(upload.data)
            return self.api.store_photo(upload.data)
        if kind in PLAYABLE and not any(upload.data[at:].startswith(start) for at, start in PLAYABLE[kind]):
            raise wrong(f"{upload.data[:12]!r} is nothing that send{kind.title()} takes")
        if kind == "document":
            about = {"file_name": upload.name, "mime_type": upload.mime}
        return self.api.store(kind, upload.data, about)

    @staticmethod
    def _check_image(data: bytes) -> None:
        try:
            with Image.open(BytesIO(data)) as image:
                width, height = image.size
                image.load()
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            raise wrong("IMAGE_PROCESS_FAILED") from None
        if width + height > 10000 or max(width, height) > 20 * min(width, height):
            raise wrong("PHOTO_INVALID_DIMENSIONS")

    def getFile(self, p: Body) -> Body:
        stored = self.api.files.get(p["file_id"])
        if not stored:
            raise wrong("wrong file_id or the file is temporarily unavailable")
        if stored.size > DOWNLOAD_BYTES:
            raise bad("file is too big")
        return {**self._file_ids(p["file_id"], stored), "file_path": stored.path}

    @staticmethod
    def _file_ids(file_id: str, stored: Stored) -> Body:
        about = stored.about if isinstance(stored.about, list) else [stored.about]
        unique = next(each["file_unique_id"] for each in about if each["file_id"] == file_id)
        return {"file_id": file_id, "file_unique_id": unique, "file_size": stored.size}

    # --- changing and deleting

    def editMessageText(self, p: Body) -> Body:
        return self._edit("editMessageText", p, self._text(p))

    def editMessageCaption(self, p: Body) -> Body:
        return self._edit("editMessageCaption", p, self._caption(p))

    def editMessageReplyMarkup(self, p: Body) -> Body:
        return self._edit("editMessageReplyMarkup", p, None)

    def _edit(self, method: str, p: Body, content: Body | None) -> Body:
        if "inline_message_id" in p or "business_connection_id" in p:
            raise wrong("only messages of chats are simulated")
        if "chat_id" not in p or "message_id" not in p:
            raise wrong("message identifier is not specified")
        chat = self._writable(p["chat_id"])
        check_markup(p.get("reply_markup"), private=chat.private)
        kept = chat.kept.get(p["message_id"])
        if not kept:
            raise bad("message to edit not found")
        old = kept.body
        kind = kind_of(old)
        if old["from"]["id"] != self.api.bot_id or kind in SERVICE or kept.under_keyboard:
            raise wrong("message can't be edited")
        if method == "editMessageText" and kind != "text":
            raise wrong("there is no text in the message to edit")
        if method == "editMessageCaption" and kind not in CAPTIONED:
            raise wrong("there is no caption in the message to edit")
        new = dict(old)
        if content is not None:
            names = ("text", "entities", "caption", "caption_entities", "show_caption_above_media")
            new = {name: value for name, value in old.items() if name not in (*names, "link_preview_options")}
            new |= content
        new.pop("reply_markup", None)
        if (markup := p.get("reply_markup")) and markup["inline_keyboard"]:
            new["reply_markup"] = _inline(markup)
        if new == old:
            raise bad(NOT_MODIFIED)
        if content is not None:
            new["edit_date"] = int(self.api.now())
        self.api.flood.check(chat.id, private=chat.private, sends=0)
        self._check_links(method, new)
        kept.body = new
        self.api.accept(method, new)
        return copy.deepcopy(new)

    def deleteMessage(self, p: Body) -> bool:
        chat = self._deletable(p["chat_id"])
        if p["message_id"] not in chat.kept:
            raise bad("message to delete not found")
        self._check_delete(chat, p["message_id"])
        chat.drop(p["message_id"])
        return True

    def deleteMessages(self, p: Body) -> bool:
        chat = self._deletable(p["chat_id"])
        there = [number for number in dict.fromkeys(p["message_ids"]) if number in chat.kept]
        for number in there:
            self._check_delete(chat, number)
        for number in there:
            chat.drop(number)
        return True

    def _check_delete(self, chat: Chat, number: int) -> None:
        body = chat.kept[number].body
        if self.api.now() - body["date"] > TWO_DAYS or any(name in body for name in UNDELETABLE):
            raise bad("message can't be deleted for everyone")
        own = body["from"]["id"] == self.api.bot_id
        if isinstance(chat, Group) and not own and not chat.may(self.api.bot_id, "can_delete_messages"):
            raise bad("message can't be deleted")

    def _deletable(self, chat_id: int | str) -> Chat:
        chat = self._known(chat_id)
        return self._writable(chat_id) if isinstance(chat, Group) else chat

    def answerCallbackQuery(self, p: Body) -> bool:
        tap = self.api.taps.get(p["callback_query_id"])
        if p.get("url"):
            raise wrong("URL_INVALID: only games and links t.me/bot?start= have one")
        if not tap or tap.answered or self.api.now() - tap.at > self.api.callback_seconds:
            raise bad(STALE)
        tap.answered, tap.text, tap.alert = True, p.get("text", ""), p.get("show_alert", False)
        return True

    def sendChatAction(self, p: Body) -> bool:
        if p["action"] not in CHAT_ACTIONS:
            raise wrong("wrong parameter action in request")
        chat = self._writable(p["chat_id"])
        self._thread(chat, p)
        chat.actions.append(p["action"])
        return True

    def pinChatMessage(self, p: Body) -> bool:
        chat = self._pinnable(p["chat_id"])
        if p["message_id"] not in chat.kept:
            raise bad("message to pin not found")
        chat.pinned.append(p["message_id"])
        if p["message_id"] in chat.kept:
            pinned = {
                key: value
                for key, value in chat.kept[p["message_id"]].body.items()
                if key not in ("reply_to_message", "pinned_message")
            }
            chat.keep(chat.compose(self.api.bot_card(), {"pinned_message": copy.deepcopy(pinned)}))
        return True

    def unpinChatMessage(self, p: Body) -> bool:
        chat = self._pinnable(p["chat_id"])
        if not chat.pinned or p.get("message_id", chat.pinned[-1]) not in chat.pinned:
            raise bad("message to unpin not found")
        chat.pinned.remove(p.get("message_id", chat.pinned[-1]))
        return True

    def unpinAllChatMessages(self, p: Body) -> bool:
        self._pinnable(p["chat_id"]).pinned.clear()
        return True

    def _pinnable(self, chat_id: int | str) -> Chat:
        chat = self._writable(chat_id)
        if isinstance(chat, Group) and not chat.may(self.api.bot_id, "can_pin_messages"):
            raise bad("not enough rights to manage pinned messages in the chat")
        return chat

    # --- chats

    def getChat(self, p: Body) -> Body:
        chat = self._readable(p["chat_id"])
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription")
        full: Body = {
            **chat.card(),
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys((*gifts, "gifts_from_channels"), chat.private),
        }
        if isinstance(chat, Group):
            names = (
                "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos",
                "can_send_videos", "can_send_video_notes", "can_send_voice_notes", "can_send_polls",
                "can_send_other_messages", "can_add_web_page_previews", "can_invite_users",
            )  # fmt: skip
            full["permissions"] = dict.fromkeys(names, True) | {
                "can_change_info": False,
                "can_pin_messages": False,
                "can_manage_topics": False,
            }
        if chat.pinned and chat.pinned[-1] in chat.kept:
            full["pinned_message"] = copy.deepcopy(chat.kept[chat.pinned[-1]].body)
        return full

    def getChatMember(self, p: Body) -> Body:
        group = self._group(p["chat_id"], "method is available for group and supergroup chats only")
        number = p["user_id"]
        if number not in group.members and number not in self.api.users and number != self.api.bot_id:
            raise bad("member not found")
        if group.kind == "supergroup" and number != self.api.bot_id and not self._admin(group):
            raise bad("member list is inaccessible")
        card = self.api.users[number].card() if number in self.api.users else self.api.bot_card()
        return copy.deepcopy(group.members.get(number) or member("left", card))

    def _admin(self, group: Group) -> bool:
        return group.status(self.api.bot_id) == "administrator"

    def getChatAdministrators(self, p: Body) -> list[Body]:
        group = self._group(p["chat_id"], "there are no administrators in the private chat")
        admins = [each for each in group.members.values() if each["status"] in ("creator", "administrator")]
        return copy.deepcopy([each for each in admins if not each["user"]["is_bot"] or self._is_me(each)])

    def _is_me(self, each: Body) -> bool:
        return bool(each["user"]["id"] == self.api.bot_id)

    def getChatMemberCount(self, p: Body) -> int:
        chat = self._readable(p["chat_id"])
        if not isinstance(chat, Group):
            return 2
        return sum(each["status"] in PRESENT for each in chat.members.values())

    def restrictChatMember(self, p: Body) -> bool:
        """What a member of a supergroup may do; less than 30 seconds, or more than 366 days, are for ever."""
        group = self._group(p["chat_id"], "method is available only for supergroups")
        if group.kind != "supergroup":
            raise bad("method is available only for supergroups")
        if not group.may(self.api.bot_id, "can_restrict_members"):
            raise bad("not enough rights to restrict/unrestrict chat member")
        number = p["user_id"]
        if number == self.api.bot_id:
            raise wrong("can't restrict self")
        if number not in self.api.users:
            raise bad("PARTICIPANT_ID_INVALID")
        if group.status(number) in ("creator", "administrator"):
            raise bad("user is an administrator of the chat")
        if group.status(number) not in PRESENT:
            raise bad("member not found")
        until = p.get("until_date", 0)
        lasts = until - self.api.now()
        group.restricts(number, p["permissions"], until if 30 <= lasts <= 366 * 86400 else 0)
        return True

    def leaveChat(self, p: Body) -> bool:
        group = self._group(p["chat_id"], "chat member status can't be changed in private chats")
        self._writable(p["chat_id"])
        group.bot_leaves()
        return True

    def exportChatInviteLink(self, p: Body) -> str:
        group = self._group(p["chat_id"], "can't create invite link in a private chat")
        self._writable(p["chat_id"])
        if not group.may(self.api.bot_id, "can_invite_users"):
            raise bad("not enough rights to manage chat invite link")
        return self.api.next_link()

    def createChatInviteLink(self, p: Body) -> Body:
        more: Body = {name: p[name] for name in ("name", "expire_date", "member_limit") if name in p}
        return {
            "invite_link": self.exportChatInviteLink(p),
            "creator": self.api.bot_card(),
            "creates_join_request": p.get("creates_join_request", False),
            "is_primary": False,
            "is_revoked": False,
            **more,
        }

    # --- topics

    def createForumTopic(self, p: Body) -> Body:
        group = self._forum(p, "create a topic")
        color = p.get("icon_color", ICON_COLORS[0])
        if color not in ICON_COLORS:
            raise wrong("TOPIC_ICON_COLOR_INVALID")
        if not p["name"].strip():
            raise wrong("TOPIC_TITLE_EMPTY")
        topic = Topic(0, p["name"].strip(), color, p.get("icon_custom_emoji_id", ""))
        group.open_topic(topic, self.api.bot_card())
        icon = {"icon_custom_emoji_id": topic.icon} if topic.icon else {}
        return {"message_thread_id": topic.id, "name": topic.name, "icon_color": color, **icon}

    def editForumTopic(self, p: Body) -> bool:
        group = self._forum(p, "edit the topic")
        topic = self._topic(group, p)
        name, icon = p.get("name") or topic.name, p.get("icon_custom_emoji_id", topic.icon)
        if (name, icon) == (topic.name, topic.icon):
            raise bad("TOPIC_NOT_MODIFIED")
        changed = {"name": name} if name != topic.name else {}
        topic.name, topic.icon = name, icon
        self._tell(group, topic, {"forum_topic_edited": changed})
        return True

    def closeForumTopic(self, p: Body) -> bool:
        return self._set_closed(p, True)

    def reopenForumTopic(self, p: Body) -> bool:
        return self._set_closed(p, False)

    def _set_closed(self, p: Body, closed: bool) -> bool:
        group = self._forum(p, "close the topic" if closed else "reopen the topic")
        topic = self._topic(group, p)
        if topic.closed == closed:
            raise bad("TOPIC_NOT_MODIFIED")
        topic.closed = closed
        self._tell(group, topic, {f"forum_topic_{'closed' if closed else 'reopened'}": {}})
        return True

    def deleteForumTopic(self, p: Body) -> bool:
        group = self._forum(p, "delete the topic", "can_delete_messages")
        group.deletes_topic(self._topic(group, p).id)
        return True

    def _tell(self, group: Group, topic: Topic, content: Body) -> None:
        group.keep(group.compose(self.api.bot_card(), content, thread=topic.id))

    def _forum(self, p: Body, what: str, right: str = "can_manage_topics") -> Group:
        chat = self._writable(p["chat_id"])
        if not isinstance(chat, Group) or not chat.forum:
            raise bad("the chat is not a forum")
        if not chat.may(self.api.bot_id, right):
            raise bad(f"not enough rights to {what}")
        return chat

    @staticmethod
    def _topic(group: Group, p: Body) -> Topic:
        topic = group.topics.get(p["message_thread_id"])
        if not topic:
            raise bad(
                "TOPIC_ID_INVALID" if p["message_thread_id"] not in group.deleted_topics else "TOPIC_DELETED"
            )
        return topic

    # --- which chat

    def _known(self, chat_id: int | str) -> Chat:
        if isinstance(chat_id, str) and not chat_id.startswith("@"):
            raise wrong("chat not found")
        chat = self.api.chats.get(chat_id) if isinstance(chat_id, int) else None
        if not chat:
            if chat_id in self.api.upgraded:
                raise Refused(
                    400,
                    "Bad Request: group chat was upgraded to a supergroup chat",
                    migrate_to_chat_id=self.api.upgraded[chat_id],
                )
            raise bad("chat not found")
        return chat

    def _readable(self, chat_id: int | str) -> Chat:
        chat = self._known(chat_id)
        if isinstance(chat, PrivateChat):
            if not chat.user.started:
                raise bad("chat not found")
            return chat
        assert isinstance(chat, Group)
        status = chat.status(self.api.bot_id)
        if status == "kicked" or chat.bot_removed:
            raise Refused(403, f"Forbidden: bot was kicked from the {chat.kind} chat")
        if status == "left":
            if self.api.bot_id not in chat.members:
                raise bad("chat not found")
            raise Refused(403, f"Forbidden: bot is not a member of the {chat.kind} chat")
        return chat

    def _writable(self, chat_id: int | str) -> Chat:
        chat = self._known(chat_id)
        if not isinstance(chat, PrivateChat):
            return self._readable(chat_id)
        if chat.user.deactivated:
            raise Refused(403, "Forbidden: user is deactivated")
        if not chat.user.started:
            raise Refused(403, "Forbidden: bot can't initiate conversation with a user")
        if chat.user.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return chat

    def _group(self, chat_id: int | str, otherwise: str) -> Group:
        chat = self._readable(chat_id)
        if not isinstance(chat, Group):
            raise wrong(otherwise)
        return chat


def _inline(markup: Body) -> Body:
    """A keyboard as the server keeps it, without empty rows."""
    return {"inline_keyboard": [list(row) for row in markup["inline_keyboard"] if row]}
