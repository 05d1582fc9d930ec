"""The WeChat test server itself: each of its refusals, what it finds wrong in a program, and what people see."""

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import wechat_api_facts as facts
from tests import wechat_api_peer
from tests.people import photo, recording
from tests.wechat_api import Answer, User, WeChatApi, xml_of

NOON = 1_772_420_400.0
HOUR = 3600
Body = dict[str, Any]


class Clock:
    """A time that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at


class Program:
    """A small correct program: the callback's answers, sealed by the peer, and calls of the API."""

    def __init__(self, api: WeChatApi, http: httpx.AsyncClient) -> None:
        self.api, self.http = api, http
        self.token = ""
        self.heard: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.reply: Callable[[dict[str, str]], str] = lambda _: ""
        self.status, self.pause = 200, 0.0
        self.sealed: Callable[[str], bytes] = self.seal

    async def __call__(self, method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.queries.append(query)
        if method == "GET":
            return 200, query["echostr"].encode()
        encrypted = ET.fromstring(body).findtext("Encrypt") or ""
        signed = self.api.peer.signature(self.api.token, query["timestamp"], query["nonce"], encrypted)
        assert signed == query["msg_signature"]
        inner, app_id = self.api.peer.decrypt(self.api.aes_key, encrypted)
        assert app_id == self.api.app_id
        found = {each.tag: each.text or "" for each in ET.fromstring(inner)}
        self.heard.append({**found, "xml": inner})
        await asyncio.sleep(self.pause)
        text = self.reply(found)
        return self.status, self.sealed(self.inner(text, found)) if text else b"success"

    def inner(self, text: str, heard: dict[str, str], **other: Any) -> str:
        fields = {"ToUserName": heard["FromUserName"], "FromUserName": heard["ToUserName"]}
        whole = fields | {"CreateTime": int(self.api.now()), "MsgType": "text", "Content": text}
        return xml_of({name: value for name, value in (whole | other).items() if value is not None})

    def seal(self, inner: str, **other: Any) -> bytes:
        """A reply that is encrypted and signed."""
        api = self.api
        stamp, nonce = other.get("TimeStamp", str(int(api.now()))), other.get("Nonce", "123")
        encrypted = api.peer.encrypt(api.aes_key, inner, other.pop("app_id", api.app_id))
        signature = api.peer.signature(api.token, stamp, nonce, encrypted)
        whole = {"Encrypt": encrypted, "MsgSignature": signature, "TimeStamp": stamp, "Nonce": nonce}
        return xml_of({name: value for name, value in (whole | other).items() if value is not None}).encode()

    async def signs_in(self, **other: Any) -> Body:
        given = {"grant_type": "client_credential", "appid": self.api.app_id, "secret": self.api.app_secret}
        answer = await self.http.post("/cgi-bin/stable_token", json=given | other)
        self.token = answer.json().get("access_token", self.token)
        return dict(answer.json())

    async def post(self, path: str, body: Body | bytes) -> Body:
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        answer = await self.http.post(f"/cgi-bin/{path}", params={"access_token": self.token}, content=data)
        assert answer.headers["content-type"] == "application/json; encoding=utf-8"
        return dict(json.loads(answer.content))

    async def get(self, path: str, **query: str) -> httpx.Response:
        path = path if path.startswith("/") else f"/cgi-bin/{path}"
        return await self.http.get(path, params={"access_token": self.token, **query})

    async def code(self, path: str, body: Body | bytes) -> int:
        return int((await self.post(path, body)).get("errcode", 0))

    async def says(self, user: User, text: str = "你好") -> int:
        return await self.code("message/custom/send", text_to(user, text))


def text_to(user: User, text: str = "你好") -> Body:
    return {"touser": user.openid, "msgtype": "text", "text": {"content": text}}


def menu_to(user: User, *options: tuple[Any, Any], head: Any = "请选择", tail: Any = "谢谢") -> Body:
    listed = [{"id": id, "content": content} for id, content in options]
    menu = {"head_content": head, "list": listed, "tail_content": tail}
    return {"touser": user.openid, "msgtype": "msgmenu", "msgmenu": menu}


def template_to(user: User, template_id: str, **values: Any) -> Body:
    fields = {"thing1": "电梯维修", "thing2": "已派李师傅", "time3": "2026年3月4日 15:01"} | values
    data = {name: {"value": value} for name, value in fields.items() if value is not None}
    return {"touser": user.openid, "template_id": template_id, "data": data}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(clock: Clock) -> AsyncIterator[WeChatApi]:
    async with WeChatApi(now=clock, patience=0.2) as made:
        yield made


@pytest.fixture
async def program(api: WeChatApi) -> AsyncIterator[Program]:
    async with httpx.AsyncClient(base_url=api.url, verify=False) as http:
        made = Program(api, http)
        api.deliver = made
        await made.signs_in()
        yield made


@pytest.fixture
async def chen(api: WeChatApi, program: Program) -> User:
    """Somebody who has followed for long and can be sent nothing freely."""
    user = api.user("陈女士")
    user.following = True
    return user


def one_mistake(api: WeChatApi, holds: str = "") -> None:
    """Exactly one mistake was found; forget it."""
    assert len(api.mistakes) == 1, api.mistakes
    assert holds in api.mistakes[0]
    api.mistakes.clear()


# --- tokens


async def test_a_token_stays_the_same_while_it_is_valid(
    api: WeChatApi, program: Program, clock: Clock, chen: User
) -> None:
    first = await program.signs_in()
    assert first["expires_in"] == 7200
    clock.at += 7200 - 301
    assert await program.signs_in() == {"access_token": first["access_token"], "expires_in": 301}
    clock.at += 1
    assert (await program.signs_in())["access_token"] != first["access_token"]
    program.token = first["access_token"]
    assert await program.says(chen) == 45015, "the old one is valid until its end"
    clock.at += 300
    assert await program.says(chen) == 42001
    assert not api.mistakes


async def test_a_forced_token_ends_the_one_before(
    api: WeChatApi, program: Program, clock: Clock, chen: User
) -> None:
    old = program.token
    assert "access_token" in await program.signs_in(force_refresh=True)
    assert (await program.signs_in(force_refresh=True))["errcode"] == 45011
    assert await program.says(chen) == 45015
    program.token = old
    assert await program.says(chen) == 40001
    for _ in range(19):
        clock.at += 30
        assert "access_token" in await program.signs_in(force_refresh=True)
    clock.at += 30
    assert (await program.signs_in(force_refresh=True))["errcode"] == 45009
    assert not api.mistakes


async def test_tokens_end_when_the_test_says_so(api: WeChatApi, program: Program, chen: User) -> None:
    for expired, code in ((True, 42001), (False, 40001)):
        api.end_tokens(expired=expired)
        assert await program.says(chen) == code
        await program.signs_in()
        assert await program.says(chen) == 45015


@pytest.mark.parametrize(
    ("other", "code", "mistake"),
    [
        ({"secret": "x"}, 40125, False),
        ({"appid": "x"}, 40013, False),
        ({"appid": ""}, 41002, True),
        ({"secret": ""}, 41004, True),
        ({"grant_type": "x"}, 40002, True),
        ({"force_refresh": 1}, 47001, True),
        ({"more": 1}, 47001, True),
    ],
)
async def test_no_token(api: WeChatApi, program: Program, other: Body, code: int, mistake: bool) -> None:
    assert (await program.signs_in(**other))["errcode"] == code
    assert len(api.mistakes) == mistake


async def test_only_stable_tokens(api: WeChatApi, program: Program) -> None:
    for path, code in (("token", 48001), ("stable_token", 43002)):
        assert (await program.get(path, grant_type="client_credential")).json()["errcode"] == code
        one_mistake(api)


# --- requests


async def test_requests_that_are_none(api: WeChatApi, program: Program, chen: User) -> None:
    send = "message/custom/send"
    for path, body, code in (
        (send, b"{", 47001),
        (send, b"[]", 47001),
        (send, b"", 44002),
        (send, b"\xff{}", 47001),
        (send, json.dumps(text_to(chen)).encode(), 40033),
        ("menu/create", json.dumps({"button": [{"name": "电"}]}).encode(), 40033),
        ("menu/get", {}, 43001),
        ("message/custom/sent", {}, 40066),
        ("wxaapi/newtmpl/gettemplate", {}, 40066),
    ):
        assert await program.code(path, body) == code, (path, body)
        one_mistake(api, str(code))
    for raw, why in ((b'{"a": NaN}', "NaN is no JSON"), (b'{"a": 1, "a": 2}', "a name twice")):
        assert await program.code(send, raw) == 47001
        one_mistake(api, why)
    assert (await program.get(send)).json()["errcode"] == 43002
    one_mistake(api)
    assert (await program.http.get("/menu/get")).json()["errcode"] == 40066
    one_mistake(api)
    assert (await program.http.get("/cgi-bin/menu/get")).json()["errcode"] == 41001
    one_mistake(api)
    program.token = "made-up"
    assert (await program.get("menu/get")).json()["errcode"] == 40001
    assert not api.mistakes


async def test_an_escaped_backslash_escapes_nothing(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.writes("hi")
    for text in ("a\\u7535", "a\u0001b", "“”😀"):
        assert await program.says(chen, text) == 0
        assert chen.chat[-1].text == text
    assert not api.mistakes


async def test_a_day_has_a_limit(api: WeChatApi, program: Program, clock: Clock, chen: User) -> None:
    api.limits["message/custom/send"] = 2
    for code in (45015, 45015, 45009):
        assert await program.says(chen) == code
    clock.at += 24 * HOUR
    await program.signs_in()
    assert await program.says(chen) == 45015
    assert await program.says(chen) == 45015
    assert await program.says(chen) == 45009
    assert await program.code("clear_quota", {"appid": api.app_id}) == 0
    assert await program.says(chen) == 45015
    assert not api.mistakes
    assert await program.code("clear_quota", {"appid": "x"}) == 40013
    one_mistake(api)


async def test_what_an_account_that_is_not_verified_may_not(
    api: WeChatApi, program: Program, chen: User
) -> None:
    api.verified = False
    code = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "a"}}}
    for path, body in (
        ("message/custom/send", text_to(chen)),
        ("message/template/send", template_to(chen, api.template)),
        ("message/subscribe/bizsend", template_to(chen, api.notification)),
        ("qrcode/create", code),
    ):
        assert await program.code(path, body) == 48001
    assert (await program.get("menu/get")).json()["errcode"] == 46003
    assert not api.mistakes


async def test_calls_are_recorded(api: WeChatApi, program: Program, chen: User) -> None:
    await program.says(chen)
    await program.get("/wxaapi/newtmpl/gettemplate")
    await program.get("ticket/getticket", type="jsapi")
    assert api.calls[-3:] == [
        ("message/custom/send", text_to(chen)),
        ("wxaapi/newtmpl/gettemplate", {}),
        ("ticket/getticket", {"type": "jsapi"}),
    ]


async def test_faults(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.writes("hi")
    faults: list[int | str | None] = [45009, "500", "garbage", None]
    api.choose = lambda path, payload: faults.pop(0)
    url, query = "/cgi-bin/message/custom/send", {"access_token": program.token}
    assert await program.says(chen) == 45009
    assert (await program.http.post(url, params=query, json=text_to(chen, "a"))).status_code == 500
    with pytest.raises(ValueError):
        (await program.http.post(url, params=query, json=text_to(chen, "a"))).json()
    assert not chen.chat
    assert await program.says(chen) == 0
    faults += ["timeout", "cut"]
    with pytest.raises(httpx.TimeoutException):
        await program.http.post(url, params=query, json=text_to(chen, "a"), timeout=0.1)
    assert len(chen.chat) == 1
    with pytest.raises(httpx.TransportError):
        await program.http.post(url, params=query, json=text_to(chen, "a"))
    assert [each.text for each in chen.chat] == ["你好", "a"], "cut takes effect"
    assert not api.mistakes


# --- messages that are sent freely


async def test_a_message_opens_five_for_48_hours(
    api: WeChatApi, program: Program, clock: Clock, chen: User
) -> None:
    assert await program.says(chen) == 45015
    await chen.writes("hi")
    assert [await program.says(chen) for _ in range(6)] == [0] * 5 + [45047]
    await chen.writes("hi")
    clock.at += 48 * HOUR - 1
    await program.signs_in()
    assert await program.says(chen) == 0
    clock.at += 1
    assert await program.says(chen) == 45015
    assert [each.rung for each in chen.chat] == ["custom"] * 6
    assert not api.mistakes


@pytest.mark.parametrize("what", ["follows", "scans", "clicks", "taps"])
async def test_a_tap_opens_three_for_a_minute(
    api: WeChatApi, program: Program, clock: Clock, chen: User, what: str
) -> None:
    chen.following = what != "follows"
    await {
        "follows": lambda: chen.follows("home-1"),
        "scans": lambda: chen.scans("home-1"),
        "clicks": lambda: chen.clicks("report"),
        "taps": lambda: chen.taps("1", "是"),
    }[what]()
    assert [await program.says(chen) for _ in range(4)] == [0] * 3 + [45047]
    clock.at += 60
    assert await program.says(chen) == 45015
    await chen.writes("hi")
    await chen.clicks("report")
    clock.at += 60
    assert [await program.says(chen) for _ in range(6)] == [0] * 5 + [45047], "the 48 hours stay open"
    assert not api.mistakes


async def test_what_opens_nothing(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.views("https://linli.example/")
    await chen.answers_consent(api.notification)
    await chen.changes_consent(api.notification)
    assert await program.says(chen) == 45015
    await chen.writes("hi")
    await chen.unfollows()
    assert await program.says(chen) == 43004
    assert await program.code("message/template/send", template_to(chen, api.template)) == 43004
    await chen.follows()
    assert [await program.says(chen) for _ in range(4)] == [0] * 3 + [45047]
    assert not api.mistakes


async def test_texts_menus_and_images(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.writes("hi")
    assert await program.says(chen, "电" * 682 + "ab") == 0
    options = ("1" * 64, "是" * 42 + "ab"), ("2", "否")
    assert await program.code("message/custom/send", menu_to(chen, *options, tail="")) == 0
    shown = chen.chat[-1]
    assert (shown.kind, shown.options) == ("menu", list(options))
    assert shown.text == f"请选择\n{options[0][1]}\n否"
    form = {"media": ("a.png", photo(), "image/png")}
    at = f"/cgi-bin/media/upload?access_token={program.token}&type=image"
    media_id = (await program.http.post(at, files=form)).json()["media_id"]
    image = {"touser": chen.openid, "msgtype": "image", "image": {"media_id": media_id}}
    assert await program.code("message/custom/send", image) == 0
    assert (chen.chat[-1].kind, chen.chat[-1].data) == ("image", photo())
    assert not api.mistakes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"touser": "nobody"}, 40003),
        ({"touser": None}, 40003),
        ({"msgtype": "news"}, 40008),
        ({"text": None}, 44004),
        ({"text": {"content": ""}}, 44004),
        ({"text": {"content": 1}}, 44004),
        ({"text": {"content": "电" * 683}}, 45002),
        ({"text": {"content": "a", "more": 1}}, 47001),
        ({"image": {"media_id": "a"}}, 47001),
        ({"more": 1}, 47001),
        ({"msgtype": "image", "text": 0, "image": {"media_id": "a"}}, 40007),
    ],
)
async def test_wrong_messages(api: WeChatApi, program: Program, chen: User, change: Body, code: int) -> None:
    await chen.writes("hi")
    body = {name: value for name, value in (text_to(chen) | change).items() if value != 0}
    assert await program.code("message/custom/send", body) == code
    one_mistake(api, str(code))
    assert not chen.chat


@pytest.mark.parametrize(
    ("options", "more", "code"),
    [
        ([], {}, 45098),
        ([(str(each), "a") for each in range(11)], {}, 45098),
        ([("1" * 65, "a")], {}, 45002),
        ([("1", "是" * 43)], {}, 45002),
        ([("", "a")], {}, 47001),
        ([(1, "a")], {}, 47001),
        ([("1", "a"), ("1", "b")], {}, 47001),
        ([("1", "a")], {"head": "电" * 342}, 45002),
        ([("1", "a")], {"tail": "电" * 342}, 45002),
        ([("1", "a")], {"head": 1}, 47001),
    ],
)
async def test_wrong_menu_messages(
    api: WeChatApi, program: Program, chen: User, options: list[tuple[Any, Any]], more: Body, code: int
) -> None:
    await chen.writes("hi")
    assert await program.code("message/custom/send", menu_to(chen, *options, **more)) == code
    one_mistake(api, str(code))


# --- templates and notifications


async def test_parts_that_are_none(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.sends_voice()
    voice = {"touser": chen.openid, "msgtype": "image", "image": {"media_id": program.heard[-1]["MediaId"]}}
    menu, template = menu_to(chen, ("1", "a")), template_to(chen, api.template)
    menu["msgmenu"]["list"] = ["a"]
    template["data"]["thing1"] = "a"
    for path, body, code in (
        ("message/custom/send", voice, 40007),
        ("message/custom/send", menu, 47001),
        ("message/template/send", template, 47003),
    ):
        assert await program.code(path, body) == code
        one_mistake(api, str(code))


async def test_a_template_is_shown_and_its_end_is_told(api: WeChatApi, program: Program, chen: User) -> None:
    body = template_to(chen, api.template) | {"url": "https://linli.example/17"}
    sent = await program.post("message/template/send", body)
    assert sent["errcode"] == 0
    assert 2**53 < sent["msgid"] < 2**63
    shown = chen.chat[-1]
    assert (shown.kind, shown.rung, shown.url) == ("template", "template", "https://linli.example/17")
    assert shown.text == "工单进度提醒\n物业服务:电梯维修\n内容:已派李师傅\n时间:2026年3月4日 15:01"
    await api.finish_templates()
    heard = program.heard[-1]
    assert heard["Event"] == "TEMPLATESENDJOBFINISH"
    assert (heard["MsgID"], heard["Status"]) == (str(sent["msgid"]), "success")
    assert await api.finish_templates() == []
    await program.post("message/template/send", body)
    await api.finish_templates("failed:user block")
    assert program.heard[-1]["Status"] == "failed:user block"
    assert len(chen.chat) == 1, "what failed is not on the screen"
    assert not api.mistakes


async def test_a_template_with_an_id_of_ours_comes_once(
    api: WeChatApi, program: Program, clock: Clock, chen: User
) -> None:
    body = template_to(chen, api.template) | {"client_msg_id": "17"}
    first = await program.post("message/template/send", body)
    assert await program.post("message/template/send", body) == first
    assert len(chen.chat) == 1
    clock.at += 601
    assert (await program.post("message/template/send", body))["msgid"] != first["msgid"]
    assert not api.mistakes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"template_id": "x"}, 40037),
        ({"template_id": None}, 40037),
        ({"touser": "x"}, 40003),
        ({"data": None}, 47003),
        ({"data": {"thing1": {"value": "a"}}}, 47003),
        ({"url": "linli.example"}, 40035),
        ({"page": "https://linli.example"}, 47001),
        ({"client_msg_id": "1" * 33}, 40035),
    ],
)
async def test_wrong_templates(api: WeChatApi, program: Program, chen: User, change: Body, code: int) -> None:
    assert await program.code("message/template/send", template_to(chen, api.template) | change) == code
    one_mistake(api, str(code))
    assert not chen.chat


async def test_a_value_that_is_too_long_is_cut_silently(api: WeChatApi, program: Program, chen: User) -> None:
    body = template_to(chen, api.template, thing2="电" * 21)
    assert await program.code("message/template/send", body) == 0
    assert "电" * 20 + "\n" in chen.chat[-1].text
    one_mistake(api, "cut")


@pytest.mark.parametrize("value", ["", None, 1, "a\nb", "电\u2028"])
async def test_values_that_are_none(api: WeChatApi, program: Program, chen: User, value: Any) -> None:
    chen.consents[api.notification] = 1
    for path, template in (
        ("message/template/send", api.template),
        ("message/subscribe/bizsend", api.notification),
    ):
        assert await program.code(path, template_to(chen, template, thing2=value)) == 47003
        one_mistake(api)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("thing1", ["电" * 20, "a b（1）"], ["电" * 21, "a\tb"]),
        ("phrase2", ["配送中", "已经处理好"], ["已经处理好了", "ok", "好 了"]),
        ("character_string3", ["WX-2026_1", "a" * 32], ["a" * 33, "号1", "a\n"]),
        (
            "time4",
            ["15:01", "9:05:59", "2026年3月4日 15:01", "2026-03-04 15:01~2026-03-04 16:01", "3月4日 15:01"],
            ["明天", "13月4日 15:01", "25:01", "15:60", "2026-03-04", "15:01~", "2026-03/04 15:01"],
        ),
        ("date5", ["2026年3月4日", "2026.3.4", "2026年3月4日 15:01"], ["15:01", "周三"]),
        ("number6", ["12", "-1.5"], ["一", "1" * 33, "1."]),
        ("amount7", ["¥12.5", "300元"], ["三百"]),
        ("name8", ["陈女士", "A. Chen"], ["陈" * 11, "a" * 21]),
        ("phone_number9", ["+86-0766-66888866"], ["1" * 18, "电话"]),
        ("car_number10", ["粤A8Z888挂"], ["粤a-1"]),
        ("letter11", ["Ab"], ["a1"]),
        ("const12", ["待处理"], ["电" * 21]),
    ],
)
def test_values_obey_their_field(name: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not facts.fits(name, value)] == []
    assert [value for value in bad if facts.fits(name, value)] == []


async def test_one_yes_is_one_notification(api: WeChatApi, program: Program, chen: User) -> None:
    body = template_to(chen, api.notification) | {"page": "https://linli.example/17"}
    send = "message/subscribe/bizsend"
    assert await program.code(send, body) == 43101
    await chen.answers_consent(api.notification, accept=False)
    assert "<SubscribeStatusString><![CDATA[reject]]>" in program.heard[-1]["xml"]
    assert await program.code(send, body) == 43101
    await chen.answers_consent(api.notification)
    listed = rf"<SubscribeMsgPopupEvent><List><TemplateId><!\[CDATA\[{api.notification}\]\]></TemplateId>"
    assert re.search(listed, program.heard[-1]["xml"])
    assert await program.post(send, body) == {"errcode": 0, "errmsg": "ok"}
    assert await program.code(send, body) == 43101
    shown = chen.chat[-1]
    assert (shown.kind, shown.rung, shown.url) == ("notification", "subscribe", "https://linli.example/17")
    await api.finish_templates()
    assert program.heard[-1]["Event"] == "subscribe_msg_sent_event"
    assert "<ErrorCode>0</ErrorCode>" in program.heard[-1]["xml"]
    await chen.answers_consent(api.notification)
    await chen.changes_consent(api.notification)
    assert program.heard[-1]["Event"] == "subscribe_msg_change_event"
    assert await program.code(send, body) == 43101
    assert not api.mistakes
    chen.consents[api.notification] = 1
    for change, code in (
        ({"template_id": api.template}, 40037),
        ({"page": "x"}, 40035),
        ({"url": "https://a.example"}, 47001),
    ):
        assert await program.code(send, body | change) == code
        one_mistake(api, str(code))
    too_long = template_to(chen, api.notification, thing2="电" * 21)
    assert await program.code(send, too_long) == 47003, "a notification is not cut"
    one_mistake(api)
    assert chen.consents[api.notification] == 1


async def test_the_lists_of_templates(api: WeChatApi, program: Program) -> None:
    made = api.add_template("投票通知", "{{thing1.DATA}}\n{{date2.DATA}}\n")
    listed = (await program.get("template/get_all_private_template")).json()["template_list"]
    assert [each["template_id"] for each in listed] == [api.template, made.id]
    assert (listed[1]["title"], listed[1]["content"]) == ("投票通知", "{{thing1.DATA}}\n{{date2.DATA}}\n")
    answer = (await program.get("/wxaapi/newtmpl/gettemplate")).json()
    assert answer["errcode"] == 0
    assert [each["priTmplId"] for each in answer["data"]] == [api.notification]
    assert "{{time3.DATA}}" in answer["data"][0]["content"]
    assert not api.mistakes


# --- menu, QR codes, files


def button(**other: Any) -> Body:
    return {"type": "click", "name": "报修", "key": "report"} | other


async def test_the_menu(api: WeChatApi, program: Program) -> None:
    assert (await program.get("menu/get")).json()["errcode"] == 46003
    page = {"type": "view", "name": "邻里" * 10, "url": "https://linli.example/"}
    menu = {
        "button": [button(name="a" * 16, key="k" * 128), {"name": "更多", "sub_button": [button(), page]}]
    }
    assert await program.code("menu/create", menu) == 0
    shown = (await program.get("menu/get")).json()["menu"]["button"]
    assert shown[0] == menu["button"][0] | {"sub_button": []}
    assert shown[1]["sub_button"][1]["name"] == "邻里" * 10
    assert (await program.get("menu/delete")).json()["errcode"] == 0
    assert (await program.get("menu/get")).json()["errcode"] == 46003
    assert not api.mistakes


@pytest.mark.parametrize(
    ("buttons", "code"),
    [
        ([], 40016),
        ([button()] * 4, 40016),
        ([button(name="a" * 17)], 40018),
        ([button(name="")], 40018),
        ([button(key="k" * 129)], 40019),
        ([button(key="")], 40019),
        ([button(type="x")], 40035),
        ([button(more=1)], 47001),
        ([{"type": "view", "name": "a"}], 40020),
        ([{"type": "view", "name": "a", "url": "https://a.example/" + "a" * 1024}], 40020),
        ([{"type": "view", "name": "a", "url": "a.example"}], 40055),
        ([{"name": "a", "sub_button": [button()] * 6}], 40023),
        ([{"name": "a", "sub_button": [button(sub_button=[button()])]}], 40023),
        ([{"name": "a", "sub_button": [button(name="a" * 61)]}], 40025),
        ([{"name": "a", "sub_button": [button(key="k" * 129)]}], 40026),
        ([{"name": "a", "sub_button": [{"type": "view", "name": "a"}]}], 40027),
        ([button(sub_button=[button()])], 47001),
    ],
)
async def test_wrong_menus(api: WeChatApi, program: Program, buttons: list[Body], code: int) -> None:
    assert await program.code("menu/create", {"button": buttons}) == code
    one_mistake(api, str(code))


def qr(scene: Any = "home-1", name: str = "QR_STR_SCENE", **more: Any) -> Body:
    return {"action_name": name, "action_info": {"scene": {"scene_str": scene}}} | more


async def test_qr_codes(api: WeChatApi, program: Program, clock: Clock, chen: User) -> None:
    made = await program.post("qrcode/create", qr(expire_seconds=2_592_000))
    assert made["expire_seconds"] == 2_592_000
    assert made["url"].startswith("http://weixin.qq.com/q/")
    lasting = await program.post("qrcode/create", qr("lobby", "QR_LIMIT_STR_SCENE"))
    assert set(lasting) == {"ticket", "url"}
    await chen.scans("home-1")
    heard = program.heard[-1]
    assert (heard["Event"], heard["EventKey"], heard["Ticket"]) == ("SCAN", "home-1", made["ticket"])
    assert "MsgId" not in heard
    zhou = api.user("周先生")
    await zhou.scans("lobby")
    heard = program.heard[-1]
    assert (heard["Event"], heard["EventKey"]) == ("subscribe", "qrscene_lobby")
    assert (heard["Ticket"], zhou.following) == (lasting["ticket"], True)
    clock.at += 2_592_000
    assert await chen.scans("home-1") == [], "the code has run out"
    assert len(await chen.scans("lobby")) == 1
    assert not api.mistakes


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (qr(name="QR_SCENE"), 40052),
        (qr(""), 40053),
        (qr(1), 40053),
        (qr("a" * 65), 40053),
        (qr(expire_seconds=2_592_001), 40053),
        (qr(expire_seconds="60"), 40053),
        (qr(name="QR_LIMIT_STR_SCENE", expire_seconds=60), 40053),
        ({"action_name": "QR_STR_SCENE"}, 40053),
    ],
)
async def test_wrong_qr_codes(api: WeChatApi, program: Program, body: Body, code: int) -> None:
    assert await program.code("qrcode/create", body) == code
    one_mistake(api, str(code))


async def test_files_last_three_days(api: WeChatApi, program: Program, clock: Clock, chen: User) -> None:
    await chen.sends_photo(b"\xff\xd8\xffphoto")
    media_id = program.heard[-1]["MediaId"]
    answer = await program.get("media/get", media_id=media_id)
    assert (answer.content, answer.headers["content-type"]) == (b"\xff\xd8\xffphoto", "image/jpeg")
    assert answer.headers["content-disposition"] == f'attachment; filename="{media_id}.jpg"'
    await chen.sends_video()
    video = (await program.get("media/get", media_id=program.heard[-1]["MediaId"])).json()
    assert video["video_url"].startswith("http")
    clock.at += 3 * 24 * HOUR
    await program.signs_in()
    assert (await program.get("media/get", media_id=media_id)).json()["errcode"] == 40007
    assert not api.mistakes
    assert (await program.get("media/get", media_id="x")).json()["errcode"] == 40007
    one_mistake(api)


async def test_wrong_uploads(api: WeChatApi, program: Program) -> None:
    png = photo()
    for kind, form, code in (
        ("image", {"media": ("a.gif", b"GIF89a", "image/gif")}, 40004),
        ("video", {"media": ("a.png", png, "image/png")}, 40004),
        ("image", {"file": ("a.png", png, "image/png")}, 41005),
        ("image", {"media": ("a.png", png + bytes(10 * 1024 * 1024), "image/png")}, 40009),
        ("voice", {"media": ("a.ogg", recording("ogg"), "audio/ogg")}, 40004),
        ("voice", {"media": ("a.amr", recording("amr", 2 * 1024 * 1024 + 1), "audio/amr")}, 40010),
        ("video", {"media": ("a.mov", recording("mov"), "video/quicktime")}, 40004),
        ("video", {"media": ("a.mp4", recording("mp4", 10 * 1024 * 1024 + 1), "video/mp4")}, 40011),
        ("thumb", {"media": ("a.jpg", b"\xff\xd8\xff", "image/jpeg")}, 40004),
    ):
        at = f"/cgi-bin/media/upload?access_token={program.token}&type={kind}"
        assert (await program.http.post(at, files=form)).json()["errcode"] == code
        one_mistake(api, str(code))


async def test_recordings_are_sent_as_what_was_uploaded(
    api: WeChatApi, program: Program, clock: Clock, chen: User
) -> None:
    await chen.writes("在吗")
    numbers = {}
    for kind, form in (("voice", "amr"), ("video", "mp4")):
        at = f"/cgi-bin/media/upload?access_token={program.token}&type={kind}"
        answer = (await program.http.post(at, files={"media": (f"a.{form}", recording(form), "a/b")})).json()
        assert answer["type"] == kind
        numbers[kind] = answer["media_id"]
        body = {"touser": chen.openid, "msgtype": kind, kind: {"media_id": numbers[kind]}}
        assert (await program.post("message/custom/send", body))["errcode"] == 0
    assert [each.kind for each in chen.chat[-2:]] == ["voice", "video"]
    assert not api.mistakes
    wrong = {"touser": chen.openid, "msgtype": "voice", "voice": {"media_id": numbers["video"]}}
    assert (await program.post("message/custom/send", wrong))["errcode"] == 40007
    thumb = {"media_id": numbers["video"], "thumb_media_id": "x"}
    body = {"touser": chen.openid, "msgtype": "video", "video": thumb}
    assert (await program.post("message/custom/send", body))["errcode"] == 47001
    assert len(api.mistakes) == 2


async def test_where_a_video_is_nobody_needs_a_token(api: WeChatApi, program: Program, chen: User) -> None:
    await chen.sends_video(recording("mp4"))
    address = (await program.get("media/get", media_id=program.heard[-1]["MediaId"])).json()["video_url"]
    assert (await program.http.get(address)).content == recording("mp4")
    assert not api.mistakes
    await program.http.get(address, params={"access_token": program.token})
    one_mistake(api)


async def test_a_ticket_for_pages_and_addresses(api: WeChatApi, program: Program, clock: Clock) -> None:
    first = (await program.get("ticket/getticket", type="jsapi")).json()
    assert (await program.get("ticket/getticket", type="jsapi")).json() == first
    # the example of the documentation of JS-SDK (附录1)
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    signature = api.peer.jsapi("http://mp.weixin.qq.com?params=value", ticket, "Wm3WZYTPz0wzccnW", 1414587457)
    assert signature == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
    for path in ("get_api_domain_ip", "getcallbackip"):
        assert (await program.get(path)).json() == {"ip_list": ["127.0.0.1"]}
    clock.at += 7200
    await program.signs_in()
    assert (await program.get("ticket/getticket", type="jsapi")).json()["ticket"] != first["ticket"]
    assert not api.mistakes
    assert (await program.get("ticket/getticket", type="wx_card")).json()["errcode"] == 40097
    one_mistake(api)


# --- callbacks


async def test_the_address_is_checked(api: WeChatApi, program: Program) -> None:
    assert await api.checks_url()
    assert set(program.queries[-1]) == {"signature", "timestamp", "nonce", "echostr"}

    async def other(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return 200, query["echostr"].encode() + b"\n"

    api.deliver = other
    assert not await api.checks_url()


async def test_what_people_do_arrives(api: WeChatApi, program: Program) -> None:
    chen = api.user("陈女士")
    assert re.fullmatch(r"[\w-]{28}", chen.openid)
    await chen.follows()
    await chen.writes("a ]]> <b>&amp;\n😀")
    await chen.taps("17.yes", "是")
    await chen.replies_to_template("好的")
    await chen.sends_photo(photo())
    await chen.sends_voice("电梯坏了")
    await chen.sends_voice()
    await chen.sends_video()
    await chen.sends_location("3 号楼")
    await chen.sends_link()
    await chen.clicks("report")
    await chen.views("https://linli.example/")
    await chen.unfollows()
    heard = program.heard
    assert {each["FromUserName"] for each in heard} == {chen.openid}
    assert {each["ToUserName"] for each in heard} == {api.account}
    assert {each["CreateTime"] for each in heard} == {str(int(NOON))}
    kinds = [each.get("Event") or each["MsgType"] for each in heard]
    assert kinds == [
        "subscribe", "text", "text", "text", "image", "voice", "voice", "video", "location", "link",
        "CLICK", "VIEW", "unsubscribe",
    ]  # fmt: skip
    numbers = [each["MsgId"] for each in heard if each["MsgType"] != "event"]
    assert len(set(numbers)) == 9
    assert all(2**53 < int(number) < 2**63 for number in numbers)
    assert not any("MsgId" in each for each in heard if each["MsgType"] == "event")
    assert heard[1]["Content"] == "a ]]> <b>&amp;\n😀"
    assert (heard[2]["Content"], heard[2]["bizmsgmenuid"]) == ("是", "17.yes")
    assert (heard[5]["Recognition"], heard[5]["Format"], heard[6].get("Recognition")) == (
        "电梯坏了",
        "amr",
        None,
    )
    assert heard[8]["Label"] == "3 号楼"
    assert (heard[10]["EventKey"], heard[11]["EventKey"]) == ("report", "https://linli.example/")
    query = program.queries[0]
    assert set(query) == {"signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature"}
    assert (query["openid"], query["encrypt_type"]) == (chen.openid, "aes")
    assert query["signature"] == api.peer.signature(api.token, query["timestamp"], query["nonce"])
    assert not api.mistakes
    assert not chen.chat
    with pytest.raises(AssertionError):
        await chen.writes("a stranger's")


async def test_a_passive_reply_is_shown(api: WeChatApi, program: Program, chen: User) -> None:
    program.reply = lambda heard: f"<!收到 ]]> {heard['Content']}"
    [answer] = await chen.writes("你好")
    assert (answer.status, answer.text) == (200, "<!收到 ]]> 你好")
    shown = chen.chat[-1]
    assert (shown.kind, shown.rung, shown.text) == ("text", "passive", "<!收到 ]]> 你好")
    assert shown.passive_to == program.heard[-1]["MsgId"]
    program.reply = lambda heard: "菜单"
    await chen.clicks("menu")
    assert chen.chat[-1].passive_to == f"{int(NOON)}:CLICK"
    assert await program.says(chen) == 0, "a passive reply costs nothing"
    assert not api.mistakes
    await chen.views("https://linli.example/")
    one_mistake(api, "nobody reads")
    await chen.unfollows()
    one_mistake(api, "nobody reads")
    assert [each.rung for each in chen.chat] == ["passive", "passive", "custom"]


@pytest.mark.parametrize("overlapping", [False, True])
async def test_the_same_message_is_answered_alike(
    api: WeChatApi, program: Program, chen: User, overlapping: bool
) -> None:
    program.reply, program.pause = lambda heard: "收到", 0.01
    answers = await chen.writes("hi", deliveries=3, overlapping=overlapping)
    assert [each.text for each in answers] == ["收到"] * 3
    assert [each.text for each in chen.chat] == ["收到"]
    assert len({(each["MsgId"], each["CreateTime"]) for each in program.heard}) == 1
    assert len({each["nonce"] for each in program.queries}) == 3
    assert len({each["msg_signature"] for each in program.queries}) == 3
    assert not api.mistakes
    replies = ["a", "b", ""]
    program.reply = lambda heard: replies.pop(0)
    await chen.writes("hi", deliveries=2, overlapping=overlapping)
    one_mistake(api, "differently")
    replies[:] = ["a", ""]
    await chen.clicks("a", deliveries=2, overlapping=overlapping)
    one_mistake(api, "differently")


async def test_two_taps_are_never_one(api: WeChatApi, program: Program, clock: Clock, chen: User) -> None:
    await chen.clicks("a", deliveries=2)
    await chen.clicks("b")
    await chen.clicks("a")
    assert [int(each["CreateTime"]) - NOON for each in program.heard] == [0, 0, 0, 1]
    clock.at += 5
    await chen.clicks("a")
    assert int(program.heard[-1]["CreateTime"]) == clock.at


async def test_what_the_program_fails_at_unasked_troubles_nobody(
    api: WeChatApi, program: Program, chen: User
) -> None:
    await program.post("message/template/send", template_to(chen, api.template))
    program.status = 500
    assert [each.status for each in await api.finish_templates()] == [500] * 3
    assert [each.kind for each in chen.chat] == ["template"]


async def test_what_fails_is_delivered_again(api: WeChatApi, program: Program, chen: User) -> None:
    program.status = 500
    answers = await chen.writes("hi")
    assert [each.status for each in answers] == [500] * 3
    assert [(each.kind, each.text) for each in chen.chat] == [("trouble", facts.OUT_OF_SERVICE)]
    assert len({each["MsgId"] for each in program.heard}) == 1
    chen.chat.clear()
    program.status, program.pause = 200, 0.25
    program.reply = lambda heard: "a"

    async def quickens() -> None:
        await asyncio.sleep(0.1)
        program.pause = 0

    _, answers = await asyncio.gather(quickens(), chen.writes("slow"))
    assert [(each.status, each.text) for each in answers] == [(0, ""), (200, "a")]
    assert 0.19 < answers[0].seconds < 1
    assert [each.text for each in chen.chat] == ["a"]

    async def unreachable(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        raise ConnectionRefusedError

    api.deliver = unreachable
    assert [each.status for each in await chen.writes("hi")] == [0] * 3
    assert chen.chat[-1].kind == "trouble"
    assert not api.mistakes


async def wrongly_answered(program: Program, chen: User, sealed: Callable[[str], bytes]) -> Answer:
    program.reply, program.sealed = lambda heard: "收到", sealed
    [answer] = await chen.writes("hi")
    return answer


@pytest.mark.parametrize(
    ("outer", "why"),
    [
        ({"MsgSignature": "0" * 40}, "MsgSignature is wrong"),
        ({"app_id": "wx0000000000000000"}, "encrypted for"),
        ({"TimeStamp": "now"}, "TimeStamp"),
        ({"Nonce": ""}, "Nonce"),
        ({"Nonce": None}, "with"),
        ({"More": "1"}, "with"),
        ({"Encrypt": ["a", "b"]}, "with"),
    ],
)
async def test_wrong_seals(api: WeChatApi, program: Program, chen: User, outer: Body, why: str) -> None:
    answer = await wrongly_answered(program, chen, lambda inner: program.seal(inner, **dict(outer)))
    assert answer.broken
    one_mistake(api, why)
    assert [each.kind for each in chen.chat] == ["trouble"]


async def test_seals_that_the_peer_cannot_open(api: WeChatApi, program: Program, chen: User) -> None:
    def resealed(encrypted: str) -> bytes:
        signature = api.peer.signature(api.token, "1772420400", "1", encrypted)
        fields = {"Encrypt": encrypted, "MsgSignature": signature, "TimeStamp": "1772420400", "Nonce": "1"}
        return xml_of(fields).encode()

    other_key = api.aes_key.swapcase()
    good = api.peer.encrypt(api.aes_key, "<xml></xml>", api.app_id)
    for encrypted in (
        api.peer.encrypt(other_key, "<xml></xml>", api.app_id),
        good[:-24],
        f"{good}\n",
        "",
        "电",
    ):
        await wrongly_answered(program, chen, lambda inner, made=encrypted: resealed(made))  # type: ignore[misc]
        one_mistake(api, "decrypt")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"ToUserName": "o6_bmjrPTlm6_2sgVt7hMZOPfL2M"}, "somebody else"),
        ({"FromUserName": "wx5823bf96d3bd56c7"}, "somebody else"),
        ({"CreateTime": "now"}, "CreateTime"),
        ({"CreateTime": None}, "with"),
        ({"MsgType": "news"}, "MsgType"),
        ({"Content": ""}, "Content of 0"),
        ({"Content": "电" * 683}, "Content of 2049"),
        ({"Content": ["a", "b"]}, "with"),
        ({"Content": {"a": "b"}}, "with"),
        ({"FuncFlag": 0}, "with"),
    ],
)
async def test_wrong_replies(api: WeChatApi, program: Program, chen: User, other: Body, why: str) -> None:
    heard = {"FromUserName": chen.openid, "ToUserName": api.account}
    inner = program.inner("收到", heard, **other)
    await wrongly_answered(program, chen, lambda _: program.seal(inner))
    one_mistake(api, why)
    assert [each.kind for each in chen.chat] == ["trouble"]


@pytest.mark.parametrize(
    "answer",
    [
        b"ok", b" success", b"\xff", b"{}", b"<xml></xml>", b"<xml><a></xml>", b"<?xml version='1.0'?>",
        b"<!DOCTYPE a><xml/>",
    ],
)  # fmt: skip
async def test_answers_that_are_none(api: WeChatApi, program: Program, chen: User, answer: bytes) -> None:
    await wrongly_answered(program, chen, lambda _: answer)
    one_mistake(api, "passive reply")


async def test_a_reply_that_breaks_out_of_its_field(api: WeChatApi, program: Program, chen: User) -> None:
    inner = program.inner("!", {"FromUserName": chen.openid, "ToUserName": api.account})
    for text in ("]]></Content><MsgType><![CDATA[news]]></MsgType><Content><![CDATA[", "]]> & <![CDATA["):
        broken = inner.replace("!]]", f"{text}]]")
        await wrongly_answered(program, chen, lambda _, bad=broken: program.seal(bad))  # type: ignore[misc]
        one_mistake(api, "passive reply")
    for bad, why in (
        (f"<!DOCTYPE xml>{inner}", "a declaration"),
        (inner.replace("<MsgType>", "more<MsgType>"), "between the fields"),
        (inner.replace("<MsgType>", '<MsgType a="1">'), "with"),
    ):
        await wrongly_answered(program, chen, lambda _, bad=bad: program.seal(bad))  # type: ignore[misc]
        one_mistake(api, why)
    plain = inner.encode()
    await wrongly_answered(program, chen, lambda _: plain)
    one_mistake(api, "passive reply")


async def test_attacks_can_be_made(api: WeChatApi, program: Program, chen: User) -> None:
    fields = {
        "ToUserName": api.account,
        "FromUserName": chen.openid,
        "MsgType": "text",
        "Content": "a",
        "MsgId": 1,
    }
    query, body = api.sealed(fields)
    assert (await api.raw(query, body)) == (200, b"success")
    assert program.heard[-1]["Content"] == "a"
    query, body = api.sealed("<xml><a/></xml>", timestamp="1", nonce="2", openid="x")
    assert (query["timestamp"], query["nonce"], query["openid"]) == ("1", "2", "x")
    assert (await api.raw(query, body))[0] == 200
    assert program.heard[-1]["xml"] == "<xml><a/></xml>"
    for other in ({"token": "x"}, {"msg_signature": "0" * 40}, {"encrypted": "a", "msg_signature": "b"}):
        with pytest.raises(AssertionError):
            await api.raw(*api.sealed(fields, **other))
    with pytest.raises(KeyError):
        await api.raw(*api.sealed(fields, msg_signature=""))
    with pytest.raises(AssertionError):
        await api.raw(*api.sealed(fields, app_id="wx0"))
    with pytest.raises(wechat_api_peer.PeerError):
        await api.raw(*api.sealed(fields, aes_key=api.aes_key.swapcase()))


# --- the peer


def test_the_peer_is_put_there_whole_and_once(tmp_path: Path) -> None:
    wechat_api_peer.peer()
    into = tmp_path / "node_modules"
    wechat_api_peer.install(into)
    assert (into / "@wecom/crypto/package.json").exists()
    wechat_api_peer.install(into)
    assert [each.name for each in tmp_path.iterdir()] == ["node_modules"]


def test_the_lock_names_no_host() -> None:
    lock = (wechat_api_peer.HOME / "package-lock.json").read_text()
    assert "://" not in lock
    assert lock.count('"integrity"') == 1


@pytest.mark.parametrize("ci", ["true", ""])
def test_without_node_tests_skip_but_not_on_ci(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(wechat_api_peer, "_started", lambda: "no npm")
    with pytest.raises(pytest.fail.Exception if ci else pytest.skip.Exception):
        wechat_api_peer.peer()


def test_without_a_registry_there_is_no_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(wechat_api_peer.Missing, match="npm ci"):
        wechat_api_peer.install(tmp_path / "node_modules")
    assert not (tmp_path / "node_modules").exists()
