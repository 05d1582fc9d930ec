"""How the bot introduces itself on Telegram: its commands, name, description and menu, in both languages."""

from collections.abc import Callable
from typing import Any

import structlog
from telegram import Bot, BotCommand, BotCommandScopeAllPrivateChats, BotCommandScopeChat, MenuButtonCommands
from telegram.error import TelegramError

from conversations.words import texts

log = structlog.get_logger()

# Telegram's language codes: whoever reads none of the others sees the first.
READERS = {"": "zh", "en": "en"}
PRIVATE = (
    "repair",
    "board",
    "sell",
    "complain",
    "public",
    "votes",
    "purchase",
    "purchases",
    "my",
    "overdue",
    "figures",
    "notices",
    "disclosures",
    "rules",
    "equipment",
    "agents",
    "notify",
    "mute",
    "mydata",
    "forget",
    "language",
    "help",
)
GROUP = (
    "public",
    "waiting",
    "tickets",
    "notice",
    "notices",
    "disclosures",
    "incidents",
    "overdue",
    "figures",
    "times",
    "rulings",
    "rules",
    "votes",
    "poll",
    "purchases",
    "home",
    "crew",
    "committee",
    "manager",
    "roster",
    "equipment",
    "spots",
    "canvass",
    "papers",
    "audit",
    "link",
    "help",
)


async def introduce(bot: Bot) -> None:
    """Set what differs from what Telegram shows now; what it refuses is logged, and tried at the next start."""
    for code, language in READERS.items():
        words = texts(language)
        await _commands(bot, PRIVATE, code, BotCommandScopeAllPrivateChats())
        for get, name, set_, value in (
            (bot.get_my_name, "name", bot.set_my_name, words["introduction.name"]),
            (
                bot.get_my_description,
                "description",
                bot.set_my_description,
                words["introduction.description"],
            ),
            (
                bot.get_my_short_description,
                "short_description",
                bot.set_my_short_description,
                words["introduction.short"],
            ),
        ):
            await _settle(get, name, set_, value, code)
    try:
        await bot.set_chat_menu_button(menu_button=MenuButtonCommands())
    except TelegramError as error:
        log.warning("the menu button was not set", error=str(error))


async def introduce_group(bot: Bot, chat: str) -> None:
    """Show the admin group its own commands."""
    for code in READERS:
        await _commands(bot, GROUP, code, BotCommandScopeChat(chat))


async def _commands(bot: Bot, names: tuple[str, ...], code: str, scope: Any) -> None:
    words = texts(READERS[code])
    wanted = tuple(BotCommand(name, words[f"introduction.command.{name}"]) for name in names)
    try:
        if await bot.get_my_commands(scope, code or None) != wanted:
            await bot.set_my_commands(wanted, scope, code or None)
    except TelegramError as error:
        log.warning("the commands were not set", language=code, error=str(error))


async def _settle(
    get: Callable[..., Any], name: str, set_: Callable[..., Any], value: str, code: str
) -> None:
    """Telegram lets a bot set these only a few times a day."""
    try:
        if getattr(await get(language_code=code or None), name) != value:
            await set_(value, language_code=code or None)
    except TelegramError as error:
        log.warning("the introduction was not set", what=name, language=code, error=str(error))
