"""Linli on Telegram when everything fails: refusals, lost answers, repetitions, strange updates, servers away."""

import asyncio
import json
import logging
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import telegram
from sqlmodel import Session, col, select
from structlog.testing import capture_logs
from telegram.error import Conflict

from bot.app import App
from bot.delivery import Letter, Taken
from bot.web import MOST_BYTES, Server, web
from conversations.said import Said
from handlers.notices import publish
from handlers.tell import BROADCAST, NEWS, tell
from handlers.tx import Tx
from store.database import StoreUnavailable
from store.tables import Attempt, Inbox, Media, Outgoing, Person, Place, Repair
from tests.bot.hall import (
    NAMES,
    Hall,
    ToldApi,
    at_random,
    hall,
    impatient_bot,
    made_app,
    move_to_next_try,
    open_port,
    some_turns,
)
from tests.bot.strange_updates import Strange
from tests.bot.test_telegram import MEMBERS, Town, goes_the_whole_way
from tests.bot_api import Group, How, Refused, User, flooded
from tests.bot_api_facts import bad
from tests.people import photo

BEFORE: dict[str, How] = {
    "429": flooded(30),
    "500": 500,
    "502": 502,
    "timeout": "timeout",
    "reset": "reset",
    "garbage": "garbage",
}
"""What keeps a message from being accepted."""
AFTER: dict[str, How] = {each: each for each in ("timeout_accepted", "reset_accepted", "garbage_accepted")}
"""What keeps only the answer from us: the message stands there."""
TRANSIENT = {**BEFORE, **AFTER}
CHATS, EACH = 40, 5


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library writes a long log of every answer that is no JSON."""
    monkeypatch.setattr(logging.getLogger("telegram.request.BaseRequest"), "disabled", True)


# --- two hundred messages -----------------------------------------------------------------------------


def write_many(there: Hall, owners: list[User], each: int = EACH) -> None:
    """So many rows for each owner's chat, each with a text of its own."""

    def work(session: Session) -> None:
        places = {
            place.external_id: place
            for place in session.exec(select(Place).where(Place.messenger == "telegram"))
        }
        for number in range(each):
            for user in owners:
                place = places[str(user.id)]
                session.add(
                    Outgoing(
                        community_id=there.community.id,
                        person_id=place.person_id,
                        place_id=place.id,
                        lane=NEWS,
                        text=f"{user.first_name}：第{number}条",
                        created_at=there.app.clock.now(),
                    )
                )

    there.app.database.write_now(work)


def lost_answers(there: Hall) -> int:
    """How often Telegram accepted a message and we never heard of it."""
    return sum(call.ok and bool(call.fault) for call in there.api.calls if call.method == "sendMessage")


def check_ledger(there: Hall, rows: list[Outgoing]) -> None:
    """Each row is sent and stands in its chat, or is laid aside with its reason; each try is in the ledger."""
    tries: dict[int, list[str]] = defaultdict(list)
    for attempt in there.read(select(Attempt).order_by(col(Attempt.id))):
        tries[attempt.outgoing_id].append(attempt.error)
    failed_calls = Counter(
        call.params["text"]
        for call in there.api.calls
        if call.method == "sendMessage" and (call.fault or not call.ok)
    )
    chats = {
        place.id: there.api.chats[int(place.external_id)]
        for place in there.read(select(Place).where(Place.messenger == "telegram"))
    }
    for row in rows:
        assert row.place_id is not None
        standing = [shown.message_id for shown in chats[row.place_id].from_bot if shown.text == row.text]
        if row.state == "sent":
            assert int(row.message_id) in standing
            assert row.error == ""
            assert tries[row.id].count("") == 1
            assert tries[row.id][-1] == ""
        else:
            assert row.state in ("failed", "unreachable")
            assert row.error
            assert "" not in tries[row.id]
        assert all(tries[row.id][:-1])
        if len({each.text for each in rows}) == len(rows):
            assert len([error for error in tries[row.id] if error]) == failed_calls[row.text]


def check_order(there: Hall, rows: list[Outgoing]) -> None:
    """In each chat the messages came in the order of their rows; one that came twice, at once again."""
    wanted: dict[int | None, list[str]] = defaultdict(list)
    for row in rows:
        if row.state == "sent":
            wanted[row.place_id].append(row.text)
    for place_id, texts in wanted.items():
        with there.app.database.read() as session:
            chat = int(session.get_one(Place, place_id).external_id)
        came = [sent.text for sent in there.api.accepted if sent.chat_id == chat]
        assert [text for at, text in enumerate(came) if at == 0 or came[at - 1] != text] == texts


@pytest.mark.parametrize("name", TRANSIENT)
async def test_two_hundred_messages_come_through_a_fault(tmp_path: Path, name: str) -> None:
    """What fails for a while is sent in the end; double is only what was accepted without our hearing of it."""
    async with hall(tmp_path / "data") as there:
        write_many(there, there.add_owners(CHATS))
        there.api.fails_by(at_random(random.Random(1), [TRANSIENT[name]], ["sendMessage"], share=0.4))
        await there.delivers()
        rows = there.rows()
        assert {row.state for row in rows} == {"sent"}
        check_ledger(there, rows)
        check_order(there, rows)
        counts = there.api.counts()
        assert len(counts) == len(rows) == CHATS * EACH
        assert sum(counts.values()) - len(rows) == lost_answers(there)
        assert (lost_answers(there) > 20) == (name in AFTER)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_notice_to_two_hundred_owners_comes_through_all_faults(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    """Some owners have blocked us, one message is refused for good, and all else that can fail does."""
    chance = random.Random(seed)
    async with hall(tmp_path / "data", store={"data": str(tmp_path / "data"), "url": database_url}) as there:
        owners = there.add_owners(200)
        gone = chance.sample(owners, 12)
        for user in gone[:8]:
            user.blocked = True
        for user in gone[8:]:
            user.started = False
        refused = chance.sample([user for user in owners if user not in gone], 8)
        for user in refused:
            there.api.fails("sendMessage", bad("the message is not wanted"), chat=user.id)
        there.write(lambda tx: publish(tx, there.community.id, "my.none", about="repair:1"))
        there.api.fails_by(at_random(chance, list(TRANSIENT.values()), ["sendMessage"], share=0.4))
        await there.delivers()
        rows = [row for row in there.rows(lane=BROADCAST) if row.place_id is not None]
        assert len(rows) == 202  # the owner and the neighbour of the roster
        check_ledger(there, rows)
        assert Counter(row.state for row in rows) == {"sent": 182, "unreachable": 12, "failed": 8}
        chats = Counter(sent.chat_id for sent in there.api.accepted if sent.chat_id != there.board.id)
        assert not chats.keys() & {user.id for user in (*gone, *refused)}
        doubled = sum(there.api.counts().values()) - len(there.api.counts())
        assert doubled == lost_answers(there) > 0
        blocked = there.read(select(Place.external_id).where(col(Place.blocked_at).is_not(None)))
        assert sorted(blocked) == sorted(str(user.id) for user in gone)


async def test_a_chat_that_blocks_us_in_between_loses_only_its_own(tmp_path: Path) -> None:
    async with hall(tmp_path / "data") as there:
        owners = there.add_owners(CHATS)
        write_many(there, owners)
        forbidden = Refused(403, "Forbidden: bot was blocked by the user")
        for number, user in enumerate(owners[:10]):
            there.api.fails("sendMessage", forbidden, chat=user.id, after=number % EACH)
        await there.delivers()
        rows = there.rows()
        lost = sum(EACH - number % EACH for number in range(10))
        assert Counter(row.state for row in rows) == {"sent": len(rows) - lost, "unreachable": lost}
        assert {row.error for row in rows if row.state == "unreachable"} == {str(forbidden.description)}
        check_order(there, rows)


async def test_what_is_refused_for_good_does_not_hold_up_its_chat(tmp_path: Path) -> None:
    async with hall(tmp_path / "data") as there:
        owners = there.add_owners(CHATS)
        write_many(there, owners)
        for number, user in enumerate(owners):
            there.api.fails("sendMessage", bad("it is not wanted"), chat=user.id, after=number % EACH)
        await there.delivers()
        rows = there.rows()
        assert Counter(row.state for row in rows) == {"sent": len(rows) - CHATS, "failed": CHATS}
        check_ledger(there, rows)
        check_order(there, rows)


# --- a repair through everything ----------------------------------------------------------------------


def all_faults(chance: random.Random) -> Any:
    """The first call of each method fails, and then a third of them all.

    A file fails at most twice before it comes, since we try thrice; of the first one both of its calls.
    """
    hows = list(TRANSIENT.values())
    called: set[str] = set()
    failed_fetches = 0

    def choose(method: str, params: dict[str, Any]) -> How | None:
        nonlocal failed_fetches
        how = chance.choice(hows) if method not in called or chance.random() < 0.35 else None
        called.add(method)
        if method in ("getFile", "file"):
            how = None if failed_fetches == (2 if "file" in called else 1) else how
            if how is not None:
                failed_fetches += 1
            elif method == "file":
                failed_fetches = 0
        return how

    return choose


class Moving:
    """Moves the time of a running program to the next try, as often as something waits for it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.task = asyncio.create_task(self._move())

    async def _move(self) -> None:
        while True:
            await asyncio.sleep(0.02)  # lets the client and the server work; no verdict hangs on it
            if not self.app.delivery.busy:
                move_to_next_try(self.app)
                self.app.delivery.wake.set()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class FaultyTown(Town):
    """Bears what is sent twice."""

    def are_one(self, found: list[Any]) -> bool:
        """A message whose answer was lost is sent again, and the first one stands there, too, with its buttons."""
        return len({each.text for each in found}) == 1


@asynccontextmanager
async def running(data: Path, **sections: Any) -> AsyncIterator[FaultyTown]:
    """The program, running with polling or by the webhook, and its town."""
    async with ToldApi(insecure_webhooks=True) as api:
        app = made_app(data, api, **sections)
        await app.start()
        moving = Moving(app)
        try:
            yield FaultyTown(app, api)
        finally:
            await moving.stop()
            await app.stop()
        assert api.mistakes == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_repair_goes_its_whole_way_through_all_faults(tmp_path: Path, seed: int) -> None:
    async with running(tmp_path / "data") as town:
        await town.moves_in()
        town.api.fails_by(all_faults(random.Random(seed)))
        await goes_the_whole_way(town)
        await until_delivered(town)
        assert [
            (row.text, row.error) for row in town.read(select(Outgoing).where(Outgoing.state == "failed"))
        ] == []
        assert town.read(select(Inbox).where(Inbox.state == "failed")) == []
        (repair,) = town.read(select(Repair))
        assert repair.state == "closed"
        assert len(town.read(select(Media).where(Media.about == f"repair:{repair.id}"))) >= 3
        failed = {call.method for call in town.api.calls if call.fault or "Too Many" in call.description}
        wanted = {"getUpdates", "sendMessage", "getFile", "file", "answerCallbackQuery", "editMessageText"}
        assert wanted <= failed


async def until_delivered(town: Town) -> None:
    """Until every update is confirmed and nothing waits."""
    waiting = select(Outgoing).where(Outgoing.state == "waiting")
    await town.api.until(lambda: not town.api.pending and not town.read(waiting))


async def test_a_deletion_whose_answer_was_lost_is_done(tmp_path: Path) -> None:
    """Telegram says then that there is no such message: it is gone, as it was to be."""
    async with hall(tmp_path / "data") as there:
        there.people["owner"].writes("电梯里困了人")
        await there.settles()
        shown = there.people["neighbour"].sees("电梯")
        there.api.fails("deleteMessage", "reset_accepted")
        there.people["owner"].taps(there.people["owner"].sees("", "撤回"), "撤回")
        await there.settles()
        assert shown.message_id not in there.people["neighbour"].chat.kept
        assert {row.state for row in there.rows(change="delete")} == {"sent"}


async def test_a_change_whose_answer_was_lost_is_done(tmp_path: Path) -> None:
    async with hall(tmp_path / "data") as there:
        owner, crew = there.people["owner"], there.people["crew"]
        owner.writes("电梯里困了人")
        await there.settles()
        for how in AFTER.values():
            there.api.fails("editMessageText", how)
        crew.taps(crew.sees("", "接单"), "接单")
        await there.settles()
        assert {row.state for row in there.rows() if row.place_id is not None} == {"sent"}
        assert "not modified" in "".join(call.description for call in there.api.calls)


@pytest.mark.parametrize("late", ["the ledger", "Telegram's answer"])
async def test_who_answers_before_the_ledger_knows_what_waits_for_it(
    late: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went to thousands is written down after all else, and a message may be read before Telegram tells us so."""
    monkeypatch.setattr("bot.delivery.KNOWN_WITHIN", 600)
    async with hall(tmp_path / "data") as there:
        owner, write, gate = there.people["owner"], there.app.database.write, asyncio.Event()
        send = there.app.delivery.senders["telegram"]

        async def write_late(work: Any, *, behind: bool = False) -> Any:
            if behind and late == "the ledger":
                await gate.wait()
            return await write(work, behind=behind)

        async def send_late(letter: Letter) -> Taken:
            taken = await send(letter)
            if late != "the ledger":
                await gate.wait()
            return taken

        def announce(tx: Tx) -> None:
            person = tx.session.exec(select(Person).where(Person.name == NAMES["owner"])).one()
            tell(tx, person, "thanks.answer", lane=BROADCAST, buttons=["help"])

        there.write(announce)
        monkeypatch.setattr(there.app.database, "write", write_late)
        monkeypatch.setitem(there.app.delivery.senders, "telegram", send_late)  # type: ignore[arg-type]
        sending = asyncio.ensure_future(there.app.delivery.once())
        await there.api.until(lambda: owner.sees("", "帮助"))
        owner.taps(owner.sees("", "帮助"), "帮助")
        taking = asyncio.ensure_future(there.takes(there.fresh_updates()))
        await asyncio.wait({taking}, timeout=0.2)
        assert not taking.done() and not sending.done()
        gate.set()
        await asyncio.gather(sending, taking)
        await there.delivers()
        owner.sees("", "报修")


async def test_who_answers_what_cannot_be_written_down_is_heard_after_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.delivery.KNOWN_WITHIN", 0.01)
    async with hall(tmp_path / "data") as there:
        owner = there.people["owner"]
        endless = asyncio.ensure_future(asyncio.sleep(600))
        there.app.delivery.sending["telegram", str(owner.id)] = endless
        owner.writes("帮助")
        await there.settles()
        owner.sees("", "报修")
        assert endless.cancel()


# --- everything three times ---------------------------------------------------------------------------

TALK: list[Callable[[Hall], Any]] = [
    lambda there: there.people["owner"].writes("报修"),
    lambda there: tap(there, "owner", "我家"),
    lambda there: there.people["owner"].writes("厨房水龙头滴水"),
    lambda there: tap(there, "owner", "随时可以"),
    lambda there: there.people["owner"].sends_album([photo(30), photo(31), photo(32)]),
    lambda there: tap(there, "owner", "好了"),
    lambda there: tap(there, "owner", "提交"),
    lambda there: tap(there, "plumber", "接单"),
    lambda there: tap(there, "plumber", "我出发了"),
    lambda there: there.people["boss"].writes("/tickets", there.office),
    lambda there: tap(there, "plumber", "修好了"),
    lambda there: there.people["plumber"].sends_photo(photo(50), caption="换了垫圈"),
    lambda there: tap(there, "plumber", "好了"),
    lambda there: tap(there, "owner", "确认修好"),
]


def tap(there: Hall, role: str, label: str) -> None:
    person = there.people[role]
    person.taps(person.sees("", label), label)


Way = Callable[[list[dict[str, Any]]], Awaitable[None]]


def webhook_of(there: Hall) -> httpx.AsyncClient:
    """A client of our own pages that brings Telegram's secret."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=web(there.app)),
        base_url="http://linli",
        headers={"X-Telegram-Bot-Api-Secret-Token": there.telegram.secret},
    )


ADDRESS = {"web": {"address": "https://linli.example"}, "playground": {"enabled": False}}


async def talked(there: Hall, takes: Way) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """The whole talk; its updates, and what everybody was told."""
    updates = []
    for step in TALK:
        step(there)
        fresh = there.fresh_updates()
        updates += fresh
        await takes(fresh)
        await there.delivers()
    chats = {**there.people, "office": there.office, "board": there.board}
    told = {
        name: [sent.text for sent in there.api.accepted if sent.chat_id == chat.id]
        for name, chat in chats.items()
    }
    return updates, told


@pytest.mark.parametrize("way", ["take", "webhook"])
async def test_every_update_three_times_has_one_effect(tmp_path: Path, database_url: str, way: str) -> None:
    chance = random.Random(7)
    async with hall(tmp_path / "once") as once:
        _, told_once = await talked(once, once.takes)
    store = {"data": str(tmp_path / "thrice"), "url": database_url}
    async with hall(tmp_path / "thrice", store=store, **ADDRESS) as there, webhook_of(there) as client:

        async def thrice(updates: list[dict[str, Any]]) -> None:
            many = chance.sample(updates * 3, len(updates) * 3)
            if way == "take":
                await there.takes(many)
                return
            answers = await asyncio.gather(*(client.post("/telegram", json=raw) for raw in many))
            assert {answer.status_code for answer in answers} == {200}

        updates, told = await talked(there, thrice)
        await thrice(updates)  # the whole talk again, in any order
        await there.delivers()
        assert told == told_once
        assert len(there.read(select(Inbox))) == len(updates)
        assert {row.state for row in there.read(select(Inbox))} == {"done"}
        (repair,) = there.read(select(Repair))
        assert repair.state == "closed"
        assert len(there.read(select(Media))) == 4
        assert sum(map(len, told.values())) == len(there.api.accepted)


# --- the webhook --------------------------------------------------------------------------------------


async def test_the_webhook_lets_only_telegram_in(tmp_path: Path) -> None:
    async with hall(tmp_path / "data", **ADDRESS) as there, webhook_of(there) as client:
        there.people["owner"].writes("/help")
        (raw,) = there.fresh_updates()
        name = "X-Telegram-Bot-Api-Secret-Token"
        for secret in ("", "x", there.telegram.secret[:-1], there.telegram.secret + "0", "é"):
            answer = await client.post("/telegram", json=raw, headers={name: secret.encode()})
            assert answer.status_code == 403
        client.headers.pop(name)
        assert (await client.post("/telegram", json=raw)).status_code == 403
        assert (await client.get("/telegram")).status_code == 405
        assert there.read(select(Inbox)) == []


async def test_the_webhook_refuses_what_is_no_update(tmp_path: Path) -> None:
    async with hall(tmp_path / "data", **ADDRESS) as there, webhook_of(there) as client:
        garbage = (
            b"", b"{", b"[]", b"7", b"null", b'"x"', b"{}", b"\xff\xfe", b'{"update_id": null}', b'{"update_id": "x"}',
            b'{"update_id": []}', b'{"update_id": NaN}', b'{"update_id": 1e999}', b"[" * 200_000,
            b'{"update_id": 1, "message": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        )  # fmt: skip
        for body in garbage:
            answer = await client.post("/telegram", content=body)
            assert answer.status_code == 400, body[:40]
        answer = await client.post("/telegram", content=b" " * (MOST_BYTES + 1))
        assert answer.status_code == 413
        there.people["owner"].writes("/help")
        (raw,) = there.fresh_updates()
        padded = json.dumps(raw).encode().ljust(MOST_BYTES)
        assert (await client.post("/telegram", content=padded)).status_code == 200
        assert len(there.read(select(Inbox))) == 1


def nested(depth: int) -> dict[str, Any]:
    """A message that answers a message that answers a message ..."""
    chat = {"id": 5, "type": "private", "first_name": "A"}
    made: dict[str, Any] = {"message_id": 1, "date": 1, "chat": chat, "text": "x"}
    for _ in range(depth):
        made = {"message_id": 1, "date": 1, "chat": chat, "text": "x", "reply_to_message": made}
    return made


UNREADABLE: list[dict[str, Any]] = [
    {"message": {}},
    {"message": {"message_id": 1}},
    {"message": "text"},
    {"message": []},
    {"message": {"message_id": 1, "date": 1, "chat": {"id": 5}}},
    {"message": {"message_id": 1, "date": "yesterday", "chat": {"id": 5, "type": "private"}, "text": "x"}},
    {"message": nested(700)},
    {"callback_query": {"id": "1"}},
    {
        "callback_query": {
            "id": "1",
            "from": {"id": 5, "is_bot": False, "first_name": "A"},
            "message": {"text": "x"},
        }
    },
    {"my_chat_member": {"chat": {"id": 5, "type": "private"}}},
]
UNKNOWN: list[dict[str, Any]] = [
    {},
    {"message": None},
    {"something_new": {"id": 1}},
    {"poll": {"id": "1"}},
    {
        "channel_post": {
            "message_id": 1,
            "date": 1,
            "chat": {"id": -100, "type": "channel", "title": "C"},
            "text": "x",
        }
    },
    {"callback_query": None, "message": None},
]


async def test_what_nobody_can_read_is_logged_and_passed_over(tmp_path: Path) -> None:
    async with hall(tmp_path / "data", **ADDRESS) as there, webhook_of(there) as client:
        with capture_logs() as logs:
            for number, body in enumerate([*UNREADABLE, *UNKNOWN]):
                answer = await client.post("/telegram", json={"update_id": 900 + number, **body})
                assert answer.status_code == 200, body
        unread = [each["update"] for each in logs if each["event"] == "an update cannot be read"]
        assert set(range(900, 900 + len(UNREADABLE))) <= set(unread)
        assert there.read(select(Inbox)) == []
        there.people["owner"].writes("/help")
        (raw,) = there.fresh_updates()
        assert (await client.post("/telegram", json=raw)).status_code == 200
        await there.delivers()
        assert there.people["owner"].chat.from_bot


async def test_the_webhook_answers_only_after_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hall(tmp_path / "data", **ADDRESS) as there, webhook_of(there) as client:
        there.people["owner"].writes("/help")
        (raw,) = there.fresh_updates()
        arrived, may_go, write = asyncio.Event(), asyncio.Event(), there.app.database.write

        async def late(work: Any, **_: Any) -> Any:
            arrived.set()
            await may_go.wait()
            return await write(work)

        monkeypatch.setattr(there.app.database, "write", late)
        answer = asyncio.create_task(client.post("/telegram", json=raw))
        await arrived.wait()
        await some_turns(1)
        assert not answer.done()
        assert there.read(select(Inbox)) == []
        may_go.set()
        assert (await answer).status_code == 200
        assert len(there.read(select(Inbox))) == 1


@asynccontextmanager
async def served(data: Path) -> AsyncIterator[FaultyTown]:
    """The running program with its pages, so that Telegram brings it the updates."""
    port = open_port()
    address = {"port": port, "address": f"http://127.0.0.1:{port}"}
    async with running(data, web=address, playground={"enabled": False}) as town:
        server = Server(town.app)
        serving = asyncio.create_task(server.serve(sockets=[server.socket]))
        try:
            await town.api.until(lambda: server.started and town.api.queue.webhook.url)
            yield town
        finally:
            server.should_exit = True
            await serving


async def test_telegram_brings_again_what_was_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path / "data") as town:
        owner, receive, refused = town.people["owner"], town.app.receive, []

        async def away(said: Said) -> Any:
            if len(refused) < 3:
                refused.append(said.key)
                raise StoreUnavailable("the disk is full")
            return await receive(said)

        monkeypatch.setattr(town.app, "receive", away)
        owner.starts(town.code(MEMBERS["owner"]))
        await town.sees(owner, "陈女士，")
        await until_delivered(town)
        (row,) = town.read(select(Inbox))
        assert refused == [row.key] * 3
        assert town.api.queue.webhook.error.startswith("Wrong response from the webhook: 503")


# --- polling ------------------------------------------------------------------------------------------


async def test_an_update_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as town:
        owner = town.people["owner"]
        await town.api.until(lambda: town.api.queue.allowed)
        for body in UNREADABLE[:6] + UNREADABLE[7:]:  # the deep one is too deep for the server's own copy
            for kind, content in body.items():
                town.api.push(kind, content)
        owner.starts(town.code(MEMBERS["owner"]))
        await town.sees(owner, "陈女士，")
        await until_delivered(town)
        assert town.api.confirmed == {raw["update_id"] for raw in town.api.updates}
        assert len(town.read(select(Inbox))) == 1


async def test_what_is_not_committed_is_never_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person's message cannot be kept; those of others are, but the offset stays before the first's."""
    async with running(tmp_path / "data") as town:
        stuck, other, receive = town.people["owner"], town.people["neighbour"], town.app.receive
        is_away, tried = True, 0

        async def sometimes(said: Said) -> Any:
            nonlocal tried
            if is_away and said.sender == str(stuck.id):
                tried += 1
                raise StoreUnavailable("the server is away")
            return await receive(said)

        def answers(user: User) -> int:
            return len([each for each in user.chat.from_bot if "我还不认识您" in each.text])

        monkeypatch.setattr(town.app, "receive", sometimes)
        other.writes("在吗")
        await town.api.until(lambda: answers(other) == 1)
        stuck.writes("你好")
        first = town.api.updates[-1]["update_id"]
        for number in range(2, 12):
            other.writes(f"在吗 {number}")
            await town.api.until(lambda: answers(other) == number)
        await town.api.until(lambda: tried > 3)
        polls = len(polls_of(town))
        await town.api.until(lambda: len(polls_of(town)) > polls + 2)
        assert max(polls_of(town)) == first
        assert {raw["update_id"] for raw in town.api.pending} == {
            raw["update_id"] for raw in town.api.updates if raw["update_id"] >= first
        }
        is_away = False
        await until_delivered(town)
        assert (answers(stuck), answers(other)) == (1, 11)
        assert len(town.read(select(Inbox))) == 12


def polls_of(town: Town) -> list[int]:
    return [call.params.get("offset", 0) for call in town.api.calls if call.method == "getUpdates"]


async def test_a_second_poller_ends_and_the_program_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as town:
        owner = town.people["owner"]
        await town.api.until(lambda: polls_of(town))
        async with impatient_bot(town.api) as rival:
            with pytest.raises(Conflict):
                await rival.get_updates(timeout=50)
        refused = [call for call in town.api.calls if call.description.startswith("Conflict")]
        assert len(refused) == 2  # ours, and then, when ours asked again, the rival's
        owner.starts(town.code(MEMBERS["owner"]))
        await town.sees(owner, "陈女士，")
        await until_delivered(town)


async def test_the_server_may_be_away_for_a_while(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as town:
        owner, neighbour = town.people["owner"], town.people["neighbour"]
        owner.starts(town.code(MEMBERS["owner"]))
        await town.sees(owner, "陈女士，")
        await until_delivered(town)
        for _ in range(2):
            await town.api.stop()
            neighbour.writes("你好")
            owner.writes("/help")
            before = len(owner.chat.from_bot)
            with pytest.raises(telegram.error.NetworkError):
                await town.app.telegram.bot.get_me()  # type: ignore[union-attr]
            await town.api.start()
            await town.api.until(lambda: len(owner.chat.from_bot) > before)
            await until_delivered(town)
        assert len(town.read(select(Inbox))) == 5
        assert {row.state for row in town.read(select(Outgoing))} == {"sent"}


async def test_the_program_may_start_before_the_server(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as town:
        await town.api.stop()
        await town.app.stop()
        town.people["owner"].writes("你好")
        app = made_app(tmp_path / "data", town.api)  # type: ignore[arg-type]
        await app.start()
        try:
            await some_turns(1)
            await town.api.start()
            await town.sees(town.people["owner"], "")
        finally:
            await app.stop()


# --- strange updates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_five_hundred_strange_updates_are_borne(tmp_path: Path, seed: int) -> None:
    """Whatever comes is taken without an error of ours, and who wrote in their own chat is answered."""
    async with hall(tmp_path / "data") as there:
        people = [*there.people.values(), there.stranger]
        there.stranger.started = True
        groups = [there.office, there.board, another_group(there)]
        strange = Strange(seed, people, groups, files_on(there))
        chance = random.Random(seed)
        for _ in range(25):
            await there.takes([strange.make() for _ in range(chance.randrange(15, 26))])
            await there.delivers()
        while strange.number < 10_000 * (seed + 1) + 500:
            await there.takes([strange.make()])
        await there.delivers()
        inbox = there.read(select(Inbox))
        assert [(row.payload, row.error) for row in inbox if row.state != "done"] == []
        ids = {row.key.partition(".")[2]: row.id for row in inbox}
        assert strange.answered <= set(ids)
        answered = {row.inbox_id for row in there.rows() if row.inbox_id is not None}
        silent = [
            row.payload
            for row in inbox
            if row.key.partition(".")[2] in strange.answered and row.id not in answered
        ]
        assert silent == []
        assert [(row.text, row.error) for row in there.rows(state="failed")] == []
        assert len(strange.answered) > 150


def another_group(there: Hall) -> Group:
    """A group that belongs to no community."""
    group = there.api.group("别的群", there.people["crew"])
    group.adds_bot()
    there.fresh_updates()
    return group


def files_on(there: Hall) -> list[dict[str, Any]]:
    """Files that are on the server: whole ones, broken ones, and one that is too big."""
    api = there.api
    return [
        {"photo": api.store_photo(photo(60))},
        {"photo": api.store_photo(b"no photo at all")},
        {"photo": []},
        {"document": api.store("document", photo(20), {"file_name": "a.jpg", "mime_type": "image/jpeg"})},
        {"document": api.store("document", b"x", {"file_name": "\0", "mime_type": "a/b"})},
        {"document": api.store("document", b"", {})},
        {"voice": api.store("voice", b"OggS", {"duration": 0})},
        {"video": api.store("video", b"v", {"width": 0, "height": 0, "duration": 0}, 10**8)},
        {"video_note": api.store("video_note", b"v", {"length": 1, "duration": 0})},
    ]


async def test_an_answer_in_a_topic_that_is_gone_stands_in_none(tmp_path: Path) -> None:
    """It was tried for ever, and held up whatever was to go into that group."""
    async with hall(tmp_path / "data") as there:
        boss = there.people["boss"]
        boss.writes("/tickets", there.office)
        (raw,) = there.fresh_updates()
        raw["message"] |= {"message_thread_id": 5, "is_topic_message": True}
        await there.takes([raw])
        await there.delivers()
        assert there.office.from_bot
        assert {row.state for row in there.rows()} == {"sent"}
