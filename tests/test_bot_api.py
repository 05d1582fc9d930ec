"""The test server itself: real clients work with it, wrong requests are refused, and its answers keep to the facts."""

import asyncio
import html
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import aiogram
import aiogram.methods
import aiogram.types
import httpx
import pytest
import telegram as tg
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from lo_bot_api_emulator import LoBotApiEmulator
from pydantic import TypeAdapter
from telegram import error as tg_error
from telegram.helpers import escape_markdown
from telegram.request import HTTPXRequest

from tests import bot_api_facts, bot_api_text
from tests.bot_api import BotApi, Group, Refused, User, flooded
from tests.people import photo

pytestmark = pytest.mark.filterwarnings("ignore:.*attribute `retry_after` will be:DeprecationWarning")
NOON = 1_772_420_400.0
RETURNS = {
    "getUpdates": "Array of Update", "getWebhookInfo": "WebhookInfo", "getMe": "User", "getFile": "File",
    "getChat": "ChatFullInfo", "getChatMember": "ChatMember", "getChatAdministrators": "Array of ChatMember",
    "getChatMemberCount": "Integer", "getMyCommands": "Array of BotCommand", "getMyName": "BotName",
    "getMyDescription": "BotDescription", "getMyShortDescription": "BotShortDescription",
    "getChatMenuButton": "MenuButton", "createForumTopic": "ForumTopic", "exportChatInviteLink": "String",
    "createChatInviteLink": "ChatInviteLink", "sendMediaGroup": "Array of Message",
    **dict.fromkeys(
        ["sendMessage", "sendPhoto", "sendVoice", "sendAudio", "sendVideo", "sendDocument", "sendLocation",
         "sendContact",         "editMessageText", "editMessageCaption", "editMessageReplyMarkup"],
        "Message",
    ),
}  # fmt: skip


class Clock:
    """A time that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at


@cache
def adapter(method: str) -> TypeAdapter[Any]:
    """What the other library makes of a method's answers."""
    return TypeAdapter(getattr(aiogram.methods, method[0].upper() + method[1:]).__returning__)


def strict(api: BotApi) -> None:
    """Every answer and every update is what the facts say, and another library's types read it."""
    for call in api.calls:
        if call.result is None or call.method == "file":
            continue
        kind = RETURNS.get(call.method, "True")
        assert not bot_api_facts.problems(kind, call.result, call.method)
        adapter(call.method).validate_python(call.result)
    for update in api.updates:
        assert not bot_api_facts.problems("Update", update, "update")
        aiogram.types.Update.model_validate(update)


@asynccontextmanager
async def serve(**options: Any) -> AsyncIterator[BotApi]:
    async with BotApi(**{"flood": False, **options}) as api:
        yield api
    strict(api)


@asynccontextmanager
async def client(api: BotApi) -> AsyncIterator[tg.Bot]:
    async with ptb(api.token, api.url) as bot:
        yield bot


def ptb(token: str, url: str) -> tg.Bot:
    """The real library; without the loading of certificates, which costs more than a test."""
    requests = [HTTPXRequest(8, httpx_kwargs={"verify": False}) for _ in range(2)]
    return tg.Bot(token, f"{url}/bot", f"{url}/file/bot", requests[0], requests[1])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(clock: Clock) -> AsyncIterator[BotApi]:
    async with serve(now=clock) as api:
        yield api


@pytest.fixture
async def bot(api: BotApi) -> AsyncIterator[tg.Bot]:
    async with client(api) as bot:
        yield bot


@pytest.fixture
def anna(api: BotApi) -> User:
    anna = api.user("Anna", username="anna")
    anna.starts()
    return anna


@pytest.fixture
def group(api: BotApi, anna: User) -> Group:
    group = api.group("Yard", anna)
    group.adds_bot()
    return group


@pytest.fixture
def forum(api: BotApi, anna: User) -> Group:
    forum = api.group("Forum", anna, forum=True)
    forum.adds_bot()
    return forum


def keyboard(**buttons: str) -> tg.InlineKeyboardMarkup:
    row = [tg.InlineKeyboardButton(label, callback_data=data) for label, data in buttons.items()]
    return tg.InlineKeyboardMarkup([row])


async def refused(call: Any, description: str, kind: type[Exception] = tg_error.BadRequest) -> None:
    with pytest.raises(kind) as caught:
        await call
    assert description in str(caught.value)


# --- what the bot does ---------------------------------------------------------------------------------


async def test_who_am_i(api: BotApi, bot: tg.Bot) -> None:
    me = await bot.get_me()
    assert (me.id, me.username, me.is_bot, me.can_read_all_group_messages) == (
        123456789, "linli_test_bot", True, False,
    )  # fmt: skip
    async with client(api) as other:
        assert other.username == "linli_test_bot"
    with pytest.raises(tg_error.InvalidToken):
        async with ptb("1:wrong", api.url):
            pass
    assert api.mistakes == []


async def test_a_message_with_a_button_is_tapped(api: BotApi, bot: tg.Bot, anna: User) -> None:
    sent = await bot.send_message(
        anna.id,
        "<b>你好</b> 😀 <i>&lt;a&gt;</i>",
        parse_mode="HTML",
        reply_markup=keyboard(Yes="y"),
        disable_notification=True,
    )
    shown = anna.sees("你好", "Yes")
    assert (shown.text, shown.silent, shown.buttons, shown.message_id) == (
        "你好 😀 <a>", True, {"Yes": "y"}, sent.message_id,
    )  # fmt: skip
    assert sent.parse_entities() == {sent.entities[0]: "你好", sent.entities[1]: "<a>"}
    tap = anna.taps(shown, "Yes")
    update = (await bot.get_updates(offset=-1))[0]
    assert update.callback_query and update.callback_query.data == "y"
    assert update.callback_query.message == sent
    await update.callback_query.answer("Thanks", show_alert=True)
    assert (tap.answered, tap.text, tap.alert) == (True, "Thanks", True)
    assert api.times_sent("你好 😀 <a>", anna) == api.counts()[anna.id, "你好 😀 <a>"] == 1
    assert api.accepted[0].method == "sendMessage" and api.mistakes == []


async def test_messages_are_edited(api: BotApi, bot: tg.Bot, anna: User, clock: Clock) -> None:
    sent = await bot.send_message(anna.id, "one", reply_markup=keyboard(Yes="y"))
    clock.at += 5
    edited = await sent.edit_text("two", reply_markup=keyboard(No="n"))
    assert isinstance(edited, tg.Message) and edited.edit_date
    shown = anna.sees("two", "No")
    assert shown.edited and shown.buttons == {"No": "n"}
    await refused(
        sent.edit_text("two", reply_markup=keyboard(No="n")), "Message is not modified: specified new"
    )
    await sent.edit_reply_markup(None)
    assert anna.sees("two").buttons == {}
    await sent.edit_text("three", reply_markup=keyboard(No="n"))
    await sent.edit_text("three")  # a keyboard that is not sent again is taken away
    assert anna.sees("three").buttons == {}
    picture = await bot.send_photo(anna.id, photo(), caption="a")
    await picture.edit_caption("*b*", parse_mode="MarkdownV2")
    assert (anna.sees("b").kind, anna.sees("b").entities[0]["type"]) == ("photo", "bold")
    assert api.mistakes == []
    await refused(picture.edit_text("c"), "There is no text in the message to edit")
    await refused(sent.edit_caption("c"), "There is no caption in the message to edit")
    await refused(bot.edit_message_text("c", anna.id, 9999), "Message to edit not found")
    own = anna.writes("mine")
    await refused(bot.edit_message_text("c", anna.id, own["message_id"]), "Message can't be edited")
    assert len(api.mistakes) == 3


async def test_messages_are_deleted(api: BotApi, bot: tg.Bot, anna: User, group: Group, clock: Clock) -> None:
    sent = await bot.send_message(anna.id, "gone")
    assert await sent.delete()
    assert [shown.text for shown in anna.chat.deleted] == ["gone"]
    await refused(sent.delete(), "Message to delete not found")
    theirs = anna.writes("mine")
    assert await bot.delete_message(anna.id, theirs["message_id"])
    ids = [(await bot.send_message(group.id, text)).message_id for text in "abc"]
    ids.append(anna.writes("theirs", group)["message_id"])
    assert await bot.delete_messages(group.id, [*ids, 9999])
    assert not group.from_bot
    old = await bot.send_message(group.id, "old")
    theirs = anna.writes("theirs", group)
    group.demotes_bot()
    await refused(bot.delete_message(group.id, theirs["message_id"]), "Message can't be deleted")
    clock.at += 48 * 3600
    assert await (await bot.send_message(group.id, "new")).delete()
    clock.at += 1
    await refused(old.delete(), "Message can't be deleted for everyone")
    assert api.mistakes == []


async def test_members_are_silenced(api: BotApi, bot: tg.Bot, anna: User, group: Group, clock: Clock) -> None:
    ben = api.user("Ben")
    group.joins(ben)
    silent, free = tg.ChatPermissions.no_permissions(), tg.ChatPermissions.all_permissions()
    assert await bot.restrict_chat_member(group.id, ben.id, silent, until_date=int(clock()) + 60)
    assert group.is_silenced(ben.id) and group.status(ben.id) == "restricted"
    assert (await bot.get_chat_member(group.id, ben.id)).status == "restricted"
    clock.at += 60
    assert group.status(ben.id) == "member"
    assert await bot.restrict_chat_member(group.id, ben.id, silent, until_date=int(clock()) + 29)
    clock.at += 10_000
    assert group.is_silenced(ben.id)  # less than half a minute is for ever
    assert await bot.restrict_chat_member(group.id, ben.id, free)
    assert not group.is_silenced(ben.id)
    group.promotes(ben)
    await refused(bot.restrict_chat_member(group.id, ben.id, silent), "User is an administrator of the chat")
    group.demotes(ben)
    group.promotes_bot(can_restrict_members=False)
    await refused(
        bot.restrict_chat_member(group.id, ben.id, silent), "Not enough rights to restrict/unrestrict"
    )
    small = api.group("Small", anna, supergroup=False)
    small.adds_bot(anna)
    await refused(bot.restrict_chat_member(small.id, ben.id, silent), "only for supergroups")
    assert api.mistakes == []


async def test_a_group_hears_whatever_people_show(api: BotApi, anna: User, group: Group) -> None:
    group.says_anonymously("we")
    channel = api.group("News", anna)
    group.hears_from(channel, "mine")
    group.hears_its_channel(channel, "ours")
    anna.forwards("passed on", group, origin=channel)
    anna.forwards("hidden", group, origin="Somebody")
    anna.sends_poll("Shall we?", ["yes", "no"], group)
    anna.writes("look here", group, links={"here": "https://example.com"})
    assert [each.kind for each in group.messages][-7:] == ["text"] * 5 + ["poll", "text"]


async def test_files_go_up_and_down(api: BotApi, bot: tg.Bot, anna: User) -> None:
    data = photo(300, 200)
    sent = await bot.send_photo(anna.id, data, caption="look")
    assert [size.width for size in sent.photo] == [90, 300]
    file = await sent.photo[-1].get_file()
    assert bytes(await file.download_as_bytearray()) == data and file.file_size == len(data)
    again = await bot.send_photo(anna.id, sent.photo[-1].file_id)
    assert again.photo[-1].file_unique_id == sent.photo[-1].file_unique_id
    document = await bot.send_document(anna.id, b"%PDF", filename="规约.pdf")
    assert document.document and document.document.file_name == "规约.pdf"
    await bot.send_voice(anna.id, b"OggS", duration=2)
    await bot.send_video(anna.id, b"\0\0\0\x18ftypmp42", width=1, height=1, duration=1)
    await bot.send_location(anna.id, 31.2, 121.5)
    await bot.send_contact(anna.id, "+8613800000000", "Li")
    album = [tg.InputMediaPhoto(data, caption="<b>1</b>", parse_mode="HTML"), tg.InputMediaPhoto(photo(9, 9))]
    one, two = await bot.send_media_group(anna.id, [*album[:1], tg.InputMediaPhoto(photo(9, 9))])
    assert one.media_group_id == two.media_group_id and one.caption == "1"
    kinds = ["photo", "photo", "document", "voice", "video", "location", "contact", "photo", "photo"]
    assert [shown.kind for shown in anna.chat.from_bot] == kinds
    assert api.mistakes == []


async def test_what_people_send(api: BotApi, bot: tg.Bot, anna: User) -> None:
    anna.starts("abc_-1")
    anna.writes("/help@linli_test_bot see https://example.com @somebody #tag a@b.cn")
    anna.sends_photo(photo(1000, 500), "look")
    anna.sends_album([photo(), photo(9, 9), b"no image"], "three")
    anna.sends_voice()
    anna.sends_video(caption="film")
    anna.sends_document(b"abc", "a.txt", "text/plain")
    anna.sends_location(31.2, 121.5)
    anna.sends_contact("+8613800000000", anna.id)
    anna.sends_contact("+8613800000001")
    anna.sends_sticker()
    message = anna.writes("before")
    anna.edits(message, "after")
    anna.edits(anna.sends_photo(photo(), "a"), "b")
    anna.blocks()
    anna.unblocks()
    updates = await bot.get_updates()
    first, second = updates[1].message, updates[2].message
    assert first and first.text == "/start abc_-1"
    assert second and [entity.type for entity in second.entities] == [
        "bot_command", "url", "mention", "hashtag", "email",
    ]  # fmt: skip
    albums = [update.message for update in updates if update.message and update.message.media_group_id]
    assert len(albums) == 3 and len({message.media_group_id for message in albums}) == 1
    contacts = [update.message.contact for update in updates if update.message and update.message.contact]
    assert [contact.user_id for contact in contacts] == [anna.id, None]
    assert updates[-5].edited_message and updates[-5].edited_message.text == "after"
    assert updates[-2].my_chat_member and updates[-2].my_chat_member.new_chat_member.status == "kicked"
    assert updates[-1].my_chat_member and updates[-1].my_chat_member.new_chat_member.status == "member"


async def test_the_bot_tells_of_itself(api: BotApi, bot: tg.Bot, anna: User, group: Group) -> None:
    commands = [("help", "Help"), ("report", "Report")]
    await bot.set_my_commands(commands)
    await bot.set_my_commands([("help", "帮助")], language_code="zh")
    await bot.set_my_commands([("yard", "Yard")], scope=tg.BotCommandScopeChat(group.id))
    await bot.set_my_commands([("admin", "Admin")], scope=tg.BotCommandScopeChatAdministrators(group.id))
    assert [(c.command, c.description) for c in await bot.get_my_commands()] == commands
    assert (await bot.get_my_commands(language_code="zh"))[0].description == "帮助"
    ben = api.user("Ben", language_code="en")
    group.joins(ben)
    assert anna.menu() == {"help": "帮助"} and ben.menu() == dict(commands)
    assert (anna.menu(group), ben.menu(group)) == ({"admin": "Admin"}, {"yard": "Yard"})
    await bot.delete_my_commands(language_code="zh")
    assert anna.menu() == dict(commands)
    await bot.set_my_name("邻里")
    await bot.set_my_name("Linli", language_code="en")
    assert ((await bot.get_my_name()).name, (await bot.get_my_name("en")).name) == ("邻里", "Linli")
    assert (await bot.get_me()).first_name == "邻里"
    await bot.set_my_description("long")
    await bot.set_my_short_description("short")
    assert (await bot.get_my_description("de")).description == "long"
    assert (await bot.get_my_short_description()).short_description == "short"
    button = tg.MenuButtonWebApp("Open", tg.WebAppInfo("https://example.com"))
    await bot.set_chat_menu_button(anna.id, button)
    assert await bot.get_chat_menu_button(anna.id) == button
    assert await bot.get_chat_menu_button() == tg.MenuButtonCommands()
    assert await bot.send_chat_action(anna.id, "typing") and anna.chat.actions == ["typing"]
    assert api.mistakes == []


async def test_chats_and_members(api: BotApi, bot: tg.Bot, anna: User, group: Group) -> None:
    assert (await bot.get_chat(anna.id)).first_name == "Anna"
    full = await bot.get_chat(group.id)
    assert (full.title, full.type) == ("Yard", "supergroup")
    ben = api.user("Ben")
    assert (await bot.get_chat_member(group.id, ben.id)).status == "left"
    group.joins(ben)
    assert (await bot.get_chat_member(group.id, ben.id)).status == "member"
    assert (await bot.get_chat_member(group.id, api.bot_id)).status == "administrator"
    assert await bot.get_chat_member_count(group.id) == 3
    group.promotes(ben)
    admins = await bot.get_chat_administrators(group.id)
    assert {admin.user.id for admin in admins} == {anna.id, ben.id, api.bot_id}
    group.leaves(ben, by=anna)
    assert (await bot.get_chat_member(group.id, ben.id)).status == "kicked"
    await refused(bot.get_chat_member(group.id, 1), "Member not found")
    assert (await bot.export_chat_invite_link(group.id)).startswith("https://t.me/+")
    assert (await bot.create_chat_invite_link(group.id, name="door")).name == "door"
    sent = await bot.send_message(group.id, "pin me")
    assert await bot.pin_chat_message(group.id, sent.message_id)
    assert (await bot.get_chat(group.id)).pinned_message == sent
    assert await bot.unpin_chat_message(group.id, sent.message_id)
    group.promotes_bot(can_pin_messages=False, can_invite_users=False)
    await refused(bot.pin_chat_message(group.id, sent.message_id), "Not enough rights to manage pinned")
    await refused(bot.export_chat_invite_link(group.id), "Not enough rights to manage chat invite link")
    assert await bot.leave_chat(group.id)
    not_there = "bot is not a member of the supergroup chat"
    await refused(bot.send_message(group.id, "a"), not_there, tg_error.Forbidden)
    assert api.mistakes == []


async def test_topics(api: BotApi, bot: tg.Bot, anna: User, group: Group, forum: Group) -> None:
    topic = await bot.create_forum_topic(forum.id, "3号楼")
    sent = await bot.send_message(forum.id, "hello", message_thread_id=topic.message_thread_id)
    assert sent.is_topic_message and forum.sees("hello").thread == topic.message_thread_id
    theirs = forum.writes_in(topic.message_thread_id, anna, "hi")
    assert theirs["is_topic_message"] and "forum_topic_created" in theirs["reply_to_message"]
    assert await bot.edit_forum_topic(forum.id, topic.message_thread_id, name="4号楼")
    assert await bot.close_forum_topic(forum.id, topic.message_thread_id)
    await refused(bot.close_forum_topic(forum.id, topic.message_thread_id), "Topic_not_modified")
    forum.promotes_bot(can_manage_topics=False)
    await refused(bot.create_forum_topic(forum.id, "a"), "Not enough rights to create a topic")
    await refused(bot.send_message(forum.id, "a", message_thread_id=topic.message_thread_id), "Topic_closed")
    forum.promotes_bot()
    assert await bot.reopen_forum_topic(forum.id, topic.message_thread_id)
    assert await bot.delete_forum_topic(forum.id, topic.message_thread_id)
    assert not [shown for shown in forum.messages if shown.thread]
    gone = bot.send_message(forum.id, "a", message_thread_id=topic.message_thread_id)
    await refused(gone, "Message thread not found")
    other = forum.makes_topic("5号楼")
    assert await bot.send_photo(forum.id, photo(), message_thread_id=other)
    forum.deletes_topic(other)
    await refused(
        bot.send_chat_action(forum.id, "typing", message_thread_id=other), "Message thread not found"
    )
    await refused(bot.create_forum_topic(group.id, "a"), "The chat is not a forum")
    assert api.mistakes == []


async def test_links_that_start_the_bot(api: BotApi, bot: tg.Bot, anna: User) -> None:
    await bot.send_message(anna.id, "https://t.me/linli_test_bot?start=abc_-9")
    assert api.mistakes == []
    button = tg.InlineKeyboardButton("Open", url="https://t.me/linli_test_bot?start=a.b")
    await bot.send_message(anna.id, "a", reply_markup=tg.InlineKeyboardMarkup([[button]]))
    await bot.send_message(anna.id, f"https://t.me/linli_test_bot?start={'a' * 65}")
    assert len(api.mistakes) == 2


async def test_replies(api: BotApi, bot: tg.Bot, anna: User) -> None:
    theirs = anna.writes("question")
    sent = await bot.send_message(anna.id, "answer", reply_to_message_id=theirs["message_id"])
    assert sent.reply_to_message and sent.reply_to_message.text == "question"
    back = anna.writes("thanks", reply_to=sent.to_dict())
    assert back["reply_to_message"]["text"] == "answer" and "reply_to_message" not in back["reply_to_message"]
    anna.deletes(theirs)
    gone = tg.ReplyParameters(theirs["message_id"])
    await refused(bot.send_message(anna.id, "a", reply_parameters=gone), "Message to be replied not found")
    anyway = tg.ReplyParameters(theirs["message_id"], allow_sending_without_reply=True)
    assert not (await bot.send_message(anna.id, "a", reply_parameters=anyway)).reply_to_message


def asking(**options: bool) -> tg.ReplyKeyboardMarkup:
    """A keyboard with which somebody may share their number."""
    return tg.ReplyKeyboardMarkup([[tg.KeyboardButton("My number", request_contact=True)]], **options)


async def test_reply_keyboards(api: BotApi, bot: tg.Bot, anna: User, group: Group) -> None:
    contact = asking()
    await bot.send_message(anna.id, "?", reply_markup=contact)
    assert anna.chat.keyboard == ["My number"]
    await bot.send_message(anna.id, "!", reply_markup=tg.ReplyKeyboardRemove())
    assert anna.chat.keyboard == [] and api.mistakes == []
    await refused(bot.send_message(group.id, "?", reply_markup=contact), "private chats only")
    assert len(api.mistakes) == 1 and group.keyboard == []


async def test_a_number_is_shared_by_the_button_that_is_shown(api: BotApi, bot: tg.Bot, anna: User) -> None:
    with pytest.raises(AssertionError, match="no button asks Anna"):
        anna.shares_contact("+8613800000000")
    await bot.send_message(anna.id, "?", reply_markup=tg.ReplyKeyboardMarkup([["Yes"]]))
    with pytest.raises(AssertionError, match="no button asks Anna"):
        anna.shares_contact("+8613800000000")
    await bot.send_message(anna.id, "?", reply_markup=asking(resize_keyboard=True))
    await bot.send_message(anna.id, "!", reply_markup=keyboard(Yes="y"))
    with pytest.raises(AssertionError, match="country's code"):
        anna.shares_contact("13800000000")
    anna.shares_contact("+8613800000000")
    assert anna.chat.keyboard == ["My number"]
    await bot.send_message(anna.id, "?", reply_markup=asking(one_time_keyboard=True))
    anna.shares_contact("+8613800000000")
    assert anna.chat.keyboard == []
    li = api.user("Li")
    anna.sends_contact("+8613800000001", li.id, forwarded_from=li)
    *_, shared, passed_on = await bot.get_updates()
    assert shared.message and shared.message.contact and passed_on.message and passed_on.message.contact
    own, card = shared.message.contact, passed_on.message.contact
    assert (own.phone_number, own.user_id, own.first_name) == ("8613800000000", anna.id, "Anna")
    assert (card.user_id, card.first_name, passed_on.message.forward_origin.type) == (li.id, "Li", "user")
    assert shared.message.forward_origin is None and api.mistakes == []


async def test_a_message_with_a_reply_keyboard_is_never_edited(api: BotApi, bot: tg.Bot, anna: User) -> None:
    for markup in (asking(), tg.ReplyKeyboardRemove()):
        sent = await bot.send_message(anna.id, "?", reply_markup=markup)
        await refused(bot.edit_message_text("!", anna.id, sent.message_id), "Message can't be edited")
    assert len(api.mistakes) == 2


async def test_a_file_that_somebody_sent_is_fetched(
    api: BotApi, bot: tg.Bot, anna: User, group: Group
) -> None:
    anna.sends_document("楼栋,房号".encode(), "名册.csv", "text/csv", chat=group)
    (update,) = (await bot.get_updates())[-1:]
    assert update.message and update.message.document and update.message.document.file_name == "名册.csv"
    file = await update.message.document.get_file()
    assert bytes(await file.download_as_bytearray()) == "楼栋,房号".encode()
    assert file.file_path and file.file_path.endswith(".csv")


# --- who may be written to -----------------------------------------------------------------------------


async def test_people_who_cannot_be_reached(api: BotApi, bot: tg.Bot, anna: User) -> None:
    ben = api.user("Ben")
    await refused(
        bot.send_message(ben.id, "a"), "bot can't initiate conversation with a user", tg_error.Forbidden
    )
    await refused(bot.send_message(77, "a"), "Chat not found")
    sent = await bot.send_message(anna.id, "a")
    anna.blocks()
    await refused(bot.send_message(anna.id, "b"), "bot was blocked by the user", tg_error.Forbidden)
    await refused(sent.edit_text("b"), "bot was blocked by the user", tg_error.Forbidden)
    anna.unblocks()
    await bot.send_message(anna.id, "b")
    anna.deactivates()
    await refused(bot.send_message(anna.id, "c"), "user is deactivated", tg_error.Forbidden)
    assert api.mistakes == []


async def test_a_bot_comes_and_goes(api: BotApi, bot: tg.Bot, anna: User) -> None:
    group = api.group("Yard", anna)
    await refused(bot.send_message(group.id, "a"), "Chat not found")
    group.adds_bot(admin=False)
    group.promotes_bot(can_delete_messages=False)
    group.demotes_bot()
    group.removes_bot()
    await refused(bot.send_message(group.id, "a"), "kicked from the supergroup chat", tg_error.Forbidden)
    small = api.group("Small", anna, supergroup=False)
    small.adds_bot(anna)
    small.removes_bot(anna)
    await refused(bot.send_message(small.id, "a"), "kicked from the group chat", tg_error.Forbidden)
    changes = [u["my_chat_member"]["new_chat_member"]["status"] for u in api.updates if "my_chat_member" in u]
    assert changes == ["member", "administrator", "member", "kicked", "administrator", "left"]
    services = [u["message"] for u in api.updates if "message" in u][1:]
    assert [sorted(m.keys() & {"new_chat_members", "left_chat_member"}) for m in services] == [
        ["new_chat_members"], ["new_chat_members"], ["left_chat_member"],
    ]  # fmt: skip


async def test_a_group_is_upgraded(api: BotApi, bot: tg.Bot, anna: User) -> None:
    group = api.group("Yard", anna, supergroup=False)
    group.adds_bot()
    await bot.send_message(group.id, "before")
    old = group.id
    group.upgrades()
    with pytest.raises(tg_error.ChatMigrated) as caught:
        await bot.send_message(old, "after")
    assert caught.value.new_chat_id == group.id and str(group.id).startswith("-100")
    await bot.send_message(group.id, "after")
    assert [shown.text for shown in group.from_bot] == ["after"]
    assert group.former_messages[-1].kind == "migrate_to_chat_id"
    updates = await bot.get_updates(offset=-2)
    assert updates[0].message and updates[0].message.migrate_to_chat_id == group.id
    assert updates[1].message and updates[1].message.migrate_from_chat_id == old


async def test_privacy_mode(api: BotApi, bot: tg.Bot, anna: User) -> None:
    group = api.group("Yard", anna)
    group.adds_bot(admin=False)
    sent = await bot.send_message(group.id, "hello")
    before = len(api.updates)
    anna.writes("just talk", group)
    anna.writes("/help@other_bot", group)
    anna.sends_photo(photo(), "look", group)
    assert len(api.updates) == before
    for text in ("/help", "/help@linli_test_bot now"):
        anna.writes(text, group)
    anna.writes("to you", group, reply_to=sent.to_dict())
    group.joins(api.user("Ben"))
    assert len(api.updates) == before + 4
    ben = api.user("Ben")
    group.joins(ben, hidden=True)
    group.leaves(ben, hidden=True)
    assert len(api.updates) == before + 4  # only an administrator hears of members
    group.promotes_bot()
    anna.writes("just talk", group)
    assert api.updates[-1]["message"]["text"] == "just talk"


# --- updates -------------------------------------------------------------------------------------------


async def test_polling_confirms_by_offset(api: BotApi, bot: tg.Bot, anna: User) -> None:
    for text in "abcd":
        anna.writes(text)
    first = await bot.get_updates(limit=2)
    assert [u.message.text for u in first if u.message] == ["/start", "a"] and not api.confirmed
    second = await bot.get_updates(offset=first[-1].update_id + 1)
    assert [u.message.text for u in second if u.message] == ["b", "c", "d"]
    assert api.confirmed == {u.update_id for u in first} and len(api.pending) == 3
    last = await bot.get_updates(offset=-1)
    assert [u.message.text for u in last if u.message] == ["d"]
    assert len(api.queue.lost) == 2 and len(api.pending) == 1


async def test_a_long_poll_wakes_up(api: BotApi, bot: tg.Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=10))
    await api.until(lambda: api.calls and api.calls[-1].method == "getUpdates")
    api.user("Anna").starts()
    assert len(await poll) == 1
    assert await bot.get_updates(offset=api.updates[-1]["update_id"] + 1, timeout=0) == ()


async def test_a_second_poller_ends_the_first(api: BotApi, bot: tg.Bot, anna: User) -> None:
    offset = api.updates[-1]["update_id"] + 1
    first = asyncio.create_task(bot.get_updates(offset=offset, timeout=10))
    await api.until(lambda: api.calls and api.calls[-1].method == "getUpdates")
    async with client(api) as other:
        second = asyncio.create_task(other.get_updates(offset=offset, timeout=10))
        await refused(first, "terminated by other getUpdates request", tg_error.Conflict)
        anna.writes("a")
        assert len(await second) == 1 and api.mistakes == []


async def test_the_wanted_kinds_stick(api: BotApi, bot: tg.Bot, anna: User, group: Group) -> None:
    group.joins(api.user("Ben"))
    assert not any("chat_member" in update for update in api.updates)
    await bot.get_updates(allowed_updates=["chat_member", "message"])
    await bot.get_updates()
    group.joins(api.user("Cao"))
    group.demotes_bot()
    group.joins(api.user("Dong"))
    kinds = [next(kind for kind in update if kind != "update_id") for update in api.updates[-3:]]
    assert kinds == ["chat_member", "message", "message"]
    await bot.get_updates(allowed_updates=[])
    group.promotes_bot()
    assert "my_chat_member" in api.updates[-1]


async def test_updates_are_handed_out_again(api: BotApi, bot: tg.Bot, anna: User) -> None:
    for text in "abc":
        anna.writes(text)
    updates = await bot.get_updates()
    offset = updates[-1].update_id + 1
    assert await bot.get_updates(offset=offset) == ()
    api.redeliver(times=3, shuffled=True, seed=1)
    again = await bot.get_updates(offset=offset)
    assert len(again) == 12 and {u.update_id for u in again} == api.confirmed
    assert await bot.get_updates(offset=offset) == ()


async def test_updates_are_kept_a_day(api: BotApi, bot: tg.Bot, anna: User, clock: Clock) -> None:
    clock.at += 24 * 3600 + 1
    anna.writes("new")
    assert [u.message.text for u in await bot.get_updates() if u.message] == ["new"]


class Hook:
    """The other end of a webhook."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[int] = []
        self.open = self.most = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def take(self, request: web.Request) -> web.Response:
        self.open += 1
        self.most = max(self.most, self.open)
        self.got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token", ""), await request.json()))
        await self.hold.wait()
        self.open -= 1
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    @property
    def texts(self) -> list[str]:
        return [update["message"]["text"] for _, update in self.got]


@asynccontextmanager
async def listening(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", handler)
    async with running(app) as url:
        yield f"{url}/hook"


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_webhook_gets_what_waits(clock: Clock) -> None:
    hook = Hook()
    async with (
        listening(hook.take) as url,
        serve(now=clock, insecure_webhooks=True, webhook_backoff=0.01) as api,
        client(api) as bot,
    ):
        anna = api.user("Anna")
        anna.starts()
        anna.writes("a")
        hook.answers = [500, 503]
        await bot.set_webhook(url, secret_token="s-1_A", max_connections=3)
        await api.until(lambda: len(api.confirmed) == 2)
        assert hook.texts == ["/start", "/start", "/start", "a"] and {secret for secret, _ in hook.got} == {
            "s-1_A"
        }
        info = await bot.get_webhook_info()
        assert (info.url, info.pending_update_count, info.max_connections) == (url, 0, 3)
        assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"
        await refused(
            bot.get_updates(), "can't use getUpdates method while webhook is active", tg_error.Conflict
        )
        hook.hold.clear()
        people = [api.user(f"P{number}") for number in range(5)]
        for person in people:
            person.starts()
            person.writes("b")
        await api.until(lambda: hook.open == 3)
        hook.hold.set()
        await api.until(lambda: not api.pending)
        assert hook.most == 3
        for person in people:  # in its order for each
            mine = [u["message"]["text"] for _, u in hook.got if u["message"]["chat"]["id"] == person.id]
            assert mine == ["/start", "b"]
        api.redeliver(shuffled=True)
        await api.until(lambda: len(hook.got) == 4 + 10 + 12)
        await bot.delete_webhook()
        anna.writes("c")
        assert len(await bot.get_updates()) == 1
        assert (await bot.get_webhook_info()).url == "" and api.mistakes == []


async def test_a_webhook_that_is_away(clock: Clock) -> None:
    # A port that is held and listened to by nobody: one that was let go may be another test's server by now.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/hook"
        async with serve(now=clock, insecure_webhooks=True, webhook_backoff=0.01) as api, client(api) as bot:
            api.user("Anna").starts()
            await bot.set_webhook(url)
            await api.until(lambda: api.queue.webhook.error)
            info = await bot.get_webhook_info()
            assert (info.pending_update_count, info.last_error_message) == (1, "Connection refused")
            await bot.delete_webhook(drop_pending_updates=True)
            assert await bot.get_updates() == () and len(api.queue.lost) == 1


# --- taps, floods, faults ------------------------------------------------------------------------------


async def test_stale_taps(api: BotApi, bot: tg.Bot, anna: User, clock: Clock) -> None:
    await bot.send_message(anna.id, "?", reply_markup=keyboard(Yes="y"))
    stale = "Query is too old and response timeout expired or query id is invalid"
    tap = anna.taps(anna.sees("?"), "Yes")
    clock.at += 15
    await bot.answer_callback_query(tap.id)
    await refused(bot.answer_callback_query(tap.id), stale)
    tap = anna.forges(anna.sees("?"), "forged")
    clock.at += 15.1
    await refused(bot.answer_callback_query(tap.id), stale)
    await refused(bot.answer_callback_query("1"), stale)
    assert api.mistakes == []


async def test_a_button_that_has_changed(api: BotApi, bot: tg.Bot, anna: User) -> None:
    sent = await bot.send_message(anna.id, "?", reply_markup=keyboard(Yes="y"))
    seen = anna.sees("?")
    await sent.edit_text("over")
    assert anna.taps(seen, "Yes").data == "y"
    assert api.updates[-1]["callback_query"]["message"]["text"] == "over"
    with pytest.raises(AssertionError, match="no button"):
        anna.taps(seen, "No")


async def flood(api: BotApi, bot: tg.Bot, chat: int, times: int) -> int:
    """Send so often, and return what a refusal says (0: all went)."""
    try:
        for number in range(times):
            await bot.send_message(chat, str(number))
    except tg_error.RetryAfter as error:
        seconds = error.retry_after
        return int(seconds if isinstance(seconds, int) else seconds.total_seconds())
    return 0


async def test_floods(clock: Clock) -> None:
    async with serve(now=clock, flood=True) as api, client(api) as bot:
        anna = api.user("Anna")
        anna.starts()
        group = api.group("Yard", anna)
        group.adds_bot()
        assert await flood(api, bot, anna.id, 3) == 0 and await flood(api, bot, anna.id, 1) == 1
        clock.at += 0.5
        assert await flood(api, bot, anna.id, 1) == 2  # sending meanwhile prolongs it
        clock.at += 2
        assert await flood(api, bot, anna.id, 1) == 0
        assert await flood(api, bot, group.id, 19) == 0
        await bot.edit_message_text("x", group.id, group.from_bot[0].message_id)
        assert await flood(api, bot, group.id, 1) == 60
        clock.at += 60
        assert await flood(api, bot, group.id, 1) == 0
        people = [api.user(str(number)) for number in range(31)]
        for person in people:
            person.starts()
        clock.at += 60
        assert [await flood(api, bot, person.id, 1) for person in people] == [0] * 30 + [1]
        clock.at += 1
        assert await flood(api, bot, people[-1].id, 1) == 0
        assert api.mistakes == [] and api.calls[-2].description == "Too Many Requests: retry after 1"


FAULTS = [
    ("timeout", tg_error.TimedOut, 0), ("timeout_accepted", tg_error.TimedOut, 1),
    ("reset", tg_error.NetworkError, 0), ("reset_accepted", tg_error.NetworkError, 1),
    ("garbage", tg_error.TelegramError, 0), ("garbage_accepted", tg_error.TelegramError, 1),
    (500, tg_error.NetworkError, 0), (502, tg_error.NetworkError, 0),
    (flooded(7), tg_error.RetryAfter, 0), (Refused(403, "Forbidden: no"), tg_error.Forbidden, 0),
]  # fmt: skip


@pytest.mark.parametrize(("how", "error", "accepted"), FAULTS, ids=str)
async def test_faults(
    api: BotApi, bot: tg.Bot, anna: User, how: Any, error: type[Exception], accepted: int
) -> None:
    api.fails("sendMessage", how, chat=anna, after=1)
    await bot.send_message(anna.id, "good")
    with pytest.raises(error):
        await bot.send_message(anna.id, "a", read_timeout=0.05 if "timeout" in str(how) else 5)
    assert api.times_sent("a", anna) == accepted == api.calls[-1].ok
    await bot.send_message(anna.id, "b")
    assert api.mistakes == []


async def test_random_faults_and_downloads(api: BotApi, bot: tg.Bot, anna: User) -> None:
    dice = random.Random(7)
    api.fails_by(lambda method, params: 502 if dice.random() < 0.5 else None)
    results = await asyncio.gather(
        *(bot.send_message(anna.id, str(number)) for number in range(20)), return_exceptions=True
    )
    assert 3 < sum(isinstance(result, tg_error.NetworkError) for result in results) < 17
    assert len(api.accepted) == sum(isinstance(result, tg.Message) for result in results)
    api.fails_by(None)
    sent = await bot.send_photo(anna.id, photo())
    file = await sent.photo[-1].get_file()
    api.fails("file", "reset")
    with pytest.raises(tg_error.NetworkError):
        await file.download_as_bytearray()
    assert bytes(await file.download_as_bytearray()) == photo()


async def test_the_server_goes_away_and_comes_back(api: BotApi, bot: tg.Bot, anna: User) -> None:
    port = api.port
    await api.stop()
    with pytest.raises(tg_error.NetworkError):
        await bot.send_message(anna.id, "a")
    await api.start()
    assert api.port == port
    await bot.send_message(anna.id, "a")
    assert anna.sees("a")


async def test_log_out(api: BotApi, bot: tg.Bot, anna: User) -> None:
    assert await bot.close() and await bot.log_out()
    await refused(bot.send_message(anna.id, "a"), "Logged out")


# --- what is refused -----------------------------------------------------------------------------------

ANNA, YARD = 5_000_000_001, -1_002_000_000_002
TEXT, PHOTO = 102, 103
SEND = {"chat_id": ANNA, "text": "a"}
WEBHOOK = {"url": "https://example.com/hook"}


def inline(*buttons: Any) -> dict[str, Any]:
    return {**SEND, "reply_markup": {"inline_keyboard": [list(buttons)]}}


def said(text: str, mode: str = "HTML") -> dict[str, Any]:
    return {**SEND, "text": text, "parse_mode": mode}


def commands(name: str = "a", description: str = "A", times: int = 1) -> dict[str, Any]:
    each = [{"command": f"{name}{n or ''}", "description": description} for n in range(times)]
    return {"commands": each}


MISTAKES = [
    ("sendMessage", {**SEND, "colour": "red"}, 'unknown parameter "colour"'),
    ("sendMessage", {"text": "a"}, "chat_id is empty"),
    ("sendMessage", {"chat_id": ANNA}, '"text" is required'),
    ("sendMessage", {**SEND, "chat_id": "anna"}, "chat not found"),
    ("sendMessage", {**SEND, "chat_id": 1.5}, "chat_id must be"),
    ("sendMessage", {**SEND, "text": 5}, "text must be of type String"),
    ("sendMessage", {**SEND, "text": None}, "text must be of type String"),
    ("sendMessage", {**SEND, "disable_notification": "yes"}, "must be of type Boolean"),
    ("sendMessage", {**SEND, "message_thread_id": "5"}, "must be of type Integer"),
    ("sendMessage", {**SEND, "message_thread_id": True}, "must be of type Integer"),
    ("sendMessage", {**SEND, "text": ""}, "message text is empty"),
    ("sendMessage", {**SEND, "text": " \n "}, "message text is empty"),
    ("sendMessage", {**SEND, "text": "楼" * 4097}, "message is too long"),
    ("sendMessage", {**SEND, "reply_markup": "{"}, "can't parse reply_markup"),
    ("sendMessage", {**SEND, "reply_markup": {"keys": []}}, "reply_markup must be of type"),
    ("sendMessage", {**SEND, "reply_markup": {"inline_keyboard": [{}]}}, "must be an array"),
    ("sendMessage", {**SEND, "reply_parameters": {"message_id": "1"}}, "message_id must be of type Integer"),
    ("sendMessage", {**SEND, "link_preview_options": {"off": True}}, 'unknown field "off"'),
    ("sendMessage", {**SEND, "entities": [{"type": "bold", "offset": 0, "length": 9}]}, "can't parse entities"),
    ("sendMessage", inline({"text": "a"}), "Text buttons are unallowed"),
    ("sendMessage", inline({"callback_data": "a"}), 'field "text" is missing'),
    ("sendMessage", inline({"text": "", "callback_data": "a"}), "text must be non-empty"),
    ("sendMessage", inline({"text": "a", "callback_data": ""}), "BUTTON_DATA_INVALID"),
    ("sendMessage", inline({"text": "a", "callback_data": "楼" * 22}), "BUTTON_DATA_INVALID"),
    ("sendMessage", inline({"text": "a", "callback_data": "a", "url": "https://a.cn"}), "at once"),
    ("sendMessage", inline({"text": "a", "url": "nonsense"}), "URL 'nonsense' is invalid"),
    ("sendMessage", inline({"text": "a", "data": "a"}), 'unknown field "data"'),
    ("sendMessage", inline(*[{"text": "a", "callback_data": "a"}] * 9), "more than 8 buttons"),
    ("sendMessage", said("<b>a"), 'find end tag corresponding to start tag "b"'),
    ("sendMessage", said("<p>a</p>"), 'Unsupported start tag "p" at byte offset 0'),
    ("sendMessage", said("楼<b>a</i>"), "Unmatched end tag at byte offset 7"),
    ("sendMessage", said("a</b>"), "Unexpected end tag"),
    ("sendMessage", said("a < b"), "Unclosed start tag at byte offset 2"),
    ("sendMessage", said("<b> </b>"), "message text is empty"),
    ("sendMessage", said("3.5", "MarkdownV2"), "Character '.' is reserved"),
    ("sendMessage", said("*a", "MarkdownV2"), "Can't find end of Bold entity at byte offset 0"),
    ("sendMessage", said("_a", "Markdown"), "Can't find end of the entity starting at byte offset 0"),
    ("sendMessage", said("a", "BBCode"), "unsupported parse_mode"),
    ("sendPhoto", {"chat_id": ANNA, "photo": "nonsense"}, "wrong file identifier"),
    ("sendPhoto", {"chat_id": ANNA, "photo": "attach://x"}, "attached file x is missing"),
    ("sendPhoto", {"chat_id": ANNA, "photo": "https://example.com/a.jpg"}, "failed to get HTTP URL content"),
    ("sendMediaGroup", {"chat_id": ANNA, "media": []}, "2 to 10 items"),
    ("sendMediaGroup", {"chat_id": ANNA, "media": [{"type": "photo", "media": "a"}]}, "2 to 10 items"),
    ("sendMediaGroup", {"chat_id": ANNA, "media": [{"type": "film", "media": "a"}] * 2}, 'unknown type "film"'),
    ("sendMediaGroup", {"chat_id": ANNA, "media": [], "reply_markup": {}}, "unknown parameter"),
    ("sendLocation", {"chat_id": ANNA, "latitude": 91, "longitude": 0}, "out of range"),
    ("sendContact", {"chat_id": ANNA, "phone_number": "", "first_name": "a"}, "is required"),
    ("sendChatAction", {"chat_id": ANNA, "action": "dance"}, "wrong parameter action"),
    ("sendPoll", {"chat_id": ANNA, "question": "?", "options": []}, "options must have 1 to 12 items"),
    ("sendDice", {"chat_id": ANNA}, "method is not simulated"),
    ("editMessageText", {"chat_id": ANNA, "text": "b"}, "message identifier is not specified"),
    ("editMessageText", {"chat_id": ANNA, "message_id": TEXT}, "message text is empty"),
    ("editMessageText", {"chat_id": ANNA, "message_id": PHOTO, "text": "b"}, "there is no text in the message"),
    ("editMessageCaption", {"chat_id": ANNA, "message_id": TEXT, "caption": "b"}, "there is no caption"),
    ("editMessageCaption", {"chat_id": ANNA, "message_id": PHOTO, "caption": "b" * 1025}, "caption is too long"),
    ("editMessageText", {"chat_id": ANNA, "message_id": 101, "text": "b"}, "message can't be edited"),
    ("deleteMessages", {"chat_id": ANNA, "message_ids": list(range(101))}, "1 to 100 items"),
    ("answerCallbackQuery", {"callback_query_id": "1", "text": "a" * 201}, "0 to 200 characters"),
    ("getFile", {"file_id": "nonsense"}, "wrong file_id"),
    ("getUpdates", {"limit": 101}, "limit must be between 1 and 100"),
    ("getUpdates", {"allowed_updates": ["mesage"]}, 'unknown kind of update "mesage"'),
    ("setWebhook", {"url": "http://example.com"}, "HTTPS URL must be provided"),
    ("setWebhook", {"url": "https://example.com:8000"}, "only on ports 80, 88, 443 or 8443"),
    ("setWebhook", {**WEBHOOK, "secret_token": ""}, "secret_token must have 1 to 256"),
    ("setWebhook", {**WEBHOOK, "secret_token": "a b"}, "unallowed characters"),
    ("setWebhook", {**WEBHOOK, "max_connections": 101}, "between 1 and 100"),
    ("setMyCommands", commands("Help"), "BOT_COMMAND_INVALID"),
    ("setMyCommands", commands("/help"), "BOT_COMMAND_INVALID"),
    ("setMyCommands", commands("a" * 33), "1 to 32 characters"),
    ("setMyCommands", commands(description=""), "1 to 256 characters"),
    ("setMyCommands", commands(times=101), "BOT_COMMANDS_TOO_MUCH"),
    ("setMyCommands", {**commands(), "language_code": "zh-hans"}, "invalid language code"),
    ("setMyCommands", {**commands(), "scope": {"type": "planet"}}, 'unknown type "planet"'),
    ("setMyCommands", {**commands(), "scope": {"type": "chat"}}, 'field "chat_id" is missing'),
    ("setMyName", {"name": "a" * 65}, "0 to 64 characters"),
    ("setMyDescription", {"description": "a" * 513}, "0 to 512 characters"),
    ("setMyShortDescription", {"short_description": "a" * 121}, "0 to 120 characters"),
    ("setChatMenuButton", {"chat_id": YARD}, "must be that of a private chat"),
    ("createForumTopic", {"chat_id": YARD, "name": "a" * 129}, "1 to 128 characters"),
]  # fmt: skip


@pytest.fixture
async def raw(api: BotApi, anna: User, group: Group, bot: tg.Bot) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client, and a scene whose numbers the cases know."""
    sent = [
        await bot.send_message(anna.id, "text"),
        await bot.send_photo(anna.id, photo(), caption="caption"),
    ]
    assert (anna.id, group.id, *(message.message_id for message in sent)) == (ANNA, YARD, TEXT, PHOTO)
    async with httpx.AsyncClient(base_url=f"{api.base_url}{api.token}/", verify=False) as raw:
        yield raw


@pytest.mark.parametrize(("method", "params", "description"), MISTAKES)
async def test_mistakes(
    api: BotApi, raw: httpx.AsyncClient, method: str, params: dict[str, Any], description: str
) -> None:
    before = len(api.accepted)
    answer = await raw.post(method, json=params)
    assert answer.status_code == 400
    assert answer.json()["ok"] is False and answer.json()["error_code"] == 400
    assert description in answer.json()["description"] and "Bad Request: " in answer.json()["description"]
    assert len(api.mistakes) == 1 and api.mistakes[0].startswith(f"{method}: ")
    assert len(api.accepted) == before


async def test_wrong_addresses(api: BotApi, raw: httpx.AsyncClient) -> None:
    answer = await raw.post("sendMesage", json=SEND)
    assert answer.status_code == 404 and answer.json()["description"] == "Not Found"
    assert api.mistakes == ["unknown method sendMesage"]
    answer = await raw.post(f"{api.base_url}1:wrong/getMe")
    assert (answer.status_code, answer.json()["description"]) == (401, "Unauthorized")
    assert (await raw.get(f"{api.base_file_url}{api.token}/photos/none.jpg")).status_code == 404


async def test_wrong_uploads(api: BotApi, raw: httpx.AsyncClient) -> None:
    async def upload(method: str, data: bytes, part: str = "photo", **more: str) -> str:
        files = {part: ("a.jpg", data, "image/jpeg")}
        answer = await raw.post(method, data={"chat_id": str(ANNA), **more}, files=files)
        return str(answer.json().get("description"))

    assert await upload("sendPhoto", b"no image") == "Bad Request: IMAGE_PROCESS_FAILED"
    assert await upload("sendPhoto", photo()[:200]) == "Bad Request: IMAGE_PROCESS_FAILED"
    assert await upload("sendPhoto", photo(4000, 10)) == "Bad Request: PHOTO_INVALID_DIMENSIONS"
    assert "too big for a photo" in await upload("sendPhoto", photo() + bytes(10 * 1024 * 1024))
    assert await upload("sendDocument", b"", "document") == "Bad Request: file must be non-empty"
    assert "can't be a file" in await upload("sendMessage", b"a", "text")
    too_big = await upload("sendDocument", bytes(50 * 1024 * 1024 + 1), "document")
    assert too_big == "Request Entity Too Large"
    assert len(api.mistakes) == 7
    assert await upload("sendDocument", b"a", "file", document="attach://file") == "None"
    assert "unknown parameter" in await upload("sendMessage", b"a", "stray", text="b")


@pytest.mark.parametrize(
    ("method", "good", "bad"),
    [
        ("sendVoice", [b"OggS", b"ID3", b"\0\0\0\x20ftypM4A "], [b"#!AMR\n", b"\x1a\x45\xdf\xa3webm"]),
        ("sendAudio", [b"ID3", b"\0\0\0\x20ftypM4A "], [b"OggS", b"#!AMR\n", b"a text"]),
        ("sendVideo", [b"\0\0\0\x18ftypisom"], [b"\0\0\0\x14ftypqt  ", b"\x1a\x45\xdf\xa3webm", b"a text"]),
    ],
)
async def test_what_plays(
    api: BotApi, raw: httpx.AsyncClient, anna: User, method: str, good: list[bytes], bad: list[bytes]
) -> None:
    part = method.removeprefix("send").lower()
    for data in (*good, *bad):
        answer = await raw.post(method, data={"chat_id": str(ANNA)}, files={part: ("a", data, "a/b")})
        assert answer.json()["ok"] == (data in good), answer.json()
    assert len(api.mistakes) == len(bad)


async def test_voice_messages_can_be_refused(api: BotApi, bot: tg.Bot, anna: User) -> None:
    anna.refuses_voices = True
    with pytest.raises(tg.error.BadRequest, match="Voice_messages_forbidden"):
        await bot.send_voice(anna.id, b"OggS")
    song = await bot.send_audio(anna.id, b"ID3 a song")
    assert song.audio is not None
    with pytest.raises(tg.error.BadRequest, match="an't use file of type audio"):
        await bot.send_voice(anna.id, song.audio.file_id)
    assert len(api.mistakes) == 1


async def test_all_ways_to_ask(api: BotApi, raw: httpx.AsyncClient, anna: User) -> None:
    markup = '{"inline_keyboard":[[{"text":"a","callback_data":"b"}]]}'
    form = {"chat_id": str(ANNA), "text": "form", "disable_notification": "true", "reply_markup": markup}
    assert (await raw.post("sendMessage", data=form)).json()["ok"]
    assert (await raw.get("sendMessage", params={**form, "text": "address"})).json()["ok"]
    parts = {name: (None, value) for name, value in {**form, "text": "parts"}.items()}
    assert (await raw.post("sendmessage", files=parts)).json()["ok"]
    assert (await raw.post("sendMessage", json={**SEND, "reply_markup": markup})).json()["ok"]
    for text in ("form", "address", "parts", "a"):
        assert anna.sees(text, "a").silent == (text != "a")
    answer = await raw.post("sendMessage", data={**form, "disable_notification": "maybe"})
    assert "Boolean" in answer.json()["description"]


async def test_a_file_too_big_to_fetch(api: BotApi, bot: tg.Bot, anna: User) -> None:
    message = anna.sends_document(b"a", "a.zip", "application/zip", size=20 * 1024 * 1024 + 1)
    await refused(bot.get_file(message["document"]["file_id"]), "File is too big")
    assert api.mistakes == []


@pytest.mark.parametrize(
    ("mode", "source", "text", "entities"),
    [
        ("HTML", "<b>a<i>b</i></b>", "ab", ["bold 0 2", "italic 1 1"]),
        ("HTML", "<pre><code class='language-py'>x</code></pre>", "x", ["pre 0 1 py"]),
        ("HTML", 'see <a href="https://a.cn/?x=1&amp;y=2">this</a>', "see this", ["text_link 4 4"]),
        ("HTML", "<tg-spoiler>😀</tg-spoiler><u>b</u>", "😀b", ["spoiler 0 2", "underline 2 1"]),
        ("HTML", "  <b> a </b> ", "a", ["bold 0 1"]),
        ("HTML", "<blockquote expandable>q</blockquote> AT&T", "q AT&T", ["expandable_blockquote 0 1"]),
        ("MarkdownV2", "*a _b_* `c.` \\. ||d|| ~e~ __f__", "a b c. . d e f", ["bold 0 3", "italic 2 1"]),
        ("MarkdownV2", "[a\\.b](https://a.cn)", "a.b", ["text_link 0 3"]),
        ("MarkdownV2", ">q\n>r\nt", "q\nr\nt", ["blockquote 0 3"]),
        ("MarkdownV2", "```py\nx.y```", "x.y", ["pre 0 3 py"]),
        ("Markdown", "*a* _b_ `c` [d](https://a.cn) e\\_f", "a b c d e_f", ["bold 0 1", "italic 2 1"]),
        ("", "/start https://a.cn/x, ok", "/start https://a.cn/x, ok", ["bot_command 0 6", "url 7 14"]),
    ],
)
def test_markup(mode: str, source: str, text: str, entities: list[str]) -> None:
    read, found = bot_api_text.read(source, mode)
    words = [f"{e['type']} {e['offset']} {e['length']} {e.get('language', '')}".strip() for e in found]
    assert (read, words[: len(entities)]) == (text, entities)


@given(st.text(max_size=60))
def test_escaped_texts_stay_what_they_are(text: str) -> None:
    plain = bot_api_text.read(text)
    assert bot_api_text.read(html.escape(text, quote=False), "HTML") == plain
    assert bot_api_text.read(escape_markdown(text, version=2), "MarkdownV2") == plain
    for entity in plain[1]:
        assert bot_api_text.cut(plain[0], entity["offset"], entity["length"])


async def test_a_request_that_breaks_off(api: BotApi, bot: tg.Bot, anna: User) -> None:
    begun: list[str] = []
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = f"POST /bot{api.token}/sendMessage HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        writer.write(f"{head}Content-Length: 900\r\n\r\n--b\r\n".encode())
        await writer.drain()
        begun = [*begun, kind]
        await api.until(lambda: len(api.calls) == 1 + len(begun))
        writer.close()
        await writer.wait_closed()
    await bot.send_message(anna.id, "a")
    await api.until(lambda: len(api.calls) == 5)  # getMe, the three, and the last
    assert [call.ok for call in api.calls] == [True, False, False, False, True] and api.mistakes == []
    assert [call.fault for call in api.calls] == ["", *["broken off"] * 3, ""]


async def test_another_client(api: BotApi, anna: User) -> None:
    session = AiohttpSession(api=TelegramAPIServer.from_base(api.url))
    async with aiogram.Bot(api.token, session=session) as bot:
        upload = aiogram.types.BufferedInputFile(photo(), "a.jpg")
        sent = await bot.send_photo(anna.id, upload, caption="<b>a</b>", parse_mode="HTML")
        assert sent.photo
        file = await bot.get_file(sent.photo[-1].file_id)
        down = await bot.download_file(str(file.file_path))
        assert down and down.read() == photo()
        media = [aiogram.types.InputMediaPhoto(media=upload), aiogram.types.InputMediaPhoto(media=upload)]
        assert len(await bot.send_media_group(anna.id, media)) == 2
        button = aiogram.types.InlineKeyboardButton(text="Yes", callback_data="y")
        markup = aiogram.types.InlineKeyboardMarkup(inline_keyboard=[[button]])
        sent = await bot.send_message(anna.id, "?", reply_markup=markup)
        anna.taps(anna.sees("?"), "Yes")
        update = (await bot.get_updates(offset=-1))[0]
        assert update.callback_query and update.callback_query.message == sent
        await bot.answer_callback_query(update.callback_query.id)
        await bot.edit_message_text("!", chat_id=anna.id, message_id=sent.message_id)
        await bot.delete_message(anna.id, sent.message_id)
    assert api.mistakes == []


# --- an independent server answers the same ------------------------------------------------------------

SAME = ("text", "caption", "reply_markup", "is_bot", "file_name", "update_id")


def alike(ours: Any, theirs: Any) -> None:
    """Where both say something that does not depend on numbers and times, they say the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() & theirs.keys():
            if key in SAME:
                assert ours[key] == theirs[key]
            elif key in ("message", "chat", "document"):
                alike(ours[key], theirs[key])
    elif isinstance(ours, list) and isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            alike(one, other)
    else:
        assert ours == theirs


async def script(bot: tg.Bot, chat: int) -> list[Any]:
    """The same calls for each server; what they give, or how they are refused."""
    data = photo(30, 20)
    results: list[Any] = []

    async def note(call: Any) -> Any:
        try:
            result = await call
        except tg_error.TelegramError as error:
            results.append(f"{type(error).__name__}")
            return None
        as_list = result if isinstance(result, tuple | list) else [result]
        results.append([each.to_dict() if isinstance(each, tg.TelegramObject) else each for each in as_list])
        return result

    await note(bot.get_me())
    sent = await note(bot.send_message(chat, "你好", reply_markup=keyboard(Yes="y")))
    await note(bot.edit_message_text("two", chat, sent.message_id))
    await note(bot.edit_message_reply_markup(chat, sent.message_id, reply_markup=keyboard(No="n")))
    picture = await note(bot.send_photo(chat, data, caption="look"))
    file = await picture.photo[-1].get_file()
    results.append(bytes(await file.download_as_bytearray()) == data)
    await note(bot.send_photo(chat, picture.photo[-1].file_id))
    await note(bot.edit_message_caption(chat, picture.message_id, caption="seen"))
    await note(bot.send_document(chat, b"%PDF", filename="a.pdf", caption="c"))
    await note(bot.send_voice(chat, b"OggS"))
    await note(bot.send_media_group(chat, [tg.InputMediaPhoto(data, caption="1"), tg.InputMediaPhoto(data)]))
    await note(bot.send_chat_action(chat, "typing"))
    await note(bot.set_my_commands([("help", "Help")]))
    await note(bot.delete_my_commands())
    await note(bot.delete_message(chat, sent.message_id))
    await note(bot.send_message(chat, ""))
    await note(bot.send_message(chat, "a" * 4097))
    await note(bot.send_message(chat, "a", reply_markup=keyboard(Yes="y" * 65)))
    await note(bot.send_message(chat, "a", api_kwargs={"nonsense": "1"}))
    await note(bot.send_photo(chat, data, caption="a" * 1025))
    await note(bot.get_file("nonsense"))
    await note(bot.send_photo(chat, "nonsense"))
    await note(bot.send_chat_action(chat, "dance"))
    await note(bot.answer_callback_query("1", "a" * 201))
    await note(bot.set_webhook("http://example.com"))
    await note(bot.set_webhook("https://example.com", secret_token="a b"))
    return results


@asynccontextmanager
async def emulator() -> AsyncIterator[tuple[LoBotApiEmulator, str]]:
    other = LoBotApiEmulator(allow_insecure_loopback_webhooks=True)
    async with running(other.app()) as url:
        yield other, url


async def test_an_independent_server_answers_alike(api: BotApi, bot: tg.Bot, anna: User) -> None:
    ours = await script(bot, anna.id)
    async with emulator() as (_, url), ptb(api.token, url) as other:
        theirs = await script(other, anna.id)
    assert len(ours) == len(theirs)
    for one, another in zip(ours, theirs, strict=True):
        alike(one, another)


async def test_an_independent_server_polls_alike(api: BotApi, bot: tg.Bot, anna: User) -> None:
    await bot.send_message(anna.id, "?", reply_markup=keyboard(Yes="y"))
    anna.taps(anna.sees("?"), "Yes")
    anna.writes("a")
    anna.sends_photo(photo(), "b")
    first = api.updates[0]["update_id"]
    async with emulator() as (other, url), ptb(api.token, url) as theirs:
        for update in api.updates:
            await other.enqueue_update(update, token=api.token)
        for call in (
            {"limit": 2}, {"offset": first + 1, "limit": 1},
            {"offset": -1}, {"offset": first + 9}, {},
        ):  # fmt: skip
            assert await bot.get_updates(**call) == await theirs.get_updates(**call), call


async def test_an_independent_server_posts_alike(clock: Clock) -> None:
    ours, theirs = Hook(), Hook()
    ours.answers, theirs.answers = [500], [500]
    async with (
        serve(now=clock, insecure_webhooks=True, webhook_backoff=0.01) as api,
        emulator() as (other, url),
        listening(ours.take) as our_hook,
        listening(theirs.take) as their_hook,
        client(api) as bot,
        ptb(api.token, url) as their_bot,
    ):
        await bot.set_webhook(our_hook, secret_token="s")
        await their_bot.set_webhook(their_hook, secret_token="s")
        anna = api.user("Anna")
        for text in ("a", "b"):
            anna.writes(text)
            await other.enqueue_update(api.updates[-1], token=api.token)
        await other.deliver_updates(token=api.token)
        await api.until(lambda: not api.pending)
        assert ours.got == theirs.got
        infos = [await each.get_webhook_info() for each in (bot, their_bot)]
        assert [info.pending_update_count for info in infos] == [0, 0]
