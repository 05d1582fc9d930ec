"""The people and groups of the test server: what they do becomes updates, and their chats show what stands there."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from tests.bot_api_text import find, units

if TYPE_CHECKING:
    from tests.bot_api import BotApi

Body = dict[str, Any]

MEDIA = (
    "photo", "video", "document", "voice", "audio", "video_note", "animation", "sticker", "location", "contact", "poll",
)  # fmt: skip
CAPTIONED = ("photo", "video", "document", "voice", "audio", "animation")
SERVICE = (
    "new_chat_members", "left_chat_member", "group_chat_created", "supergroup_chat_created",
    "migrate_to_chat_id", "migrate_from_chat_id", "pinned_message", "forum_topic_created",
    "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened", "new_chat_title",
)  # fmt: skip
UNDELETABLE = ("supergroup_chat_created", "migrate_from_chat_id", "migrate_to_chat_id", "forum_topic_created")
RIGHTS = {
    "can_manage_chat": True, "can_delete_messages": True, "can_manage_video_chats": True,
    "can_restrict_members": True, "can_promote_members": False, "can_change_info": True,
    "can_invite_users": True, "can_post_stories": False, "can_edit_stories": False,
    "can_delete_stories": False, "can_send_welcome_messages": False, "can_pin_messages": True,
}  # fmt: skip
PRESENT = ("creator", "administrator", "member", "restricted")
MAY_SEND = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
    "can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
    "can_add_web_page_previews", "can_react_to_messages", "can_edit_tag",
)  # fmt: skip
MAY_CHANGE = ("can_change_info", "can_invite_users", "can_pin_messages", "can_manage_topics")


def kind_of(body: Body) -> str:
    """What a message is: text, photo ... or the name of its service field."""
    return next((kind for kind in ("text", *MEDIA, *SERVICE) if kind in body), "text")


@dataclass(frozen=True)
class Shown:
    """One message as it stands in a chat."""

    chat_id: int
    message_id: int
    sender_id: int
    text: str
    """The text or the caption."""
    kind: str
    """"text", "photo" ..., or the name of the service field ("new_chat_members")."""
    buttons: dict[str, str]
    """Label to callback data or address."""
    photos: int
    silent: bool
    thread: int | None
    edited: bool
    date: int
    album: str
    reply_to: int | None
    entities: list[Body]
    body: Body = field(repr=False)
    """All of it, as the Bot API would tell it."""


@dataclass
class Kept:
    """One message as the server keeps it."""

    body: Body
    silent: bool = False
    under_keyboard: bool = False
    """Whether it brought or removed a reply keyboard: such a message can't be edited."""

    def shown(self) -> Shown:
        body = self.body
        rows = body.get("reply_markup", {}).get("inline_keyboard", [])
        return Shown(
            chat_id=body["chat"]["id"],
            message_id=body["message_id"],
            sender_id=body["from"]["id"],
            text=body.get("text") or body.get("caption") or "",
            kind=kind_of(body),
            buttons={b["text"]: b.get("callback_data") or b.get("url") or "" for row in rows for b in row},
            photos=int("photo" in body),
            silent=self.silent,
            thread=body.get("message_thread_id"),
            edited="edit_date" in body,
            date=body["date"],
            album=body.get("media_group_id", ""),
            reply_to=body.get("reply_to_message", {}).get("message_id"),
            entities=_copied(body.get("entities") or body.get("caption_entities") or []),
            body=_copied(body),
        )


def _copied(body: Any) -> Any:
    """What a message is made of, copied a good deal faster than by `copy`: chats are looked at all the time."""
    return pickle.loads(pickle.dumps(body))


@dataclass
class Stored:
    """One file on the server."""

    kind: str
    data: bytes
    size: int
    path: str
    about: Body
    """What a message says of it: a list of sizes for a photo, else an object."""


@dataclass
class Tap:
    """One tap of a button, and what the bot answered to it."""

    id: str
    data: str
    at: float
    user_id: int
    chat_id: int
    message_id: int
    answered: bool = False
    text: str = ""
    alert: bool = False


@dataclass
class Topic:
    """One topic of a forum; its id is that of the message that made it."""

    id: int
    name: str
    color: int = 7322096
    icon: str = ""
    closed: bool = False


class Chat:
    """What one chat shows."""

    kind = "private"

    def __init__(self, api: BotApi, number: int) -> None:
        self.api = api
        self.id = number
        self.kept: dict[int, Kept] = {}
        self.deleted: list[Shown] = []
        self.keys: list[Body] = []
        """The buttons of the reply keyboard that is shown."""
        self.keys_once = False
        """Whether it hides after its first use."""
        self.actions: list[str] = []
        self.pinned: list[int] = []
        api.chats[number] = self

    @property
    def messages(self) -> list[Shown]:
        """All that stands there now, oldest first."""
        return [kept.shown() for kept in self.kept.values()]

    @property
    def from_bot(self) -> list[Shown]:
        """What the bot has said there and still stands."""
        return [shown for shown in self.messages if shown.sender_id == self.api.bot_id]

    @property
    def private(self) -> bool:
        return self.kind == "private"

    @property
    def keyboard(self) -> list[str]:
        """The labels of the reply keyboard that is shown."""
        return [key["text"] for key in self.keys]

    def sees(self, text: str, *labels: str) -> Shown:
        """The latest message of the bot with this text and these buttons."""
        for shown in reversed(self.from_bot):
            if text in shown.text and all(label in shown.buttons for label in labels):
                return shown
        said = "\n".join(f"  {shown.text} {list(shown.buttons)}" for shown in self.from_bot)
        raise AssertionError(f"nothing in {self.id} says {text!r} with {list(labels)}:\n{said}")

    def card(self) -> Body:
        """The Chat object of the Bot API."""
        raise NotImplementedError

    def next_message_id(self) -> int:
        """Private chats and basic groups share the bot's numbers; each supergroup has its own."""
        return self.api.next_message_id()

    def compose(
        self, sender: Body, content: Body, *, thread: int | None = None, reply: int | None = None
    ) -> Body:
        """A new message, which stands nowhere yet."""
        body: Body = {"message_id": self.next_message_id(), "from": sender, "chat": self.card()}
        body["date"] = int(self.api.now())
        if thread:
            body |= {"message_thread_id": thread, "is_topic_message": True}
        answered = self.kept.get(reply or thread or 0)
        if answered:
            body["reply_to_message"] = {
                key: value
                for key, value in copy.deepcopy(answered.body).items()
                if key not in ("reply_to_message", "pinned_message")
            }
        return body | content

    def keep(self, body: Body, *, silent: bool = False, under_keyboard: bool = False) -> Body:
        """Let a message stand in the chat."""
        self.kept[body["message_id"]] = Kept(body, silent, under_keyboard)
        return body

    def post(
        self, sender: Body, content: Body, *, thread: int | None = None, reply: int | None = None
    ) -> Body:
        """A message of a person or of the chat itself: it stands there and the bot hears of it if it may."""
        body = self.keep(self.compose(sender, content, thread=thread, reply=reply))
        if self.bot_reads(body):
            self.api.push("message", body)
        return body

    def bot_reads(self, body: Body) -> bool:
        """Whether the bot is told of a message."""
        raise NotImplementedError

    def drop(self, message_id: int) -> None:
        """Let a message vanish."""
        self.deleted.append(self.kept.pop(message_id).shown())


class PrivateChat(Chat):
    """The chat of one person with the bot."""

    def __init__(self, user: User) -> None:
        super().__init__(user.api, user.id)
        self.user = user

    def card(self) -> Body:
        user = self.user
        names = {"first_name": user.first_name, "last_name": user.last_name, "username": user.username}
        return {"id": self.id, "type": "private", **{key: value for key, value in names.items() if value}}

    def bot_reads(self, body: Body) -> bool:
        return True


class User:
    """Somebody with a telephone."""

    def __init__(
        self, api: BotApi, number: int, first_name: str, last_name: str, username: str, language: str
    ) -> None:
        self.api = api
        self.id = number
        self.first_name = first_name
        self.last_name = last_name
        self.username = username
        self.language_code = language
        self.started = False
        self.blocked = False
        self.deactivated = False
        self.refuses_voices = False
        """Whether voice messages are refused, as those with Premium may choose."""
        self.chat = PrivateChat(self)

    @property
    def messages(self) -> list[Shown]:
        """What stands in the private chat with the bot."""
        return self.chat.messages

    def sees(self, text: str, *labels: str) -> Shown:
        """The latest message of the bot in the private chat with this text and these buttons."""
        return self.chat.sees(text, *labels)

    def card(self) -> Body:
        """The User object of the Bot API."""
        named = {"last_name": self.last_name, "username": self.username, "language_code": self.language_code}
        filled = {key: value for key, value in named.items() if value}
        return {"id": self.id, "is_bot": False, "first_name": self.first_name, **filled}

    # --- what they send

    def starts(self, payload: str = "") -> Body:
        """Open the bot, perhaps through a link t.me/bot?start=payload."""
        allowed = len(payload) <= 64 and all(c.isascii() and (c.isalnum() or c in "_-") for c in payload)
        assert allowed, f"Telegram gives no link the payload {payload!r}"
        return self.writes(f"/start {payload}".strip())

    def writes(
        self,
        text: str,
        chat: Group | None = None,
        *,
        thread: int | None = None,
        reply_to: Any = None,
        links: Mapping[str, str] | None = None,
    ) -> Body:
        """Send a text, privately or in a group; `links` are addresses behind some of its words."""
        return self._sends(linked(texted(text), links or {}), chat, thread, reply_to)

    def forwards(self, text: str, chat: Group | None = None, *, origin: Group | User | str) -> Body:
        """Pass on what somebody else wrote: a user, one who hides (by name), or a channel (a Group by its title)."""
        content = texted(text) | {"forward_origin": forwarded(origin, int(self.api.now()))}
        return self._sends(content, chat)

    def sends_poll(self, question: str, options: list[str], chat: Group | None = None) -> Body:
        """Send a poll."""
        shown = [
            {"persistent_id": f"{number}", "text": text, "voter_count": 0}
            for number, text in enumerate(options)
        ]
        flags = {"is_closed": False, "is_anonymous": True, "allows_multiple_answers": False}
        rest = {"total_voter_count": 0, "type": "regular", "allows_revoting": True, "members_only": False}
        poll = {"id": self.api.next_tap(), "question": question, "options": shown, **flags, **rest}
        return self._sends({"poll": poll}, chat)

    def sends_photo(
        self,
        data: bytes,
        caption: str = "",
        chat: Group | None = None,
        *,
        thread: int | None = None,
        reply_to: Any = None,
    ) -> Body:
        """Send a photo; the bot is told of two sizes."""
        shown = {"photo": self.api.store_photo(data)} | captioned(caption)
        return self._sends(shown, chat, thread, reply_to)

    def sends_album(self, photos: list[bytes], caption: str = "", chat: Group | None = None) -> list[Body]:
        """Send several photos at once: the bot gets a message for each, the caption with the first."""
        assert 2 <= len(photos) <= 10, "an album has 2 to 10 photos"
        album = self.api.next_album()
        return [
            self._sends(
                {"media_group_id": album, "photo": self.api.store_photo(data)}
                | captioned(caption if number == 0 else ""),
                chat,
            )
            for number, data in enumerate(photos)
        ]

    def sends_voice(
        self, data: bytes = b"OggS voice", chat: Group | None = None, *, seconds: int = 3
    ) -> Body:
        """Send a voice message."""
        about = {"duration": seconds, "mime_type": "audio/ogg"}
        return self._sends({"voice": self.api.store("voice", data, about)}, chat)

    def sends_video(
        self,
        data: bytes = b"\0\0\0\x18ftypmp42 video",
        caption: str = "",
        chat: Group | None = None,
        *,
        size: int | None = None,
    ) -> Body:
        """Send a video; `size` claims another one than that of the data."""
        about = {"width": 640, "height": 360, "duration": 5, "mime_type": "video/mp4"}
        return self._sends({"video": self.api.store("video", data, about, size)} | captioned(caption), chat)

    def sends_audio(
        self, data: bytes = b"ID3 a song", mime: str = "audio/mpeg", chat: Group | None = None
    ) -> Body:
        """Send a piece of music."""
        about = {"duration": 3, "mime_type": mime, "file_name": "a.mp3"}
        return self._sends({"audio": self.api.store("audio", data, about)}, chat)

    def sends_video_note(self, data: bytes, chat: Group | None = None) -> Body:
        """Send a round video."""
        about = {"length": 240, "duration": 3}
        return self._sends({"video_note": self.api.store("video_note", data, about)}, chat)

    def sends_document(
        self,
        data: bytes,
        name: str = "file.pdf",
        mime: str = "application/pdf",
        caption: str = "",
        chat: Group | None = None,
        *,
        size: int | None = None,
    ) -> Body:
        """Send a file; `size` claims another one than that of the data."""
        about = {"file_name": name, "mime_type": mime}
        stored = self.api.store("document", data, about, size)
        return self._sends({"document": stored} | captioned(caption), chat)

    def sends_location(self, latitude: float, longitude: float, chat: Group | None = None) -> Body:
        """Send a place on the map."""
        return self._sends({"location": {"latitude": latitude, "longitude": longitude}}, chat)

    def shares_contact(self, phone: str) -> Body:
        """Press the button that shares the own number; like some programs Telegram's tell it without the plus."""
        assert any(key.get("request_contact") for key in self.chat.keys), (
            f"no button asks {self.first_name} for the number: {self.chat.keyboard}"
        )
        assert phone.startswith("+"), "an account's number has its country's code"
        if self.chat.keys_once:
            self.chat.keys = []
        return self.sends_contact(phone.removeprefix("+"), self.id)

    def sends_contact(
        self,
        phone: str,
        user_id: int | None = None,
        chat: Group | None = None,
        *,
        forwarded_from: User | None = None,
    ) -> Body:
        """Send somebody's card: with their account, if they have one that is known; perhaps passed on."""
        known = self.api.users.get(user_id or 0)
        contact: Body = {"phone_number": phone, "first_name": known.first_name if known else "Somebody"}
        if user_id:
            contact["user_id"] = user_id
        content: Body = {"contact": contact}
        if forwarded_from:
            date = int(self.api.now())
            content["forward_origin"] = {
                "type": "user", "date": date, "sender_user": forwarded_from.card(),
            }  # fmt: skip
        return self._sends(content, chat)

    def sends_sticker(self, chat: Group | None = None) -> Body:
        """Send a sticker."""
        about = {
            "type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False,
            "emoji": "👍",
        }  # fmt: skip
        return self._sends({"sticker": self.api.store("sticker", b"sticker", about)}, chat)

    def edits(self, message: Any, text: str) -> Body:
        """Change the text or the caption of an own message."""
        chat, number = self.api.place_of(message)
        body = chat.kept[number].body
        assert body["from"]["id"] == self.id, "only one's own message can be edited"
        for key in ("text", "entities", "caption", "caption_entities"):
            body.pop(key, None)
        body |= captioned(text) if kind_of(body) in CAPTIONED else texted(text)
        body["edit_date"] = int(self.api.now())
        if chat.bot_reads(body):
            self.api.push("edited_message", body)
        return body

    def deletes(self, message: Any) -> None:
        """Delete a message: bots are not told."""
        chat, number = self.api.place_of(message)
        chat.drop(number)

    def taps(self, message: Any, label: str) -> Tap:
        """Tap a button of a message: the one that stands there now, else one of the message as it was seen."""
        chat, number = self.api.place_of(message)
        assert number in chat.kept, f"the message {number} is gone, it cannot be tapped"
        now = chat.kept[number].body
        seen = getattr(message, "body", message if isinstance(message, dict) else {})
        for body in (now, seen):
            for row in body.get("reply_markup", {}).get("inline_keyboard", []):
                for button in row:
                    if button["text"] == label:
                        assert "callback_data" in button, f"{label!r} opens an address"
                        return self.forges(message, button["callback_data"])
        raise AssertionError(f"no button {label!r} at {chat.kept[number].shown()}")

    def forges(self, message: Any, data: str) -> Tap:
        """Send the data of a button that was perhaps never there, as a program of one's own can."""
        chat, number = self.api.place_of(message)
        tap = Tap(self.api.next_tap(), data, self.api.now(), self.id, chat.id, number)
        self.api.taps[tap.id] = tap
        self.api.push(
            "callback_query",
            {
                "id": tap.id,
                "from": self.card(),
                "message": chat.kept[number].body,
                "chat_instance": str(int(hashlib.sha256(str(chat.id).encode()).hexdigest()[:15], 16)),
                "data": data,
            },
        )
        return tap

    def _sends(
        self, content: Body, chat: Group | None, thread: int | None = None, reply_to: Any = None
    ) -> Body:
        place: Chat = chat or self.chat
        if chat:
            assert chat.status(self.id) in PRESENT, f"{self.first_name} is not in {chat.title}"
            assert not chat.is_silenced(self.id), f"{self.first_name} may not write in {chat.title}"
            assert thread is None or thread in chat.topics, f"there is no topic {thread}"
        else:
            assert not self.blocked, f"{self.first_name} has blocked the bot"
            self.started = True
        reply = self.api.place_of(reply_to)[1] if reply_to is not None else None
        return place.post(self.card(), content, thread=thread, reply=reply)

    # --- what they do with the bot

    def blocks(self) -> None:
        """Block the bot."""
        self._turns(True)

    def unblocks(self) -> None:
        """Let the bot write again."""
        self._turns(False)

    def deactivates(self) -> None:
        """Delete the account."""
        self.deactivated = True

    def _turns(self, blocked: bool) -> None:
        assert self.started and self.blocked != blocked
        self.blocked = blocked
        bot = self.api.bot_card()
        states = [member("member", bot), member("kicked", bot)]
        self.api.push(
            "my_chat_member",
            {
                "chat": self.chat.card(),
                "from": self.card(),
                "date": int(self.api.now()),
                "old_chat_member": states[not blocked],
                "new_chat_member": states[blocked],
            },
        )

    def menu(self, chat: Group | None = None) -> dict[str, str]:
        """The commands that Telegram shows to this person, there."""
        return self.api.menu_of(self, chat)


class Group(Chat):
    """A group, basic or super, perhaps with topics."""

    def __init__(self, api: BotApi, title: str, creator: User, *, forum: bool, supergroup: bool) -> None:
        super().__init__(api, api.next_group_id(supergroup or forum))
        self.kind = "supergroup" if supergroup or forum else "group"
        self.title = title
        self.forum = forum
        self.topics: dict[int, Topic] = {}
        self.deleted_topics: dict[int, Topic] = {}
        self.members: dict[int, Body] = {creator.id: member("creator", creator.card())}
        self.people: dict[int, User] = {creator.id: creator}
        self.creator = creator
        self.message_ids = 0
        self.bot_removed = False
        self.former_messages: list[Shown] = []

    def card(self) -> Body:
        forum = {"is_forum": True} if self.forum else {}
        return {"id": self.id, "type": self.kind, "title": self.title, **forum}

    def next_message_id(self) -> int:
        if self.kind == "group":
            return super().next_message_id()
        self.message_ids += 1
        return self.message_ids

    def status(self, user_id: int) -> str:
        """How somebody belongs: creator, administrator, member, restricted, left, kicked."""
        person = self.members.get(user_id, {"status": "left"})
        if person["status"] == "restricted" and 0 < person["until_date"] <= self.api.now():
            self.members[user_id] = person = member("member", person["user"])  # it ends by itself
        return str(person["status"])

    def is_silenced(self, user_id: int) -> bool:
        """Whether somebody may not write at present."""
        restricted = self.status(user_id) == "restricted"
        return restricted and not self.members[user_id]["can_send_messages"]

    def restricts(self, user_id: int, permissions: Body, until: int) -> None:
        """The bot lets a member do no more than this, for a while or (0) for good."""
        person = self.people[user_id]
        names = (*MAY_SEND, *MAY_CHANGE)
        allowed = {name: bool(permissions.get(name)) for name in names}
        free = all(allowed[name] for name in MAY_SEND[:-2])
        limits = {"is_member": True, "until_date": until, **allowed}
        new = member("member", person.card()) if free else member("restricted", person.card(), **limits)
        self._changes(self.api.bot_card(), person, new)

    def says_anonymously(self, text: str) -> Body:
        """An administrator writes in the name of the group."""
        bot = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
        return self.post(bot, texted(text) | {"sender_chat": self.card()})

    def hears_from(self, channel: Group, text: str) -> Body:
        """A member writes in the name of a channel of their own."""
        bot = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
        return self.post(bot, texted(text) | {"sender_chat": channel.channel_card()})

    def hears_its_channel(self, channel: Group, text: str) -> Body:
        """What the linked channel publishes comes into the group by itself."""
        service = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
        card = channel.channel_card()
        origin = forwarded(channel, int(self.api.now()))
        content = {"sender_chat": card, "is_automatic_forward": True, "forward_origin": origin}
        return self.post(service, texted(text) | content)

    def channel_card(self) -> Body:
        """The Chat object, were it a channel."""
        return {"id": self.id, "type": "channel", "title": self.title}

    def may(self, user_id: int, right: str) -> bool:
        """Whether somebody has this right of an administrator."""
        person = self.members.get(user_id, {})
        return person.get("status") == "creator" or bool(person.get(right))

    def bot_reads(self, body: Body) -> bool:
        """In privacy mode a plain member hears only commands, replies to it and what happens to the group."""
        status = self.status(self.api.bot_id)
        if status not in PRESENT:
            return False
        if status == "administrator" or not self.api.privacy or kind_of(body) in SERVICE:
            return True
        answered = body.get("reply_to_message", {})
        if answered.get("from", {}).get("id") == self.api.bot_id and "forum_topic_created" not in answered:
            return True
        name = f"@{self.api.username}".lower()
        commands = [e for e in body.get("entities", []) if e["type"] == "bot_command" and e["offset"] == 0]
        text = body.get("text", "")[: commands[0]["length"]] if commands else ""
        return bool(text) and ("@" not in text or text.lower().endswith(name))

    # --- the bot

    def adds_bot(self, by: User | None = None, admin: bool = True, **rights: bool) -> None:
        """Take the bot into the group, at once as an administrator or as a plain member."""
        by = by or self.creator
        bot = self.api.bot_card()
        self._changes_bot(by, self._admin(bot, rights) if admin else member("member", bot))
        self.post(by.card(), {"new_chat_members": [bot]})

    def removes_bot(self, by: User | None = None) -> None:
        """Remove the bot; of a supergroup it hears nothing else."""
        by = by or self.creator
        bot = self.api.bot_card()
        if self.kind == "group":
            self.post(by.card(), {"left_chat_member": bot})
        self._changes_bot(by, member("kicked" if self.kind == "supergroup" else "left", bot))
        self.bot_removed = True

    def promotes_bot(self, by: User | None = None, **rights: bool) -> None:
        """Make the bot an administrator, or give it other rights."""
        self._changes_bot(by or self.creator, self._admin(self.api.bot_card(), rights))

    def demotes_bot(self, by: User | None = None) -> None:
        """Make the bot a plain member."""
        self._changes_bot(by or self.creator, member("member", self.api.bot_card()))

    def bot_leaves(self) -> None:
        """The bot leaves by itself."""
        bot = self.api.bot_card()
        self._changes_bot(bot, member("left", bot))

    def _changes_bot(self, by: User | Body, new: Body) -> None:
        old = self.members.get(self.api.bot_id) or member("left", self.api.bot_card())
        self.members[self.api.bot_id] = new
        self.bot_removed = False
        self.api.push("my_chat_member", self._change(by, old, new))

    # --- members

    def joins(self, user: User, by: User | None = None, *, hidden: bool = False) -> None:
        """Somebody comes; large supergroups hide the message about it."""
        self.people[user.id] = user
        self._changes(by or user, user, member("member", user.card()))
        if not hidden:
            self.post((by or user).card(), {"new_chat_members": [user.card()]})

    def settles(self, user: User) -> None:
        """Somebody has been there since before the bot came: nobody tells it."""
        if user.id not in self.members:
            self.people[user.id] = user
            self.members[user.id] = member("member", user.card())

    def leaves(self, user: User, by: User | None = None, *, hidden: bool = False) -> None:
        """Somebody goes, or is removed by somebody."""
        assert self.status(user.id) in PRESENT, f"{user.first_name} is not in {self.title}"
        status = "kicked" if by and self.kind == "supergroup" else "left"
        self._changes(by or user, user, member(status, user.card()))
        if not hidden:
            self.post((by or user).card(), {"left_chat_member": user.card()})

    def promotes(self, user: User, by: User | None = None, **rights: bool) -> None:
        """Somebody becomes an administrator."""
        self._changes(by or self.creator, user, self._admin(user.card(), rights, by_bot=False))

    def demotes(self, user: User, by: User | None = None) -> None:
        """Somebody is an administrator no more."""
        self._changes(by or self.creator, user, member("member", user.card()))

    def _changes(self, by: User | Body, user: User, new: Body) -> None:
        old = self.members.get(user.id) or member("left", user.card())
        self.members[user.id] = new
        if self.status(self.api.bot_id) == "administrator":
            self.api.push("chat_member", self._change(by, old, new))

    def _change(self, by: User | Body, old: Body, new: Body) -> Body:
        sender = by.card() if isinstance(by, User) else by
        date = int(self.api.now())
        return {
            "chat": self.card(), "from": sender, "date": date, "old_chat_member": old, "new_chat_member": new,
        }  # fmt: skip

    def _admin(self, card: Body, rights: dict[str, bool], *, by_bot: bool = False) -> Body:
        given = {**RIGHTS, **({"can_manage_topics": True} if self.forum else {}), **rights}
        return member("administrator", card, can_be_edited=by_bot, is_anonymous=False, **given)

    # --- topics

    def makes_topic(self, name: str, by: User | None = None) -> int:
        """Somebody opens a topic: its id."""
        return self.open_topic(Topic(0, name), (by or self.creator).card())

    def open_topic(self, topic: Topic, by: Body) -> int:
        """A topic begins with its service message, whose number is its id."""
        assert self.forum, f"{self.title} has no topics"
        icon = {"icon_custom_emoji_id": topic.icon} if topic.icon else {}
        created = {"forum_topic_created": {"name": topic.name, "icon_color": topic.color, **icon}}
        body = self.compose(by, created)
        topic.id = body["message_id"]
        body |= {"message_thread_id": topic.id, "is_topic_message": True}
        self.topics[topic.id] = topic
        self.keep(body)
        if not by["is_bot"] and self.bot_reads(body):
            self.api.push("message", body)
        return topic.id

    def deletes_topic(self, topic: int) -> None:
        """A topic goes with all its messages; bots are not told."""
        self.deleted_topics[topic] = self.topics.pop(topic)
        for number in [n for n, kept in self.kept.items() if kept.body.get("message_thread_id") == topic]:
            self.drop(number)

    def writes_in(self, topic: int, user: User, text: str) -> Body:
        """Somebody writes in a topic."""
        return user.writes(text, self, thread=topic)

    # --- the group itself

    def upgrades(self) -> None:
        """A basic group becomes a supergroup: another id, and the old one refuses everything."""
        assert self.kind == "group", "only a basic group is upgraded"
        old, new = self.id, self.api.next_group_id(True)
        creator = self.creator.card()
        self.post(creator, {"migrate_to_chat_id": new})
        self.former_messages = self.messages
        self.api.upgraded[old] = new
        del self.api.chats[old]
        self.id, self.kind, self.kept, self.deleted = new, "supergroup", {}, []
        self.api.chats[new] = self
        self.post(creator, {"migrate_from_chat_id": old})


def member(status: str, user: Body, **more: Any) -> Body:
    """A ChatMember object of the Bot API."""
    if status == "creator":
        more.setdefault("is_anonymous", False)
    if status == "kicked":
        more.setdefault("until_date", 0)
    return {"user": {k: v for k, v in user.items() if k in USER_FIELDS}, "status": status, **more}


USER_FIELDS = ("id", "is_bot", "first_name", "last_name", "username", "language_code")


def texted(text: str) -> Body:
    """The fields of a text, with the entities that Telegram finds."""
    assert 0 < len(text) <= 4096, "a person's message has 1 to 4096 characters"
    entities = sorted(find(text), key=lambda entity: entity["offset"])
    return {"text": text, **({"entities": entities} if entities else {})}


def linked(content: Body, links: Mapping[str, str]) -> Body:
    """The fields of a text in which some words are links."""
    text, entities = content["text"], list(content.get("entities", []))
    for words, address in links.items():
        start, length = units(text[: text.index(words)]), units(words)
        entities.append({"type": "text_link", "offset": start, "length": length, "url": address})
    return content | ({"entities": entities} if entities else {})


def forwarded(origin: Group | User | str, date: int) -> Body:
    """Where a message was passed on from."""
    if isinstance(origin, User):
        return {"type": "user", "date": date, "sender_user": origin.card()}
    if isinstance(origin, str):
        return {"type": "hidden_user", "date": date, "sender_user_name": origin}
    return {"type": "channel", "date": date, "chat": origin.channel_card(), "message_id": 7}


def captioned(text: str) -> Body:
    """The fields of a caption."""
    if not text:
        return {}
    body = texted(text)
    entities = {"caption_entities": body["entities"]} if "entities" in body else {}
    return {"caption": body["text"], **entities}


def sizes(data: bytes) -> list[tuple[int, int, bytes]]:
    """A photo as Telegram offers it: a small one and the whole; what is no image gets made-up sizes."""
    try:
        image = Image.open(BytesIO(data))
        small = image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError):
        return [(90, 67, data), (1280, 960, data)]
    whole = (image.width, image.height, data)
    small.thumbnail((90, 90))
    out = BytesIO()
    small.save(out, "JPEG")
    return [(small.width, small.height, out.getvalue()), whole]
