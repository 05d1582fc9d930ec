"""Paging: ring after ring until somebody accepts, also across restarts and with two processes; appointing; managers."""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlmodel import Session, col, delete, select

from bot import settings
from bot.app import App
from bot.delivery import Letter, Taken
from bot.settings import BadSettings
from conversations.said import Said
from handlers.people import bind_account, managers_of
from handlers.phones import set_phone
from handlers.policy import Policy, rings_in
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.tx import Tx
from store.tables import (
    Account,
    Attempt,
    Audit,
    Event,
    Outgoing,
    Person,
    Place,
    Repair,
    Role,
    Timer,
)
from store.vault import HIDDEN
from tests.people import KEY, NAME, ROSTER, Building, Phone, StoppedClock, unique
from tests.postgres import Server

STUCK = "1号楼电梯里困了人"
NUMBERS = {"李师傅": "13800001111", "王师傅": "13800002222", "刘经理": "13900009999"}


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def with_numbers(building: Building) -> None:
    """The crew and the manager have left their numbers, but for one."""

    def work(tx: Tx) -> None:
        for name, number in NUMBERS.items():
            set_phone(tx, one(tx, name), number)

    write(building, work)


def with_manager(building: Building, name: str = "刘经理") -> None:
    def work(tx: Tx) -> None:
        who = one(tx, name)
        tx.session.add(Role(community_id=who.community_id, person_id=who.id, role="manager"))

    write(building, work)


def without_crew(building: Building) -> None:
    write(building, lambda tx: tx.session.exec(delete(Role).where(col(Role.role) == "crew")))


def block(building: Building, name: str) -> None:
    def work(tx: Tx) -> None:
        theirs = select(Account.external_id).where(Account.person_id == one(tx, name).id)
        for place in tx.session.exec(select(Place).where(col(Place.external_id).in_(theirs))).all():
            place.blocked_at = tx.now
            tx.session.add(place)

    write(building, work)


def rings(building: Building) -> list[tuple[int, int, str]]:
    """Each ring in the timeline: its number, how many it called, and whom."""
    paged = select(Event).where(col(Event.key).in_(["event.paged", "event.paged_again"]))
    found = building.read(paged.order_by(col(Event.id)))
    return [(each.facts["ring"], each.facts["count"], each.facts["whom"]) for each in found]


def pages_of(phone: Phone) -> list[str]:
    return [each.text for each in phone.chat.messages if "紧急报修 1" in each.text]


# --- rings ------------------------------------------------------------------------------------------


async def test_each_ring_calls_more_people_and_louder(
    building: Building,
    owner: Phone,
    crew: Phone,
    plumber: Phone,
    office: Phone,
    phone: Callable[[str], Phone],
) -> None:
    with_numbers(building)
    with_manager(building)
    off_duty, manager = phone("张师傅"), phone("刘经理")
    await owner.says(STUCK)
    crew.sees("🚨 紧急报修 1 · 1 号楼 电梯", "接单", "去不了")
    office.sees("已呼叫：李师傅", "指派")
    plumber.sees_nothing()
    await building.restart()
    await building.later(minutes=3)
    plumber.sees("🚨🚨 紧急报修 1 还没有人接单（第 2 次呼叫）", "接单")
    assert "13800001111" not in office.sees("（第 2 次呼叫）").text
    owner.sees("报修 1 还没有师傅接单，正在再次呼叫")
    off_duty.sees_nothing()
    manager.sees_nothing()
    await building.later(minutes=3)
    off_duty.sees("🚨🚨 紧急报修 1 还没有人接单（第 3 次呼叫）", "接单")
    assert "138" not in off_duty.last.text
    for who in (office, manager):
        seen = who.sees("（第 3 次呼叫）")
        assert (
            "李师傅 13800001111\n王师傅 13800002222\n张师傅 没有留电话\n刘经理（经理） 13900009999"
            in seen.text
        )
    assert "接单" in manager.last.buttons
    await building.restart()
    await building.later(minutes=3)
    office.sees("（第 4 次呼叫）")
    assert rings(building) == [(1, 1, "duty"), (2, 2, "present"), (3, 4, "everybody"), (4, 4, "everybody")]
    assert sum("还没有师傅接单" in each.text for each in owner.chat.messages) == 1
    await manager.taps("接单")
    owner.sees("刘经理已接单")
    office.sees("已接单 · 刘经理")
    assert "13800001111" not in office.last.text
    await building.later(hours=3)
    assert len(rings(building)) == 4
    await manager.taps("修好了")
    await manager.taps("跳过")
    await manager.taps("跳过")
    owner.sees("刘经理说已经修好")


async def test_numbers_are_sealed_in_the_ledger_and_forgotten_with_the_end(
    building: Building, owner: Phone, crew: Phone
) -> None:
    with_numbers(building)
    await owner.says(STUCK)
    await building.later(minutes=3)
    await building.later(minutes=3)
    rows = building.read(select(Outgoing.text))
    assert any(HIDDEN[0] in text for text in rows)
    assert not any("13800001111" in text for text in rows)
    await crew.taps("接单")
    assert not any(HIDDEN[0] in text for text in building.read(select(Outgoing.text)))


@pytest.mark.by_hand
async def test_a_card_with_numbers_is_not_changed_when_nothing_has_changed(
    building: Building, owner: Phone, office: Phone
) -> None:
    with_numbers(building)
    await owner.says(STUCK)
    await building.later(minutes=3)
    await building.later(minutes=3)
    changes = select(Outgoing.id).where(Outgoing.change == "edit", Outgoing.card == "repair:1")
    before = len(building.read(changes))
    await owner.says("1号楼")
    await owner.says("跳过")
    shown = [each for each in office.chat.messages if "13800001111" in each.text]
    assert shown
    assert len(building.read(changes)) == before


@pytest.mark.by_hand
async def test_duty_hours_over_midnight(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    building.clock.at += timedelta(hours=14, minutes=58)  # 23:58
    write(building, lambda tx: tx.session.delete(role_of(tx, "李师傅")))
    await owner.says(STUCK)
    phone("张师傅").sees("🚨 紧急报修 1", "接单")
    await building.later(minutes=3)  # 00:01, the same night
    phone("张师傅").sees("（第 2 次呼叫）", "接单")
    phone("王师傅").sees_nothing()
    await building.later(hours=8)
    phone("王师傅").sees("（第 3 次呼叫）")
    assert rings(building) == [(1, 1, "duty"), (2, 1, "present"), (3, 2, "everybody")]


def role_of(tx: Tx, name: str) -> Role:
    return tx.session.exec(select(Role).where(Role.person_id == one(tx, name).id, Role.role == "crew")).one()


@pytest.mark.by_hand
async def test_where_nobody_on_duty_is_reached_all_on_duty_are_called_at_once(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, office: Phone
) -> None:
    block(building, "李师傅")
    await owner.says(STUCK)
    plumber.sees("🚨 紧急报修 1（值班的叫不到） · 1 号楼 电梯", "接单")
    crew.sees_nothing()
    office.sees("🚨 紧急报修 1（值班的叫不到）")
    assert rings(building) == [(1, 1, "present")]


@pytest.mark.by_hand
async def test_a_chat_that_turns_out_to_be_blocked_is_left_out_next_time(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says(STUCK)
    block(building, "李师傅")
    await building.later(minutes=3)
    plumber.sees("（第 2 次呼叫）", "接单")
    assert rings(building) == [(1, 1, "duty"), (2, 1, "present")]


@pytest.mark.by_hand
async def test_with_no_crew_at_all_the_managers_and_the_admin_group_are_called_at_once(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    without_crew(building)
    await owner.says(STUCK)
    office.sees("还没有登记师傅和经理。请物业马上自己派人。")
    assert rings(building) == [(1, 0, "everybody")]
    with_numbers(building)
    with_manager(building)
    await building.later(minutes=3)
    assert "刘经理（经理） 13900009999" in phone("刘经理").sees("（第 2 次呼叫）", "接单").text
    assert "刘经理（经理） 13900009999" in office.sees("（第 2 次呼叫）").text


@pytest.mark.by_hand
async def test_who_cannot_go_is_called_again_only_when_nobody_else_is_left(
    building: Building,
    owner: Phone,
    crew: Phone,
    plumber: Phone,
    office: Phone,
    phone: Callable[[str], Phone],
) -> None:
    await owner.says(STUCK)
    await crew.taps("去不了")
    plumber.sees("（第 2 次呼叫）", "接单")
    called = len(pages_of(crew))
    await building.later(minutes=3)
    phone("张师傅").sees("（第 3 次呼叫）", "接单")
    assert "李师傅（去不了）" in office.sees("（第 3 次呼叫）").text
    await building.later(minutes=3)
    assert len(pages_of(crew)) == called
    await plumber.taps("去不了")
    await phone("张师傅").taps("去不了")
    await building.later(minutes=3)
    crew.sees("🚨🚨 紧急报修 1", "接单")


async def test_when_we_were_down_for_an_hour_it_rings_once(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says(STUCK)
    await building.restart()
    await building.later(hours=1)
    assert [number for number, _, _ in rings(building)] == [1, 2]
    await building.restart()
    assert [number for number, _, _ in rings(building)] == [1, 2]
    await building.later(minutes=2, seconds=59)
    assert [number for number, _, _ in rings(building)] == [1, 2]
    await building.later(seconds=1)
    assert [number for number, _, _ in rings(building)] == [1, 2, 3]


async def test_a_page_that_was_not_sent_when_somebody_accepts_is_none_any_more(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.says(STUCK)
    for _ in range(2):  # rings 2 and 3 are written, but the messengers take nothing yet
        building.clock.at += timedelta(minutes=3)
        await building.app.ticker.tick()
    await crew.taps("接单")
    for each in (plumber, phone("张师傅")):
        assert pages_of(each) == ["🚨 紧急报修 1 · 1 号楼 电梯\n电梯故障：1号楼电梯里困了人\n已接单 · 李师傅"]
        assert each.last.buttons == {}
        assert each.last.silent or not building.changes
    assert not any("还没有人接单" in each.text for each in crew.chat.messages)
    dropped = [row for row in building.read(select(Outgoing)) if row.state == "dropped"]
    assert len(dropped) >= 2


@pytest.mark.by_hand
async def test_a_page_on_its_way_while_somebody_accepts_is_corrected(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    """The messenger had it before it was rewritten: it must not count as if it had said the new words."""
    await owner.says(STUCK)
    building.clock.at += timedelta(minutes=3)
    await building.app.ticker.tick()
    send, accepted = building._send, False

    async def slow(letter: Letter) -> Taken:
        nonlocal accepted
        text = letter.row.text
        taken = await send(letter)
        if "还没有人接单" in text and not accepted:
            accepted = True
            await building.app.receive(tapped(building, crew, "接单"))
        return taken

    building.app.delivery.senders[NAME] = slow
    await building.settle()
    assert accepted
    assert all("已接单 · 李师傅" in text for text in pages_of(plumber)[-1:])
    assert plumber.last.buttons == {}


def tapped(building: Building, who: Phone, label: str) -> Said:
    message = next(each for each in reversed(who.chat.messages) if label in each.buttons)
    return Said(
        messenger=NAME,
        key=f"tap {next(building.keys)}",
        place=who.place,
        sender=who.account,
        at=building.clock.now(),
        tap=message.buttons[label],
        on=message.id,
    )


@pytest.mark.by_hand
async def test_a_withdrawn_emergency_calls_nobody_any_more(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await owner.says(STUCK)
    building.clock.at += timedelta(minutes=3)
    await building.app.ticker.tick()
    await owner.taps("撤回")
    assert not any("还没有人接单" in each.text for each in plumber.chat.messages)
    await building.later(hours=1)
    assert len(rings(building)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duty, present, everybody", [("duty", False), ("present", False), ("everybody", False)]),
        ("duty,present + hook,everybody+hook", [("duty", False), ("present", True), ("everybody", True)]),
        ("everybody", [("everybody", False)]),
    ],
)
def test_rings_are_read(text: str, expected: list[tuple[str, bool]]) -> None:
    assert rings_in(text) == expected
    assert Policy(rings=text).rings == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "duty",
        "hook",
        "duty, hook, everybody",
        "duty + mail, everybody",
        "everybody, duty",
        "duty,,everybody",
    ],
)
def test_what_are_no_rings_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Policy(rings=text)


async def test_a_community_has_rings_of_its_own(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    building.set_policy("rings", "everybody")
    await owner.says(STUCK)
    for name in ("李师傅", "王师傅", "张师傅"):
        phone(name).sees("🚨 紧急报修 1", "接单")


# --- appointing -------------------------------------------------------------------------------------


@pytest.mark.in_place
async def test_staff_say_who_goes_to_an_emergency(
    building: Building,
    owner: Phone,
    crew: Phone,
    plumber: Phone,
    office: Phone,
    phone: Callable[[str], Phone],
) -> None:
    await owner.says(STUCK)
    await office.taps("指派")
    office.sees("报修 1 由谁去？", "李师傅 · 值班", "张师傅")
    labels = list(office.last.buttons)
    assert labels[:3] == ["李师傅 · 值班", "王师傅 · 值班 · 水龙头、下水道、马桶、漏水、水管", "张师傅"]
    await office.taps("张师傅")
    phone("张师傅").sees("物业指派给您：🚨 紧急报修 1 · 1 号楼 电梯", "我出发了", "修好了")
    owner.sees("张师傅已接单")
    office.sees("报修 1 已指派给张师傅")
    assert crew.last.text.endswith("已接单 · 张师傅")
    assert crew.last.buttons == {}
    await building.later(hours=1)
    assert len(rings(building)) == 1
    logged = [row.action for row in building.read(select(Audit))]
    assert logged == ["repair.appoint:1", "repair.appointed:1"]
    assert building.read(select(Repair.state)) == ["accepted"]


@pytest.mark.in_place
async def test_staff_give_an_ordinary_repair_to_somebody_else(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, office: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    await owner.taps("提交")
    plumber.sees("报修 1", "接单")
    await office.taps("指派")
    await office.taps("李师傅 · 值班")
    crew.sees("物业指派给您：报修 1", "接单", "去不了")
    plumber.sees("报修 1 改由李师傅负责，您不用去了")
    owner.sees("报修 1 改由李师傅负责，期限不变")
    assert building.read(select(Repair.state)) == ["waiting"]
    await crew.taps("接单")
    owner.sees("李师傅已接单")


@pytest.mark.by_hand
async def test_who_gets_no_messages_can_be_appointed_and_staff_hear_the_number(
    building: Building, owner: Phone, office: Phone
) -> None:
    with_numbers(building)
    block(building, "王师傅")
    await owner.says(STUCK)
    await office.taps("指派")
    label = next(each for each in office.last.buttons if "王师傅" in each)
    assert label.endswith("收不到消息")
    await office.taps(label)
    office.sees("消息送不到本人，请打电话告诉：13800002222")


@pytest.mark.by_hand
async def test_of_two_colleagues_who_appoint_the_first_is_heard(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    colleague = building.group("王奶奶")
    await owner.says(STUCK)
    await office.taps("指派")
    await colleague.taps("指派")
    await colleague.taps("李师傅 · 值班")
    owner.sees("李师傅已接单")
    with pytest.raises(AssertionError):
        await office.taps("张师傅")


@pytest.mark.by_hand
async def test_nobody_can_be_appointed_where_there_is_nobody(
    building: Building, owner: Phone, office: Phone
) -> None:
    without_crew(building)
    await owner.says(STUCK)
    await office.taps("指派")
    office.sees("没有人可以指派")


# --- managers ---------------------------------------------------------------------------------------


async def test_staff_name_a_manager_and_remove_them(
    building: Building, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await office.says("经理")
    office.sees("经理（没有师傅接单时呼叫，看得到电话）：没有人", "加经理")
    await office.taps("加经理")
    await office.says("周先生")
    office.sees("已登记周先生为经理", "移出周先生")
    phone("周先生").sees("物业已把您登记为经理")
    assert write(building, lambda tx: [each.name for each in managers_of(tx, 1)]) == ["周先生"]
    await office.taps("移出周先生")
    await office.taps("确定结束")
    phone("周先生").sees("经理")
    assert write(building, lambda tx: managers_of(tx, 1)) == []


@pytest.mark.by_hand
async def test_the_tickets_of_a_manager_who_goes_are_given_to_others(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone], crew: Phone
) -> None:
    with_manager(building, "周先生")
    building.set_policy("rings", "everybody")
    await owner.says(STUCK)
    await phone("周先生").taps("接单")
    await office.says("经理")
    await office.taps("移出周先生")
    await office.taps("确定结束")
    crew.sees("🚨🚨 紧急报修 1", "接单")


@pytest.mark.by_hand
async def test_a_manager_sees_all_open_tickets(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    with_manager(building)
    await owner.says(STUCK)
    await phone("刘经理").says("帮助")
    phone("刘经理").sees("会呼叫您", "工单")
    await phone("刘经理").taps("工单")
    phone("刘经理").sees("🚨 1 · 1 号楼 电梯", "查看 1")


# --- the web hook -----------------------------------------------------------------------------------

SECRET = "a secret of the tests"


class Exchange:
    """A service that telephones: it checks each call's signature, and answers with what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.calls: list[dict[str, Any]] = []
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stamp = self.headers["X-Linli-Timestamp"]
                signed = hmac.new(SECRET.encode(), stamp.encode() + body, hashlib.sha256).hexdigest()
                assert hmac.compare_digest(signed, self.headers["X-Linli-Signature"])
                exchange.calls.append(json.loads(body))
                self.send_response(exchange.answers.pop(0) if exchange.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/call?key=hidden"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class HookedBuilding(Building):
    """A building with a web hook."""

    url_of_hook = ""

    def _app(self) -> App:
        found = settings.load(
            store={"data": str(self.data), "url": self.url},
            policy={**self.policy, "rings": "duty + hook, present + hook, everybody"},
            paging={"hook_url": self.url_of_hook, "hook_secret": SECRET},
        )
        return App(found, clock=self.clock, senders={NAME: self._send})


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    yield made
    made.close()


@pytest.fixture
async def hooked(database_url: str, tmp_path: Path, exchange: Exchange) -> AsyncIterator[HookedBuilding]:
    HookedBuilding.url_of_hook = exchange.url
    made = HookedBuilding(tmp_path / "data", database_url)
    with_numbers(made)
    yield made
    await made.close()


def hook_rows(building: Building) -> list[Outgoing]:
    of_hook = select(Outgoing).join(Place, col(Place.id) == col(Outgoing.place_id))
    return building.read(of_hook.where(Place.messenger == "hook").order_by(col(Outgoing.id)))


async def test_a_ring_with_hook_has_people_telephoned(hooked: HookedBuilding, exchange: Exchange) -> None:
    await hooked.phone("陈女士").says(STUCK)
    (call,) = exchange.calls
    (row,) = hook_rows(hooked)
    assert call == {
        "id": str(row.id),
        "community": "阳光花园",
        "number": 1,
        "ring": 1,
        "text": "🚨 紧急报修 1 · 1 号楼 电梯\n电梯故障：1号楼电梯里困了人\n因为："
        + call["text"].partition("因为：")[2],
        "where": "1 号楼 电梯",
        "call": [{"name": "李师傅", "phone": "13800001111"}],
    }
    assert "13800001111" not in row.text
    assert (row.state, row.lane) == ("sent", 0)
    await hooked.later(minutes=3)
    assert [each["ring"] for each in exchange.calls] == [1, 2]
    assert exchange.calls[1]["call"] == [
        {"name": "李师傅", "phone": "13800001111"},
        {"name": "王师傅", "phone": "13800002222"},
    ]
    await hooked.later(minutes=3)
    assert len(exchange.calls) == 2  # the third ring has no hook
    attempts = select(Attempt).where(col(Attempt.outgoing_id).in_([row.id for row in hook_rows(hooked)]))
    assert [each.error for each in hooked.read(attempts)] == ["", ""]
    await hooked.phone("李师傅").taps("接单")
    assert not any(HIDDEN[0] in row.text for row in hook_rows(hooked))


async def test_who_is_reached_by_telephone_only_is_called_by_the_hook(
    hooked: HookedBuilding, exchange: Exchange
) -> None:
    block(hooked, "李师傅")
    await hooked.phone("陈女士").says(STUCK)
    assert [each["name"] for each in exchange.calls[0]["call"]] == ["李师傅"]
    assert rings(hooked) == [(1, 1, "duty")]


async def test_a_call_that_is_not_taken_is_tried_again_with_the_same_id_and_then_never(
    hooked: HookedBuilding, exchange: Exchange
) -> None:
    exchange.answers = [500, 302, 204]
    await hooked.phone("陈女士").says(STUCK)
    assert len(exchange.calls) == 1
    await hooked.restart()
    assert len(exchange.calls) == 1
    await hooked.later(seconds=15)
    await hooked.later(seconds=15)
    assert len(exchange.calls) == 3
    assert len({each["id"] for each in exchange.calls}) == 1
    await hooked.restart()
    await hooked.later(seconds=60)
    assert len(exchange.calls) == 3
    assert [row.state for row in hook_rows(hooked)] == ["sent"]


async def test_a_call_that_is_refused_fails_for_good(hooked: HookedBuilding, exchange: Exchange) -> None:
    exchange.answers = [403]
    await hooked.phone("陈女士").says(STUCK)
    await hooked.later(seconds=60)
    assert len(exchange.calls) == 1
    assert [(row.state, row.error) for row in hook_rows(hooked)] == [("failed", "HTTP 403")]


async def test_a_call_that_waits_is_dropped_when_somebody_accepts(
    hooked: HookedBuilding, exchange: Exchange
) -> None:
    exchange.answers = [503]
    await hooked.phone("陈女士").says(STUCK)
    await hooked.phone("李师傅").taps("接单")
    await hooked.later(minutes=10)
    assert len(exchange.calls) == 1
    assert [row.state for row in hook_rows(hooked)] == ["dropped"]


async def test_a_call_that_waits_is_overtaken_by_the_next_ring(
    hooked: HookedBuilding, exchange: Exchange
) -> None:
    exchange.answers = [503]
    await hooked.phone("陈女士").says(STUCK)
    hooked.clock.at += timedelta(minutes=3)
    await hooked.app.ticker.tick()
    await hooked.settle()
    assert [each["ring"] for each in exchange.calls] == [1, 2]
    assert [row.state for row in hook_rows(hooked)] == ["dropped", "sent"]


async def test_nothing_of_the_address_is_kept_when_the_hook_is_away(
    hooked: HookedBuilding, exchange: Exchange
) -> None:
    exchange.close()
    await hooked.phone("陈女士").says(STUCK)
    (row,) = hook_rows(hooked)
    assert (row.state, row.error) == ("waiting", "ConnectionError")
    exchange.__init__()  # type: ignore[misc]  so that it can be closed again


def test_a_demo_community_telephones_nobody(building: Building) -> None:
    assert building.app.house.hook is False


@pytest.mark.parametrize(
    ("url", "secret", "fits"),
    [
        ("", "", True),
        ("https://calls.example/x", SECRET, True),
        ("http://127.0.0.1:9/x", SECRET, True),
        ("http://localhost/x", SECRET, True),
        ("http://[::1]:9/x", SECRET, True),
        ("http://calls.example/x", SECRET, False),
        ("http://127.0.0.1.example/x", SECRET, False),
        ("ftp://calls.example", SECRET, False),
        ("calls.example", SECRET, False),
        ("https://", SECRET, False),
        ("https://[", SECRET, False),
        ("https://calls.example/x", "", False),
        ("https://calls.example/x", "short", False),
    ],
)
def test_the_address_of_the_hook_is_safe_and_signed(
    tmp_path: Path, url: str, secret: str, fits: bool
) -> None:
    paging = {"hook_url": url, "hook_secret": secret}
    if fits:
        found = settings.load(store={"data": str(tmp_path)}, paging=paging)
        assert found.has_hook == bool(url)
        return
    with pytest.raises(BadSettings, match="paging") as refused:
        settings.load(store={"data": str(tmp_path)}, paging=paging)
    assert "calls.example/x" not in str(refused.value)


# --- two processes ----------------------------------------------------------------------------------


class Pair:
    """Two programs on one PostgreSQL with one clock; the first of them delivers."""

    def __init__(self, apps: list[App], clock: StoppedClock) -> None:
        self.apps, self.clock = apps, clock
        apps[0].database.write_now(self._furnish)

    def _furnish(self, session: Session) -> None:
        tx = Tx(session, self.clock.now(), self.apps[0].house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for person in session.exec(select(Person)).all():
            bind_account(tx, person, NAME, person.name, agreed=True)
        for kind in ("staff", "board"):
            add_place(tx, community, NAME, kind, kind)

    async def says(self, who: str, number: int, *, app: int = 0, **what: str) -> None:
        said = Said(
            messenger=NAME, key=f"{who} {number} {what}", place=who, sender=who, at=self.clock.now(), **what
        )
        await self.apps[app].receive(said)

    async def tick(self) -> None:
        await asyncio.gather(*(app.ticker.tick() for app in self.apps))

    def read(self, query: Any) -> list[Any]:
        with self.apps[0].database.read() as session:
            return list(session.exec(query).all())


@pytest.fixture
async def pair(tmp_path: Path, postgres: Server, postgres_template: str) -> AsyncIterator[Pair]:
    name = unique("linli_paging")
    url = postgres.create_database(name, postgres_template)
    clock = StoppedClock()

    async def send(letter: Letter) -> Taken:
        return Taken(str(letter.row.id))

    async with AsyncExitStack() as stack:
        apps = []
        for number in range(2):
            found = settings.load(
                store={"data": str(tmp_path / f"data{number}"), "url": url},
                privacy={"key": KEY},
                playground={"enabled": False},
            )
            apps.append(App(found, clock=clock, senders={NAME: send}))
            stack.push_async_callback(apps[-1].stop)
        yield Pair(apps, clock)
    postgres.drop_database(name)


def numbers_of_rings(pair: Pair, repair: int) -> list[int]:
    paged = select(Event).where(
        Event.about == f"repair:{repair}", col(Event.key).in_(["event.paged", "event.paged_again"])
    )
    return [event.facts["ring"] for event in pair.read(paged.order_by(col(Event.id)))]


async def test_with_two_processes_each_ring_comes_once(pair: Pair) -> None:
    await pair.says("陈女士", 1, text=STUCK)
    for _ in range(4):
        pair.clock.at += timedelta(minutes=3)
        await asyncio.gather(pair.tick(), pair.tick())
    assert numbers_of_rings(pair, 1) == [1, 2, 3, 4, 5]
    sends = select(Outgoing).where(
        Outgoing.card == "repair:1", Outgoing.change == "send", col(Outgoing.person_id).is_not(None)
    )
    people = {person.id: person.name for person in pair.read(select(Person))}
    called = [people[row.person_id] for row in pair.read(sends.order_by(col(Outgoing.id)))]
    assert {name: called.count(name) for name in set(called)} == {"李师傅": 5, "王师傅": 4, "张师傅": 3}


async def test_with_two_processes_no_ring_follows_an_acceptance_at_the_same_moment(pair: Pair) -> None:
    """The timer is due while somebody accepts: the ring comes before, or not at all."""
    raced = 0
    for number in range(1, 13):
        await pair.says("陈女士", number, text=STUCK)
        pair.clock.at += timedelta(minutes=3)
        await asyncio.gather(
            pair.tick(), pair.says("李师傅", number, app=1, tap=f"repair.accept:{number}"), pair.tick()
        )
        (repair,) = pair.read(select(Repair).where(Repair.id == number))
        assert (repair.state, repair.ring) == ("accepted", len(numbers_of_rings(pair, number)))
        keys = pair.read(select(Event.key).where(Event.about == f"repair:{number}").order_by(col(Event.id)))
        assert not any(key.startswith("event.paged") for key in keys[keys.index("event.accepted") :])
        raced += repair.ring > 1
        waiting = select(Timer).where(Timer.action == f"repair.page:{number}", Timer.state == "waiting")
        assert pair.read(waiting) == []
        pair.clock.at += timedelta(hours=1)
        await pair.tick()
        assert len(numbers_of_rings(pair, number)) == repair.ring
    assert 0 <= raced <= 12
