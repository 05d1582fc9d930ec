"""`./linli wechat check` says what is right, and what to do about the rest."""

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.settings import Settings, load
from bot.wechat_check import MENU, Finding, check
from bot.wechat_client import Client
from bot.wechat_seal import BadCallback, Seal
from handlers.menu import COMMANDS
from store.database import Database
from store.vault import Vault
from tests.bot.wechat_settings import settings_of
from tests.wechat_api import WeChatApi

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(sqlite_template, tmp_path / "kept.db")
    kept = Database(f"sqlite:///{tmp_path / 'kept.db'}", durable=False)
    yield kept
    kept.close()


@pytest.fixture
async def api() -> AsyncIterator[WeChatApi]:
    async with WeChatApi() as api:
        yield api
        assert api.mistakes == []


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server whose /wechat answers with this; yields its address."""
    app = web.Application()
    app.router.add_get("/wechat", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def linli(api: WeChatApi) -> AsyncIterator[str]:
    """The address of a Linli that runs with the account's settings."""
    seal = Seal(api.token, api.aes_key, api.app_id)

    async def echo(request: web.Request) -> web.Response:
        try:
            return web.Response(text=seal.echo(request.query))
        except BadCallback as bad:
            return web.Response(status=bad.status)

    async with serving(echo) as address:
        yield address


Look = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
async def looked(api: WeChatApi, database: Database, linli: str) -> Look:
    async def look(address: str | None = None, **changes: Any) -> dict[str, Finding]:
        base = load()
        found = settings_of(api, **changes)
        address_ = linli if address is None else address
        settings = base.model_copy(
            update={"wechat": found, "web": base.web.model_copy(update={"address": address_})}
        )
        assert isinstance(settings, Settings)
        client = Client(found, database, Vault("a key of tests"))
        try:
            findings = await check(settings, client)
        finally:
            await client.close()
        secrets = [each.get_secret_value() for each in (found.app_secret, found.token, found.aes_key)]
        for secret in filter(None, secrets):
            assert secret not in str(findings)
        for finding in findings:
            if finding.ok is not True:  # in both languages
                assert re.search("[\u4e00-\u9fff]", finding.advice)
                assert re.search("[A-Za-z]+ [a-z]+ [a-z]", finding.advice)
        return {finding.what: finding for finding in findings}

    return look


def only(found: dict[str, Finding], word: str) -> Finding:
    (finding,) = (each for what, each in found.items() if word in what)
    return finding


def wrong(found: dict[str, Finding]) -> set[str]:
    """What is not right; the address of a test is never https."""
    return {what for what, finding in found.items() if not finding.ok and "ADDRESS" not in what}


async def test_a_whole_account_is_right(looked: Look, api: WeChatApi) -> None:
    api.methods.menu = MENU
    found = await looked()
    assert wrong(found) == set()
    assert len(found) == 11


def test_the_menu_has_commands_of_ours() -> None:
    top: list[Any] = MENU["button"]
    buttons = [each for button in top for each in button.get("sub_button", [button])]
    assert [each["key"] for each in buttons] == [
        "repair",
        "votes",
        "purchase",
        "my",
        "help",
        "language",
        "mydata",
    ]
    assert {each["key"] for each in buttons} <= set(COMMANDS)


async def test_the_menu_that_is_put_there_is_found_right(
    looked: Look, api: WeChatApi, database: Database
) -> None:
    missing = only(await looked(), "Menu")
    assert (missing.ok, "./linli wechat menu" in missing.advice) == (False, True)
    client = Client(settings_of(api), database, Vault("a key of tests"))
    await client.create_menu(MENU)
    await client.close()
    assert only(await looked(), "Menu").ok is True


@pytest.mark.parametrize(
    "menu",
    [
        {"button": [{"type": "click", "name": "报修", "key": "repair"}]},
        {
            "button": [
                *MENU["button"][:2],
                {"name": "更多", "sub_button": MENU["button"][2]["sub_button"][:2]},
            ]
        },
        {"button": [{"type": "click", "name": "报修", "key": "repairs"}, *MENU["button"][1:]]},
        {"button": [{"type": "view", "name": "报修", "url": "https://a.example"}, *MENU["button"][1:]]},
    ],
)
async def test_another_menu_is_not_ours(looked: Look, api: WeChatApi, menu: dict[str, Any]) -> None:
    api.methods.menu = menu
    assert "不是 Linli 的" in only(await looked(), "Menu").advice


# --- the settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("app_id", ""),
        ("app_id", "gh_7f083739789a"),
        ("app_id", "wx5823bf96d3bd56c7 "),
        ("app_secret", SecretStr("")),
        ("app_secret", SecretStr("0123456789ABCDEF0123456789ABCDEF")),
        ("app_secret", SecretStr("0123")),
        ("token", SecretStr("!?")),
        ("token", SecretStr("with space")),
        ("aes_key", SecretStr("")),
        ("aes_key", SecretStr("a" * 44)),
    ],
)
async def test_a_setting_of_another_shape_is_named(
    looked: Look, api: WeChatApi, name: str, value: Any
) -> None:
    found = await looked(**{name: value})
    assert wrong(found) == {f"LINLI_WECHAT__{name.upper()}"}
    assert api.calls == []  # without them nothing can be asked


@pytest.mark.parametrize(
    ("address", "words"),
    [("", "请设为"), ("http://linli.invalid", "https"), ("https://linli.invalid:8443", "443")],
)
async def test_an_address_that_wechat_cannot_use_is_named(looked: Look, address: str, words: str) -> None:
    finding = only(await looked(address), "LINLI_WEB__ADDRESS")
    assert (finding.ok, words in finding.advice) == (False, True)


async def test_a_good_address_is_right(looked: Look) -> None:
    found = await looked("https://linli.invalid")
    assert only(found, "LINLI_WEB__ADDRESS").ok is True
    assert only(found, "invalid/wechat").ok is False


# --- the callback -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, "", "另一个 Token"),
        (404, "", "没有微信的入口"),
        (200, "<html>Welcome</html>", "HTTP 200"),
        (302, "", "HTTP 302"),
        (502, "", "HTTP 502"),
    ],
)
async def test_a_callback_that_does_not_answer_as_ours(
    looked: Look, status: int, body: str, words: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    async with serving(answer) as address:
        finding = only(await looked(address), "/wechat")
    assert (finding.ok, words in finding.advice) == (False, True)


async def test_a_callback_that_nobody_answers(looked: Look) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with serving(answer) as address:
        pass
    assert "Linli 在运行吗" in only(await looked(address), "/wechat").advice


async def test_a_running_linli_with_another_token_is_found(looked: Look) -> None:
    assert "另一个 Token" in only(await looked(token=SecretStr("anotherToken")), "/wechat").advice


# --- the account ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (40164, "IP 白名单"),
        (40125, "AppSecret"),
        (40013, "AppID"),
        (40243, "冻结"),
        (50007, "冻结"),
        (49999, "49999"),
        ("500", "HTTP 500"),
        ("garbage", "连不上"),
    ],
)
async def test_why_there_is_no_token_is_said(
    looked: Look, api: WeChatApi, code: int | str, words: str
) -> None:
    api.choose = lambda path, _: code if path == "stable_token" else None
    found = await looked()
    assert (only(found, "token").ok, words in only(found, "token").advice) == (False, True)
    assert [path for path, _ in api.calls] == ["stable_token"]


async def test_a_wrong_secret_is_found_even_while_a_token_is_good(looked: Look, api: WeChatApi) -> None:
    await looked()
    found = await looked(app_secret=SecretStr("f" * 32))
    assert "AppSecret" in only(found, "token").advice


async def test_the_address_for_the_whitelist_is_named(
    database: Database, api: WeChatApi, looked: Look
) -> None:
    async def answer(_: web.Request) -> web.Response:
        words = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 1"
        return web.json_response({"errcode": 40164, "errmsg": words})

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found = await looked(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert "203.0.113.7 加入 IP 白名单" in only(found, "token").advice


@pytest.mark.parametrize("code", [-1, 45009, 45011])
async def test_a_busy_wechat_says_nothing_of_the_account(looked: Look, api: WeChatApi, code: int) -> None:
    api.choose = lambda path, _: code if path == "stable_token" else None
    assert only(await looked(), "token").ok is None


async def test_an_account_without_rights_hears_what_to_apply_for(looked: Look, api: WeChatApi) -> None:
    api.verified = False
    api.methods.menu = MENU
    found = await looked()
    assert len(wrong(found)) == 3
    assert all("已认证的服务号" in found[what].advice for what in wrong(found))


# --- templates --------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize(
    ("name", "what"), [("template", "Template message"), ("notification", "One-time notification")]
)


@BOTH
async def test_without_a_template_it_is_said_what_is_lost(looked: Look, name: str, what: str) -> None:
    finding = only(await looked(**{name: ""}), what)
    assert (finding.ok, f"LINLI_WECHAT__{name.upper()}" in finding.advice) == (None, True)


@BOTH
async def test_a_template_that_is_not_there_is_named_with_what_is(
    looked: Look, api: WeChatApi, name: str, what: str
) -> None:
    finding = only(await looked(**{name: "x" * 43}), what)
    assert (finding.ok, getattr(api, name) in finding.advice) == (False, True)


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        "",
        "thing1=about",
        "thing1=about, thing2=words, time4=time",
        "thing1=about, thing2=words, time3=time, thing4=words",
    ],
)
async def test_fields_that_the_template_has_not_are_named(
    looked: Look, name: str, what: str, fields: str
) -> None:
    finding = only(await looked(**{f"{name}_fields": fields}), what)
    assert finding.ok is False
    assert f"LINLI_WECHAT__{name.upper()}_FIELDS" in finding.advice
    assert "thing1=about, thing2=words, time3=time" in finding.advice


@BOTH
async def test_fields_that_cannot_hold_what_they_show_are_named(
    looked: Look, api: WeChatApi, name: str, what: str
) -> None:
    other = api.add_template(
        "进度", "状态:{{phrase1.DATA}}\n时间:{{date2.DATA}}", notification=name != "template"
    )
    finding = only(await looked(**{name: other.id, f"{name}_fields": "phrase1=words, date2=time"}), what)
    assert (finding.ok, finding.advice.startswith("phrase1 装不下")) == (False, True)
