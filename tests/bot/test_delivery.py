"""Delivery: in order per chat, urgent lanes first, nobody blocked by another, and every try in the ledger."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlmodel import Session, col, select

from bot.delivery import (
    AT_ONCE,
    LONGEST_WAIT,
    OUR_TRIES,
    Blocked,
    Delivery,
    Later,
    Letter,
    Moved,
    Never,
    Taken,
)
from bot.pace import CHAT_SECONDS, KEPT_FOR_URGENT, LONGER, Pace
from handlers.inbox import failed
from handlers.notices import open_notice
from handlers.tell import ANSWER, BROADCAST, NEWS, REMOVAL, URGENT, tell
from handlers.timers import due
from handlers.tx import Tx
from store.database import Database, StoreUnavailable
from store.tables import Account, Attempt, Community, Outgoing, Person, Place
from tests.benchmarks import simulated
from tests.people import HOUSE

MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MESSENGER = "test"
PATIENCE = 60.0  # seconds until a test that waits gives up


def account(person: int, chat: str) -> Account:
    """The account that holds a chat."""
    return Account(community_id=1, person_id=person, messenger=MESSENGER, external_id=chat)


@dataclass
class Post:
    """A messenger that does with each text what the test says, and a database with the rows to send."""

    database: Database
    at: datetime = MORNING
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    """Chat, text and the message that was changed."""
    does: dict[str, list[BaseException]] = field(default_factory=dict)
    """What sending a text raises, the first time, the second time ..."""
    tried: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    pace: Pace | None = None

    def __post_init__(self) -> None:
        self.delivery = self.restarted()
        self.database.write_now(self._furnish)

    def restarted(self) -> Delivery:
        self.delivery = Delivery(
            self.database,
            {MESSENGER: self._send},
            lambda: self.at,
            lambda letter: self.confirmed.append(letter.row.text),
            {MESSENGER: self.pace} if self.pace else {},
        )
        return self.delivery

    def keep_pace(self) -> Pace:
        """From now on the messenger has limits; their clock is the test's."""

        def seconds() -> float:
            return (self.at - MORNING).total_seconds()

        self.pace = Pace(now=seconds)
        self.restarted()
        return self.pace

    def place(self, number: int = 1) -> Place:
        with self.database.read() as session:
            return session.get_one(Place, number)

    def add_group(self, number: int, **values: Any) -> Place:
        """Another chat, the admin group."""
        row = {"community_id": 1, "kind": "staff", "external_id": f"chat{number}", **values}
        self.database.write_now(lambda session: session.add(Place(id=number, messenger=MESSENGER, **row)))
        return self.place(number)

    def _furnish(self, session: Session) -> None:
        session.add(Community(id=1, name="阳光花园", created_at=MORNING))
        session.flush()
        for number in (1, 2, 3):
            session.add(
                Person(id=number, community_id=1, name=f"P{number}", pseudonym=number, created_at=MORNING)
            )
            session.flush()
            session.add(
                Place(
                    id=number,
                    community_id=1,
                    messenger=MESSENGER,
                    external_id=f"chat{number}",
                    person_id=number,
                )
            )
            session.add(account(number, f"chat{number}"))

    async def _send(self, letter: Letter) -> Taken:
        self.tried.append(letter.row.text)
        if errors := self.does.get(letter.row.text):
            raise errors.pop(0)
        self.sent.append((letter.place.external_id, letter.row.text, letter.message_id))
        return Taken(letter.message_id or f"m{len(self.sent)}")

    def write(self, text: str, place: int = 1, lane: int = NEWS, **values: Any) -> None:
        """Add a row to send."""
        row = {
            "community_id": 1,
            "person_id": place if place < 4 else None,
            "place_id": place,
            "lane": lane,
            "change": "send",
            "text": text,
            "buttons": [],
            "photos": [],
            "silent": False,
            "state": "waiting",
            "tries": 0,
            "error": "",
            "message_id": "",
            "parts": [],
            "thread": "",
            "created_at": self.at,
            **values,
        }
        self.database.write_now(lambda session: session.connection().execute(insert(Outgoing), row))

    def tell(self, person: int, key: str, **options: Any) -> None:
        """Say something as the handlers do."""
        self.database.write_now(
            lambda session: tell(Tx(session, self.at, HOUSE), session.get_one(Person, person), key, **options)
        )

    async def all(self) -> None:
        while await self.delivery.once():
            pass

    def texts(self, chat: str | None = None) -> list[str]:
        return [text for where, text, _ in self.sent if chat in (None, where)]

    def rows(self) -> dict[str, Outgoing]:
        with self.database.read() as session:
            return {row.text: row for row in session.exec(select(Outgoing).order_by(col(Outgoing.id)))}

    def states(self) -> dict[str, str]:
        return {text: row.state for text, row in self.rows().items()}

    def ledger(self) -> list[tuple[str, datetime, str]]:
        """Each try: the text, when, and the error."""
        with self.database.read() as session:
            rows = session.exec(
                select(Outgoing.text, Attempt.at, Attempt.error)
                .join(Attempt, col(Attempt.outgoing_id) == col(Outgoing.id))
                .order_by(col(Attempt.id))
            )
            return [tuple(row) for row in rows]


@pytest.fixture
def post(database_url: str) -> Iterator[Post]:
    made = Post(Database(database_url, durable=False))
    yield made
    made.database.close()


# --- order and lanes --------------------------------------------------------------------------------


async def test_each_chat_gets_its_messages_in_order(post: Post) -> None:
    for number in range(6):
        post.write(f"{number}", place=1 + number % 2)
    await post.all()
    assert (post.texts("chat1"), post.texts("chat2")) == (["0", "2", "4"], ["1", "3", "5"])
    assert set(post.states().values()) == {"sent"}


async def test_one_pass_takes_one_message_of_each_chat(post: Post) -> None:
    for number in range(4):
        post.write(f"{number}", place=1 + number % 2)
    assert await post.delivery.once() == 2
    assert sorted(post.texts()) == ["0", "1"]


async def test_urgent_overtakes_an_answer_news_and_a_broadcast(post: Post) -> None:
    for lane, text in {BROADCAST: "broadcast", NEWS: "news", ANSWER: "answer", URGENT: "urgent"}.items():
        post.write(text, lane=lane)
    await post.all()
    assert post.texts() == ["urgent", "answer", "news", "broadcast"]


async def test_an_urgent_page_goes_before_the_rest_of_a_broadcast(post: Post) -> None:
    for number in range(5):
        post.write(f"b{number}", lane=BROADCAST)
    await post.delivery.once()
    post.write("urgent", lane=URGENT)
    await post.all()
    assert post.texts() == ["b0", "urgent", "b1", "b2", "b3", "b4"]


async def test_one_chat_with_very_many_messages_does_not_keep_others_waiting(post: Post) -> None:
    def many(session: Session) -> None:
        for number in range(AT_ONCE + 50):
            session.add(Outgoing(community_id=1, place_id=1, lane=NEWS, text=f"{number}", created_at=post.at))

    post.database.write_now(many)
    post.write("other", place=2)
    await post.delivery.once()
    assert sorted(post.texts()) == ["0", "other"]


async def test_the_confirmation_follows_the_ledger(post: Post) -> None:
    post.does = {"b": [Never("no")]}
    post.write("a")
    post.write("b")
    await post.all()
    assert post.confirmed == ["a"]


# --- what cannot be sent now, or ever ---------------------------------------------------------------


async def test_a_chat_that_must_wait_waits_as_long_as_it_was_told(post: Post) -> None:
    post.does = {"a": [Later("flood", seconds=30)]}
    post.write("a")
    post.write("b")
    post.write("c", place=2)
    await post.all()
    assert (post.texts(), post.states()["a"]) == (["c"], "waiting")
    assert post.rows()["a"].retry_at == MORNING + timedelta(seconds=30)
    post.at += timedelta(seconds=29)
    await post.all()
    assert post.texts() == ["c"]
    post.at += timedelta(seconds=1)
    await post.all()
    assert post.texts() == ["c", "a", "b"]


async def test_an_unknown_wait_grows_and_has_an_end(post: Post) -> None:
    post.does = {"a": [Later("away") for _ in range(11)]}
    post.write("a")
    waits = []
    for _ in range(11):
        await post.all()
        retry_at = post.rows()["a"].retry_at
        assert retry_at is not None
        waits.append((retry_at - post.at).total_seconds())
        post.at = retry_at
    await post.all()
    longest = LONGEST_WAIT.total_seconds()
    assert waits == [min(2.0**tries, longest) for tries in (1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9)]
    assert post.texts() == ["a"]


async def test_an_absurd_wait_is_cut(post: Post) -> None:
    post.does = {"a": [Later("flood", seconds=10**9)]}
    post.write("a")
    await post.all()
    assert post.rows()["a"].retry_at == MORNING + LONGEST_WAIT


async def test_an_error_of_ours_is_a_wait_and_not_a_crash(post: Post) -> None:
    post.does = {"a": [KeyError("oops")]}
    post.write("a")
    post.write("b", place=2)
    await post.all()
    assert (post.texts(), post.rows()["a"].error) == (["b"], "KeyError('oops')")


async def test_a_message_that_never_can_be_sent_does_not_close_its_chat_for_ever(post: Post) -> None:
    """An error of ours that stays is laid aside in the end, and what waits behind it goes out."""
    post.does = {"poison": [KeyError("oops") for _ in range(200)]}
    post.write("poison")
    post.write("behind")
    for _ in range(100):
        await post.all()
        post.at += LONGEST_WAIT
    assert (post.texts(), post.states()["poison"]) == (["behind"], "failed")


async def test_a_message_that_is_refused_for_good_is_laid_aside(post: Post) -> None:
    post.does = {"a": [Never("too long")]}
    post.write("a")
    post.write("b")
    await post.all()
    assert (post.texts(), post.states()) == (["b"], {"a": "failed", "b": "sent"})
    assert post.rows()["a"].error == "too long"


async def test_an_urgent_page_does_not_wait_for_a_broadcast_that_failed_by_itself(post: Post) -> None:
    """A message that must wait holds back only what is behind it in its chat."""
    post.does = {"poison": [KeyError("oops") for _ in range(6)]}
    post.write("poison", lane=BROADCAST)
    for _ in range(6):
        await post.all()
        retry_at = post.rows()["poison"].retry_at
        assert retry_at is not None
        post.at = retry_at
    post.at -= timedelta(seconds=60)
    post.write("urgent", lane=URGENT)
    await post.all()
    assert post.texts() == ["urgent"]


# --- a chat that blocked us -------------------------------------------------------------------------


async def test_a_blocked_chat_is_marked_and_not_tried_again(post: Post) -> None:
    post.does = {"a": [Blocked("bot was blocked")]}
    post.write("a")
    post.write("b")
    post.write("c", place=2)
    await post.all()
    assert sorted(post.tried) == ["a", "c"]
    assert post.states() == {"a": "unreachable", "b": "unreachable", "c": "sent"}
    with post.database.read() as session:
        marked = session.exec(select(Place.blocked_at).order_by(col(Place.id))).all()
    assert marked == [MORNING, None, None]


async def test_after_a_block_messages_go_to_the_person_s_other_chat(post: Post) -> None:
    def second_chat(session: Session) -> None:
        session.add(Place(id=9, community_id=1, messenger=MESSENGER, external_id="chat9", person_id=1))
        session.add(account(1, "chat9"))

    post.does = {"a": [Blocked("bot was blocked")]}
    post.database.write_now(second_chat)
    post.write("a")
    await post.all()
    post.tell(1, "my.none")
    await post.all()
    assert [where for where, _, _ in post.sent] == ["chat9", "chat9"]
    assert post.states()["a"] == "sent"


async def test_a_deletion_is_not_sent_as_a_message_to_the_other_chat(post: Post) -> None:
    def second_chat(session: Session) -> None:
        session.add(Place(id=9, community_id=1, messenger=MESSENGER, external_id="chat9", person_id=1))
        session.add(account(1, "chat9"))

    post.database.write_now(second_chat)
    post.write("card", card="repair:1")
    await post.all()
    post.does = {"a": [Blocked("bot was blocked")]}
    post.write("a")
    post.write("", card="repair:1", change="delete")
    await post.all()
    assert post.sent[1:] == [("chat9", "a", "")]
    assert post.states()[""] == "unreachable"


async def test_a_person_without_another_chat_is_unreachable(post: Post) -> None:
    post.does = {"a": [Blocked("bot was blocked")]}
    post.write("a")
    await post.all()
    post.tell(1, "my.none")
    await post.all()
    (row,) = [row for row in post.rows().values() if row.text != "a"]
    assert (row.state, row.error, row.person_id, row.place_id) == ("unreachable", "no chat", 1, None)
    assert post.sent == []


# --- a group that has become another chat -----------------------------------------------------------


async def test_a_group_that_has_moved_is_followed_at_once(post: Post) -> None:
    post.add_group(9, topics={"repair": "3"})
    post.does = {"a": [Moved("new")]}
    post.write("a", place=9)
    post.write("b", place=9)
    await post.all()
    assert post.sent == [("new", "a", ""), ("new", "b", "")]
    assert (post.place(9).external_id, post.place(9).topics, post.place(9).kind) == ("new", {}, "staff")
    assert [(text, error) for text, _, error in post.ledger()] == [
        ("a", "moved to new"),
        ("a", ""),
        ("b", ""),
    ]
    assert post.rows()["a"].tries == 0


async def test_where_a_group_has_moved_its_old_messages_are_not_changed(post: Post) -> None:
    """The new chat counts its messages anew: the old one's number may mean another message there."""
    post.add_group(9)
    post.write("card", place=9, card="repair:1")
    await post.all()
    post.does = {"edit": [Moved("new")]}
    for text in ("edit", "again"):
        post.write(text, place=9, card="repair:1", change="edit")
        await post.all()
    assert post.sent == [("chat9", "card", ""), ("new", "edit", ""), ("new", "again", "m2")]


async def test_a_group_that_has_moved_to_a_known_chat_leaves_everything_to_that(post: Post) -> None:
    post.add_group(9)
    post.add_group(10, external_id="new", kind="group", community_id=None)
    post.does = {"a": [Moved("new")]}
    post.write("a", place=9)
    post.write("b", place=9)
    await post.all()
    assert post.sent == [("new", "a", ""), ("new", "b", "")]
    assert (post.place(10).community_id, post.place(10).kind) == (1, "staff")
    assert (post.place(9).community_id, post.place(9).kind) == (None, "group")


# --- edits ------------------------------------------------------------------------------------------


async def test_an_edit_goes_to_the_latest_message_of_its_card_in_its_chat(post: Post) -> None:
    post.write("old", card="repair:1")
    post.write("other card", card="repair:2")
    post.write("other chat", place=2, card="repair:1")
    await post.all()
    post.write("new", card="repair:1")
    await post.all()
    post.write("edit", card="repair:1", change="edit")
    await post.all()
    numbers = {text: f"m{at}" for at, (_, text, _) in enumerate(post.sent, 1)}
    assert post.sent[-1] == ("chat1", "edit", numbers["new"])
    post.write("again", card="repair:1", change="edit")
    post.write("gone", place=2, card="repair:1", change="delete")
    await post.all()
    assert post.sent[-2:] == [
        ("chat1", "again", numbers["new"]),
        ("chat2", "gone", numbers["other chat"]),
    ] or (post.sent[-2:] == [("chat2", "gone", numbers["other chat"]), ("chat1", "again", numbers["new"])])


async def test_an_edit_never_overtakes_the_message_that_it_changes(post: Post) -> None:
    post.write("card", lane=BROADCAST, card="repair:1")
    post.write("edit", lane=ANSWER, card="repair:1", change="edit")
    await post.all()
    assert post.sent == [("chat1", "card", ""), ("chat1", "edit", "m1")]


async def test_an_edit_of_a_message_that_never_arrived_is_a_message_of_its_own(post: Post) -> None:
    post.does = {"card": [Never("too long")]}
    post.write("card", card="repair:1")
    post.write("edit", card="repair:1", change="edit")
    await post.all()
    post.write("again", card="repair:1", change="edit")
    await post.all()
    assert post.sent == [("chat1", "edit", ""), ("chat1", "again", "m1")]


# --- a messenger with limits ------------------------------------------------------------------------


async def test_what_the_messenger_itself_says_halts_the_whole_chat_for_so_long(post: Post) -> None:
    post.keep_pace()
    post.does = {"a": [Later("flood", 3600, halts=True)]}
    post.write("a")
    await post.all()
    row = post.rows()["a"]
    assert (row.retry_at, row.tries, row.error) == (MORNING + timedelta(seconds=3600), 0, "flood")
    post.write("page", lane=URGENT)
    post.write("other", place=2)
    post.at += timedelta(seconds=3599)
    await post.all()
    assert post.texts() == ["other"]
    for _ in range(2):
        post.at += timedelta(seconds=1)
        await post.all()
    assert post.texts() == ["other", "page"]
    post.at += timedelta(seconds=2)
    await post.all()
    assert post.texts() == ["other", "page", "a"]


async def test_however_often_it_says_so_the_message_is_not_laid_aside(post: Post) -> None:
    post.keep_pace()
    errors = [*(Later("flood", 60, halts=True) for _ in range(2 * OUR_TRIES)), KeyError("oops")]
    post.does = {"a": list(errors)}
    post.write("a")
    for _ in range(len(errors) + 1):
        await post.all()
        post.at += timedelta(seconds=60)
    assert (post.states(), post.rows()["a"].tries) == ({"a": "sent"}, 1)


async def test_two_chats_told_so_at_once_halt_all_others_until_the_shorter_time_is_over(post: Post) -> None:
    post.keep_pace()
    post.does = {"a": [Later("flood", 5, halts=True)], "b": [Later("flood", 30, halts=True)]}
    post.write("a")
    await post.all()
    post.at += timedelta(seconds=1)
    post.write("b", place=2)
    await post.all()
    post.write("page", place=3, lane=URGENT)
    post.at += timedelta(seconds=3)
    await post.all()
    assert post.texts() == []
    post.at += timedelta(seconds=2)
    await post.all()
    assert post.texts() == ["page"]
    for _ in range(2):
        post.at += timedelta(seconds=30)
        await post.all()
    assert sorted(post.texts()) == ["a", "b", "page"]


async def test_hundreds_of_chats_that_are_held_back_keep_nobody_waiting(post: Post) -> None:
    pace = post.keep_pace()
    for number in range(10, 10 + AT_ONCE + 50):
        pace.took(post.add_group(number), 20 - KEPT_FOR_URGENT)
        post.write(f"{number}", place=number, lane=ANSWER)
    post.write("other", lane=BROADCAST)
    post.at += timedelta(seconds=2)
    await post.all()
    assert post.texts() == ["other"]


async def test_a_page_goes_to_a_group_that_is_full(post: Post) -> None:
    post.keep_pace().took(post.add_group(9), 20 - KEPT_FOR_URGENT)
    post.write("news", place=9)
    post.write("page", place=9, lane=URGENT)
    for _ in range(59):
        post.at += timedelta(seconds=1)
        await post.all()
    assert post.texts() == ["page"]
    post.at += timedelta(seconds=4)
    await post.all()
    assert post.texts() == ["page", "news"]


async def test_a_change_lends_its_lane_also_in_the_eyes_of_the_limits(post: Post) -> None:
    post.keep_pace().took(post.add_group(9), 20 - KEPT_FOR_URGENT)
    post.write("card", place=9, lane=NEWS, card="repair:1")
    post.write("edit", place=9, lane=URGENT, card="repair:1", change="edit")
    for _ in range(2):
        post.at += timedelta(seconds=2)
        await post.all()
    assert post.texts() == ["card", "edit"]


async def test_changes_of_messages_that_must_wait_keep_nobody_waiting(post: Post) -> None:
    post.keep_pace()
    for number in range(10, 30):
        post.add_group(number)
        post.write(f"card{number}", place=number, card="repair:1", retry_at=MORNING + timedelta(hours=1))
        post.write(f"edit{number}", place=number, lane=ANSWER, card="repair:1", change="edit")
    post.write("other")
    await post.all()
    assert post.texts() == ["other"]


def in_simulated_time(post: Post, seconds: float, **takes: float) -> list[tuple[float, str]]:
    """Let the delivery run by itself, not woken by anybody: what was sent, and when; some texts take longer."""
    sent: list[tuple[float, str]] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        post.pace = Pace(now=loop.time)
        post.restarted().now = lambda: MORNING + timedelta(seconds=loop.time())
        take = post.delivery.senders[MESSENGER]

        async def send(letter: Letter) -> Taken:
            taken = await take(letter)
            sent.append((round(loop.time(), 2), letter.row.text))
            await asyncio.sleep(takes.get(letter.row.text, 0.05))  # of the simulated time, as all below
            return taken

        post.delivery.senders = {MESSENGER: send}
        simulated.at_once(post.database)
        running = asyncio.create_task(post.delivery.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait({running})

    simulated.run(live())
    return sent


def test_it_wakes_by_itself_when_the_next_message_may_go(post: Post) -> None:
    for text in ("a", "b", "c"):
        post.write(text)
    second = CHAT_SECONDS * LONGER
    assert in_simulated_time(post, 10) == [(0, "a"), (second, "b"), (2 * second, "c")]


def test_it_wakes_by_itself_when_a_chat_takes_messages_again(post: Post) -> None:
    post.does = {"a": [Later("flood", 700, halts=True)]}
    post.write("a")
    post.write("other", place=2)
    assert [(int(at), text) for at, text in in_simulated_time(post, 800)] == [(0, "other"), (700, "a")]


def test_it_wakes_by_itself_when_the_messenger_takes_messages_again(post: Post) -> None:
    post.does = {"a": [Later("flood", 700, halts=True)], "b": [Later("flood", 800, halts=True)]}
    for place, text in enumerate("abc", 1):
        post.write(text, place=place)
    went = [(int(at), text) for at, text in in_simulated_time(post, 900)]
    assert went == [(700, "a"), (700, "c"), (800, "b")]


def test_a_page_behind_a_slow_message_to_the_same_chat_follows_it_at_once(post: Post) -> None:
    post.write("slow", lane=BROADCAST)
    for number in range(2, 4):
        post.write(f"{number}", place=number, lane=BROADCAST)
    send = post._send

    async def paged(letter: Letter) -> Taken:
        if letter.row.text == "slow":
            post.write("page", lane=URGENT)
        return await send(letter)

    post._send = paged  # type: ignore[method-assign]
    assert in_simulated_time(post, 10, slow=5)[-1] == (5, "page")


def test_a_chat_that_becomes_free_while_others_are_served_is_not_forgotten(post: Post) -> None:
    post.add_group(9)
    for place, text in ((9, "a"), (1, "slow"), (2, "slower"), (9, "behind a")):
        post.write(text, place=place)
    sent = in_simulated_time(post, 10, slow=5, slower=5)
    assert [text for at, text in sent if at < 1] == ["a", "slow", "slower", "behind a"]


def test_what_is_held_back_is_not_looked_for_all_the_time(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = Delivery._waiting

    def counted(self: Delivery, *args: Any) -> Any:
        reads.append(args)
        return read(self, *args)

    monkeypatch.setattr(Delivery, "_waiting", counted)
    post.does = {"a": [Later("flood", 3600, halts=True)]}
    post.write("a")
    post.write("b", place=2)
    assert len(in_simulated_time(post, 4000)) == 2
    assert len(reads) < 10


@pytest.mark.parametrize(("lane", "order"), [(ANSWER, ["new", "old ✓"]), (NEWS, ["old ✓", "new"])])
async def test_the_old_message_is_closed_in_whichever_order_the_new_one_goes(
    post: Post, lane: int, order: list[str]
) -> None:
    post.write("old", card="talk:1")
    await post.all()
    post.write("old ✓", card="talk:1", change="close")
    post.write("new", card="talk:1", lane=lane)
    await post.all()
    assert post.texts()[1:] == order
    changed = {text: number for _, text, number in post.sent}
    assert changed == {"old": "", "old ✓": "m1", "new": ""}


async def test_a_closing_never_takes_the_new_message_for_the_old_one(post: Post) -> None:
    """All wait at once, and the latest goes in the first lane."""
    post.write("old", lane=BROADCAST, card="talk:1")
    post.write("old ✓", card="talk:1", change="close")
    post.write("new", lane=URGENT, card="talk:1")
    post.write("new, edited", lane=ANSWER, card="talk:1", change="edit")
    await post.all()
    numbers = {text: f"m{at}" for at, (_, text, _) in enumerate(post.sent, 1)}
    changed = {text: number for _, text, number in post.sent if number}
    assert post.texts()[0] == "new"
    assert changed == {"old ✓": numbers["old"], "new, edited": numbers["new"]}


# --- the running delivery ---------------------------------------------------------------------------


async def test_a_chat_that_hangs_keeps_nobody_waiting_and_is_finished_at_the_end(post: Post) -> None:
    hangs, may_end = asyncio.Event(), asyncio.Event()
    send = post.delivery.senders[MESSENGER]

    async def slow(letter: Letter) -> Taken:
        if letter.row.text == "slow":
            hangs.set()
            await may_end.wait()
        return await send(letter)

    post.delivery.senders = {MESSENGER: slow}
    post.write("slow")
    post.write("behind it")
    running = asyncio.create_task(post.delivery.run())
    post.delivery.wake.set()
    await asyncio.wait_for(hangs.wait(), PATIENCE)
    post.write("page", place=2, lane=URGENT)
    post.write("answer", place=2, lane=ANSWER)
    post.delivery.wake.set()
    async with asyncio.timeout(PATIENCE):
        while post.texts() != ["page", "answer"]:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.wait({running})
    assert post.states() == {"slow": "sent", "behind it": "waiting", "page": "sent", "answer": "sent"}


async def test_what_was_sent_is_not_sent_again_while_the_ledger_is_away(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, away = post.database.write, [StoreUnavailable("database or disk is full")] * 2

    async def full(work: Any, **_: Any) -> Any:
        if away:
            raise away.pop()
        return await write(work)

    async def at_once(seconds: float) -> None:
        pass

    monkeypatch.setattr(post.database, "write", full)
    monkeypatch.setattr("bot.delivery.asyncio.sleep", at_once)
    post.write("a")
    await post.all()
    assert (post.texts(), post.states()) == (["a"], {"a": "sent"})


# --- the ledger -------------------------------------------------------------------------------------


async def test_the_ledger_holds_every_try(post: Post) -> None:
    post.does = {
        "a": [Later("flood", seconds=5), Later("flood", seconds=5)],
        "b": [Never("no")],
        "c": [Blocked("gone")],
    }
    for place, text in enumerate("abc", 1):
        post.write(text, place=place)
    await post.all()
    for _ in range(2):
        post.at += timedelta(seconds=5)
        await post.all()
    second, third = MORNING + timedelta(seconds=5), MORNING + timedelta(seconds=10)
    assert sorted(post.ledger()) == [
        ("a", MORNING, "flood"),
        ("a", second, "flood"),
        ("a", third, ""),
        ("b", MORNING, "no"),
        ("c", MORNING, "gone"),
    ]
    row = post.rows()["a"]
    assert (row.state, row.tries, row.sent_at, row.error, row.message_id) == ("sent", 2, third, "", "m1")


async def test_a_crash_between_sending_and_the_ledger_repeats_only_that_message(post: Post) -> None:
    for number in range(3):
        post.write(f"{number}")
        post.write(f"other {number}", place=2)
    await post.delivery.once()
    await post.delivery._read()
    letters = {letter.place.id: letter for letter in post.delivery.letters}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(post.database, "write", dies)
        with pytest.raises(asyncio.CancelledError):
            await post.delivery._deliver(letters[1])
    post.restarted()
    await post.all()
    assert post.texts("chat1") == ["0", "1", "1", "2"]
    assert post.texts("chat2") == ["other 0", "other 1", "other 2"]


async def dies(work: Any, **_: Any) -> None:
    """The process ends here: nothing is written."""
    raise asyncio.CancelledError


# --- what waits stays cheap to find -----------------------------------------------------------------


QUERIES: dict[str, tuple[str, Callable[[Post, Session], Any]]] = {
    "rows to send": (
        "ix_outgoing_waiting",
        lambda post, session: post.delivery._waiting([], post.delivery._rooms(1)),
    ),
    "due timers": ("ix_timer_due", lambda post, session: due(session, post.at)),
    "open notices": ("ix_notice_open", lambda post, session: open_notice(session)),
    "failed messages": ("ix_inbox_failed", lambda post, session: failed(session)),
}
DONE = {
    "outgoing": "INSERT INTO outgoing (community_id, place_id, lane, change, text, buttons, photos, silent, state,"
    " tries, error, message_id, created_at)"
    " SELECT 1, 1 + (id & 1), 2, 'send', 'x', '[]', '[]', false, 'sent', 0, '', '', created_at FROM numbers",
    "timer": "INSERT INTO timer (community_id, action, due_at, state, tries, error)"
    " SELECT 1, 'x:' || id, created_at, 'done', 0, '' FROM numbers",
    "notice": "INSERT INTO notice (community_id, about, key, facts, photos, lane, silent, reached,"
    " error, created_at, done_at)"
    " SELECT 1, '', 'x', '{}', '[]', 3, true, 0, '', created_at, created_at FROM numbers",
    "inbox": "INSERT INTO inbox (messenger, key, place, sender, payload, state, error, received_at)"
    " SELECT 'test', 'k' || id, 'p', 's', '{}', 'done', '', created_at FROM numbers",
}
NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(id, created_at) AS (SELECT 1, '2026-03-02 01:00:00' UNION ALL"
    " SELECT id + 1, created_at FROM numbers WHERE id < 5000) ",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, 5000) AS id, '2026-03-02 01:00Z'::timestamptz"
    " AS created_at) ",
}


def full(post: Post, table: str) -> None:
    """Thousands of rows of the past, as after a year."""
    with_ = NUMBERS[post.database.engine.dialect.name]
    insert_, _, select_ = DONE[table].partition(" SELECT ")
    statement = f"{insert_} {with_} SELECT {select_}"
    if not post.database.is_sqlite:
        statement = statement.replace("'[]'", "'[]'::jsonb").replace("'{}'", "'{}'::jsonb")
    with post.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize("what", QUERIES)
def test_what_waits_is_found_by_its_partial_index(post: Post, what: str) -> None:
    index, ask = QUERIES[what]
    full(post, index.split("_")[1])
    asked: list[tuple[str, Any]] = []

    def hear(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    with post.database.read() as session:
        event.listen(post.database.readers, "before_cursor_execute", hear)
        ask(post, session)
        event.remove(post.database.readers, "before_cursor_execute", hear)
        statement, values = next(each for each in asked if f"FROM {index.split('_')[1]}" in each[0])
        explain = "EXPLAIN QUERY PLAN " if post.database.is_sqlite else "EXPLAIN "
        plan = session.connection().exec_driver_sql(explain + statement, values).all()
    assert index in "\n".join(str(row[-1]) for row in plan)


async def test_a_wake_during_every_reading_keeps_no_message_back(post: Post) -> None:
    """Under a load there is always a wake before the reading has ended."""
    read, sent = post.delivery._read, asyncio.Event()

    async def read_and_woken() -> float | None:
        pause = await read()
        post.delivery.wake.set()
        return pause

    post.delivery._read = read_and_woken  # type: ignore[method-assign]
    post.delivery.delivered = lambda letter: sent.set()
    post.write("a")
    running = asyncio.create_task(post.delivery.run())
    async with asyncio.timeout(PATIENCE):
        await sent.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert post.texts() == ["a"]


async def test_a_messenger_that_takes_few_at_once_has_no_more_in_hand(post: Post) -> None:
    """So that what hangs there leaves room for the others, and no letter waits where its time runs."""
    may_end = asyncio.Event()
    send, in_hand, most = post.delivery.senders[MESSENGER], 0, 0

    async def slow(letter: Letter) -> Taken:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        await may_end.wait()
        in_hand -= 1
        return await send(letter)

    post.delivery.senders = {MESSENGER: slow}
    post.delivery.at_once = {MESSENGER: 2}
    for number in (1, 2, 3):
        post.write(f"to {number}", place=number)
    running = asyncio.create_task(post.delivery.run())
    post.delivery.wake.set()
    async with asyncio.timeout(PATIENCE):
        while in_hand < 2:
            await asyncio.sleep(0)
        may_end.set()
        while len(post.sent) < 3:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert most == 2


# --- what is removed --------------------------------------------------------------------------------


def removes(post: Post, text: str, **values: Any) -> None:
    post.write(text, place=4, lane=REMOVAL, change="remove", message_id=f"of {text}", **values)


async def test_a_removal_waits_for_no_message_and_no_pace(post: Post) -> None:
    pace = post.keep_pace()
    group = post.add_group(4)
    for _ in range(pace.group_per_minute):
        pace.took(group)
    post.write("urgent", place=4, lane=URGENT)
    post.at += timedelta(seconds=2)
    removes(post, "bad")
    await post.all()
    assert post.texts() == ["bad"]
    assert post.rows()["bad"].message_id == "of bad"
    post.at += timedelta(seconds=LONGER * 60)
    await post.all()
    assert post.texts() == ["bad", "urgent"]


async def test_a_removal_goes_out_beside_a_message_that_is_in_hand(post: Post) -> None:
    group, held = post.add_group(4), asyncio.Event()
    send = post.delivery.senders[MESSENGER]

    async def slow(letter: Letter) -> Taken:
        if letter.row.text == "slow":
            await held.wait()
        return await send(letter)

    post.delivery.senders = {MESSENGER: slow}
    post.write("slow", place=group.id)
    running = asyncio.create_task(post.delivery.run())
    post.delivery.wake.set()
    await until(lambda: post.delivery.busy)
    removes(post, "bad")
    post.delivery.wake.set()
    await until(lambda: "bad" in post.texts())
    held.set()
    await until(lambda: "slow" in post.texts())
    running.cancel()
    await asyncio.wait({running})


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.001)


async def test_many_removals_of_a_chat_are_one_request(post: Post) -> None:
    post.add_group(4)
    for number in range(5):
        removes(post, f"bad {number}")
    await post.all()
    assert post.tried == ["bad 0"]
    assert set(post.states().values()) == {"sent"}
    assert len(post.ledger()) == 5


async def test_a_removal_that_has_to_wait_holds_nothing_up(post: Post) -> None:
    post.add_group(4)
    post.does = {"bad": [Later("busy", 30.0, halts=True)]}
    removes(post, "bad")
    await post.all()
    post.write("news", place=4)
    removes(post, "worse")
    await post.all()
    assert post.texts() == ["worse", "news"]
    post.at += timedelta(seconds=30)
    await post.all()
    assert post.texts() == ["worse", "news", "bad"]
