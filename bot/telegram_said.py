"""What came in from Telegram, as a Said: a pure reading of one update."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from telegram import (
    Bot,
    CallbackQuery,
    ChatMemberUpdated,
    Message,
    MessageEntity,
    MessageOrigin,
    Update,
    User,
)
from telegram.constants import ChatMemberStatus, ChatType

from conversations.said import Change, Contact, File, Said
from handlers.places import ANONYMOUS

NAME = "telegram"
GONE = (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)
# What else a message may be, by the names of its fields: it cannot be read, and its sender hears so.
OTHER = (
    "sticker", "location", "venue", "dice", "poll", "game", "story", "animation", "audio", "document",
    "checklist", "paid_media", "invoice",
)  # fmt: skip

SHOWN_AGAIN = ("photo", "voice", "audio", "video", "video_note", "animation", "document", "sticker")
"""What can be shown once more by the name that Telegram gave it: nothing need be fetched."""
KINDS = {"image": "photo", "audio": "voice", "video": "video"}
"""What a file is by the first half of its type, also if it was sent as a file."""


def album_of(update: Update) -> str:
    """The album to which a photo belongs; empty for none."""
    return (update.message and update.message.media_group_id) or ""


def said_from(update: Update, bot: Bot, at: datetime) -> Said | None:
    """What an update says; None for what nobody said to us, such as a topic's new name."""
    message = update.message or update.edited_message
    if update.callback_query is not None:
        return _tap(update.callback_query, bot, at)
    if message is not None:
        return _message(message, bot, at, edited=update.edited_message is not None)
    if update.my_chat_member is not None:
        return _own_change(update.my_chat_member, update, bot, at)
    if update.chat_member is not None:
        return _member_change(update.chat_member, update, bot, at)
    return None


def _said(key: str, chat: Any, user: User | None, bot: Bot, at: datetime, **what: Any) -> Said:
    return Said(
        messenger=NAME,
        key=f"{bot.id}.{key}",  # another bot's messages have numbers of their own
        place=str(chat.id),
        place_kind="private" if chat.type == ChatType.PRIVATE else "group",
        sender=str(user.id) if user is not None else "",
        name=(user.full_name or "") if user is not None else "",  # None for an account that was deleted
        language=((user.language_code or "") if user is not None else "").partition("-")[0],
        forum=bool(getattr(chat, "is_forum", False)),
        at=at,
        **what,
    )


def _tap(query: CallbackQuery, bot: Bot, at: datetime) -> Said | None:
    message = query.message
    if message is None or not query.data:
        return None
    return _said(
        f"tap{query.id}",
        message.chat,
        query.from_user,
        bot,
        at,
        tap=query.data,
        on=str(message.message_id),
        thread=_thread(message),
    )


def _message(message: Message, bot: Bot, at: datetime, *, edited: bool) -> Said | None:
    chat, user = message.chat, message.from_user
    key = f"{chat.id}.{message.message_id}"
    change = _change(message, bot)
    if change is not None:
        old = str(message.migrate_from_chat_id or "")
        said = _said(f"{key}.change", chat, user, bot, at, change=change)
        return said.model_copy(update={"place": old}) if old else said
    in_group = chat.type != ChatType.PRIVATE
    channel = (
        message.sender_chat if message.sender_chat is not None and message.sender_chat.id != chat.id else None
    )
    anonymous = message.sender_chat is not None and channel is None
    if user is None or (user.is_bot and message.sender_chat is None):
        return None
    text = _text(message, bot)
    contact, other = _contact(message), _other(message)
    shown = _beside(message, bot) if in_group else ()
    if not (text or contact or other or shown or any(files_in(message))) or (text is None and not in_group):
        return None
    if edited and message.location is not None:
        return None  # somebody walks, and shows where
    if edited:
        key += f".edit{int(message.edit_date.timestamp()) if message.edit_date else 0}"
    said = _said(
        key,
        chat,
        user,
        bot,
        at,
        text=text or "",
        thread=_thread(message),
        replies_to=_replied(message),
        edited=edited,
        contact=contact,
        other=other,
    )
    if in_group:
        said = said.model_copy(update=_shown_in_group(message, said, shown))
    if channel is not None:
        return said.model_copy(update={"sender": str(channel.id), "name": channel.title or ""})
    return said.model_copy(update={"sender": ANONYMOUS, "name": ""}) if anonymous else said


def _shown_in_group(message: Message, said: Said, beside: tuple[str, ...]) -> dict[str, Any]:
    """What a message shows to a whole group, and who vouches for it."""
    own = message.sender_chat is not None and message.sender_chat.id == message.chat.id
    origin, key = _origin(message.forward_origin), said.key
    if said.edited:  # two changes within a second are two
        said_now = "\0".join((said.text, *beside)).encode()
        key += f".{hashlib.sha256(said_now).hexdigest()[:8]}"
    return {
        "key": key,
        "number": str(message.message_id),
        "beside": beside,
        "origin": origin,
        "official": own or bool(message.is_automatic_forward),
        "files": tuple(_remote(message)),
        "sent": message.date,
    }


def is_no_word_to_us(said: Said) -> bool:
    """Whether it only matters where all is judged: a command to another bot, what is written in a channel's name."""
    return said.sender.startswith("-") or not (said.text or said.contact or said.other or said.files)


def _beside(message: Message, bot: Bot) -> tuple[str, ...]:
    """What can be read beside the words: links behind them, a poll, a card, buttons, a quotation from elsewhere."""
    lines: list[str | None] = []
    if _text(message, bot) is None:  # a command to another bot
        lines.append(message.text or message.caption)
    for entity in (*message.entities, *message.caption_entities):
        lines.append(entity.url if entity.type == MessageEntity.TEXT_LINK else None)
    if message.link_preview_options is not None:  # it may show another page than the words name
        address = message.link_preview_options.url
        lines.append(address if isinstance(address, str) else None)
    if message.poll is not None:
        lines += [message.poll.question, *(option.text for option in message.poll.options)]
    if message.contact is not None:
        card = message.contact
        lines.append(" ".join(filter(None, (card.first_name, card.last_name, card.phone_number))))
    if message.external_reply is not None and message.quote is not None:
        lines.append(message.quote.text)
    if message.checklist is not None:
        lines += [message.checklist.title, *(task.text for task in message.checklist.tasks)]
    if message.game is not None:
        lines += [message.game.title, message.game.description]
    if message.invoice is not None:
        lines += [message.invoice.title, message.invoice.description]
    for row in message.reply_markup.inline_keyboard if message.reply_markup is not None else ():
        for button in row:
            lines += [button.text, button.url]
    return tuple(dict.fromkeys(line for line in lines if line))


def _origin(origin: MessageOrigin | None) -> str:
    """By whose name a message was passed on."""
    if origin is None:
        return ""
    chat = getattr(origin, "chat", None) or getattr(origin, "sender_chat", None)
    user = getattr(origin, "sender_user", None)
    named = (getattr(origin, "sender_user_name", ""), user and user.full_name, chat and chat.title)
    return next((name for name in named if name), "")


def _remote(message: Message) -> Iterator[File]:
    """The files of a message by the names that Telegram gave them."""
    for way in SHOWN_AGAIN:
        source = getattr(message, way)
        if not source or (way == "document" and message.animation is not None):
            continue
        one = source[-1] if way == "photo" else source
        named = (getattr(one, each, None) for each in ("performer", "title", "file_name"))
        yield File(kind="file", name=" ".join(filter(None, named)), remote=f"{way}:{one.file_id}")


def _other(message: Message) -> str:
    """What else a message is; a number that people show each other in a group is nobody's way in."""
    if message.contact is not None and _contact(message) is None:
        return "contact"
    return next((name for name in OTHER if getattr(message, name, None)), "")


def _contact(message: Message) -> Contact | None:
    """A number that somebody shares with us; their own only if Telegram says so and they did not pass it on."""
    contact = message.contact
    if contact is None or message.chat.type != ChatType.PRIVATE:
        return None
    user = message.from_user
    own = user is not None and contact.user_id == user.id and message.forward_origin is None
    phone = contact.phone_number
    if own:  # an account's number is told with its country's code, by some clients without the plus
        phone = f"+{phone.removeprefix('+')}"
    return Contact(phone=phone, own=own)


def _thread(message: Any) -> str:
    """The topic in which a message stands; in groups without topics the number means an answer."""
    if not getattr(message, "is_topic_message", None):
        return ""
    return str(message.message_thread_id or "")


def _replied(message: Message) -> str:
    """The message of the same chat to which this one is a reply; in a topic each refers to its beginning, and replies
    to nothing."""
    answered = message.reply_to_message
    if answered is None or answered.chat.id != message.chat.id or answered.forum_topic_created is not None:
        return ""
    return str(answered.message_id)


def _text(message: Message, bot: Bot) -> str | None:
    """The words of a message: a text, a caption, a place; None for a command to another bot."""
    text = message.text or message.caption or _place(message)
    entities = message.entities or message.caption_entities or ()
    if not text or not entities or entities[0].type != MessageEntity.BOT_COMMAND or entities[0].offset:
        return text
    command, at, name = text[: entities[0].length].partition("@")
    if at and name.lower() != (bot.username or "").lower():
        return None
    return command + text[entities[0].length :]


def _place(message: Message) -> str:
    """A place that was shared, in words that the crew can use."""
    venue, location = message.venue, message.location
    if venue is not None:
        location = venue.location
    if location is None:
        return ""
    words = f"{venue.title} {venue.address} " if venue is not None else ""
    return f"{words}📍 {location.latitude:.5f}, {location.longitude:.5f}"


def files_of(update: Update) -> list[tuple[str, Any]]:
    """The files of a message that was sent (not of an edited one), each with its kind."""
    return list(files_in(update.message)) if update.message is not None else []


def files_in(message: Message) -> Iterator[tuple[str, Any]]:
    """Each file of a message with its kind: photo, voice, video or file; of a photo its largest size."""
    if message.photo:
        yield "photo", message.photo[-1]
    for name, kind in (("voice", "voice"), ("audio", "voice"), ("video", "video"), ("video_note", "video")):
        if getattr(message, name) is not None:
            yield kind, getattr(message, name)
    document = message.document
    if document is not None and message.animation is None:
        yield KINDS.get((document.mime_type or "").partition("/")[0], "file"), document


# --- what happens to a chat -------------------------------------------------------------------------


def _change(message: Message, bot: Bot) -> Change | None:
    """What a service message tells; membership comes in this way where we are no administrator."""
    if message.migrate_to_chat_id is not None:
        return Change(kind="moved", moved_to=str(message.migrate_to_chat_id))
    if message.migrate_from_chat_id is not None:
        return Change(kind="moved", moved_to=str(message.chat.id))
    left = message.left_chat_member
    if left is not None and left.id != bot.id:
        return Change(kind="left", account=str(left.id))
    return None


def _own_change(changed: ChatMemberUpdated, update: Update, bot: Bot, at: datetime) -> Said | None:
    """The bot itself was added, promoted, removed, or blocked."""
    before, after = changed.old_chat_member.status, changed.new_chat_member.status
    if after in GONE:
        kind = "blocked" if changed.chat.type == ChatType.PRIVATE else "removed"
    elif changed.chat.type != ChatType.PRIVATE and before in GONE:
        kind = "added"
    else:
        return None
    change = Change(kind=kind)  # type: ignore[arg-type]
    return _said(f"update{update.update_id}", changed.chat, changed.from_user, bot, at, change=change)


def _member_change(changed: ChatMemberUpdated, update: Update, bot: Bot, at: datetime) -> Said | None:
    """Somebody came into a group, left it, or was put out."""
    member = changed.new_chat_member
    if is_in(member) and (is_in(changed.old_chat_member) or member.user.is_bot):
        return None
    change = Change(kind="joined" if is_in(member) else "left", account=str(member.user.id))
    return _said(f"update{update.update_id}", changed.chat, changed.from_user, bot, at, change=change)


def is_in(member: Any) -> bool:
    """Whether a ChatMember is in the group."""
    return member.status not in GONE and getattr(member, "is_member", True) is not False
