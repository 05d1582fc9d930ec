"""What the Bot API's own text says of its methods and types, and whether a request or an answer keeps to it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("bot_api.json").read_text("utf-8"))
METHODS: dict[str, dict[str, Any]] = FACTS["methods"]
TYPES: dict[str, dict[str, Any]] = FACTS["types"]
BY_LOWER = {name.lower(): name for name in METHODS}

# Types without fields that are not unions: they are empty objects.
EMPTY = {
    "CallbackGame", "CommunityChatRemoved", "DisabledButton", "ForumTopicClosed", "ForumTopicReopened",
    "GeneralForumTopicHidden", "GeneralForumTopicUnhidden", "VideoChatStarted",
}  # fmt: skip
# Unions too rich for what is simulated: anything passes.
OPAQUE = {"RichText", "RichBlock", "InputRichBlock"}
# The field and its value that tell the members of a union apart.
TELLING = {
    "ChatMember": ("status", {
        "ChatMemberOwner": "creator", "ChatMemberAdministrator": "administrator",
        "ChatMemberMember": "member", "ChatMemberRestricted": "restricted",
        "ChatMemberLeft": "left", "ChatMemberBanned": "kicked",
    }),
    "BotCommandScope": ("type", {
        "BotCommandScopeDefault": "default", "BotCommandScopeAllPrivateChats": "all_private_chats",
        "BotCommandScopeAllGroupChats": "all_group_chats",
        "BotCommandScopeAllChatAdministrators": "all_chat_administrators", "BotCommandScopeChat": "chat",
        "BotCommandScopeChatAdministrators": "chat_administrators",
        "BotCommandScopeChatMember": "chat_member",
    }),
    "MenuButton": ("type", {
        "MenuButtonCommands": "commands", "MenuButtonWebApp": "web_app", "MenuButtonDefault": "default",
    }),
    "InputMedia": ("type", {
        "InputMediaAnimation": "animation", "InputMediaAudio": "audio", "InputMediaDocument": "document",
        "InputMediaLivePhoto": "live_photo", "InputMediaPhoto": "photo", "InputMediaVideo": "video",
    }),
}  # fmt: skip
ACTIONS = (
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay", "disabled",
)  # fmt: skip
REQUESTS = (
    "request_users", "request_chat", "request_managed_bot", "request_contact", "request_location",
    "request_poll", "web_app",
)  # fmt: skip
# How the real server words what is wrong with these fields.
WORDED = {"callback_data": "BUTTON_DATA_INVALID"}


class Refused(Exception):
    """An answer that is not ok: code, description and parameters; a mistake when no correct client causes it."""

    def __init__(self, code: int, description: str, *, mistake: bool = False, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters
        self.mistake = mistake


@dataclass(frozen=True)
class Upload:
    """A file that came with a request."""

    name: str
    data: bytes
    mime: str


def bad(description: str) -> Refused:
    """A 400 that can happen to a correct client."""
    return Refused(400, f"Bad Request: {description}")


def wrong(description: str) -> Refused:
    """A 400 that a correct client never sees."""
    return Refused(400, f"Bad Request: {description}", mistake=True)


def flooded(seconds: int) -> Refused:
    """A 429: nothing may be sent for so many seconds."""
    return Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def checked(method: str, given: Mapping[str, Any], *, as_text: bool) -> dict[str, Any]:
    """The parameters of a request with their types; `as_text` when they came as a form or in the address."""
    facts = METHODS[method]
    for name in given:
        if name not in facts:
            raise wrong(f'unknown parameter "{name}"')
    for name, fact in facts.items():
        if fact["required"] and (name not in given or (given[name] == "" and name not in ("text", "url"))):
            if name == "chat_id":
                raise wrong("chat_id is empty")
            raise wrong(f'parameter "{name}" is required')
    return {
        name: _field(name, facts, _decoded(facts[name]["type"], value, name, as_text), name)
        for name, value in given.items()
    }


def typed(kind: str, value: Any, where: str) -> Any:
    """The value, if it is of the type of that name, all the way down; refused otherwise."""
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            raise wrong(f"{where} must be an array")
        return [typed(kind.removeprefix("Array of "), each, f"{where}[{i}]") for i, each in enumerate(value)]
    names = _names(kind)
    if len(names) > 1:
        return _one_of(names, value, where)
    if kind in PLAIN:
        if (isinstance(value, bool) and kind not in ("Boolean", "True")) or not isinstance(
            value, PLAIN[kind]
        ):
            raise wrong(f"{where} must be of type {kind}")
        if kind == "True" and value is not True:
            raise wrong(f"{where} must be true")
        return value
    if kind in OPAQUE:
        return value
    if kind == "InputFile":
        if not isinstance(value, Upload) and not (isinstance(value, str) and value.startswith("attach://")):
            raise wrong(f"{where} must be an uploaded file")
        return value
    if not TYPES[kind] and kind not in EMPTY:
        return _union(kind, value, where)
    return _object(kind, value, where)


PLAIN: dict[str, tuple[type, ...]] = {
    "Integer": (int,),
    "Float": (int, float),
    "String": (str,),
    "Boolean": (bool,),
    "True": (bool,),
}


def problems(kind: str, value: Any, where: str) -> list[str]:
    """What is wrong with an answer or an update of ours, against the same facts."""
    try:
        typed(kind, value, where)
    except Refused as error:
        return [error.description]
    return []


@cache
def _names(kind: str) -> tuple[str, ...]:
    return tuple(re.split(r", | or | and ", kind))


def _decoded(kind: str, value: Any, where: str, as_text: bool) -> Any:
    """A parameter as JSON would hold it: forms hold only text, and objects may be text everywhere."""
    names = _names(kind)
    if isinstance(value, Upload):
        if "InputFile" not in names:
            raise wrong(f"{where} can't be a file")
        return value
    if not isinstance(value, str) or "InputFile" in names:
        return value
    if kind in ("String", "Integer or String"):
        return int(value) if kind != "String" and re.fullmatch(r"-?\d+", value) else value
    if kind not in PLAIN:
        try:
            return json.loads(value)
        except ValueError:
            raise wrong(f"can't parse {where}: it must be JSON") from None
    if not as_text:
        return value
    try:
        if kind in ("Boolean", "True"):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return int(value) if kind == "Integer" else float(value)
    except (KeyError, ValueError):
        raise wrong(f"{where} must be of type {kind}") from None


def _object(kind: str, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise wrong(f"{where} must be an object ({kind})")
    facts = TYPES[kind]
    for name in value:
        if name not in facts:
            raise wrong(f'unknown field "{name}" in {where} ({kind})')
    for name, fact in facts.items():
        if fact["required"] and name not in value:
            raise wrong(f'field "{name}" is missing in {where} ({kind})')
    if "callback_data" in facts and kind != "CallbackQuery":
        _one_action(kind, value, where)
    return {name: _field(name, facts, each, f"{where}.{name}") for name, each in value.items()}


def _one_action(kind: str, button: Mapping[str, Any], where: str) -> None:
    actions = [name for name in ACTIONS if name in button]
    if kind == "InlineKeyboardButton" and not actions:
        raise wrong(
            f"can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard ({where})"
        )
    if len(actions) > 1:
        raise wrong(f"can't parse inline keyboard button: {' and '.join(actions)} at once ({where})")


def _field(name: str, facts: Mapping[str, Any], value: Any, where: str) -> Any:
    fact = facts[name]
    value = typed(fact["type"], value, where)
    # Texts with entities are measured without their markup, when they are parsed.
    if not (name in ("text", "caption") and "parse_mode" in facts):
        _measured(name, fact, value, where)
    return value


def _measured(name: str, fact: Mapping[str, Any], value: Any, where: str) -> None:
    if (limits := fact.get("length")) and isinstance(value, str):
        low, high, unit = limits
        size = len(value.encode()) if unit == "bytes" else len(value)
        if not low <= size <= high:
            raise wrong(WORDED.get(name) or f"{where} must have {low} to {high} {unit}, not {size}")
    if (limits := fact.get("items")) and limits[0] <= limits[1] and not limits[0] <= len(value) <= limits[1]:
        raise wrong(f"{where} must have {limits[0]} to {limits[1]} items, not {len(value)}")
    if (limits := fact.get("range")) and not limits[0] <= value <= limits[1]:
        raise wrong(f"{where} must be between {limits[0]} and {limits[1]}")


def _union(kind: str, value: Any, where: str) -> Any:
    if kind == "MaybeInaccessibleMessage":
        deleted = isinstance(value, dict) and value.get("date") == 0
        return typed("InaccessibleMessage" if deleted else "Message", value, where)
    if kind in TELLING and isinstance(value, dict):
        field, members = TELLING[kind]
        for name, telling in members.items():
            if value.get(field) == telling:
                return _object(name, value, where)
        raise wrong(f'unknown {field} "{value.get(field)}" in {where} ({kind})')
    return _one_of(tuple(n for n in TYPES if n.startswith(kind) and TYPES[n]), value, where)


def _one_of(names: tuple[str, ...], value: Any, where: str) -> Any:
    """A value of one of several types: of objects the first whose required fields are all there."""
    if isinstance(value, dict):
        for kind, (field, members) in TELLING.items():
            if all(name in members for name in names):
                found = _union(kind, value, where)
                if not any(value[field] == members[name] for name in names):
                    raise wrong(f"{where} can't be {value[field]}")
                return found
        for name in names:
            if name in TYPES and all(n in value for n, fact in TYPES[name].items() if fact["required"]):
                return _object(name, value, where)
    for name in names:
        try:
            return typed(name, value, where)
        except Refused:
            continue
    raise wrong(f"{where} must be of type {' or '.join(names)}")


def check_markup(markup: Mapping[str, Any] | None, *, private: bool) -> None:
    """What the facts do not say of keyboards: how many buttons, and which ones only private chats have."""
    if not markup:
        return
    inline = markup.get("inline_keyboard")
    rows = inline if inline is not None else markup.get("keyboard", [])
    if any(len(row) > 8 for row in rows) or sum(map(len, rows)) > 100:
        raise wrong("reply markup has more than 8 buttons in a row or more than 100 in all")
    for button in (button for row in rows for button in row):
        if not button["text"].strip():
            raise wrong("can't parse keyboard button: the button text must be non-empty")
        if inline is None:
            _check_key(button, private)
        else:
            _check_button(button, private)


def _check_key(button: Mapping[str, Any], private: bool) -> None:
    asked = [name for name in REQUESTS if button.get(name)]
    if len(asked) > 1:
        raise wrong(f"can't parse keyboard button: {' and '.join(asked)} at once")
    for name, what in (("request_contact", "phone number"), ("request_location", "location")):
        if name in asked and not private:
            raise wrong(f"{what} can be requested in private chats only")
    if asked and not private:
        raise wrong("BUTTON_TYPE_INVALID")


def _check_button(button: Mapping[str, Any], private: bool) -> None:
    if "url" in button and not re.fullmatch(
        r"(https?|tg|ton)://\S+|mailto:\S+|[^\s/]+\.[^\s]+", button["url"]
    ):
        raise wrong(f"inline keyboard button URL '{button['url']}' is invalid: wrong HTTP URL")
    if "web_app" in button and (not private or not button["web_app"]["url"].startswith("https://")):
        raise wrong("BUTTON_TYPE_INVALID")
    if "pay" in button or "callback_game" in button:
        raise wrong("BUTTON_TYPE_INVALID")
