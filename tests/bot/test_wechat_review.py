"""WeChat where pushes are scarce: what happens to messages when its ladder, its limits and its chats meet."""

import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot.delivery import Letter
from bot.wechat_words import LONGEST_TEXT, size, together
from handlers.digests import gather, send_digests
from handlers.notices import publish, take_back
from handlers.people import bind_account, new_person
from handlers.reach import heard
from handlers.roster import add_community
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import Attempt, Community, Outgoing, Person, Place
from tests.people import StoppedClock
from tests.wechat_api import User, WeChatApi
from tests.wechat_people import ADDRESS, WechatBuilding

FREE = {"template": "", "notification": ""}
"""The settings of an account that has neither templates nor notifications."""
PASSES = 40
"""After so many rounds delivery goes on for ever."""


class Scarce(WechatBuilding):
    """The building with WeChat's own limits; nobody was heard yet."""

    def _furnish(self, session: Session) -> Any:
        community = super()._furnish(session)
        for place in session.exec(select(Place).where(Place.messenger == "wechat")):
            session.delete(place)
        return community

    def user(self, name: str) -> User:
        new = name not in self.users
        user = super().user(name)
        if new:
            user.talk.until, user.talk.left = 0, 0
        return user

    async def settle(self) -> None:
        await self.app.ticker.tick()
        for _ in range(PASSES):
            if not await self.app.delivery.once():
                return
        raise AssertionError("delivery goes on for ever")

    def tells(self, name: str, key: str = "talk.cancelled", **options: Any) -> None:
        """Write one message to somebody of the roster, as a timer would."""

        def work(session: Session) -> None:
            person = session.exec(select(Person).where(Person.name == name)).first()
            assert person is not None
            tell(Tx(session, self.clock.now(), self.app.house), person, key, **options)

        self.app.database.write_now(work)

    def place(self, name: str) -> Place:
        [found] = self.read(select(Place).where(Place.external_id == self.account(name)))
        return found

    def last(self) -> Outgoing:
        return self.read(select(Outgoing).order_by(col(Outgoing.id).desc()).limit(1))[0]


Make = Callable[..., Scarce]


@pytest.fixture
async def make(database_url: str, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes the building with these settings of WeChat."""
    clock = StoppedClock()
    made: list[Scarce] = []
    async with WeChatApi(now=lambda: clock.now().timestamp()) as api:

        def make(**wechat: Any) -> Scarce:
            limits = {"template": api.template, "notification": api.notification, **wechat}
            made.append(Scarce(tmp_path / "data", database_url, clock, api, **limits))
            return made[0]

        yield make
        for each in made:
            await each.close()


async def test_somebody_with_two_chats_that_nothing_reaches_is_tried_in_each_once(make: Make) -> None:
    building = make(**FREE)
    first, second = building.user("陈女士"), building.user("又是陈女士")

    def bind(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "陈女士")).one()
        tx = Tx(session, building.clock.now(), building.app.house)
        bind_account(tx, person, "wechat", second.openid, agreed=True)

    building.app.database.write_now(bind)
    await first.writes("帮助")
    await second.writes("帮助")
    await building.later(days=3)
    building.tells("陈女士")
    await building.settle()
    assert building.last().state == "held"


@pytest.mark.parametrize("code", [48001, 45002])
async def test_a_message_that_is_refused_costs_one_try_not_all_that_may_be_sent(
    make: Make, code: int
) -> None:
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    await building.settle()
    left = building.place("陈女士").free_left
    building.api.choose = lambda path, _: code if path == "message/custom/send" else None
    building.tells("陈女士")
    await building.settle()
    assert building.last().state == "held"
    assert building.place("陈女士").free_left == left
    assert len(building.read(select(Attempt).where(Attempt.rung == "free"))) == 1


@pytest.mark.parametrize("how", [-1, 45009, "500"])
async def test_what_wechat_does_not_take_now_spends_nothing(make: Make, how: int | str) -> None:
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    await building.settle()
    building.api.choose = lambda path, _: how if path == "message/custom/send" else None
    building.tells("陈女士")
    for _ in range(10):
        await building.later(minutes=11)
    assert building.last().state == "waiting"
    building.api.choose = None
    await building.later(minutes=11)
    assert building.last().state == "sent"


@pytest.mark.parametrize("code", [40164, 40125])
async def test_an_account_that_is_locked_out_holds_nothing_back(make: Make, code: int) -> None:
    """An address that is not on WeChat's list, or another secret: it is mended, and then all goes out."""
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    await building.settle()
    building.api.end_tokens()
    building.api.choose = lambda path, _: code if path == "stable_token" else None
    building.tells("陈女士")
    await building.settle()
    assert building.last().state == "waiting"
    building.api.choose = None
    await building.later(minutes=11)
    assert building.last().state == "sent"


def test_a_text_with_many_long_choices_fits() -> None:
    for label in ("楼" * 60, "x", "e\u0301" * 80, "👨‍👩‍👧" * 20):
        buttons = [{"label": f"{label}{number}", "value": f"repair.show:{number}"} for number in range(60)]
        for words in ("一" * 3000, "好", "e\u0301" * 2000):
            for value in ("repair.show:1", "17.place=lift", "17.place!back"):
                row = Outgoing(id=1, text=words, buttons=[{**each, "value": value} for each in buttons])
                for asks in (False, True):
                    for language in ("zh", "en"):
                        shown = together(
                            [(row, words)], language, lambda _: f"{ADDRESS}/p/{'a' * 40}", asks=asks
                        )
                        assert size(shown) <= LONGEST_TEXT
                        assert "/p/" in shown or all(each["label"] in shown for each in buttons)


async def test_a_notice_that_was_read_in_a_digest_is_taken_back(make: Make) -> None:
    building = make(**FREE)
    user = building.user("周先生")
    await user.writes("帮助")
    await building.settle()

    def notify(session: Session, about: str) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        publish(tx, building.community.id, "failed.plain", about=about, reference=about)

    for about in ("news:1", "news:2"):
        building.app.database.write_now(lambda session, about=about: notify(session, about))
    await building.settle()
    await building.later(hours=10)
    assert "news:1" in user.chat[-1].text and "news:2" in user.chat[-1].text
    building.app.database.write_now(
        lambda session: take_back(
            Tx(session, building.clock.now(), building.app.house), building.community.id, "news:1"
        )
    )
    await building.settle()
    await building.later(days=1)
    [row] = building.read(
        select(Outgoing).where(Outgoing.change == "delete", Outgoing.place_id == building.place("周先生").id)
    )
    assert row.state == "sent"


async def test_whoever_unfollows_was_not_reached(make: Make) -> None:
    building = make(**FREE)
    user = building.user("陈女士")
    await user.writes("帮助")
    before = building.place("陈女士").heard_at
    building.clock.at += timedelta(days=3)
    await user.unfollows()
    assert building.place("陈女士").heard_at == before


def at_once(building: Scarce, first: Callable[[Session], None], second: Callable[[Session], None]) -> None:
    """Two processes: the second begins when the first has done its work, but not committed it."""
    if building.app.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    done = threading.Event()

    def follow() -> None:
        building.app.database.write_now(second)
        done.set()

    follows = threading.Thread(target=follow)
    with Session(building.app.database.engine, expire_on_commit=False) as session:
        first(session)
        session.flush()
        follows.start()
        done.wait(0.5)
        session.commit()
    follows.join()


async def test_the_clock_and_a_reader_make_one_digest(make: Make) -> None:
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    place = building.place("陈女士")
    for word in ("一", "二"):
        building.tells("陈女士", "failed.plain", silent=True, reference=word)

    def clock(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        send_digests(tx, None, session.get_one(Community, building.community.id))

    def reader(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        gather(tx, session.get_one(Place, place.id))

    at_once(building, clock, reader)
    assert len(building.read(select(Outgoing).where(col(Outgoing.card).like("digest:%")))) == 1


async def test_what_is_held_while_its_reader_is_heard_goes_out(make: Make) -> None:
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    await building.settle()
    building.clock.at += timedelta(days=3)
    building.tells("陈女士")
    letter = Letter(building.last(), building.place("陈女士"))

    def heard_now(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        heard(tx, session.get_one(Place, letter.place.id), (5, 3600))

    at_once(building, heard_now, lambda session: building.app.delivery._hold(session, letter, "spent"))
    assert building.last().state == "waiting"


async def test_what_changes_while_it_goes_out_is_said_anew(make: Make) -> None:
    building = make(**FREE)
    await building.user("陈女士").writes("帮助")
    await building.settle()
    building.tells("陈女士", "failed.plain", card="look:1", silent=True, reference="旧")
    place = building.place("陈女士")

    def reader(session: Session) -> None:
        gather(Tx(session, building.clock.now(), building.app.house), session.get_one(Place, place.id))

    def change(session: Session) -> None:
        person = session.get_one(Person, place.person_id)
        tx = Tx(session, building.clock.now(), building.app.house)
        tell(tx, person, "failed.plain", card="look:1", silent=True, reference="新")

    at_once(building, reader, change)
    rows = building.read(select(Outgoing).where(Outgoing.card == "look:1").order_by(Outgoing.id))
    assert [(row.change, row.state) for row in rows] == [("send", "waiting"), ("edit", "held")]
    assert "旧" in rows[0].text and "新" in rows[1].text


async def test_whoever_lives_in_two_communities_gets_a_digest_of_each(make: Make) -> None:
    building = make(**FREE)
    user = building.user("陈女士")
    await user.writes("帮助")

    def elsewhere(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        person = new_person(tx, other.id, "陈小姐")
        bind_account(tx, person, "wechat", user.openid, agreed=True)

    building.app.database.write_now(elsewhere)
    for name in ("陈女士", "陈小姐"):
        for word in ("一", "二"):
            building.tells(name, "failed.plain", silent=True, reference=f"{name}{word}")
    await building.later(hours=10)
    digests = building.read(select(Outgoing).where(col(Outgoing.card).like("digest:%")))
    assert len(digests) == 2
    for digest in digests:
        [name] = building.read(select(Person.name).where(Person.id == digest.person_id))
        other = {"陈女士": "陈小姐", "陈小姐": "陈女士"}[name]
        assert name in digest.text and other not in digest.text
