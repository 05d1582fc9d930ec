"""Personal pages: what a link shows and does, and all that must not happen; the last part in a real browser."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import Session, col, select
from starlette.applications import Starlette

from bot.personal_pages import BODY_CAP, CONSENT_POLICY, POLICY, Sign, routes
from conversations.words import texts
from handlers.links import new_link
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.database import StoreUnavailable
from store.media import Kept
from store.tables import Attempt, Community, Inbox, Link, Media, Outgoing, Person, Place, Repair, Talk
from tests import serving
from tests.bot.browsing import unhindered
from tests.people import Building, Phone, photo, recording

pytestmark = pytest.mark.by_hand
HOST = "https://linli.example"
ZH = texts("zh")
LONG = "".join(f"第{number}条：请住户注意安全，不要在楼道堆放杂物。" for number in range(1, 400))[:10_000]
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(2)> &amp; {{ 7*7 }} </section>'


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def place(tx: Tx, name: str) -> Place:
    return tx.session.exec(select(Place).where(Place.external_id == name)).one()


def person(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def media(tx: Tx, kept: Kept, **given: Any) -> int:
    """The row of a file that is kept, and its number."""
    community = tx.session.exec(select(Community)).one()
    found = {"storage": kept.storage, "mime": kept.mime, "size": kept.size, "created_at": tx.now}
    row = Media(community_id=community.id, **{**found, **given})
    tx.session.add(row)
    tx.session.flush()
    return row.id


def link(building: Building, name: str, text: str | None = "", hours: float = 72) -> str:
    """A link to the last message of a chat that holds the text; None: to the page of consent."""
    rows = select(Outgoing.id).join(Place).where(Place.external_id == name)
    outgoing_id = None
    if text is not None:
        found = rows.where(col(Outgoing.text).contains(text)).order_by(col(Outgoing.id).desc())
        outgoing_id = building.read(found)[0]
    token: str = write(
        building, lambda tx: new_link(tx, place(tx, name), outgoing_id=outgoing_id, hours=hours)
    )
    return token


@asynccontextmanager
async def visitor(building: Building, sign: Sign | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(building.app, sign)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


@pytest.fixture
async def client(building: Building) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(building) as made:
        yield made


def buttons(page: httpx.Response) -> dict[str, tuple[str, str, str]]:
    """The buttons of a page by their labels: where their form goes, the name of the press, and their value."""
    found = {}
    for action, form in re.findall(
        r'<form method="post" action="([^"]+)">(.*?)</form>', page.text, re.DOTALL
    ):
        [press] = re.findall(r'name="press" value="([^"]+)"', form)
        for value, label in re.findall(r'<button name="value" value="([^"]+)">([^<]+)</button>', form):
            found[unescape(label)] = (action, press, unescape(value))
    return found


def words(page: httpx.Response) -> str:
    """What a reader sees of a page."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<head>.*</head>", "", page.text)))


async def press(client: httpx.AsyncClient, page: httpx.Response, label: str) -> httpx.Response:
    address, name, value = buttons(page)[label]
    return await client.post(address, data={"press": name, "value": value})


async def emergency(owner: Phone) -> None:
    await owner.says("电梯里困了人")


def everything(building: Building) -> list[Any]:
    """All rows that a look must leave as they are."""
    tables = (Inbox, Outgoing, Link, Talk, Repair, Attempt, Place)
    return [
        [row.model_dump() for row in building.read(select(table).order_by(col(table.id)))] for table in tables
    ]


# --- looking -----------------------------------------------------------------------------------------


async def test_a_page_shows_the_matter(building: Building, owner: Phone, client: httpx.AsyncClient) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    page = await client.get(f"/p/{token}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for part in (
        "阳光花园",
        "已按紧急报修处理，编号 1",
        "现在：等待接单",
        "已登记，按紧急处理",
        "请不要转发",
    ):
        assert part in words(page)
    assert list(buttons(page)) == ["更正", "撤回"]
    assert '<html lang="zh-CN">' in page.text and 'name="viewport"' in page.text


async def test_looking_does_nothing(building: Building, owner: Phone, client: httpx.AsyncClient) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    before = everything(building)
    for _ in range(3):
        await client.get(f"/p/{token}?value=repair.withdraw:1&press=aaaaaaaaaaaa")
        await client.head(f"/p/{token}")
        await client.get(f"/p/{token}/photos/1")
    assert everything(building) == before


async def test_no_page_is_kept_framed_or_told_to_others(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    shown = await client.get(f"/p/{token}")
    for page in (
        shown,
        await press(client, shown, "撤回"),
        await client.get("/p/nothing"),
        await client.head(f"/p/{token}"),
        await client.put(f"/p/{token}"),
        await client.post(f"/p/{token}", content=b"x" * 5000),
    ):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-robots-tag"] == "noindex, nofollow"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["content-security-policy"] == POLICY
        assert "set-cookie" not in page.headers
    assert (
        "frame-ancestors 'none'" in POLICY and "script-src" not in POLICY and "default-src 'none'" in POLICY
    )


async def test_the_style_sheet_is_served(building: Building, client: httpx.AsyncClient) -> None:
    sheet = await client.get("/p/personal.css")
    script = await client.get("/p/personal_consent.js")
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


async def test_hostile_words_are_shown_as_typed(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("帮助")
    evil = Button("my", label=HOSTILE)
    write(building, lambda tx: tell(tx, place(tx, "陈女士"), "rest.text", text=HOSTILE, buttons=[evil]))
    page = await client.get(f"/p/{link(building, '陈女士')}")
    assert "<script" not in page.text and "<img" not in page.text
    assert words(page).count(HOSTILE) == 2


async def test_a_long_text_is_whole_and_leads_on(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("帮助")
    write(building, lambda tx: tell(tx, person(tx, "陈女士"), "rest.text", text=LONG))
    page = await client.get(f"/p/{link(building, '陈女士')}")
    read = []
    while True:
        [text] = re.findall(r'(?s)<section>\s*<p class="words">(.*?)</p>', page.text)
        read.append(unescape(text))
        if "接着看" not in buttons(page):
            break
        page = await press(client, page, "接着看")
    assert (len(read), "".join(read)) == (3, LONG)
    assert all(row.used_at is None for row in building.read(select(Link)))  # reading on does nothing


async def test_photos_are_those_of_the_message(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("帮助")
    plain = link(building, "陈女士")
    kept = building.app.media.keep_photo(photo())

    def with_photos(tx: Tx) -> list[int]:
        whose = person(tx, "陈女士").id
        strange: tuple[dict[str, str], ...] = ({}, {"mime": "text/html"}, {"storage": "0" * 64})
        ids = [media(tx, kept, person_id=whose, **given) for given in strange]
        tell(tx, place(tx, "陈女士"), "rest.text", text="看照片", photos=ids[:3])
        return ids

    good, page_like, lost = write(building, with_photos)
    token = link(building, "陈女士", "看照片")
    page = await client.get(f"/p/{token}")
    assert re.findall(r'<img src="([^"]+)"', page.text) == [
        f"/p/{token}/photos/{number}" for number in (good, page_like, lost)
    ]
    shown = await client.get(f"/p/{token}/photos/{good}")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert shown.content == building.app.media.read(kept.storage)
    assert shown.headers["content-security-policy"] == POLICY and shown.headers["cache-control"] == "no-store"
    odd = await client.get(f"/p/{token}/photos/{page_like}")
    assert odd.headers["content-type"] == "application/octet-stream"
    assert odd.headers["content-disposition"] == "attachment"
    for path in (
        f"{token}/photos/{lost}",
        f"{token}/photos/{lost + 1}",
        f"{token}/photos/{'9' * 30}",
        f"{token}/photos/-1",
        f"{plain}/photos/{good}",
        f"nothing/photos/{good}",
    ):
        missing = await client.get(f"/p/{path}")
        assert (missing.status_code, ZH["page.gone"] in words(missing)) == (404, True)


async def test_recordings_are_played_in_parts_or_saved(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("帮助")
    made = {
        form: building.app.media.keep_recording(recording(form), "video") for form in ("amr", "mp4", "mov")
    }
    odd = building.app.media.keep_recording(b"RIFF\0\0\0\0AVI LIST", "video")

    def with_recordings(tx: Tx) -> list[int]:
        ids = [
            media(tx, each, kind="voice" if each.mime.startswith("audio/") else "video")
            for each in (*made.values(), odd)
        ]
        tell(tx, place(tx, "陈女士"), "rest.text", text="听一听", photos=ids)
        return ids

    voice, film, _, strange = write(building, with_recordings)
    token = link(building, "陈女士", "听一听")
    page = await client.get(f"/p/{token}")
    assert (
        "<audio controls" in page.text and page.text.count("<video controls") == 3 and "<img" not in page.text
    )
    assert "media-src 'self'" in page.headers["content-security-policy"]
    at = f"/p/{token}/photos/{film}"
    whole = await client.get(at)
    assert (whole.status_code, whole.headers["content-type"], whole.content) == (
        200,
        "video/mp4",
        recording("mp4"),
    )
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(recording("mp4"))
    for asked, first, last in (
        ("0-1", 0, 1),
        ("4-", 4, size - 1),
        ("-3", size - 3, size - 1),
        ("2-999", 2, size - 1),
    ):
        part = await client.get(at, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, recording("mp4")[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    for asked in (f"{size}-", "9-2"):
        past = await client.get(at, headers={"Range": f"bytes={asked}"})
        assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
    for asked in ("bytes=0-1,3-4", "bytes=-", "lines=1-2", "x"):
        assert (await client.get(at, headers={"Range": asked})).content == recording("mp4")
    saved = await client.get(f"/p/{token}/photos/{voice}?save=1")
    assert saved.content == recording("amr")
    assert saved.headers["content-disposition"] == 'attachment; filename="linli.amr"'
    unplayed = await client.get(f"/p/{token}/photos/{strange}")
    assert unplayed.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "path", ["x", "邻里", "..%2f..%2fetc", "%00", "%ff%fe", "x" * 2000, "", "a/b/c", "x/"]
)
async def test_a_link_that_leads_nowhere_says_what_to_do(
    building: Building, owner: Phone, client: httpx.AsyncClient, path: str
) -> None:
    await owner.says("帮助")
    expired = link(building, "陈女士", hours=0)
    old = await client.get(f"/p/{expired}")
    page = await client.get(f"/p/{path}")
    assert (page.status_code, page.text) == (404, old.text) == (old.status_code, page.text)
    assert ZH["page.gone"] in words(page) and texts("en")["page.gone"] in words(page)


async def test_an_expired_link_does_nothing(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    page = await client.get(f"/p/{link(building, '陈女士', '已按紧急')}")
    building.clock.at += timedelta(hours=72)
    before = everything(building)
    assert (await press(client, page, "撤回")).status_code == 404
    assert everything(building) == before


async def test_a_page_speaks_its_reader_s_language(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("English")
    await owner.says("people are stuck in the lift")
    token = link(building, "陈女士", "Handled as an emergency")
    page = await client.get(f"/p/{token}")
    assert '<html lang="en">' in page.text and "Now: " in words(page)
    assert not re.search("[\u3400-\u9fff]", words(page).replace("阳光花园", ""))
    answer = await press(client, page, "Withdraw")
    assert texts("en")["page.back"] in words(answer)


# --- pressing ----------------------------------------------------------------------------------------


async def test_a_button_acts_once_and_answers_on_the_page(
    building: Building, owner: Phone, crew: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    page = await client.get(f"/p/{token}")
    sent = len(owner.chat.messages)
    answer = await press(client, page, "撤回")
    assert answer.status_code == 200
    for part in ("✓ 撤回", "报修 1 已撤回。", ZH["page.back"]):
        assert part in words(answer)
    [repair] = building.read(select(Repair))
    [used] = building.read(select(Link).where(col(Link.used_at).is_not(None)))
    assert (repair.state, used.used_at) == ("withdrawn", building.clock.now())
    await building.settle()
    assert len(owner.chat.messages) == sent  # the answer stood on the page
    assert "报修人已撤回" in crew.last.text
    again = await press(client, page, "撤回")
    assert (again.status_code, words(again).replace("✓ 撤回", "").split()) == (
        200,
        words(answer).replace("✓ 撤回", "").split(),
    )
    now = await client.get(f"/p/{token}")
    assert "现在：已撤回" in words(now) and buttons(now) == {}


async def test_two_presses_at_once_are_one(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    page = await client.get(f"/p/{link(building, '陈女士', '已按紧急')}")
    answers = await asyncio.gather(*(press(client, page, "撤回") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert all("报修 1 已撤回。" in words(answer) for answer in answers)
    pages = building.read(select(Inbox).where(col(Inbox.key).startswith("page:")))
    withdrawn = building.read(select(Outgoing).where(Outgoing.text == "报修 1 已撤回。"))
    assert (len(pages), len(withdrawn)) == (1, 1)


async def test_a_used_link_does_nothing_else(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "在哪一栋")
    page = await client.get(f"/p/{token}")
    first = await press(client, page, "3 号楼")
    assert first.status_code == 200
    before = everything(building)[0]
    second = await press(client, page, "1 号楼")
    assert (second.status_code, ZH["page.used"] in words(second)) == (409, True)
    assert everything(building)[0] == before
    now = await client.get(f"/p/{token}")
    assert ZH["page.used"] in words(now) and buttons(now) == {}
    [repair] = building.read(select(Repair))
    assert repair.building == "3"


async def test_a_question_goes_on_from_page_to_page(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("帮助")
    page = await client.get(f"/p/{link(building, '陈女士')}")
    asked = await press(client, page, "报修")
    assert "哪里需要报修？" in words(asked) and ZH["page.in_chat"] in words(asked)
    cancelled = await press(client, asked, "取消")
    assert cancelled.status_code == 200 and building.read(select(Talk)) == []


@pytest.mark.parametrize(
    "value", ["repair.accept:1", "repair.withdraw:2", "erase", "9.place=lift", "x", "\0", "我" * 100]
)
async def test_a_forged_button_does_nothing(
    building: Building, owner: Phone, client: httpx.AsyncClient, value: str
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    before = everything(building)
    answer = await client.post(f"/p/{token}", data={"press": "aaaaaaaaaaaa", "value": value})
    assert (answer.status_code, ZH["page.changed"] in words(answer)) == (409, True)
    assert everything(building) == before
    assert list(buttons(answer)) == ["更正", "撤回"]


async def test_a_button_that_has_gone_meanwhile_says_so(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    page = await client.get(f"/p/{link(building, '陈女士', '已按紧急')}")
    await owner.taps("撤回")
    before = everything(building)
    answer = await press(client, page, "撤回")
    assert (answer.status_code, ZH["page.changed"] in words(answer)) == (409, True)
    assert "现在：已撤回" in words(answer)
    assert everything(building) == before


async def test_a_link_to_another_account_s_message_opens_nothing(
    building: Building, owner: Phone, neighbour: Phone, client: httpx.AsyncClient
) -> None:
    await emergency(owner)
    await neighbour.says("帮助")
    own = building.read(select(Outgoing.id).where(col(Outgoing.text).contains("已按紧急")))[0]
    token = write(building, lambda tx: new_link(tx, place(tx, "周先生"), outgoing_id=own, hours=1))
    assert (await client.get(f"/p/{token}")).status_code == 404
    data = {"press": "aaaaaaaaaaaa", "value": "repair.withdraw:1"}
    assert (await client.post(f"/p/{token}", data=data)).status_code == 404


async def test_whoever_is_forgotten_on_a_page_reads_so_once(
    building: Building, owner: Phone, client: httpx.AsyncClient
) -> None:
    await owner.says("注销")
    token = link(building, "陈女士")
    page = await client.get(f"/p/{token}")
    answer = await press(client, page, "确定注销")
    assert answer.status_code == 200 and len(words(answer)) > 20
    assert building.read(select(Person).where(Person.name == "陈女士")) == []
    assert (await client.get(f"/p/{token}")).status_code == 404
    assert (await press(client, page, "确定注销")).status_code == 404


async def test_an_error_of_ours_is_answered_with_its_reference(
    building: Building, owner: Phone, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await emergency(owner)
    page = await client.get(f"/p/{link(building, '陈女士', '已按紧急')}")
    monkeypatch.setattr("handlers.inbox.tap", lambda *_: 1 / 0)
    answer = await press(client, page, "撤回")
    [kept] = building.read(select(Inbox).where(Inbox.state == "failed"))
    assert answer.status_code == 200 and f"{kept.id:04X}" in words(answer)


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
async def test_another_site_s_form_is_refused(
    building: Building, owner: Phone, client: httpx.AsyncClient, where: str
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    data = {"press": "aaaaaaaaaaaa", "value": "repair.withdraw:1"}
    before = everything(building)
    answer = await client.post(f"/p/{token}", data=data, headers={"Sec-Fetch-Site": where})
    assert (answer.status_code, ZH["page.refused"] in words(answer)) == (403, True)
    assert everything(building) == before
    answer = await client.post(f"/p/{token}", data=data, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"value=my", 400),
        (b"press=aaaaaaaaaaaa", 400),
        (b"value=my&press=short", 400),
        (b"value=my&press=aaaaaaaaaaa%0A", 400),
        (b"value=my&value=help&press=aaaaaaaaaaaa", 400),
        (b"\xff\xfe", 400),
        (b"&".join([b"a=b"] * 50), 400),
        (b'{"value": "my"}', 400),
        (b"value=" + b"x" * BODY_CAP, 413),
    ],
)
async def test_what_is_no_form_is_refused_in_words(
    building: Building, owner: Phone, client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    await owner.says("帮助")
    answer = await client.post(f"/p/{link(building, '陈女士')}", content=body)
    assert (answer.status_code, ZH["page.refused"] in words(answer)) == (status, True)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused_in_words(
    building: Building, owner: Phone, client: httpx.AsyncClient, method: str
) -> None:
    await owner.says("帮助")
    answer = await client.request(method, f"/p/{link(building, '陈女士')}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert ZH["page.refused"] in words(answer)


async def test_without_the_database_it_says_so(
    building: Building, owner: Phone, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    page = await client.get(f"/p/{token}")

    async def refuse(work: object, **_: object) -> None:
        raise StoreUnavailable("disk full")

    @contextmanager
    def away() -> Iterator[Session]:
        raise StoreUnavailable("away")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(building.app.database, "write", refuse)
        answer = await press(client, page, "撤回")
        assert (answer.status_code, ZH["page.away"] in words(answer)) == (503, True)
        assert (await client.get(f"/p/{token}")).status_code == 200
        patch.setattr(building.app.database, "read", away)
        answer = await client.get(f"/p/{token}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert ZH["page.away"] in words(answer)
    assert (await press(client, page, "撤回")).status_code == 200


async def test_no_token_gets_into_a_log(
    building: Building,
    owner: Phone,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from bot.logs import set_up

    await emergency(owner)
    token = link(building, "陈女士", "已按紧急")
    set_up("info")
    try:
        page = await client.get(f"/p/{token}")
        await press(client, page, "撤回")
        monkeypatch.setattr("handlers.links.find", lambda *_: 1 / 0)
        broken = await client.get(f"/p/{token}")
    finally:
        set_up("critical")
    out, err = capfd.readouterr()
    assert (broken.status_code, ZH["page.failed"] in words(broken)) == (500, True)
    assert "a personal page failed" in out + err and token not in out + err


# --- agreeing to notifications -----------------------------------------------------------------------


SIGNED = {"appId": "wx1", "timestamp": 1700000000, "nonceStr": "n'\"<", "signature": "abc"}


@pytest.fixture
def with_template(building: Building) -> Iterator[None]:
    found = building.app.settings
    changed = found.model_copy(
        update={
            "wechat": found.wechat.model_copy(update={"notification": "TEMPLATE-1"}),
            "web": found.web.model_copy(update={"address": "https://linli.example/bot/"}),
        }
    )
    building.app.settings = changed
    yield
    building.app.settings = found


async def test_a_file_is_handed_over_by_the_name_that_its_sender_gave_it(
    building: Building, client: httpx.AsyncClient
) -> None:
    kept = building.app.media.keep_file(b"%PDF-1.7")

    def with_file(tx: Tx) -> int:
        number = media(tx, kept, about="edition:1", kind="file", name='停水 "范围".pdf')
        tell(tx, place(tx, "陈女士"), "rest.text", text="见附件", photos=[number])
        return number

    number = write(building, with_file)
    token = link(building, "陈女士", "见附件")
    page = await client.get(f"/p/{token}")
    assert "<img" not in page.text
    assert "下载文件：停水 &#34;范围&#34;.pdf" in page.text
    file = await client.get(f"/p/{token}/photos/{number}")
    assert (file.content, file.headers["content-type"]) == (b"%PDF-1.7", "application/octet-stream")
    assert file.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%E5%81%9C")


@pytest.mark.usefixtures("with_template")
async def test_its_holder_agrees_to_notifications(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    token, asked = link(building, "陈女士", None), []

    async def sign(url: str) -> Mapping[str, Any]:
        asked.append(url)
        return SIGNED

    async with visitor(building, sign) as client:
        page = await client.get(f"/p/{token}?from=singlemessage")
        posted = await client.post(f"/p/{token}", data={"press": "aaaaaaaaaaaa", "value": "my"})
    assert asked == [f"https://linli.example/bot/p/{token}?from=singlemessage"]
    assert page.headers["content-security-policy"] == CONSENT_POLICY
    assert '<wx-open-subscribe id="subscribe" template="TEMPLATE-1">' in page.text
    assert '<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js">' in page.text
    assert 'data-nonce="n&#39;&#34;&lt;"' in page.text
    assert 'src="/bot/p/personal_consent.js"' in page.text
    assert ZH["page.agree"] in page.text and ZH["page.cannot_agree"] in page.text
    assert posted.status_code == 405


@pytest.mark.usefixtures("with_template")
async def test_without_a_signature_the_page_says_what_to_do(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    token = link(building, "陈女士", None)

    async def refuse(url: str) -> Mapping[str, Any]:
        raise RuntimeError(f"WeChat is away: {url}")

    for sign in (refuse, None):
        async with visitor(building, sign) as client:
            page = await client.get(f"/p/{token}")
        assert (page.status_code, page.headers["content-security-policy"]) == (200, POLICY)
        assert ZH["page.cannot_agree"] in words(page) and "<script" not in page.text


# --- in a browser ------------------------------------------------------------------------------------


@contextmanager
def served(building: Building, sign: Sign | None = None) -> Iterator[str]:
    with serving.served(Starlette(routes=routes(building.app, sign))) as address:
        yield f"{address}/p"


def elsewhere(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in a thread of its own: the browser's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work())).result()


@pytest.fixture
def furnished(sqlite_template: Path, tmp_path: Path) -> Iterator[Building]:
    """A building with an emergency, for tests that cannot await."""
    shutil.copy(sqlite_template, tmp_path / "linli.db")
    building = Building(tmp_path / "data", f"sqlite:///{tmp_path / 'linli.db'}")

    async def begin() -> None:
        await building.phone("陈女士").says("电梯里困了人")
        await building.phone("陈女士").sends_photo(photo(1200, 800))

    elsewhere(begin)
    yield building
    elsewhere(building.close)


@pytest.fixture
def phone_page(browser: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.set_default_timeout(5000)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    # It looks for an icon of the site, too, and notes each refusal.
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def fits(page: Page) -> None:
    """No scrolling sideways, large letters, buttons for thumbs."""
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    sizes = page.evaluate(
        "[...document.querySelectorAll('p, li, button, a, h1')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert sizes and min(sizes) >= 18
    for each in page.locator("button, a").all():
        box = each.bounding_box()
        assert box is not None and box["height"] >= 48 and box["x"] >= 0 and box["x"] + box["width"] <= 360
    unhindered(page)


def test_a_matter_on_a_small_phone(furnished: Building, phone_page: Page) -> None:
    token = link(furnished, "陈女士", "已按紧急")
    with served(furnished) as address:
        phone_page.goto(f"{address}/{token}")
        fits(phone_page)
        phone_page.get_by_role("button", name="撤回").click()
        expect(phone_page.locator("section .words").first).to_have_text("报修 1 已撤回。")
        fits(phone_page)
        phone_page.get_by_role("link", name=ZH["page.back"]).click()
        expect(phone_page.locator(".state")).to_have_text("现在：已撤回")
        fits(phone_page)


def test_long_words_many_buttons_and_photos_fit(furnished: Building, phone_page: Page) -> None:
    kept = furnished.app.media.keep_photo(photo(1600, 900))

    def say(tx: Tx) -> None:
        picture = media(tx, kept, person_id=person(tx, "陈女士").id)
        many = [Button("my", label=f"{'很长的按钮' * 6}{number}") for number in range(3)]
        many += [Button("help", label="W" * 60)]
        text = f"{'https://example.org/' + 'x' * 300}\n\n{HOSTILE}\n{LONG[:1500]}"
        tell(tx, place(tx, "陈女士"), "rest.text", text=text, buttons=many, photos=[picture])

    write(furnished, say)
    with served(furnished) as address:
        phone_page.goto(f"{address}/{link(furnished, '陈女士', 'example.org')}")
        fits(phone_page)
        assert phone_page.evaluate("document.images[0].naturalWidth") == 1600


@pytest.mark.parametrize(("detail", "agreed"), [("accept", True), ("reject", False)])
def test_agreeing_says_so(
    furnished: Building, browser: Browser, phone_page: Page, detail: str, agreed: bool
) -> None:
    async def sign(url: str) -> Mapping[str, Any]:
        return SIGNED

    found = furnished.app.settings
    wechat = found.wechat.model_copy(update={"notification": "TEMPLATE-1"})
    furnished.app.settings = found.model_copy(update={"wechat": wechat})
    fake = "window.wx = {config: function (given) { window.given = given; }};"
    phone_page.route(
        "https://res.wx.qq.com/**", lambda route: route.fulfill(body=fake, content_type="text/javascript")
    )
    with served(furnished, sign) as address:
        phone_page.goto(f"{address}/{link(furnished, '陈女士', None)}")
        fits(phone_page)
        given = phone_page.evaluate("window.given")
        assert (given["appId"], given["timestamp"], given["nonceStr"]) == (
            "wx1",
            1700000000,
            SIGNED["nonceStr"],
        )
        assert given["openTagList"] == ["wx-open-subscribe"]
        phone_page.evaluate(
            "status => document.getElementById('subscribe').dispatchEvent(new CustomEvent('success',"
            " {detail: {subscribeDetails: JSON.stringify({T: JSON.stringify({status: status})})}}))",
            detail,
        )
        expect(phone_page.locator("#agreed")).to_be_visible(visible=agreed)
        expect(phone_page.locator("#otherwise")).to_be_visible(visible=not agreed)
        fits(phone_page)
