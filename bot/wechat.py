"""WeChat's service account: a callback becomes a Said, its answers go back in it; what follows climbs a ladder."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import update
from sqlmodel import Session, col, select

from bot.delivery import Blocked, Held, Later, Letter, Taken, Try
from bot.settings import BadSettings
from bot.settings import Wechat as Settings
from bot.wechat_client import AT_ONCE, REFUSED, TOO_MUCH, UPLOADED, Away, Client, Trouble
from bot.wechat_said import NAME, consents, delivered, key_of, media_of, opens, said_from
from bot.wechat_seal import BadCallback, Seal
from bot.wechat_words import Menu, fitting, menu, plain, template_fields, together
from conversations.said import Change, File, Said
from conversations.words import LANGUAGES, texts
from handlers.answers import take
from handlers.digests import words_of
from handlers.inbox import CHINESE, Receipt
from handlers.links import new_link
from handlers.tx import Tx
from store.database import StoreUnavailable
from store.tables import Community, Media, Outgoing, Person, Place, Talk
from store.vault import WrongKey

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

PATIENCE = 4.0
"""Seconds after which a request is too old to be answered: WeChat waits five, and then brings the message again."""
FETCHING = 12.0
"""Seconds that a photo or recording may take: by then WeChat has brought its message three times."""
FETCHING_HEARD = 3.0
"""Seconds that a voice message may take whose words are known: they may tell of danger."""
KEPT_FOR_WORDS = 1
"""How many messages that may still be written freely are not used up by recordings."""
LATER = 600.0
"""Seconds after which what met a daily limit is tried again."""
REMEMBERED = 1000
OLDEST = 24 * 3600.0
DAILY_LIMIT, NOT_FOLLOWED, SPENT = 45009, 43004, (45015, 45047)
NOT_NOW = (-1, *REFUSED, 40013, 40125, 40164, 40243, 41002, 41004, 45011, 89503, 89506, 89507)
"""WeChat is busy, or does not let us in: that says nothing of the reader."""
UNWANTED = 43101
DELIVERED = "success"


class _NextRung(Exception):
    """This way does not reach the reader now."""


class Wechat:
    """The messenger on wechatpy: `take` is its way in, `send` its way out."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self.settings = settings = app.settings.wechat
        self.seal = _seal(settings)
        self.client = Client(settings, app.database, app.settings.vault)
        self.at_once = AT_ONCE
        """How many letters it may have in hand: more would wait for a thread, and then time out."""
        self.taking: dict[str, asyncio.Task[str]] = {}
        """The messages in hand, by key: a repetition waits for the same reply."""
        self.arrived: dict[str, float] = {}
        """When each of them was brought last."""
        self.replies: dict[str, str] = {}
        """The last replies, by key: a repetition gets the very same."""
        self.turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One chat's messages act one after another."""

    async def close(self) -> None:
        """Let go of the connections."""
        await self.client.close()

    # --- the way in ---

    async def called(self, query: Mapping[str, str], body: bytes) -> bytes:
        """Let a callback act; its answer, which may be empty, once all that it caused is committed.

        BadCallback for what WeChat has not sent; StoreUnavailable when nothing could be kept.
        """
        fields = self.seal.open(query, body)
        self._check_age(fields)
        words = await self.take(fields)
        if not words:
            return b""
        at = int(fields["CreateTime"])
        return self.seal.reply(words, to=fields["FromUserName"], from_=fields["ToUserName"], at=at)

    def _check_age(self, fields: Mapping[str, Any]) -> None:
        """Refuse what is sent again after a day: it may be forgotten by then that it has acted."""
        now = self.app.clock.now() - self.app.clock.shift
        if not abs(now.timestamp() - int(fields["CreateTime"])) < OLDEST:
            raise BadCallback(403, "it was made long ago, or the clock is wrong")

    async def take(self, fields: Mapping[str, Any]) -> str:
        """Let one message act, once; the words of its reply, "" if there are none. A repetition gets the same."""
        said = self._said(fields)
        if said is None:
            return ""
        if said.key in self.replies:
            return self.replies[said.key]
        self.arrived[said.key] = time.monotonic()
        if said.key not in self.taking:
            task = asyncio.create_task(self._take_in_turn(said, media_of(fields)))
            self.taking[said.key] = task
            task.add_done_callback(partial(self._taken, said.key))
        return await asyncio.shield(self.taking[said.key])

    def _said(self, fields: Mapping[str, Any]) -> Said | None:
        now = self.app.clock.now()
        finished, agreed = delivered(fields), consents(fields)
        change = None
        if finished is not None:
            message, status = finished
            if status == DELIVERED:
                return None
            change = Change(kind="undelivered", message=message, reason=status)
        elif agreed:
            change = Change(kind="consents", consents=agreed)
        if change is not None:
            openid = fields["FromUserName"]
            return Said(
                messenger=NAME, key=key_of(fields), place=openid, sender=openid, at=now, change=change
            )
        said, opened = said_from(fields, self.settings, now), opens(fields, self.settings)
        if said is None or opened is None:
            return said
        return said.model_copy(update={"opens": (opened[0], opened[1].total_seconds())})

    def _taken(self, key: str, task: "asyncio.Task[str]") -> None:
        del self.taking[key]
        self.arrived.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        if len(self.replies) >= REMEMBERED:
            del self.replies[next(iter(self.replies))]
        self.replies[key] = task.result()

    async def _take_in_turn(self, said: Said, media: str) -> str:
        files = said.files
        if media and files:
            files = (await self._fetched(files[0], media),)
        turn = self.turns.setdefault(said.place, asyncio.Lock())
        async with turn:
            return await self._receive(said.model_copy(update={"files": files}))

    async def _fetched(self, file: File, media: str) -> File:
        """The photo or recording, fetched at once: WeChat keeps it for three days only."""
        try:
            async with asyncio.timeout(FETCHING_HEARD if file.heard else FETCHING):
                data = await self.client.fetch_media(media)
        except (Trouble, Away, TimeoutError) as error:
            log.warning("a file does not come", kind=file.kind, error=str(error))
            large = isinstance(error, Away) and error.reason == TOO_MUCH
            return file.model_copy(update={"problem": "too_large" if large else "not_fetched"})
        kept = await self.app.keep(file.kind, data)
        return kept.model_copy(update={"heard": file.heard})

    async def _receive(self, said: Said) -> str:
        reply = ""

        def claim(session: Session, receipt: Receipt) -> None:
            nonlocal reply
            reply = self._reply(session, said, receipt)

        await self.app.receive(said, claim)
        return reply

    def _reply(self, session: Session, said: Said, receipt: Receipt) -> str:
        """The answers to a message that go back with it, as one text; "" if its request is too old for that."""
        place = self._place(session, said.place)
        speaks = _Speaks(self.app, session, place)
        now = self.app.clock.now()
        late = self._age(said.key) > PATIENCE
        if late and receipt.new:
            return ""
        rows = take(
            session,
            receipt,
            rung="passive",
            now=now,
            fits=speaks.fitting,
        )
        return speaks.together(rows)

    def _age(self, key: str) -> float:
        """Seconds since a message was brought last."""
        now = time.monotonic()
        return now - self.arrived.get(key, now)

    def _place(self, session: Session, openid: str) -> Place:
        found = select(Place).where(Place.messenger == NAME, Place.external_id == openid)
        return session.exec(found).one()

    # --- the way out ---

    async def send(self, letter: Letter) -> Taken:
        """Deliver one letter by the first rung that reaches its reader; raises Later, Blocked or Held.

        What cannot be changed is said anew; the buttons of a message that have done their work stay as they are.
        """
        row = letter.row
        if row.change == "close":
            return Taken(letter.message_id)
        followed = True
        for name, rung in self._ladder():
            try:
                return await rung(letter)
            except _NextRung as error:
                letter.missed.append(Try(name, str(error)))
            except Away as error:
                await self._give_back(name, letter.place)
                raise Later(str(error)) from None
            except Trouble as error:
                if error.code not in (*SPENT, UNWANTED):
                    await self._give_back(name, letter.place)
                if error.code in NOT_NOW:
                    raise Later(str(error)) from None
                if error.code == DAILY_LIMIT:
                    raise Later(str(error), LATER, halts=True) from None
                letter.missed.append(Try(name, str(error)))
                followed = followed and error.code != NOT_FOLLOWED
                await self._learn(letter.place, error.code)
        if not followed:
            raise Blocked("the account is not followed")
        raise Held("no rung reaches its reader")

    def _ladder(self) -> list[tuple[str, Callable[[Letter], Awaitable[Taken]]]]:
        return [
            ("free", self._freely),
            ("template", self._by_template),
            ("notification", self._by_notification),
        ]

    async def _freely(self, letter: Letter) -> Taken:
        """What may be written for a while after the reader was heard."""
        shown = await self.app.database.write(partial(self._spend_free, letter=letter))
        if shown is None:
            raise _NextRung("nothing may be written freely now")
        words, choices = shown
        openid = letter.place.external_id
        if choices is not None:
            await self.client.send_menu(openid, choices.head, choices.options, "")
        else:
            await self.client.send_text(openid, words)
        if letter.row.photos:
            await self._play(letter)
        return Taken(str(letter.row.id), rung="free")

    async def _play(self, letter: Letter) -> None:
        """The recordings of a letter whose words are out, as far as WeChat takes them and there is room.

        The words say where they are in any case: whatever goes wrong here must not bring those again.
        """
        openid = letter.place.external_id
        try:
            for file in await asyncio.to_thread(self._recordings, letter.row.photos):
                data = await asyncio.to_thread(self.app.media.read_as, file.mime, file.storage)
                media_id = await self.client.upload_recording(data, file.mime)
                if not await self.app.database.write(partial(self._spend_one, place_id=letter.place.id)):
                    return
                try:
                    await self.client.send_recording(openid, file.mime, media_id)
                except Trouble as trouble:
                    if trouble.code not in SPENT:
                        await self._give_back("free", letter.place)
                    await self._learn(letter.place, trouble.code)
                    raise
        except (Trouble, Away, StoreUnavailable, FileNotFoundError, WrongKey) as error:
            log.warning("a recording was not sent", outgoing=letter.row.id, error=str(error))

    def _recordings(self, ids: Sequence[int]) -> list[Media]:
        """Those of the files of a letter that WeChat plays."""
        with self.app.database.read() as session:
            found = session.exec(select(Media).where(col(Media.id).in_(ids)).order_by(col(Media.id))).all()
        return [each for each in found if each.mime in UPLOADED and each.size <= UPLOADED[each.mime][2]]

    def _spend_one(self, session: Session, place_id: int) -> bool:
        """Use one message up that may be written freely, if there is one beside what is kept for words."""
        room = (col(Place.free_left) > KEPT_FOR_WORDS, col(Place.free_until) > self.app.clock.now())
        spent = update(Place).where(col(Place.id) == place_id, *room)
        return bool(session.connection().execute(spent.values(free_left=Place.free_left - 1)).rowcount)

    def _spend_free(self, session: Session, letter: Letter) -> tuple[str, Menu | None] | None:
        """What is shown of the letter, with one message less to write freely; None if there is none left."""
        now = self.app.clock.now()
        spent = session.connection().execute(
            update(Place)
            .where(col(Place.id) == letter.place.id, col(Place.free_left) > 0, col(Place.free_until) > now)
            .values(free_left=Place.free_left - 1)
        )
        if not spent.rowcount:
            return None
        speaks = _Speaks(self.app, session, letter.place)
        words = speaks.words(letter.row)
        chosen = menu(letter.row, words, speaks.language, speaks.link, asks=speaks.asks, kinds=speaks.kinds)
        if chosen is not None:
            return words, chosen
        return speaks.alone(letter.row, words), None

    async def _by_template(self, letter: Letter) -> Taken:
        """A notice of fixed form, which leads to the page of the matter."""
        settings = self.settings
        if not settings.template:
            raise _NextRung("no template is set")
        url, fields = await self._page(letter, settings.template_fields)
        openid, once = letter.place.external_id, str(letter.row.id)
        number = await self.client.send_template(openid, settings.template, url, fields, once=once)
        return Taken(str(letter.row.id), (number,), rung="template")

    async def _by_notification(self, letter: Letter) -> Taken:
        """A notice to which the reader has agreed, once."""
        settings = self.settings
        if not settings.notification:
            raise _NextRung("no notification is set")
        if not await self.app.database.write(partial(self._spend_consent, place_id=letter.place.id)):
            raise _NextRung("the reader has agreed to no further notification")
        url, fields = await self._page(letter, settings.notification_fields)
        await self.client.send_notification(letter.place.external_id, settings.notification, url, fields)
        return Taken(str(letter.row.id), rung="notification")

    def _spend_consent(self, session: Session, place_id: int) -> bool:
        place = session.exec(select(Place).where(Place.id == place_id).with_for_update()).first()
        left = place.consents.get(self.settings.notification, 0) if place is not None else 0
        if place is None or left < 1:
            return False
        place.consents = {**place.consents, self.settings.notification: left - 1}
        session.add(place)
        return True

    async def _give_back(self, rung: str, place: Place) -> None:
        """What WeChat did not take, as far as we know, has used nothing up; it says so if it has."""

        def work(session: Session) -> None:
            there = session.exec(select(Place).where(Place.id == place.id).with_for_update()).first()
            if there is None:
                return
            if rung == "free" and there.free_left < self.settings.free_messages:
                there.free_left += 1
            elif rung == "notification":
                left = there.consents.get(self.settings.notification, 0)
                there.consents = {**there.consents, self.settings.notification: left + 1}
            session.add(there)

        if rung != "template":
            await self.app.database.write(work)

    async def _page(self, letter: Letter, shows: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """The address of the letter's page, and what the fields of a template show of it."""

        def work(session: Session) -> tuple[str, dict[str, str]]:
            speaks = _Speaks(self.app, session, letter.place)
            fields = template_fields(
                shows, speaks.words(letter.row), speaks.kind(letter.row), letter.row.created_at, speaks.zone
            )
            return speaks.link(letter.row), fields

        return await self.app.database.write(work)

    async def _learn(self, place: Place, code: int) -> None:
        """What an error tells of what the reader still takes."""
        if code in SPENT:
            values: dict[str, Any] = {"free_left": 0}
        elif code == UNWANTED:
            values = {"consents": {}}
        else:
            return
        spent = update(Place).where(col(Place.id) == place.id).values(**values)
        await self.app.database.write(lambda session: session.connection().execute(spent))


def _seal(settings: Settings) -> Seal:
    """What opens the callbacks; BadSettings for a key that is none."""
    try:
        return Seal(settings.token.get_secret_value(), settings.aes_key.get_secret_value(), settings.app_id)
    except ValueError:
        raise BadSettings(
            "wechat.aes_key：EncodingAESKey 应为 43 位字母或数字，没有空格。"
            "An EncodingAESKey has 43 letters and digits, without spaces."
        ) from None


class _Speaks:
    """How a private chat's holder reads, within one transaction."""

    def __init__(self, app: "App", session: Session, place: Place) -> None:
        self.app, self.session, self.place = app, session, place
        self.tx = Tx(session, app.clock.now(), app.house)
        person = session.get(Person, place.person_id) if place.person_id else None
        community = session.get(Community, place.community_id) if place.community_id else None
        self.known = person is not None
        self.language = (person and person.language) or (community and community.language) or LANGUAGES[0]
        self.zone = community.time_zone if community else "Asia/Shanghai"
        open_talk = select(Talk.id).where(Talk.place_id == place.id).limit(1)
        self.asks = session.exec(open_talk).first() is not None

    def kind(self, row: Outgoing) -> str:
        """What a row is about, in a word or two."""
        own = (row.card or "").partition(":")[0] in ("mine", "repair", "look")
        return texts(self.language)["reach.about_repair" if own else "reach.about_notice"]

    def words(self, row: Outgoing) -> str:
        """What a row says to somebody who did nothing to cause it."""
        return self.app.house.vault.reveal(words_of(self.session, row, self.language))

    def fitting(self, rows: Sequence[Outgoing]) -> int:
        """How many of these answers, from the first on, go into one text."""
        said = self._said(rows)
        count = fitting(said, self._language_of(rows), self.link, asks=self.asks, kinds=self.kinds)
        return len(rows) if count == len(said) else list(rows).index(said[count][0])

    def together(self, rows: Sequence[Outgoing]) -> str:
        """These answers as one text."""
        language = self._language_of(rows)
        return together(self._said(rows), language, self.link, asks=self.asks, kinds=self.kinds)

    def alone(self, row: Outgoing, words: str) -> str:
        """One row as a text."""
        return together([(row, words)], self.language, self.link, asks=self.asks, kinds=self.kinds)

    def kinds(self, row: Outgoing) -> Sequence[str]:
        """The kind of each file of a row."""
        return self.session.exec(select(Media.kind).where(col(Media.id).in_(row.photos))).all()

    def _language_of(self, rows: Sequence[Outgoing]) -> str:
        """That of the words, where nobody knows yet who reads them."""
        if self.known or not rows:
            return self.language
        return "zh" if any(CHINESE.search(row.text) for row in rows) else "en"

    def _said(self, rows: Sequence[Outgoing]) -> list[tuple[Outgoing, str]]:
        """Each row that says something, with its words; a change that somebody caused is the answer."""
        reveal = self.app.house.vault.reveal
        return [
            (row, self.words(row) if row.change == "delete" else reveal(plain(row)))
            for row in rows
            if row.change != "close"
        ]

    def link(self, row: Outgoing) -> str:
        """The address of the page of a row."""
        house = self.tx.house
        assert house.page is not None
        return house.page(new_link(self.tx, self.place, outgoing_id=row.id, hours=house.link_hours))
