"""Only what WeChat has signed and sealed comes in; all else is refused with a 4xx, whatever it is."""

import hmac
import re
import struct
from typing import Any
from xml.etree import ElementTree

import pytest
import xmltodict
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.wechat_seal import BadCallback, Seal
from tests.bot.wechat_sealing import (
    ACCOUNT,
    AES_KEY,
    APP_ID,
    OPENID,
    TOKEN,
    encrypted,
    message,
    opened,
    padded,
    request,
    sealed,
    signature,
)
from tests.wechat_api import WeChatApi

SEAL = Seal(TOKEN, AES_KEY, APP_ID)
SALT = b"0123456789abcdef"


def refused(query: dict[str, str], body: bytes) -> int:
    with pytest.raises(BadCallback) as caught:
        SEAL.open(query, body)
    assert caught.value.reason
    return caught.value.status


def opened_of(inner: str) -> dict[str, Any]:
    return SEAL.open(*request(sealed(inner)))


# --- the URL check ----------------------------------------------------------------------------------


def asked(echo: str = "4375120948345356249") -> dict[str, str]:
    return {
        "signature": signature("1764300000", "7"),
        "timestamp": "1764300000",
        "nonce": "7",
        "echostr": echo,
    }


def test_the_url_check_is_answered_with_its_own_words() -> None:
    assert SEAL.echo(asked()) == "4375120948345356249"


@pytest.mark.parametrize("echo", ["", "<script>", "1 2", "１２", "a" * 129, "1\n"])
def test_the_url_check_repeats_no_markup(echo: str) -> None:
    with pytest.raises(BadCallback) as caught:
        SEAL.echo(asked(echo))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "change", [{"signature": ""}, {"signature": "ü"}, {"nonce": "8"}, {"timestamp": "\ud800"}]
)
def test_whoever_does_not_know_the_token_gets_no_echo(change: dict[str, str]) -> None:
    with pytest.raises(BadCallback) as caught:
        SEAL.echo({**asked(), **change})
    assert caught.value.status == 403
    with pytest.raises(BadCallback):
        SEAL.echo({})


# --- what is whole ----------------------------------------------------------------------------------


def test_a_message_comes_out_as_its_fields() -> None:
    inner = "<Content><![CDATA[厨房漏水 <b>&]]></Content><MsgId>23456789012345678</MsgId>"
    assert opened_of(message(inner)) == {
        "ToUserName": ACCOUNT,
        "FromUserName": OPENID,
        "CreateTime": "1764300000",
        "MsgType": "text",
        "Content": "厨房漏水 <b>&",
        "MsgId": "23456789012345678",
    }


def test_an_empty_field_is_an_empty_text() -> None:
    fields = opened_of(
        message("<Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[]]></EventKey>", "event")
    )
    assert fields["EventKey"] == ""


def test_only_what_was_encrypted_counts() -> None:
    beside = f"<FromUserName>oSomebody</FromUserName><Content>{'别的'}</Content>"
    fields = SEAL.open(*request(sealed(message("<Content>真的</Content>")), beside))
    assert (fields["FromUserName"], fields["Content"]) == (OPENID, "真的")


def test_people_may_write_what_would_be_dangerous_elsewhere() -> None:
    words = "<!DOCTYPE html><!ENTITY x>&lt;\U0001f6b0"
    assert opened_of(message(f"<Content><![CDATA[{words}]]></Content>"))["Content"] == words


ENTRY = "<List><TemplateId>T{0}</TemplateId><SubscribeStatusString>{1}</SubscribeStatusString></List>"


@pytest.mark.parametrize(
    ("event", "tag"),
    [
        ("subscribe_msg_popup_event", "SubscribeMsgPopupEvent"),
        ("subscribe_msg_change_event", "SubscribeMsgChangeEvent"),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_entries_of_a_consent_are_a_list_always(event: str, tag: str, count: int) -> None:
    entries = "".join(ENTRY.format(number, "accept") for number in range(count))
    fields = opened_of(message(f"<Event>{event}</Event><{tag}>{entries}</{tag}>", "event"))
    found = [{"TemplateId": f"T{number}", "SubscribeStatusString": "accept"} for number in range(count)]
    assert fields.get("List", []) == found
    assert tag not in fields or not count


# --- what is not ------------------------------------------------------------------------------------


def test_what_is_too_large_is_not_read() -> None:
    query, body = request(sealed(message()))
    assert refused(query, body + b" " * 64 * 1024) == 413


@pytest.mark.parametrize(
    "start",
    [
        "<!DOCTYPE xml [<!ENTITY a 'b'>]>",
        "<?xml version='1.0'?><!DOCTYPE xml SYSTEM 'http://127.0.0.1/x'>",
        "<!-- --><!doctype xml>",
        "<!ENTITY a 'b'>",
    ],
)
def test_a_doctype_is_refused_before_anything_is_parsed(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: Any) -> Any:
        raise AssertionError("parsed")

    monkeypatch.setattr(xmltodict, "parse", parse)
    query, body = request(sealed(message()))
    assert refused(query, start.encode() + body) == 400


def test_a_doctype_within_the_seal_is_refused_too() -> None:
    inner = "<!DOCTYPE xml [<!ENTITY a 'b'>]>" + message("<Content>&a;</Content>")
    assert refused(*request(sealed(inner))) == 400


def test_plain_mode_is_refused() -> None:
    query, _ = request(sealed(message()))
    assert refused(query, message("<Content>开门</Content>").encode()) == 400


@pytest.mark.parametrize("kind", [None, "", "raw", "AES"])
def test_a_downgrade_of_the_mode_is_refused(kind: str | None) -> None:
    query, body = request(sealed(message()))
    query.pop("encrypt_type")
    assert refused(query if kind is None else {**query, "encrypt_type": kind}, body) == 400


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": ""},
        {"msg_signature": "0" * 40},
        {"msg_signature": "签"},
        {"nonce": "9"},
        {"timestamp": "1764300001"},
        {"msg_signature": signature("1764300000", "1320562132")},  # that of the URL check
    ],
)
def test_a_wrong_signature_is_refused(change: dict[str, str]) -> None:
    query, body = request(sealed(message()))
    assert refused({**query, **change}, body) == 403


def test_a_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """wechatpy compares with != (its sixth defect)."""
    compared: list[tuple[bytes, bytes]] = []
    same = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return same(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    query, body = request(sealed(message()))
    SEAL.open(query, body)
    SEAL.echo(asked())
    assert query["msg_signature"].encode() in [other for _, other in compared]
    assert asked()["signature"].encode() in [other for _, other in compared]


def test_what_was_sealed_for_another_account_is_refused() -> None:
    assert refused(*request(sealed(message(), app_id="wxfedcba9876543210"))) == 403
    assert refused(*request(sealed(message(), app_id=""))) == 403


def test_what_was_sealed_with_another_key_is_refused() -> None:
    assert 400 <= refused(*request(sealed(message(), key="B" * 42 + "A"))) < 500


@pytest.mark.parametrize(
    "encrypt",
    [
        "=",
        "a",
        "!!!!",
        "密文",
        "AAAA",
        encrypted(b"\0" * 32),  # no padding
        encrypted(b"\x01" * 16),  # shorter than its salt
        encrypted(b"\x10" * 16),
        encrypted(b"\x20" * 32),
        encrypted(b"\x21" * 64),
        encrypted(b"x" * 30 + b"\x01\x02"),  # padding that is not even
        encrypted(padded(SALT + b"\0\0\1")),
        encrypted(padded(SALT + struct.pack("!I", 2**32 - 1) + message().encode() + APP_ID.encode())),
        encrypted(padded(SALT + struct.pack("<I", 7) + message().encode() + APP_ID.encode())),
        encrypted(padded(SALT + struct.pack("!I", 0) + APP_ID.encode())),
    ],
)
def test_what_is_broken_within_its_signature_is_refused(encrypt: str) -> None:
    assert refused(*request(encrypt)) == 400


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "text",
        "<xml>",
        "<xml></xml>",
        "<xml/>",
        "<xml>words</xml>",
        "<json></json>",
        "<xml></xml><xml></xml>",
        message("<Content>"),
        message("<Content>&nbsp;</Content>"),
        message("<Content>&#0;</Content>"),
        message("<Content>\0</Content>"),
        message("<Content>\x08</Content>"),
        message("<Content>一</Content><Content>二</Content>"),
        message("<FromUserName>oSomebody</FromUserName>"),
        message("<MsgType>event</MsgType>"),
        message("<MsgId>1</MsgId><MsgId>2</MsgId>"),
        message("<Content><b>x</b></Content>"),
        message("<Content a='b'>x</Content>"),
        message("words"),
        message("<List><TemplateId>T</TemplateId></List>"),
        message("<Event>CLICK</Event><SubscribeMsgPopupEvent><List><a>b</a></List></SubscribeMsgPopupEvent>"),
        message("<Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent>x</SubscribeMsgPopupEvent>"),
        message(
            "<Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent>"
            "<List><TemplateId><x>T</x></TemplateId></List></SubscribeMsgPopupEvent>"
        ),
        message(
            "<Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent><List>x</List></SubscribeMsgPopupEvent>"
        ),
        message("<Event>subscribe_msg_popup_event</Event><List>x</List>", "event"),
        message().replace("ToUserName", "Tousername"),
        message("<Event><a>subscribe</a></Event>"),
        message(kind=""),
        message(sender=""),
        message(sender="o wner"),
        message(sender="o" * 65),
        message().replace("1764300000", "soon"),
        message().replace("1764300000", "１７６４"),
        message().replace("1764300000", "-1"),
        message().replace("FromUserName", "Fromusername"),
        re.sub("<CreateTime>.*</CreateTime>", "", message()),
        "<xml>" + "<a>" * 5000 + "</a>" * 5000 + "</xml>",
        "<!-- -->" + message(),
    ],
)
def test_signed_nonsense_is_refused(inner: str) -> None:
    assert refused(*request(sealed(inner))) == 400


def test_what_is_not_utf_8_is_refused() -> None:
    assert refused(*request(sealed(message("<Content>厨房</Content>").encode("gb18030")))) == 400
    assert refused(*request(sealed(message().encode("utf-16")))) == 400
    query, body = request(sealed(message()))
    assert refused(query, body + "厨房".encode("gb18030")) == 400
    assert refused(query, body.decode().encode("utf-16")) == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"{}", b"<xml>", b"<xml/>", b"<xml><Encrypt/></xml>", b"<xml><Encrypt><a>b</a></Encrypt></xml>",
     b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>", b"<xml>" * 9000, b" " * 65_000, b"<?xml " + b" " * 65_000,
     b"<?xml?>" + b" " * 65_000, b"<xml" + b" " * 65_000, b"<xml>" + b"<a/>" * 16_000 + b"</xml>",
     b"<xml " + b" ".join(b"a%d=''" % each for each in range(7000)) + b"/>"],
)  # fmt: skip
def test_unsigned_nonsense_is_refused(body: bytes) -> None:
    query, _ = request("")
    assert refused(query, body) == 400


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_do_more_than_be_refused(data: bytes) -> None:
    assert 400 <= refused(*request(sealed(data))) < 500
    assert 400 <= refused(*request(encrypted((data + bytes(16))[: (len(data) + 16) // 16 * 16]))) < 500
    query, _ = request("")
    assert 400 <= refused(query, data) < 500


# --- replies ----------------------------------------------------------------------------------------


def replied(text: str) -> dict[str, str]:
    inner = opened(SEAL.reply(text, to=OPENID, from_=ACCOUNT, at=1764300001))
    return {each.tag: each.text or "" for each in ElementTree.fromstring(inner)}


def test_a_reply_is_read_by_wechat() -> None:
    assert replied("已报修。\n约 30 分钟内回复。") == {
        "ToUserName": OPENID,
        "FromUserName": ACCOUNT,
        "CreateTime": "1764300001",
        "MsgType": "text",
        "Content": "已报修。\n约 30 分钟内回复。",
    }


@pytest.mark.parametrize(
    "text", ["]]>", "]]]>", "]]>]]>", "]]", "a]]><MsgType>news</MsgType><![CDATA[b", "<&>\"'"]
)
def test_no_text_breaks_out_of_a_reply(text: str) -> None:
    """wechatpy's create_reply lets one write fields of the reply (its fifth defect)."""
    fields = replied(text)
    assert len(fields) == 5
    assert (fields["Content"], fields["MsgType"]) == (text, "text")


def test_what_xml_forbids_is_left_out_of_a_reply() -> None:
    assert replied("a\0b\x08c\x1fd\ufffee\ud800f\tg\U0001f6b0")["Content"] == "abcdef\tg\U0001f6b0"


@given(st.text(alphabet=st.characters(exclude_characters="\r"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_text_is_replied_whole(text: str) -> None:
    allowed = re.sub("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    assert replied(text)["Content"] == allowed


def test_within_its_seal_the_same_reply_is_the_same() -> None:
    one, two = (SEAL.reply("好的]]>", to=OPENID, from_=ACCOUNT, at=1764300001) for _ in range(2))
    assert one != two
    assert opened(one) == opened(two)


# --- Tencent's own cryptography ---------------------------------------------------------------------


async def test_tencents_own_cryptography_seals_and_opens_alike() -> None:
    async with WeChatApi() as api:
        seal = Seal(api.token, api.aes_key, api.app_id)

        async def deliver(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
            if method == "GET":
                return 200, seal.echo(query).encode()
            fields = seal.open(query, body)
            seen.append(fields)
            words = fields.get("Content", "")
            if not words:
                return 200, b""
            return 200, seal.reply(
                words, to=fields["FromUserName"], from_=fields["ToUserName"], at=int(api.now())
            )

        seen: list[dict[str, Any]] = []
        api.deliver = deliver
        assert await api.checks_url()
        chen = api.user("陈女士")
        await chen.follows("7F3AK2")
        for length in range(1, 70):  # each length of the padding
            await chen.writes("漏" * length + "]]><b>")
            assert chen.chat[-1].text == "漏" * length + "]]><b>"
        await chen.answers_consent(api.notification)
        assert seen[0]["EventKey"] == "qrscene_7F3AK2"
        assert [each["TemplateId"] for each in seen[-1]["List"]] == [api.notification]
        assert api.mistakes == []


# --- the settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "short", "a" * 42, "a" * 44, "密" * 43, "a" * 42 + "!"])
def test_a_key_of_another_shape_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="43") as caught:
        Seal(TOKEN, key, APP_ID)
    assert not key or key not in str(caught.value)


def test_a_seal_shows_no_secret() -> None:
    assert TOKEN not in repr(SEAL)
    assert AES_KEY not in repr(SEAL)
