"""Strange updates: of valid shapes with odd contents, as a messenger that changes and people who forge bring them."""

import random
from collections.abc import Callable
from typing import Any

from tests.bot_api_people import Group, User

Body = dict[str, Any]

TEXTS = [
    "厨房水龙头滴水",
    "电梯里困了人",
    "报修",
    "我家",
    "不是，另外一件",
    "随时可以",
    "提交",
    "取消",
    "好了",
    "跳过",
    "1",
    "0",
    "99",
    "²",
    "１",
    "-1",
    "5号",
    "你好",
    " ",
    "\n",
    "\t\t",
    "\u200b",
    "\u200e\u200f\u202e",
    "\u202e反过来",
    "מים דולפים",
    "مساعدة",
    "\0",
    "水\0管",
    "\ud83d",
    "漏\udc00水",
    "👨‍👩‍👧‍👦🏳️‍🌈",
    "é" * 5,
    "a" * 4096,
    "水" * 4096,
    "😀" * 2048,
    "水" * 5000,
    "\ufffd",
    "{name}",
    "{0}",
    "%s",
    "<b>x</b>",
    "[a](tg://user?id=1)",
    "*_`",
    "'; DROP TABLE inbox; --",
    "\\",
    "\ufeff",
    "AAAAA-BBBBB",
    "K7PQ29MXTR",
    "接单 17",
    "接单17",
    "撤回 99999999999999999999",
    "查看" + "9" * 30,
]
COMMANDS = [
    "/start",
    "/start AAAAA-BBBBB",
    "/start 厨房",
    "/help",
    "/my",
    "/tickets",
    "/repair",
    "/language",
    "/claim",
    "/claim K7PQ2-9MXTR",
    "/link",
    "/link K7PQ2-9MXTR",
    "/",
    "//",
    "/unknown",
    "/Help",
    "/help@linli_test_bot",
    "/my@LINLI_TEST_BOT",
    "/help@another_bot",
    "/help@",
    "/帮助",
]
TAPS = [
    "help",
    "my",
    "link",
    "repair.accept:1",
    "repair.accept:",
    "repair.accept:x",
    "repair.accept:99999999999999999999",
    "repair.accept:²",
    "repair.done:1:2",
    "repair.report",
    "rest.show:1",
    "rest.show:-1",
    "1.place=lift",
    "1.place=",
    "999999999999999999999.x=y",
    "1.=",
    "=",
    ":",
    "\0",
    "\ud83d",
    "a" * 64,
    "确认",
    "talk.expire:1",
    "repair.page:1",
    "1.photos=done",
    "０.x=y",
    "1.place=lift=lift",
    "language.set:zz",
    "repair.withdraw:1",
    "repair.escalate:1",
]
LABELS: list[Any] = [None, "", "x", "\ud83d\0", "长" * 300, " ", "\u202e"]
UNKNOWN_FIELDS: list[Body] = [
    {},
    {"something_new": {"a": [None, {"b": None}]}},
    {"effect_id": "1"},
    {"caption": None},
    {"entities": None},
    {"reply_to_message": None},
    {"forward_origin": {"type": "never_heard_of", "date": 1}},
    {"quote": {"text": "", "position": 0}},
    {"via_bot": {"id": 7, "is_bot": True, "first_name": "v"}},
    {"has_protected_content": True},
    {"edit_date": 0},
    {"reply_markup": {"inline_keyboard": []}},
    {"message_thread_id": 0},
    {"message_thread_id": 5, "is_topic_message": True},
    {"author_signature": "\ud83d"},
    {"external_reply": {"origin": {"type": "hidden_user", "date": 1, "sender_user_name": ""}}},
]
OTHER: list[Body] = [
    {
        "sticker": {
            "file_id": "s",
            "file_unique_id": "s",
            "type": "regular",
            "width": 1,
            "height": 1,
            "is_animated": False,
            "is_video": False,
        }
    },
    {"contact": {"phone_number": "1", "first_name": ""}},
    {"contact": {"phone_number": "\ud83d\0", "first_name": "\0", "user_id": 2**52, "vcard": ""}},
    {"contact": {"phone_number": "", "first_name": "", "user_id": 0}, "forward_origin": None},
    {"location": {"latitude": 0, "longitude": -180}},
    {"venue": {"location": {"latitude": 90, "longitude": 0}, "title": "\ud83d", "address": "\0"}},
    {"dice": {"emoji": "🎲", "value": 6}},
    {
        "poll": {
            "id": "1",
            "question": "?",
            "options": [],
            "total_voter_count": 0,
            "is_closed": False,
            "is_anonymous": True,
            "type": "regular",
            "allows_multiple_answers": False,
            "allows_revoting": False,
            "members_only": False,
        }
    },
    {"story": {"id": 1, "chat": {"id": 9, "type": "private"}}},
    {"checklist": {"title": "", "tasks": []}},
    {"game": {"title": "", "description": "", "photo": []}},
    {
        "invoice": {
            "title": "",
            "description": "",
            "start_parameter": "",
            "currency": "CNY",
            "total_amount": 0,
        }
    },
]
SERVICES: list[Body] = [
    {"new_chat_title": "x"},
    {"delete_chat_photo": True},
    {"group_chat_created": True},
    {"left_chat_member": None},
    {"new_chat_members": []},
    {"pinned_message": {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}}},
    {"forum_topic_created": {"name": "", "icon_color": 0}},
    {"video_chat_started": {}},
    {"boost_added": {"boost_count": 1}},
    {"message_auto_delete_timer_changed": {"message_auto_delete_time": 0}},
    {"users_shared": {"request_id": 1, "users": []}},
    {"migrate_to_chat_id": None},
    {"successful_payment": None},
    {"proximity_alert_triggered": None},
]


class Strange:
    """Makes them, from one seed always the same; `answered` are the keys of those that must be answered."""

    def __init__(self, seed: int, people: list[User], groups: list[Group], files: list[Body]) -> None:
        self.chance = random.Random(seed)
        self.people, self.groups, self.files = people, groups, files
        self.number = 10_000 * (seed + 1)
        self.answered: set[str] = set()

    def make(self) -> Body:
        """One update."""
        self.number += 1
        kinds: list[Callable[[], Body]] = [
            self._private,
            self._private,
            self._private,
            self._tap,
            self._group,
            self._edited,
            self._other,
            self._file,
            self._membership,
            self._channel,
            self._nothing,
        ]
        return {"update_id": self.number, **self.chance.choice(kinds)()}

    def _texted(self) -> Body:
        text = self.chance.choice(TEXTS + COMMANDS)
        return {"text": text, **self._entities(text, "entities")}

    def _entities(self, text: str, name: str) -> Body:
        chance = self.chance
        if text.startswith("/") and chance.random() < 0.8:
            length = len(text.split(maxsplit=1)[0])
            return {name: [{"type": "bot_command", "offset": 0, "length": length}]}
        if chance.random() < 0.7:
            return {}
        kinds = [
            "bold",
            "url",
            "bot_command",
            "mention",
            "text_mention",
            "never_heard_of",
            "spoiler",
            "custom_emoji",
        ]
        return {
            name: [
                {
                    "type": chance.choice(kinds),
                    "offset": chance.choice([0, 0, 1, 7, 4096, 10**6, -1]),
                    "length": chance.choice([0, 1, 5, 10**6, -1]),
                }
                for _ in range(chance.randrange(1, 4))
            ]
        }

    def _person(self, user: User) -> Body:
        card = user.card()
        if self.chance.random() < 0.3:
            card |= {
                "last_name": self.chance.choice(LABELS),
                "username": self.chance.choice([None, "", "a_b"]),
            }
        if self.chance.random() < 0.1:
            card["first_name"] = self.chance.choice(["", "\0", "\ud83d", "长" * 200])
        return card

    def _message(self, chat: Body, sender: Body | None, content: Body) -> Body:
        from_ = {"from": sender} if sender is not None else {}
        base = {
            "message_id": self.number,
            "date": self.chance.choice([0, 1, 1_700_000_000, 2**31]),
            "chat": chat,
        }
        # An odd field must not replace what makes the message what it is.
        odd = {
            name: value
            for name, value in self.chance.choice(UNKNOWN_FIELDS).items()
            if name not in content and name not in base
        }
        return {**base, **from_, **odd, **content}

    def _must_be_answered(self, user: User, text: str) -> None:
        if "@" not in text.split(" ", maxsplit=1)[0] and text:
            self.answered.add(f"{user.id}.{self.number}")

    def _private(self) -> Body:
        user = self.chance.choice(self.people)
        content = self._texted()
        sender: Body | None = self._person(user)
        if self.chance.random() < 0.05:
            sender = None
        else:
            self._must_be_answered(user, content["text"])
        return {"message": self._message(user.chat.card(), sender, content)}

    def _group(self) -> Body:
        chance, group, user = self.chance, self.chance.choice(self.groups), self.chance.choice(self.people)
        content = self._texted() if chance.random() < 0.8 else dict(chance.choice(SERVICES))
        sender: Body | None = self._person(user)
        as_whom = chance.random()
        if as_whom < 0.15:  # an administrator who does not show who it is
            sender = {
                "id": 1087968824,
                "is_bot": True,
                "first_name": "Group",
                "username": "GroupAnonymousBot",
            }
            content["sender_chat"] = group.card()
        elif as_whom < 0.25:  # somebody in a channel's name
            sender = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
            content["sender_chat"] = {"id": -100_777, "type": "channel", "title": "C"}
        elif as_whom < 0.3:
            sender = None
        return {"message": self._message(group.card(), sender, content)}

    def _edited(self) -> Body:
        user = self.chance.choice(self.people)
        edited = self._message(user.chat.card(), self._person(user), self._texted())
        edited["edit_date"] = self.chance.choice([0, 1, 1_700_000_000])
        return {"edited_message": edited}

    def _other(self) -> Body:
        user = self.chance.choice(self.people)
        content = self.chance.choice(OTHER)
        self._must_be_answered(user, "other")
        return {"message": self._message(user.chat.card(), self._person(user), dict(content))}

    def _file(self) -> Body:
        user = self.chance.choice(self.people)
        content = dict(self.chance.choice(self.files))
        text = self.chance.choice(["", *TEXTS])[:1024]
        if text:
            content |= {"caption": text, **self._entities(text, "caption_entities")}
        self._must_be_answered(user, "file")
        return {"message": self._message(user.chat.card(), self._person(user), content)}

    def _tap(self) -> Body:
        chance, user = self.chance, self.chance.choice(self.people)
        chat = user.chat if chance.random() < 0.7 else chance.choice(self.groups)
        standing = [shown.body for shown in chat.from_bot]
        buttons = [
            button["callback_data"]
            for body in standing
            for row in body.get("reply_markup", {}).get("inline_keyboard", [])
            for button in row
        ]
        message: Body | None = {"message_id": 999_999, "date": 0, "chat": chat.card()}  # one that is too old
        if standing and chance.random() < 0.7:
            message = chance.choice(standing)
        elif chance.random() < 0.1:
            message = None
        data = chance.choice(buttons) if buttons and chance.random() < 0.4 else chance.choice(TAPS)
        query: Body = {"id": f"{self.number}", "from": self._person(user), "chat_instance": "1"}
        if message is not None:
            query["message"] = message
        if chance.random() < 0.95:
            query["data"] = data
        else:
            query["game_short_name"] = "x"
        return {"callback_query": query}

    def _membership(self) -> Body:
        chance, group, user = self.chance, self.chance.choice(self.groups), self.chance.choice(self.people)
        person = {"id": user.id, "is_bot": False, "first_name": "x"}
        states: list[Body] = [
            {"user": person, "status": "member"},
            {"user": person, "status": "left"},
            {"user": person, "status": "kicked", "until_date": 0},
            {"user": person, "status": "never_heard_of"},
            {"user": person, "status": "creator", "is_anonymous": True, "custom_title": "\ud83d"},
        ]
        change = {
            "chat": group.card(),
            "from": self._person(user),
            "date": 0,
            "old_chat_member": chance.choice(states),
            "new_chat_member": chance.choice(states),
        }
        # That the bot itself is removed is no strange update, and would end the others.
        return {"chat_member": change}

    def _channel(self) -> Body:
        post = self._message({"id": -100_778, "type": "channel", "title": "C"}, None, self._texted())
        return {self.chance.choice(["channel_post", "edited_channel_post"]): post}

    def _nothing(self) -> Body:
        return self.chance.choice(
            [
                {},
                {"message": None},
                {"something_new": {"deep": [[[[{"a": None}]]]]}},
                {"message_reaction": {"chat": {"id": 1, "type": "private"}, "message_id": 1, "date": 0}},
                {
                    "inline_query": {
                        "id": "1",
                        "from": {"id": 1, "is_bot": False, "first_name": ""},
                        "query": "",
                        "offset": "",
                    }
                },
                {"my_chat_member": None, "chat_member": None},
                {"purchased_paid_media": None},
            ]
        )
