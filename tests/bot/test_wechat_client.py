"""WeChat's API: one token for everybody, no secret in any error, and none of wechatpy's defects.

Those with a number are of the list of what wechatpy 1.8.18 does wrong; 5 and 6 are in test_wechat_seal.py.
"""

import asyncio
import hashlib
import json
import logging
import shutil
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from sqlmodel import Session, select

from bot.wechat_client import TOO_MUCH, Away, Client, Tokens, Trouble
from store.database import Database
from store.lease import hold
from store.tables import Lease, Token
from store.vault import Vault
from tests.bot.wechat_settings import settings_of
from tests.people import recording
from tests.wechat_api import User, WeChatApi

VAULT = Vault("a key of tests")
SECRET = "0123456789abcdef0123456789abcdef"
JPEG = b"\xff\xd8\xff\xe0photo"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **how_long: float) -> None:
        self.at += timedelta(**how_long)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(sqlite_template, tmp_path / "kept.db")
    kept = Database(f"sqlite:///{tmp_path / 'kept.db'}", durable=False)
    yield kept
    kept.close()


@pytest.fixture
def databases(database_url: str) -> Iterator[list[Database]]:
    """One database as two processes see it, on SQLite and on PostgreSQL."""
    both = [Database(database_url, threads=4, durable=False) for _ in range(2)]
    yield both
    for each in both:
        each.close()


@pytest.fixture
async def api(clock: Clock) -> AsyncIterator[WeChatApi]:
    async with WeChatApi(now=lambda: clock().timestamp()) as api:
        yield api
        assert api.mistakes == []


@pytest.fixture
async def client(api: WeChatApi, database: Database, clock: Clock) -> AsyncIterator[Client]:
    client = Client(settings_of(api), database, VAULT, clock)
    yield client
    await client.close()


@pytest.fixture
async def chen(api: WeChatApi) -> User:
    async def deliver(*_: Any) -> tuple[int, bytes]:
        return 200, b""

    api.deliver = deliver
    user = api.user("陈女士")
    await user.follows()
    await user.writes("在吗")
    return user


def calls_to(api: WeChatApi, path: str) -> list[Any]:
    return [payload for called, payload in api.calls if called == path]


# --- messages ---------------------------------------------------------------------------------------


async def test_a_text_a_menu_and_an_image_reach_their_reader(client: Client, chen: User) -> None:
    await client.send_text(chen.openid, "报修 218：李师傅已接单 🔧\n<b>约 30 分钟</b>")
    await client.send_menu(
        chen.openid, "修好了吗？", [("7:repair.done:1", "修好了"), ("7:repair.open:1", "没有")], "谢谢"
    )
    await client.send_image(chen.openid, await client.upload_image(JPEG))
    text, menu, image = chen.chat
    assert text.text == "报修 218：李师傅已接单 🔧\n<b>约 30 分钟</b>"
    assert menu.text == "修好了吗？\n修好了\n没有\n谢谢"
    assert menu.options == [("7:repair.done:1", "修好了"), ("7:repair.open:1", "没有")]
    assert image.data == JPEG


async def test_a_template_is_known_by_its_number(client: Client, chen: User, api: WeChatApi) -> None:
    values = {"thing1": "报修 218", "thing2": "李师傅已接单", "time3": "2026年11月28日 17:00"}
    number = await client.send_template(chen.openid, api.template, "https://linli.example/p/1", values)
    assert number.isdigit()
    assert chen.chat[-1].url == "https://linli.example/p/1"
    assert "李师傅已接单" in chen.chat[-1].text
    await client.send_template(chen.openid, api.template, "", values)
    assert "url" not in calls_to(api, "message/template/send")[-1]


async def test_a_template_that_is_sent_again_arrives_once(client: Client, chen: User, api: WeChatApi) -> None:
    values = {"thing1": "报修 218", "thing2": "李师傅已接单", "time3": "17:00"}
    numbers = [await client.send_template(chen.openid, api.template, "", values, once="17") for _ in range(2)]
    assert numbers[0] == numbers[1]
    assert len(chen.chat) == 1


async def test_a_notification_needs_a_consent(client: Client, chen: User, api: WeChatApi) -> None:
    values = {"thing1": "报修 218", "thing2": "李师傅已接单", "time3": "2026年11月28日 17:00"}
    with pytest.raises(Trouble) as caught:
        await client.send_notification(chen.openid, api.notification, "", values)
    assert caught.value.code == 43101
    await chen.answers_consent(api.notification)
    await client.send_notification(chen.openid, api.notification, "https://linli.example/p/1", values)
    assert chen.chat[-1].url == "https://linli.example/p/1"


async def test_what_wechat_refuses_has_its_code(client: Client, chen: User, clock: Clock) -> None:
    clock.passes(hours=49)
    with pytest.raises(Trouble) as caught:
        await client.send_text(chen.openid, "晚了")
    assert (caught.value.code, "out of time" in caught.value.reason) == (45015, True)


# --- images -----------------------------------------------------------------------------------------


async def test_a_photo_is_fetched_as_it_was_sent(client: Client, api: WeChatApi) -> None:
    data = JPEG + bytes(range(256)) * 1000
    assert await client.fetch_media(api.keep_media("image", data)) == data


async def test_a_photo_is_gone_after_three_days(client: Client, api: WeChatApi, clock: Clock) -> None:
    media = api.keep_media("image", JPEG)
    clock.passes(days=3)
    with pytest.raises(Trouble) as caught:
        await client.fetch_media(media)
    assert caught.value.code == 40007


@pytest.mark.parametrize("as_bytes", [False, True])
async def test_a_video_is_fetched_from_where_it_is(client: Client, api: WeChatApi, as_bytes: bool) -> None:
    api.videos_as_bytes = as_bytes
    data = recording("mp4", 100_000)
    assert await client.fetch_media(api.keep_media("video", data)) == data


async def test_a_video_of_more_than_20_mb_is_too_much(client: Client, api: WeChatApi) -> None:
    with pytest.raises(Away) as caught:
        await client.fetch_media(api.keep_media("video", recording("mp4", 21 * 1024 * 1024)))
    assert caught.value.reason == TOO_MUCH


@pytest.mark.parametrize(
    "answer", [b"{}", b'{"video_url": "file:///etc/passwd"}', b'{"video_url": 1}', b"<html>"]
)
async def test_what_is_no_file_is_not_taken_for_one(client: Client, api: WeChatApi, answer: bytes) -> None:
    with pytest.raises(Away):
        await client.fetch_media(api.keep_media("image", answer))


async def test_recordings_are_uploaded_as_what_they_are(client: Client, chen: User) -> None:
    for mime, form in (("audio/amr", "amr"), ("audio/mpeg", "mp3"), ("video/mp4", "mp4")):
        number = await client.upload_recording(recording(form), mime)
        await client.send_recording(chen.openid, mime, number)
    assert [(each.kind, each.data) for each in chen.chat] == [
        ("voice", recording("amr")),
        ("voice", recording("mp3")),
        ("video", recording("mp4")),
    ]


async def test_a_png_is_uploaded_as_one(client: Client, api: WeChatApi) -> None:
    await client.upload_image(b"\x89PNG\r\n\x1a\nphoto")
    assert "photo.png" in str(calls_to(api, "media/upload")[-1])


# --- the account ------------------------------------------------------------------------------------


async def test_a_menu_comes_back_as_it_was_created(client: Client) -> None:
    assert await client.get_menu() == {}
    menu = {"button": [{"type": "click", "name": "报修", "key": "repair"}]}
    await client.create_menu(menu)
    assert [each["key"] for each in (await client.get_menu())["button"]] == ["repair"]


async def test_a_code_carries_an_invitation(client: Client, api: WeChatApi) -> None:
    assert (await client.create_qr("7F3AK2", 2_592_000)).startswith("http://weixin.qq.com/q/")
    assert api.is_expired("7F3AK2") is False


async def test_what_the_account_has_is_listed(client: Client, api: WeChatApi) -> None:
    assert [each["template_id"] for each in await client.templates()] == [api.template]
    assert [each["priTmplId"] for each in await client.notifications()] == [api.notification]
    assert await client.callback_ips() == ["127.0.0.1"]


async def test_a_page_is_signed_with_a_ticket_that_is_kept(
    client: Client, api: WeChatApi, clock: Clock
) -> None:
    signed = await client.js_signature("https://linli.example/p/1?a=b#top")
    words = (
        f"jsapi_ticket={await client.js_ticket()}&noncestr={signed['nonceStr']}"
        f"&timestamp={signed['timestamp']}&url=https://linli.example/p/1?a=b"
    )
    assert signed["signature"] == hashlib.sha1(words.encode()).hexdigest()
    assert (signed["appId"], signed["timestamp"]) == (api.app_id, int(clock().timestamp()))
    await asyncio.gather(*(client.js_signature("https://linli.example/") for _ in range(50)))
    assert len(calls_to(api, "ticket/getticket")) == 1
    clock.passes(seconds=7200 - 299)
    await client.js_ticket()
    assert len(calls_to(api, "ticket/getticket")) == 2


def test_the_signature_of_wechats_own_example() -> None:
    """The words of the JS-SDK's documentation (附录1), whose signature it gives."""
    words = (
        "jsapi_ticket=sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
        "&noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url=http://mp.weixin.qq.com?params=value"
    )
    assert hashlib.sha1(words.encode()).hexdigest() == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


# --- the token --------------------------------------------------------------------------------------


async def test_3_fifty_that_ask_at_once_fetch_one_token(client: Client, api: WeChatApi) -> None:
    """wechatpy has no lock: eight threads made 29 fetches."""
    await asyncio.gather(*(client.callback_ips() for _ in range(50)))
    assert len(calls_to(api, "stable_token")) == 1


async def test_3_two_processes_share_one_token(
    api: WeChatApi, databases: list[Database], clock: Clock
) -> None:
    clients = [Client(settings_of(api), each, VAULT, clock) for each in databases]
    for _ in range(3):
        await asyncio.gather(*(client.callback_ips() for client in clients for _ in range(25)))
        clock.passes(seconds=7000)
    assert len(calls_to(api, "stable_token")) == 3
    for client in clients:
        await client.close()


async def test_3_a_refused_token_is_renewed_once_by_two_processes(
    api: WeChatApi, databases: list[Database], clock: Clock
) -> None:
    clients = [Client(settings_of(api), each, VAULT, clock) for each in databases]
    await asyncio.gather(*(client.callback_ips() for client in clients))
    api.end_tokens()
    await asyncio.gather(*(client.callback_ips() for client in clients for _ in range(25)))
    assert [given["force_refresh"] for given in calls_to(api, "stable_token")] == [False, True]
    for client in clients:
        await client.close()


async def test_a_token_is_sealed_in_the_database(client: Client, database: Database) -> None:
    await client.callback_ips()
    token = await client.tokens.value()
    with database.read() as session:
        (row,) = session.exec(select(Token)).all()
        assert session.exec(select(Lease)).all() == []
    assert token not in row.value
    assert VAULT.open(row.value) == token


async def test_a_token_outlives_the_process(
    client: Client, api: WeChatApi, database: Database, clock: Clock
) -> None:
    await client.callback_ips()
    again = Client(settings_of(api), database, VAULT, clock)
    await again.callback_ips()
    await again.close()
    assert len(calls_to(api, "stable_token")) == 1


async def test_a_token_that_was_sealed_with_another_key_is_none(
    client: Client, api: WeChatApi, database: Database, clock: Clock
) -> None:
    await client.callback_ips()
    again = Client(settings_of(api), database, Vault("another key"), clock)
    await again.callback_ips()
    await again.close()
    assert len(calls_to(api, "stable_token")) == 2


async def test_7_a_token_is_renewed_five_minutes_before_its_end(
    client: Client, api: WeChatApi, clock: Clock
) -> None:
    """wechatpy's memory session knows no end."""
    await client.callback_ips()
    clock.passes(seconds=7200 - 301)
    await client.callback_ips()
    assert len(calls_to(api, "stable_token")) == 1
    clock.passes(seconds=2)
    await client.callback_ips()
    assert [given["force_refresh"] for given in calls_to(api, "stable_token")] == [False, False]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_2_a_refusal_that_stays_is_tried_twice_with_one_renewal(
    client: Client, api: WeChatApi, code: int
) -> None:
    """wechatpy calls itself until Python gives up: 484 token fetches."""
    await client.callback_ips()
    api.calls.clear()
    api.choose = lambda path, _: code if path == "getcallbackip" else None
    with pytest.raises(Trouble) as caught:
        await client.callback_ips()
    assert caught.value.code == code
    assert [path for path, _ in api.calls] == ["getcallbackip", "stable_token", "getcallbackip"]
    assert calls_to(api, "stable_token")[0]["force_refresh"] is True


async def test_2_a_refusal_that_stays_does_not_use_up_the_forced_renewals(
    client: Client, api: WeChatApi
) -> None:
    """WeChat forces twenty a day, one in thirty seconds; between them we ask for the token as it is."""
    api.choose = lambda path, _: 40001 if path == "getcallbackip" else None
    for _ in range(5):
        with pytest.raises(Trouble):
            await client.callback_ips()
    assert sum(given["force_refresh"] for given in calls_to(api, "stable_token")) == 1


@pytest.mark.parametrize("expired", [False, True])
async def test_a_token_that_others_have_ended_is_renewed(
    client: Client, api: WeChatApi, chen: User, expired: bool
) -> None:
    await client.callback_ips()
    api.end_tokens(expired=expired)
    await client.send_text(chen.openid, "到了")
    assert [each.text for each in chen.chat] == ["到了"]


async def test_photos_too_are_fetched_and_uploaded_with_a_new_token(client: Client, api: WeChatApi) -> None:
    media = await client.upload_image(JPEG)
    api.end_tokens()
    assert await client.fetch_media(media) == JPEG
    api.end_tokens(expired=True)
    assert await client.upload_image(JPEG)


async def test_other_errors_renew_nothing(client: Client, api: WeChatApi) -> None:
    await client.callback_ips()
    for code in (-1, 40013, 45009, 45015, 45047, 48001, 50002):
        api.choose = lambda path, _, code=code: code
        with pytest.raises(Trouble) as caught:
            await client.callback_ips()
        assert caught.value.code == code
    assert len(calls_to(api, "stable_token")) == 1


@pytest.mark.parametrize(
    ("how", "error"), [(40164, Trouble), (40125, Trouble), ("500", Away), ("garbage", Away)]
)
async def test_all_that_wait_for_a_token_hear_why_there_is_none(
    client: Client, api: WeChatApi, database: Database, how: int | str, error: type[Exception]
) -> None:
    api.choose = lambda path, _: how if path == "stable_token" else None
    found = await asyncio.gather(*(client.callback_ips() for _ in range(50)), return_exceptions=True)
    assert {type(each) for each in found} == {error}
    assert len(calls_to(api, "stable_token")) == 1
    with database.read() as session:
        assert session.exec(select(Lease)).all() == []
    api.choose = None
    assert await client.callback_ips() == ["127.0.0.1"]


async def test_who_gives_up_waiting_spoils_the_token_for_nobody(client: Client, api: WeChatApi) -> None:
    impatient = asyncio.create_task(client.callback_ips())
    patient = asyncio.create_task(client.callback_ips())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == ["127.0.0.1"]
    assert len(calls_to(api, "stable_token")) == 1


async def test_a_token_waits_while_another_process_renews_it(databases: list[Database], clock: Clock) -> None:
    database = databases[0]

    def lease(seconds: int) -> None:
        now = datetime.now(UTC)
        assert database.write_now(lambda session: hold(session, "t", "other", now=now, seconds=seconds))

    async def fetch(_: bool) -> tuple[str, float]:
        fetched.append(1)
        return "new", 7200

    fetched: list[int] = []
    tokens = Tokens(database, VAULT, fetch, clock, "t")
    lease(seconds=600)
    found, looks = tokens._found, []

    def look(session: Session, refused: str) -> str | None:
        looks.append(refused)
        return found(session, refused)

    tokens._found = look  # type: ignore[method-assign]
    waiting = asyncio.create_task(tokens.value())
    async with asyncio.timeout(30):
        while len(looks) < 3:  # it looks again and again, and fetches none
            await asyncio.sleep(0.01)
    assert not waiting.done()
    lease(seconds=-1)  # the other was killed, and its lease ran out
    assert await waiting == "new"
    assert fetched == [1]


async def test_a_token_that_hardly_lasts_is_not_fetched_for_every_call(
    database: Database, clock: Clock
) -> None:
    async def fetch(_: bool) -> tuple[str, float]:
        fetched.append(1)
        return f"token {len(fetched)}", 200

    fetched: list[int] = []
    tokens = Tokens(database, VAULT, fetch, clock, "t")
    assert {await tokens.value() for _ in range(20)} == {"token 1"}
    clock.passes(seconds=101)
    assert await tokens.value() == "token 2"


async def test_who_stops_in_mid_renewal_gives_the_lease_back(database: Database, clock: Clock) -> None:
    async def fetch(_: bool) -> tuple[str, float]:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    begun = asyncio.Event()
    tokens = Tokens(database, VAULT, fetch, clock, "t")
    waiting = asyncio.create_task(tokens.value())
    await begun.wait()
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with database.read() as session:
        assert session.exec(select(Lease)).all() == []


async def test_only_the_refused_token_is_renewed(databases: list[Database], clock: Clock) -> None:
    async def fetch(force: bool) -> tuple[str, float]:
        forced.append(force)
        return f"token {len(forced)}", 7200

    forced: list[bool] = []
    tokens = Tokens(databases[0], VAULT, fetch, clock, "t")
    assert await tokens.value() == "token 1"
    assert await tokens.renew("an old one") == "token 1"
    assert await tokens.renew("token 1") == "token 2"
    assert await tokens.renew("token 1") == "token 2"
    other = Tokens(databases[1], VAULT, fetch, clock, "t")
    assert await other.renew("token 1") == "token 2"
    assert forced == [False, True]


# --- a network that fails ---------------------------------------------------------------------------


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that answers all with this; yields its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(base_url: str, database: Database, clock: Clock) -> AsyncIterator[Client]:
    client = Client(settings_of(WeChatApi(), base_url=base_url), database, VAULT, clock)
    try:
        yield client
    finally:
        await client.close()


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def everything_of(error: BaseException) -> str:
    """All that could be printed of an exception, with what hangs on it."""
    words = ["".join(traceback.format_exception(error)), repr(error), repr(error.args), repr(vars(error))]
    for other in (error.__cause__, error.__context__):
        if other is not None:
            words.append(everything_of(other))
    return "\n".join(words)


@pytest.mark.parametrize("how", ["500", "garbage", "cut"])
async def test_what_is_no_answer_of_wechats_is_away(client: Client, api: WeChatApi, how: str) -> None:
    await client.callback_ips()
    token = await client.tokens.value()
    api.choose = lambda path, _: how
    media = api.keep_media("image", JPEG)
    calls = (client.callback_ips, partial(client.fetch_media, media), partial(client.upload_image, JPEG))
    for call in calls:
        with pytest.raises(Away) as caught:
            await call()
        assert token not in everything_of(caught.value)
    assert len(calls_to(api, "stable_token")) == 1


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", "7", '"x"', '{"errcode": "x"}', '{"errcode": [1]}', "{", "[" * 100_000],
)
async def test_json_that_wechat_would_not_send_is_away(database: Database, clock: Clock, body: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        return web.Response(text=body)

    async with serving(answer) as url, calling(url, database, clock) as client:
        with pytest.raises(Away):
            await client.call("/cgi-bin/getcallbackip")


@pytest.mark.parametrize(
    "answer",
    [{}, {"access_token": ""}, {"access_token": "t"}, {"access_token": 7, "expires_in": 7200},
     {"access_token": "t", "expires_in": 0}, {"access_token": "t", "expires_in": "x"},
     {"access_token": "t", "expires_in": 1e99}],
)  # fmt: skip
async def test_an_answer_without_a_token_is_away(
    database: Database, clock: Clock, answer: dict[str, Any]
) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(answer)

    async with serving(handle) as url, calling(url, database, clock) as client:
        with pytest.raises(Away):
            await client.callback_ips()


async def test_a_photo_has_a_largest_size(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        return web.Response(body=JPEG + bytes(200_000))

    async with serving(answer) as url, calling(url, database, clock) as client:
        assert len(await client.fetch_media("x")) == len(JPEG) + 200_000
        monkeypatch.setattr("bot.wechat_client.LARGEST_MEDIA", 100_000)
        with pytest.raises(Away, match="too much"):
            await client.fetch_media("x")


async def test_4_the_token_request_fails_without_telling_the_secret(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """wechatpy's connection errors name the address, in which it puts the AppSecret."""
    caplog.set_level(logging.DEBUG)
    async with calling(f"http://127.0.0.1:{closed_port()}", database, clock) as client:
        with pytest.raises(Away) as caught:
            await client.callback_ips()
        with pytest.raises(Away) as later:
            await client.callback_ips()
    for error in (caught.value, later.value):
        assert SECRET not in everything_of(error)
    assert SECRET not in caplog.text
    assert SECRET not in repr(client)


async def test_4_no_token_and_no_secret_is_in_any_error_or_log(
    client: Client, api: WeChatApi, chen: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.callback_ips()
    token = await client.tokens.value()
    errors: list[Exception] = []
    for how in ("500", "garbage", "cut", 40001, 45009):
        api.choose = lambda path, _, how=how: how if path != "stable_token" else None
        for call in (
            client.callback_ips,
            partial(client.fetch_media, api.keep_media("image", JPEG)),
            partial(client.send_text, chen.openid, "x"),
        ):
            with pytest.raises((Trouble, Away)) as caught:
                await call()
            errors.append(caught.value)
    port = closed_port()
    client._http.API_BASE_URL = f"http://127.0.0.1:{port}"
    with pytest.raises(Away) as caught:
        await client.callback_ips()
    secrets = (SECRET, token, await client.tokens.value())
    for words in (
        caplog.text,
        repr(client),
        repr(client.tokens),
        *map(everything_of, [*errors, caught.value]),
    ):
        assert not any(secret in words for secret in secrets)
    assert "access_token=***" in caplog.text  # the HTTP library does log addresses


async def test_4_what_wechat_says_is_told_without_the_secret(database: Database, clock: Clock) -> None:
    async def answer(request: web.Request) -> web.Response:
        given = await request.json()
        return web.json_response({"errcode": 40125, "errmsg": f"invalid {given['secret']} " + "x" * 999})

    async with serving(answer) as url, calling(url, database, clock) as client:
        with pytest.raises(Trouble) as caught:
            await client.callback_ips()
    assert caught.value.reason.startswith("invalid *** x")
    assert len(caught.value.reason) <= 200


async def test_4_headers_that_cannot_be_read_are_logged_without_the_token(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 warns of them with the whole address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        token = b"stable_token" in head
        body = b'{"access_token": "84_secret", "expires_in": 7200}' if token else b'{"ip_list": []}'
        if token:
            await reader.readuntil(b"}")
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
            + b"Content-Length: %d\r\n" % len(body)
            + b"no header at all\r\nX: y\r\n\r\n"
            + body
        )
        await writer.drain()
        writer.close()

    caplog.set_level(logging.DEBUG)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with (
        server,
        calling(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", database, clock) as client,
    ):
        assert await client.callback_ips() == []
    assert "Failed to parse headers" in caplog.text
    assert "84_secret" not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_4_a_redirection_takes_no_secret_elsewhere(
    database: Database, clock: Clock, status: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    asked: list[str] = []
    async with serving(answer) as url, calling(url, database, clock) as client:
        with pytest.raises(Away, match=str(status)):
            await client.callback_ips()
    assert asked == ["/cgi-bin/stable_token"]


async def test_4_every_request_has_its_time(
    client: Client, api: WeChatApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wechatpy's token request waits for ever."""
    seen: list[Any] = []
    send = requests.Session.request

    def request(self: requests.Session, *args: Any, **how: Any) -> Any:
        seen.append(how["timeout"])
        return send(self, *args, **how)

    monkeypatch.setattr(requests.Session, "request", request)
    await client.callback_ips()
    await client.fetch_media(await client.upload_image(JPEG))
    assert seen == [(5, 10)] * 4  # the token's first


async def test_a_server_that_does_not_answer_is_away(
    client: Client, api: WeChatApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.callback_ips()
    monkeypatch.setattr(client._http, "timeout", (0.2, 0.2))
    api.choose = lambda path, _: "timeout"
    with pytest.raises(Away, match="Timeout"):
        await client.callback_ips()


@pytest.mark.parametrize("path", ["token", "call", "media"])
async def test_a_server_that_trickles_is_away(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if path != "token" and request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        response = web.StreamResponse()
        await response.prepare(request)
        while not over.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    over = asyncio.Event()
    if path == "media":
        monkeypatch.setattr("bot.wechat_client.MEDIA_SECONDS", 0.3)
    else:
        monkeypatch.setattr("bot.wechat_client.ANSWER_SECONDS", 1)
    async with serving(answer) as url, calling(url, database, clock) as client:
        with pytest.raises(Away, match="slow"):
            await (client.fetch_media("x") if path == "media" else client.callback_ips())
        over.set()


async def test_after_the_end_nothing_is_asked(client: Client, api: WeChatApi) -> None:
    await client.callback_ips()
    await client.close()
    with pytest.raises(Away, match="closed"):
        await client.callback_ips()


# --- the rest of wechatpy's defects -----------------------------------------------------------------


async def test_1_methods_that_wechatpy_has_not_are_called_by_their_paths(
    client: Client, api: WeChatApi
) -> None:
    assert (await client.call("/cgi-bin/get_api_domain_ip"))["ip_list"] == ["127.0.0.1"]
    await client.call("/cgi-bin/clear_quota", {"appid": api.app_id})


async def test_7_a_slow_answer_holds_nobody_up(database: Database, clock: Clock) -> None:
    """wechatpy blocks: in the event loop, everybody would wait."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        came.set()
        await go_on.wait()
        return web.json_response({"ip_list": []})

    came, go_on = asyncio.Event(), asyncio.Event()
    async with serving(answer) as url, calling(url, database, clock) as client:
        waiting = [asyncio.create_task(client.callback_ips()) for _ in range(40)]
        await came.wait()  # the server is in this event loop, too
        assert await asyncio.to_thread(sum, (1, 2)) == 3  # nor do they keep the threads of others
        go_on.set()
        assert await asyncio.gather(*waiting) == [[]] * 40


async def test_8_every_call_goes_to_the_server_of_the_settings(
    client: Client, api: WeChatApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wechatpy's token request and some of its methods have an address of their own."""
    hosts: set[str] = set()
    send = requests.Session.request

    def request(self: requests.Session, method: str, url: str, **how: Any) -> Any:
        hosts.add(url.partition("/cgi-bin")[0].partition("/wxaapi")[0])
        return send(self, method, url, **how)

    monkeypatch.setattr(requests.Session, "request", request)
    await client.callback_ips()
    await client.notifications()
    await client.js_ticket()
    await client.create_qr("x", 60)
    await client.fetch_media(await client.upload_image(JPEG))
    assert hosts == {api.url}


@pytest.mark.parametrize("slash", ["", "/"])
def test_8_without_a_server_in_the_settings_it_is_wechats_own(database: Database, slash: str) -> None:
    assert (
        Client(settings_of(WeChatApi(), base_url=""), database, VAULT)._http.API_BASE_URL
        == "https://api.weixin.qq.com"
    )
    assert (
        Client(
            settings_of(WeChatApi(), base_url=f"https://other.example{slash}"), database, VAULT
        )._http.API_BASE_URL
        == "https://other.example"
    )


async def test_json_holds_the_characters_themselves(database: Database, clock: Clock) -> None:
    """WeChat shows \\u4e00 as it stands; half a surrogate pair must not stop a message."""

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        kinds.append(request.headers.get("Content-Type", ""))
        return web.json_response({"access_token": "t", "expires_in": 7200})

    bodies: list[bytes] = []
    kinds: list[str] = []
    async with serving(answer) as url, calling(url, database, clock) as client:
        await client.send_text("o", "电梯 🔧 \ud800")
    assert "电梯 🔧 ?".encode() in bodies[-1]
    assert json.loads(bodies[-1])["text"] == {"content": "电梯 🔧 ?"}
    assert set(kinds) == {"application/json; charset=utf-8"}
