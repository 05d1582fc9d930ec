"""Logs hold neither secrets nor names nor telephone numbers."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import select

import handlers.inbox
from bot.delivery import Letter, Taken
from bot.logs import Masking, set_up, without_words
from conversations.said import Said
from handlers.actions import ACTIONS
from handlers.tx import Tx
from store.tables import Community, Inbox, Person
from tests.people import Building, Phone


@pytest.mark.parametrize(
    "private",
    [
        "13800001111",
        "138 0000 1111",
        "138-0000-1111",
        "138.0000.1111",
        "+86 138 0000 1111",
        "021-55550000",
        "02155550000",
        "0571-8888 1234",
        "310101199001011234",
        "6222020200112233445",
        "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_",
        "a secret of the settings",
    ],
)
@pytest.mark.parametrize("around", ["{}", "请打 {}。", "https://api.example/bot{}/sendMessage", "({})"])
def test_what_is_private_is_masked(private: str, around: str) -> None:
    masked = Masking(["a secret of the settings"]).mask(around.format(private))
    assert masked == around.format("***") or masked == around.format("+***")


def test_a_password_in_an_address_is_masked() -> None:
    assert Masking().mask("postgresql://linli:secret@host/db") == "postgresql://linli:***@host/db"


@pytest.mark.parametrize(
    "plain", ["2026-03-02T01:00:00.012345678Z", "报修 218 · 3 号楼 1201", "7F3A", "key=陈女士-17", "89.35"]
)
def test_what_is_not_private_stays(plain: str) -> None:
    assert Masking().mask(plain) == plain


def test_every_text_of_an_event_is_masked() -> None:
    event = Masking()(None, "", {"event": "taken", "text": "打 13800001111", "count": 13800001111})
    assert event == {"event": "taken", "text": "打 ***", "count": 13800001111}


# --- people, failures, and errors of the database ---------------------------------------------------


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Begin to listen to all that is logged, at debug level; then what was logged since."""
    listening = False

    def hear() -> str:
        nonlocal listening
        if not listening:  # not while the fixture is made: pytest puts its own handlers back after that
            set_up("debug")
        listening = True
        return capsys.readouterr().err

    yield hear
    set_up("critical")


NAMES = ("陈女士", "周先生", "李师傅", "刘经理", "赵雅芳")
NUMBERS = ("13912345678", "139 1234 5678", "12345678")


async def test_no_name_and_no_number_gets_into_the_logs(
    building: Building,
    owner: Phone,
    crew: Phone,
    office: Phone,
    heard: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard()
    await owner.says("我是陈女士，电话 139 1234 5678，电梯里困了人")
    await crew.taps("接单")
    await office.says("周先生和赵雅芳 13912345678")
    stuck = building.phone("赵雅芳")
    await stuck.says("你好")
    await stuck.taps("申请登记")
    told = heard()
    assert "taken" in told

    def fail(tx: Tx, person: Person, place: object, said: Said) -> None:
        raise RuntimeError(f"{person.name} 13912345678: {said.text}") from KeyError(person.name)

    def clash(tx: Tx, person: Person, place: object, said: Said) -> None:
        for _ in range(2):  # PostgreSQL names the values of the key
            tx.session.add(Community(name=f"{person.name}{said.text}", created_at=tx.now))
            tx.session.flush()

    def incomplete(tx: Tx, person: Person, place: object, said: Said) -> None:
        tx.session.add(Community(name=f"{person.name}{said.text}"))
        tx.session.flush()  # PostgreSQL shows the failing row

    def nonsense(tx: Tx, person: Person, place: object, said: Said) -> None:
        if tx.session.get_bind().dialect.name == "sqlite":  # which calls nothing nonsense
            fail(tx, person, place, said)
        tx.session.connection().execute(text("SELECT CAST(:it AS integer)"), {"it": said.text})

    for broken in (fail, clash, incomplete, nonsense):
        monkeypatch.setattr(handlers.inbox, "_act", broken)
        await owner.says("13912345678 找陈女士")
        owner.sees("编号")
        failed = heard()
        assert "a message failed" in failed
        assert "reference=" in failed
        told += failed
    assert "RuntimeError" in told
    assert "IntegrityError" in told
    assert [word for word in (*NAMES, *NUMBERS) if word in told] == []
    first = building.read(select(Inbox).where(Inbox.state == "failed").order_by(Inbox.id))[0]
    assert first.error.startswith("RuntimeError('陈女士 13912345678")  # there it is found


@pytest.mark.by_hand
async def test_what_fails_in_the_clock_and_in_delivery_says_no_name(
    building: Building, owner: Phone, heard: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tx: Tx, person: None, community: Community) -> None:
        raise ValueError(tx.session.exec(select(Person.name)).first())

    async def lose(letter: Letter) -> Taken:
        raise ValueError(f"{letter.row.text} {letter.place.external_id}")

    act = ACTIONS["privacy.retain"]
    monkeypatch.setitem(ACTIONS, "privacy.retain", replace(act, do=fail))
    monkeypatch.setitem(building.app.delivery.senders, building.messenger, lose)
    heard()
    await building.later(days=1)
    await owner.says("我的")
    told = heard()
    assert "a timer failed" in told
    assert "sending failed" in told
    assert [word for word in NAMES if word in told] == []


def test_an_exception_is_told_by_its_kind_and_its_place() -> None:
    try:
        try:
            raise KeyError(NAMES[0])
        except KeyError as error:
            raise OSError(28, "No space left on device", NAMES[1]) from error
    except OSError as error:
        told = without_words((type(error), error, error.__traceback__))
    assert "builtins.KeyError\n" in told
    assert told.endswith("builtins.OSError: No space left on device")
    assert "test_logs.py" in told
    assert NAMES[0] not in told


def test_libraries_are_heard_from_warnings_on(heard: Callable[[], str]) -> None:
    heard()
    for name in ("sqlalchemy.engine.Engine", "PIL.TiffImagePlugin", "httpcore.connection", "asyncio"):
        logging.getLogger(name).debug("a row of %s", NAMES[0])
        logging.getLogger(name).info("a row of %s", NAMES[0])
        logging.getLogger(name).warning("something is wrong")
    logging.getLogger("bot.playground").debug("ours")
    logging.getLogger("apscheduler.scheduler").warning("a tick takes longer than a second")
    told = heard()
    assert NAMES[0] not in told
    assert told.count("something is wrong") == 4
    assert "ours" in told and "a tick takes" not in told
