"""A community whose owners are on WeChat under WeChat's own limits: the test moves the time and counts the messages."""

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from handlers.notices import publish
from handlers.tell import NEWS, tell
from handlers.tx import Tx
from store.tables import Attempt, Community, Inbox, Link, Outgoing, Person, Place
from tests.bot.hall import move_to_next_try
from tests.people import Building, Phone, StoppedClock
from tests.wechat_api import Answer, Shown, User, WeChatApi
from tests.wechat_people import WechatBuilding, WechatChat

OWNER, NEIGHBOUR, GRANNY = "陈女士", "周先生", "王奶奶"
FIELDS = "thing1=about, thing2=words, time3=time"
MOST_PASSES = 500


class Estate(WechatBuilding):
    """Its owners follow the service account, and nothing may be written to them until they were heard."""

    def __init__(self, data: Path, url: str, clock: StoppedClock, api: WeChatApi, **limits: Any) -> None:
        usual = {"template": api.template, "template_fields": FIELDS, "notification_fields": FIELDS}
        super().__init__(data, url, clock, api, **usual, **{"digest_at": "", **limits})

    def _furnish(self, session: Session) -> Community:
        return Building._furnish(self, session)

    def user(self, name: str) -> User:
        """Somebody's account, who follows the service account and was not heard yet."""
        if name not in self.users:
            self.users[name] = user = self.api.user(name)
            self.screens[name] = WechatChat(self, user)
            user.following = True
        return self.users[name]

    async def sets(self, **limits: Any) -> None:
        """Start again with other settings for WeChat."""
        self.limits |= limits
        await self.restart()

    async def kill(self) -> None:
        """End the program without its end, and start it again on the same data; nothing is delivered yet."""
        await self.app.stop()
        self.app = self._app()

    # --- what happens

    async def says(self, name: str, text: str, **how: Any) -> list[Answer]:
        """Somebody writes, and everything that follows happens."""
        answers = await self.user(name).writes(text, **how)
        await self.settle()
        return answers

    def sealed(self, name: str, **fields: Any) -> tuple[dict[str, str], bytes]:
        """A callback about somebody as WeChat would bring it: its query and body."""
        whole = {
            "ToUserName": self.api.account,
            "FromUserName": self.user(name).openid,
            "CreateTime": int(self.api.now()),
            **fields,
        }
        return self.api.sealed(whole)

    def opened(self, answer: bytes) -> str:
        """The text of a passive reply; "" if there is none."""
        if not answer:
            return ""
        encrypted = ET.fromstring(answer).findtext("Encrypt") or ""
        message, _ = self.api.peer.decrypt(self.api.aes_key, encrypted)
        return ET.fromstring(message).findtext("Content") or ""

    # --- what is written to them

    def write(self, work: Callable[[Tx], Any]) -> Any:
        return self.app.database.write_now(
            lambda session: work(Tx(session, self.clock.now(), self.app.house))
        )

    def person(self, tx: Tx, name: str) -> Person:
        return tx.session.exec(
            select(Person).where(Person.name == name, Person.community_id == self.community.id)
        ).one()

    def tells(self, name: str, words: str, *, lane: int = NEWS, **options: Any) -> None:
        """Write a message to somebody that begins with these words."""
        self.write(
            lambda tx: tell(tx, self.person(tx, name), "thanks.answer", lead=words, lane=lane, **options)
        )

    async def publishes(self, about: str, words: str, **options: Any) -> None:
        """Put a notice on the board and into every owner's chat, at once or into the digest."""
        facts: Any = {"begun": about, "words": words}
        self.write(
            lambda tx: publish(tx, self.community.id, "reach.taken_back", about=about, **facts, **options)
        )
        await self.settle()

    async def delivers(self) -> None:
        """Let timers fire and deliver, moving the time to the next try, until nothing waits."""
        await self.settle()
        for _ in range(MOST_PASSES):
            if not move_to_next_try(self.app):
                return
            await self.settle()
        raise AssertionError(f"this is never delivered: {self.rows(state='waiting')[:3]}")

    # --- what came of it

    def rows(self, name: str = "", **where: Any) -> list[Outgoing]:
        """The ledger's rows to send, to somebody or to all, oldest first."""
        query = select(Outgoing).filter_by(**where)
        if name:
            query = query.where(Outgoing.place_id == self.place(name).id)
        return self.read(query.order_by(col(Outgoing.id)))

    def row(self, name: str, words: str) -> Outgoing:
        """The one row to somebody that begins with these words."""
        (found,) = [row for row in self.rows(name) if row.text.startswith(words)]
        return found

    def tries(self, row: Outgoing) -> list[tuple[str, str]]:
        """The rungs that were tried for a row, each with its error."""
        attempts = select(Attempt).where(Attempt.outgoing_id == row.id).order_by(col(Attempt.id))
        return [(each.rung, each.error) for each in self.read(attempts)]

    def place(self, name: str) -> Place:
        found: Place
        (found,) = self.read(select(Place).where(Place.external_id == self.user(name).openid))
        return found

    def last(self, name: str) -> Shown:
        """What stands last on somebody's screen."""
        return self.user(name).chat[-1]

    def screen(self, name: str) -> list[tuple[str, str]]:
        """What stands on somebody's screen: by which rung it came, and its first line."""
        return [(shown.rung, shown.text.partition("\n")[0]) for shown in self.user(name).chat]

    def clear(self) -> None:
        """Everybody wipes their screen."""
        for user in self.users.values():
            user.chat.clear()

    def calls(self, path: str) -> list[Any]:
        """What was asked of one path."""
        return [payload for called, payload in self.api.calls if called == path]

    @property
    def office(self) -> Phone:
        """The admin group."""
        return self.group("刘经理")

    @property
    def sent(self) -> list[str]:
        """The paths of all messages that were sent, in order."""
        return [path for path, _ in self.api.calls if path.startswith("message/")]

    def heard(self) -> list[Inbox]:
        return self.read(select(Inbox).order_by(col(Inbox.id)))

    def links(self) -> list[Link]:
        return self.read(select(Link).order_by(col(Link.id)))


@asynccontextmanager
async def estate(data: Path, url: str, **limits: Any) -> AsyncIterator[Estate]:
    """An estate on a server of its own; at the end the server has met no mistake of ours."""
    clock = StoppedClock()
    async with WeChatApi(now=lambda: clock.now().timestamp()) as api:
        made = Estate(data, url, clock, api, **limits)
        try:
            yield made
        finally:
            await made.close()
        assert api.mistakes == []


class Stopwatch:
    """Stands in for the module `time` where only seconds are measured."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at
