"""WeChat's callbacks under attack: what WeChat did not send does nothing, and what it sends may say anything."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.bot.estate import NEIGHBOUR, OWNER, Estate, estate
from tests.handlers.test_privacy import rows
from tests.wechat_api import xml_of

Callback = tuple[dict[str, str], bytes]
Attack = Callable[[Estate, random.Random, list[Callback]], Callback]
UNSIGNED, SIGNED = 4_400, 600


@pytest.fixture
async def there(tmp_path: Path, database_url: str) -> AsyncIterator[Estate]:
    async with estate(tmp_path / "data", database_url) as made:
        await made.restart()
        made.api.choose = lambda path, _: 40007 if path == "media/get" else None
        yield made


def state_of(there: Estate) -> str:
    """All that the database keeps, as one hash."""
    found = sorted(f"{table} {row}" for table, row in rows(there))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


async def status_of(there: Estate, callback: Callback, method: str = "POST") -> int:
    status, _ = await there.deliver(method, *callback)
    return status


async def some_talk(there: Estate) -> list[Callback]:
    """Callbacks of WeChat's that have acted."""
    made = [
        there.sealed(OWNER, MsgType="text", Content="厨房水龙头滴水", MsgId=101),
        there.sealed(OWNER, MsgType="text", Content="修改", MsgId=102),
        there.sealed(NEIGHBOUR, MsgType="text", Content="你好", MsgId=103),
        there.sealed(NEIGHBOUR, MsgType="event", Event="CLICK", EventKey="my"),
        there.sealed("路人", MsgType="event", Event="subscribe", EventKey=""),
        there.sealed("路人", MsgType="text", Content="有人吗", MsgId=104),
    ]
    for callback in made:
        assert await status_of(there, callback) == 200
    await there.settle()
    return made


# --- what WeChat has not sent -----------------------------------------------------------------------


def flipped(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """Some bits of the body are others."""
    query, body = chance.choice(real)
    changed = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return query, bytes(changed)


def cut_short(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    query, body = chance.choice(real)
    return query, body[: chance.randrange(len(body))]


def with_more(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    query, body = chance.choice(real)
    at = chance.randrange(len(body) + 1)
    return query, body[:at] + chance.randbytes(chance.randint(1, 40)) + body[at:]


def crossed(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """The signature of one with the words of another."""
    (query, _), (_, body) = chance.sample(real, 2)
    return query, body


def another_query(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    query, body = chance.choice(real)
    changed = dict(query)
    for name in chance.sample(sorted(query), chance.randint(1, 3)):
        what = chance.choice(["gone", "empty", "other", "longer", "strange"])
        if what == "gone":
            del changed[name]
        else:
            changed[name] = {
                "empty": "", "other": f"{chance.randrange(10**10)}", "longer": query[name] * 2,
                "strange": "\ud83c\udfe0ß\x00%00'\"<>".encode("utf-8", "replace").decode(),
            }[what]  # fmt: skip
    return changed, body


def other_keys(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """Sealed as it should be, by somebody who does not know all three of our secrets."""
    others = {
        "token": "anotherToken",
        "aes_key": "zyxwvutsrqponmlkjihgfedcba9876543210ABCDEFE",
        "app_id": "wx0000000000000000",
    }
    names = chance.sample(sorted(others), chance.randint(1, 3))
    return there.api.sealed(words_of(there, chance), **{name: others[name] for name in names})


def unsigned(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    return there.api.sealed(words_of(there, chance), msg_signature=chance.choice(["", "0" * 40, "ß" * 40]))


def in_plain_mode(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """The signature of plain mode is good, but it covers no body."""
    query, _ = there.api.sealed(
        words_of(there, chance), encrypt_type=chance.choice(["", "raw", "AES", "aes "])
    )
    if chance.random() < 0.5:
        del query["msg_signature"]
    return query, xml_of(words_of(there, chance)).encode()


def plain_beside_sealed(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """What stands beside a ciphertext that has acted already is not signed."""
    query, body = chance.choice(real)
    beside = xml_of(words_of(there, chance)).removeprefix("<xml>").removesuffix("</xml>").encode()
    return query, body.replace(b"<xml>", b"<xml>" + beside.replace(b"ToUserName", b"ToUser"))


def large(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    query, body = chance.choice(real)
    return query, body.replace(b"</xml>", b" " * chance.choice([64 * 1024, 1024 * 1024 + 1]) + b"</xml>")


def with_doctype(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    query, body = chance.choice(real)
    entity = chance.choice(
        [
            '<!DOCTYPE xml [<!ENTITY a "ha">]>',
            '<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
            '<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
            '<?xml version="1.0"?><!DOCTYPE xml>',
        ]
    )
    return query, entity.encode() + body


def repeated(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """Encrypt is there twice, is nested, has an attribute, or is in another root."""
    query, body = chance.choice(real)
    start, end = body.index(b"<Encrypt>"), body.index(b"</xml>")
    tag = body[start:end]
    other = chance.choice(real)[1]
    second = other[other.index(b"<Encrypt>") : other.index(b"</xml>")]
    return query, chance.choice(
        [
            body[:end] + tag + body[end:],
            body[:end] + second + body[end:],
            body[:start] + b"<Encrypt>" + tag + b"</Encrypt>" + body[end:],
            body[:start] + b"<Encrypt a='b'>" + tag.removeprefix(b"<Encrypt>") + body[end:],
            b"<Encrypt>" * 3000 + body,
            b"<xml>" + body + b"</xml>",
            body.replace(b"xml>", b"XML>"),
        ]
    )


def noise(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """No XML, or not UTF-8, with a query of WeChat's."""
    query, _ = chance.choice(real)
    body = chance.choice(
        [b"", b"{}", b"<xml/>", b"<xml></xml>", b"\xff\xfe<xml>", b"<xml>", b"\x00" * 64, chance.randbytes(300),
         b"<xml><Encrypt>\xe7\x94\xb5</Encrypt></xml>", b"<xml><Encrypt></Encrypt></xml>"]
    )  # fmt: skip
    return query, body


def badly_encrypted(there: Estate, chance: random.Random, real: list[Callback]) -> Callback:
    """The signature is right (our token is known), but the ciphertext is none."""
    encrypted = chance.choice(
        [
            base64.b64encode(chance.randbytes(16 * chance.randint(1, 20))).decode(),
            base64.b64encode(chance.randbytes(chance.randint(1, 300))).decode(),
            "A" * chance.randint(1, 99),
            "=" * 8,
            "电梯",
        ]
    )
    return there.api.sealed(words_of(there, chance), encrypted=encrypted)


ATTACKS: list[Attack] = [
    flipped, cut_short, with_more, crossed, another_query, other_keys, unsigned, in_plain_mode, plain_beside_sealed,
    large, with_doctype, repeated, noise, badly_encrypted,
]  # fmt: skip


def words_of(there: Estate, chance: random.Random) -> dict[str, Any]:
    """What somebody might have said, and has not."""
    return {
        "ToUserName": there.api.account,
        "FromUserName": there.user(chance.choice([OWNER, NEIGHBOUR, "路人"])).openid,
        "CreateTime": int(there.api.now()),
        "MsgType": "text",
        "Content": chance.choice(["电梯里困了人", "注销", "确定注销", "提交"]),
        "MsgId": chance.randrange(10**15, 10**18),
    }


async def test_thousands_of_forged_callbacks_do_nothing(there: Estate, seed: int) -> None:
    """Whatever is not WeChat's is refused or is a repetition; the database stays as it is, and no secret is logged."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    real = await some_talk(there)
    before = state_of(there)
    answered: Counter[tuple[str, int]] = Counter()
    with capture_logs() as logs:
        for number in range(UNSIGNED):
            attack = chance.choice(ATTACKS)
            callback = attack(there, chance, real)
            method = "GET" if number % 50 == 0 else "POST"
            status = await status_of(there, callback, method)
            assert 200 <= status < 300 or 400 <= status < 500, f"seed {seed}, {number}: {attack.__name__}"
            answered[attack.__name__, status] += 1
            if number % 400 == 0:
                assert state_of(there) == before, f"seed {seed}, before {number}: {attack.__name__}"
    assert state_of(there) == before, f"seed {seed}"
    check_log(there, logs)
    taken = {name for name, status in answered if status == 200}
    # What the signature does not cover may differ: then it is the message that has acted already.
    assert taken <= {"flipped", "with_more", "another_query", "plain_beside_sealed", "repeated"}
    assert len({name for name, _ in answered}) == len(ATTACKS)


def check_log(there: Estate, logs: list[Any]) -> None:
    """No error, and nothing of what must not be known."""
    assert [entry for entry in logs if entry["log_level"] not in ("info", "warning", "debug")] == []
    written = "\n".join(map(str, logs))
    api = there.api
    for secret in (api.token, api.aes_key, api.app_secret, api._newest or api.token):
        assert secret not in written
    assert "exc_info" not in written


# --- what WeChat sends ------------------------------------------------------------------------------

KINDS = [
    "text",
    "image",
    "voice",
    "video",
    "shortvideo",
    "location",
    "link",
    "event",
    "file",
    "",
    "TEXT",
    "文" * 200,
]
EVENTS = ["subscribe", "unsubscribe", "SCAN", "CLICK", "VIEW", "LOCATION", "TEMPLATESENDJOBFINISH",
          "subscribe_msg_popup_event", "subscribe_msg_change_event", "subscribe_msg_sent_event", "MASSSENDJOBFINISH",
          "scancode_waitmsg", "kf_create_session", "", "x" * 500]  # fmt: skip
STRANGE = ["", " ", "0", "-1", "1" * 30, "NaN", "null", "\u202e\u0000", "]]>", "<a/>", "&amp;", "🏠" * 50, "\ud7ff",
           "1:repair.withdraw:1", "999999999999999999:my", "1:1.place=lift", ":", "qrscene_", "qrscene_XYZ", "/start",
           "/forget", "%s{0}{name}", "a" * 5000, "名" * 9000]  # fmt: skip
FIELDS = ["Content", "MsgId", "MediaId", "PicUrl", "Recognition", "Location_X", "Location_Y", "Label", "Event",
          "EventKey", "Ticket", "MsgID", "Status", "bizmsgmenuid", "MenuId", "CreateTime", "FromUserName", "MsgType",
          "Unknown", "SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent", "List"]  # fmt: skip


def strange_value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if kind < 0.8 or depth > 2:
        return chance.choice(STRANGE).replace("\u0000", "")
    if kind < 0.9:
        return [strange_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    names = ["List", "TemplateId", "SubscribeStatusString", "MsgID", "ErrorStatus", "PopupScene"]
    return {name: strange_value(chance, depth + 1) for name in chance.sample(names, chance.randint(0, 4))}


def strange(there: Estate, chance: random.Random, number: int) -> str:
    """The XML of a message that nobody has thought of, mostly with what every message has."""
    fields: dict[str, Any] = words_of(there, chance) | {
        "MsgType": chance.choice(KINDS),
        "MsgId": number + 10**6,
    }
    fields["Content"] = chance.choice(["你好", "厨房水龙头滴水", *STRANGE]).replace("\u0000", "")
    if fields["MsgType"] == "event":
        fields["Event"] = chance.choice(EVENTS)
        del fields["MsgId"]
    for name in chance.sample(FIELDS, chance.randint(0, 5)):
        if name in ("CreateTime", "FromUserName") and chance.random() < 0.6:
            continue
        fields[name] = strange_value(chance)
    for name in chance.sample(sorted(fields), chance.choice([0, 0, 0, 1, 2])):
        del fields[name]
    items = list(fields.items())
    chance.shuffle(items)
    document = xml_of(dict(items))
    shape = chance.random()
    if shape < 0.05:
        return document[: chance.randrange(len(document))]
    if shape < 0.1:
        return document.replace(
            "<xml>", chance.choice(["<xml a='b'>", "<xml>beside", "<!DOCTYPE xml><xml>", "<xml><xml>"])
        )
    if shape < 0.13:
        return chance.choice(
            ["", "{}", "<xml/>", "<a><b/></a>", "\ufeff" + document, "<?xml version='1.0'?>" + document]
        )
    return document


async def test_hundreds_of_strange_messages_of_wechat_are_borne(there: Estate, seed: int) -> None:
    """Signed as WeChat signs: each is taken or refused, none of them fails, and its repetition does nothing."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    await some_talk(there)
    made: list[Callback] = []
    with capture_logs() as logs:
        for number in range(SIGNED):
            document = strange(there, chance, number)
            callback = there.api.sealed(document)
            status = await status_of(there, callback)
            assert 200 <= status < 300 or 400 <= status < 500, f"seed {seed}, {number}: {document[:500]}"
            made.append(callback)
        check_log(there, logs)
        await there.settle()
        failed = [row for row in there.heard() if row.state != "done"]
        assert failed == [], f"seed {seed}"
        before = state_of(there)
        heard = len(there.heard())
        for callback in chance.sample(made, 150):
            assert await status_of(there, callback) < 500
        assert len(there.heard()) == heard, f"seed {seed}"
        assert state_of(there) == before, f"seed {seed}"
        check_log(there, logs)
    assert heard > SIGNED / 10  # most of the strange ones are nobody's words


async def test_an_old_callback_acts_no_second_time(there: Estate) -> None:
    """Within a day it is known; later it is refused, since by then it may have been forgotten."""
    real = await some_talk(there)
    before = state_of(there)
    for seconds in (1, 3600, 20 * 3600):
        there.clock.at += timedelta(seconds=seconds)
        await there.kill()
        for callback in real:
            assert await status_of(there, callback) == 200
    assert len(there.heard()) == len(real)
    assert state_of(there) == before
    there.clock.at += timedelta(days=1)
    assert {await status_of(there, callback) for callback in real} == {403}
    assert state_of(there) == before
