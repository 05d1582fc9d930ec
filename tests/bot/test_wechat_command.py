"""WeChat on the command line: the start, the look at the account, its menu, and invitations with its QR codes."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from sqlmodel import Session, col, select
from typer.testing import CliRunner

from bot import __main__ as program
from bot import wechat_check
from bot.logs import set_up
from bot.wechat_check import MENU, Finding
from bot.wechat_client import Away, Client
from bot.wechat_codes import scenes
from handlers.roster import add_community, apply, plan_roster, read_roster
from handlers.tx import House, Tx
from store.database import Database
from store.tables import Account, Code, Person
from store.vault import Vault, kept_key
from tests.bot.test_command_line import ROOT, linli, said
from tests.bot.test_invitation_pages import lines
from tests.bot.wechat_settings import settings_of
from tests.bot_api import BotApi
from tests.wechat_api import WeChatApi

NAMES = ("app_id", "app_secret", "token", "aes_key")


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
async def api() -> AsyncIterator[WeChatApi]:
    async with WeChatApi() as api:
        yield api
        assert api.mistakes == []


def account(api: WeChatApi, address: str = "https://linli.invalid", **changes: str) -> dict[str, str]:
    """The environment in which Linli has this account."""
    values = {name: getattr(api, name) for name in NAMES} | {"base_url": api.url} | changes
    found = {f"LINLI_WECHAT__{name.upper()}": value for name, value in values.items()}
    return {**found, "LINLI_WEB__ADDRESS": address, "LINLI_PLAYGROUND__ENABLED": "false"}


async def ran(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command and what it said, which is never a traceback nor one of the secrets."""
    done = await asyncio.to_thread(linli, *arguments, **environment)
    words = said(done)
    for name in NAMES[1:]:
        secret = environment.get(f"LINLI_WECHAT__{name.upper()}")
        assert not secret or secret not in words
    return done.returncode, words


@asynccontextmanager
async def running(data: str, port: int, **environment: str) -> AsyncIterator[list[str]]:
    """Linli runs; yields what it says at its start."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("LINLI_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run", "--data", data, "--port", str(port)),
        cwd=ROOT,
        env={**known, **environment, "LINLI_LOG__LEVEL": "debug"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said_first: list[str] = []
        async with asyncio.timeout(30), httpx.AsyncClient() as http:
            while not said_first or "LINLI_POLICY__OFFICE_PHONE" not in said_first[-1]:
                line = await process.stdout.readline()
                assert line, (await process.stderr.read()).decode()
                said_first.append(line.decode())
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{port}/health")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
        yield said_first
    finally:
        process.send_signal(signal.SIGTERM)
        out, logged = await process.communicate()
    assert process.returncode == 0
    for name in NAMES[1:]:
        assert environment[f"LINLI_WECHAT__{name.upper()}"] not in (out + logged).decode()
    assert "Traceback" not in logged.decode()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def stored(data: str, sqlite_template: Path) -> Iterator[Database]:
    """The database of an installation with a community and its roster."""
    Path(data).mkdir()
    shutil.copy(sqlite_template, f"{data}/linli.db")
    kept = Database(f"sqlite:///{data}/linli.db")

    def work(session: Session) -> None:
        tx = Tx(session, datetime.now(UTC), House(Vault(kept_key(Path(data) / "key"))))
        made = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        apply(tx, plan_roster(tx, made, read_roster((ROOT / "bot/demo/roster.csv").read_bytes())))

    kept.write_now(work)
    yield kept
    kept.close()


def codes(stored: Database) -> list[Code]:
    """All codes that are open."""
    with stored.read() as session:
        return list(session.exec(select(Code).where(col(Code.used_at).is_(None))))


# --- from nothing to the first owner ----------------------------------------------------------------


async def test_from_the_settings_to_the_first_owner(
    data: str, tmp_path: Path, api: WeChatApi, port: int, stored: Database
) -> None:
    address = f"http://127.0.0.1:{port}"
    environment = account(api, address, template=api.template, notification=api.notification)
    code, words = await ran("wechat", "check", "--data", data, **environment)
    assert (code, f"✗ {address}/wechat" in words, "Linli 在运行吗" in words) == (1, True, True)
    async with running(data, port, **environment) as start:
        assert f"服务器配置的 URL：{address}/wechat（安全模式）" in start[0]
        assert f"WeChat is on; it calls us at {address}/wechat" in start[1]
        async with httpx.AsyncClient() as http:

            async def deliver(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
                answer = await http.request(method, f"{address}/wechat", params=query, content=body)
                return answer.status_code, answer.content

            api.deliver = deliver
            assert await api.checks_url()
            code, words = await ran("wechat", "check", "--data", data, **environment)
            assert f"✓ {address}/wechat" in words and "安全模式" in words
            assert "✗ 自定义菜单 Menu" in words and "./linli wechat menu" in words
            assert code == 1
            code, words = await ran("wechat", "menu", "--data", data, **environment)
            assert (code, api.methods.menu) == (0, MENU)
            assert (
                "报修\n业主：投票、申请设备、我的\n更多：帮助、语言 Language、我的资料\n菜单已设好" in words
            )
            code, words = await ran("wechat", "check", "--data", data, **environment)
            assert re.findall("✗ (.+)", words) == [f"LINLI_WEB__ADDRESS {address}"]  # it is no https
            assert (code, words.count("✓")) == (1, 10)

            pages = tmp_path / "pages.pdf"
            code, words = await ran("invite", "陈女士", "--pdf", str(pages), "--data", data, **environment)
            assert (code, "1 张邀请" in words) == (0, True)
            (page,) = lines(pages.read_bytes())
            (scene,) = {each.scene for each in api.methods.codes} - {"check"}
            assert scene in page
            chen = api.user("陈女士")
            await chen.scans(scene)
            assert "陈女士，您好，欢迎来到阳光花园的邻里" in chen.chat[-1].text
            code, words = await ran("invite", "陈女士", "--data", data, **environment)
            assert (code, "已经进来了" in words) == (1, True)


# --- what is wrong ----------------------------------------------------------------------------------


async def test_what_is_missing_is_said_in_one_sentence(data: str, api: WeChatApi) -> None:
    environment = {**account(api, address="", app_secret=""), "LINLI_PLAYGROUND__ENABLED": "true"}
    code, words = await ran("run", "--port", "0", "--data", data, **environment)
    assert (code, "微信还缺设置：wechat.app_secret、web.address。" in words) == (1, True)
    assert len(words.splitlines()) == 2
    assert api.calls == []


async def test_a_key_that_is_none_stops_the_start(data: str, api: WeChatApi) -> None:
    code, words = await ran("run", "--port", "0", "--data", data, **account(api, aes_key="a" * 42))
    assert (code, "EncodingAESKey 应为 43 位" in words) == (1, True)


async def test_without_an_account_each_command_says_so(data: str) -> None:
    code, words = await ran("wechat", "menu", "--data", data)
    assert (code, "还没有设置公众号" in words) == (1, True)
    code, words = await ran("wechat", "check", "--data", data)
    assert (code, words.count("还没有设置（")) == (1, 4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [(48001, "已认证的服务号"), ("garbage", "微信连不上")],
)
async def test_why_the_menu_is_not_set_is_said(
    data: str, api: WeChatApi, fault: int | str, words: str
) -> None:
    api.choose = lambda path, _: fault if path == "menu/create" else None
    code, shown = await ran("wechat", "menu", "--data", data, **account(api))
    assert (code, words in shown, "✗" in shown, "已设好" in shown) == (1, True, True, False)


def test_a_check_without_anything_wrong_ends_well(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(*_: object) -> list[Finding]:
        return [Finding(True, "Menu"), Finding(None, "Template", "没有设置。It is not set.")]

    monkeypatch.setattr(wechat_check, "check", look)
    try:
        done = CliRunner().invoke(program.cli, ["wechat", "check", "--data", data])
    finally:
        set_up("critical")
    assert (done.exit_code, done.output) == (0, "✓ Menu\n… Template\n  没有设置。It is not set.\n")


def test_the_accounts_secrets_are_masked_in_logs(
    data: str, api: WeChatApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in account(api).items():
        monkeypatch.setenv(name, value)
    try:
        program.loaded(Path(data))
        log = structlog.get_logger("bot")
        log.warning("told", secret=api.app_secret, token=api.token, key=f"[{api.aes_key}]")
    finally:
        set_up("critical")
    logged = capsys.readouterr().err
    assert "told" in logged and logged.count("***") == 3
    assert not {name for name in NAMES[1:] if getattr(api, name) in logged}


# --- invitations ------------------------------------------------------------------------------------


async def test_lines_say_the_code_and_what_to_do_with_it(data: str, api: WeChatApi, stored: Database) -> None:
    code, words = await ran("invite", "陈女士", "--data", data, **account(api))
    assert code == 0
    assert re.search(r"陈女士 +3 号楼 2 单元 1201 +\w{5}-\w{5}\n", words)
    assert "关注公众号，把自己的码发给它" in words
    assert api.calls == []  # nobody scans a line of text
    async with BotApi() as telegram:
        both = {"LINLI_TELEGRAM__TOKEN": telegram.token, "LINLI_TELEGRAM__BASE_URL": telegram.url}
        code, words = await ran("invite", "陈女士", "--data", data, **account(api), **both)
    assert re.search(r"https://t\.me/linli_test_bot\?start=(\w{5}-\w{5}) +\1\n", words)


async def test_a_card_has_the_code_of_each_messenger(
    data: str, tmp_path: Path, api: WeChatApi, stored: Database
) -> None:
    async with BotApi() as telegram:
        both = {"LINLI_TELEGRAM__TOKEN": telegram.token, "LINLI_TELEGRAM__BASE_URL": telegram.url}
        pages = tmp_path / "pages.pdf"
        code, _ = await ran("invite", "--pdf", str(pages), "--data", data, **account(api), **both)
    assert code == 0
    made = [payload for path, payload in api.calls if path == "qrcode/create"]
    assert len(made) == len(codes(stored)) == 17
    assert all(30 * 86400 - 60 < each["expire_seconds"] < 30 * 86400 for each in made)
    shown = [line for page in lines(pages.read_bytes()) for line in page]
    assert {each["action_info"]["scene"]["scene_str"] for each in made} <= set(shown)
    assert (shown.count("微信 WeChat"), shown.count("Telegram")) == (17, 17)


async def test_whoever_is_on_one_of_the_messengers_is_not_invited(
    data: str, api: WeChatApi, stored: Database
) -> None:

    def work(session: Session) -> None:
        for name, messenger in (("陈女士", "wechat"), ("周先生", "telegram"), ("王师傅", "browser")):
            person = session.exec(select(Person).where(Person.name == name)).one()
            session.add(
                Account(
                    community_id=person.community_id,
                    person_id=person.id,
                    messenger=messenger,
                    external_id=name,
                )
            )

    stored.write_now(work)
    async with BotApi() as telegram:
        both = {"LINLI_TELEGRAM__TOKEN": telegram.token, "LINLI_TELEGRAM__BASE_URL": telegram.url}
        words = (await ran("invite", "--data", data, **account(api), **both))[1]
        assert not re.search("陈女士|周先生", words)
        assert "王师傅" in words
        words = (await ran("invite", "--again", "--data", data, **account(api)))[1]
        assert ("陈女士" in words, "周先生" in words) == (False, True)  # Telegram is not served now


@pytest.mark.parametrize(("fault", "words"), [(48001, "已认证的服务号"), (45009, "稍后再试")])
async def test_what_wechat_refuses_leaves_no_pages_and_no_codes(
    data: str, tmp_path: Path, api: WeChatApi, stored: Database, fault: int | str, words: str
) -> None:
    seen: list[object] = []

    def choose(path: str, payload: object) -> int | str | None:
        seen.extend([payload] if path == "qrcode/create" else [])
        return fault if path == "qrcode/create" and len(seen) > 5 else None

    api.choose = choose
    pages = tmp_path / "pages.pdf"
    code, shown = await ran("invite", "--pdf", str(pages), "--data", data, **account(api))
    assert (code, words in shown, pages.exists(), codes(stored)) == (1, True, False, [])
    api.choose = None
    code, shown = await ran("invite", "--pdf", str(pages), "--data", data, **account(api))
    assert (code, "17 张邀请" in shown) == (0, True)


async def test_one_slip_among_many_is_tried_again(data: str, api: WeChatApi, stored: Database) -> None:
    slips = iter([-1, "cut", None])
    api.choose = lambda path, _: next(slips, None) if path == "qrcode/create" else None
    client = Client(settings_of(api), stored, Vault("a key of tests"))
    told: list[None] = []
    until = datetime.now(UTC) + timedelta(hours=1)
    wanted = [f"K7PQ2-{number:05}" for number in range(20)]
    try:
        made = await scenes(client, wanted, until, lambda: told.append(None))
        api.choose = lambda path, _: "garbage" if path == "qrcode/create" else None
        with pytest.raises(Away):
            await scenes(client, wanted[:1], until)
    finally:
        await client.close()
    assert (list(made), len(set(made.values())), len(told)) == (wanted, 20, 20)
    lives = [payload["expire_seconds"] for path, payload in api.calls if path == "qrcode/create"]
    assert max(lives) <= 3600
