"""The board's web pages: what everybody may see and what nobody may, whoever asks and however often; in a browser."""

import asyncio
import re
import shutil
import threading
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import segno
from playwright.sync_api import Browser, Page, expect
from sqlmodel import Session, select
from starlette.applications import Starlette

from bot import board_pages, vote_pages
from bot.board_pages import MOST, Turns, routes
from bot.page_door import HEADERS, Sorry
from bot.web import web
from conversations.words import LANGUAGES, texts
from handlers.board_page import address
from handlers.roster import add_community
from store.database import StoreUnavailable
from store.tables import Entry, Media, Repair
from tests.bot.board_scene import HOSTILE, PRIVATE, SHEET, furnish, many, repair, write
from tests.bot.browsing import unhindered
from tests.people import MORNING, Building
from tests.serving import served

pytestmark = pytest.mark.by_hand
HOST = "https://linli.example"
ATOM = {"a": "http://www.w3.org/2005/Atom"}
LISTS = ("", "?kind=repair", "?building=3&state=open", "?state=done", "?kind=repair&building=1", "/overdue")
MATTERS = (
    "repair/1",
    "repair/2",
    "repair/3",
    "repair/5",
    "purchase/1",
    "vote/1",
    "vote/2",
    "listing/1",
    "listing/2",
)
PAGES = (*LISTS, *(f"/{each}" for each in MATTERS), "/rules", "/figures", "/print")
ZH = texts("zh")


def furnished_with_address(building: Building) -> str:
    """The scene, and how the addresses of its pages begin."""
    building.app.house = replace(building.app.house, board_page=lambda path: f"{HOST}/board/{path}")
    furnish(building)
    return str(write(building, lambda tx: address(tx, 1))).removeprefix(HOST)


@pytest.fixture
async def here(building: Building) -> str:
    return furnished_with_address(building)


@pytest.fixture
async def client(building: Building) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(building.app)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as made:
        yield made


def words(page: httpx.Response) -> str:
    """What a reader sees of a page."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<head>.*</head>", "", page.text)))


def links(page: httpx.Response) -> list[str]:
    return [unescape(each) for each in re.findall(r'href="([^"]*)"', page.text)]


# --- what stands there -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_page_shows_what_is_private_and_all_show_words_as_typed(
    here: str, client: httpx.AsyncClient, language: str
) -> None:
    for path in (*PAGES, "/feed.xml"):
        page = await client.get(f"{here}{path}{'&' if '?' in path else '?'}lang={language}")
        assert page.status_code == 200, path
        told = re.sub(r"urn:uuid:[0-9a-f-]+|/board/1-[0-9a-f]+", "", page.text)
        assert [each for each in PRIVATE if each in told] == [], path
        assert "<script" not in page.text and "onerror=alert(2)>" not in page.text, path
        assert page.headers["content-language"] == language
        if "xml" not in path:
            moment = "3月5日周四 09:01" if language == "zh" else "Thu 3/5 09:01"
            assert texts(language)["board_page.as_of"].format(at=moment) in words(page)
            assert 'name="robots" content="noindex' in page.text
    matter = await client.get(f"{here}/repair/2")
    assert HOSTILE in words(matter) and "*** ***室，电话 ***" in words(matter)


async def test_the_list_says_what_and_how_it_stands(here: str, client: httpx.AsyncClient) -> None:
    page = words(await client.get(here))
    for part in (
        "阳光花园",
        "报修 1 · 3 号楼",
        "电梯按钮不亮",
        "等待接单",
        "已超期 · 应在 3月2日周一 11:00 前",
        "投票 2",
    ):
        assert part in page
    assert "看错了" not in page and "旧书" not in page
    overdue = words(await client.get(f"{here}/overdue"))
    assert overdue.index("申请 1") < overdue.index("报修 2") < overdue.index("报修 1")
    assert "报修 3" not in overdue
    done = words(await client.get(f"{here}?state=done"))
    assert "报修 3" in done and "报修 1" not in done
    rented = words(await client.get(f"{here}?kind=listing"))
    assert "二手 · 公示中" in rented and "报修" not in rented.partition("全小区")[2]


async def test_a_vote_shows_its_picture_and_files(here: str, client: httpx.AsyncClient) -> None:
    closed, opened = await client.get(f"{here}/vote/1"), await client.get(f"{here}/vote/2")
    assert {"/votes/1/1/bundle.zip", "/votes/1/1?lang=zh"} <= set(links(closed))
    assert 'src="/votes/1/1/result.png?lang=zh"' in closed.text
    assert "结果：参与的不够，没有结果" in words(closed)
    assert "/votes/1/2?lang=zh" in links(opened) and "result.png" not in opened.text
    assert "bundle.zip" not in opened.text


async def test_pages_go_on_without_an_end_that_can_be_made_up(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    write(building, lambda tx: many(tx, 70))
    seen, path = [], f"{here}?kind=repair"
    for _ in range(4):
        page = await client.get(path)
        seen += re.findall(r'class="number">(报修 \d+)', page.text)
        more = [each for each in links(page) if "before=" in each and "lang=en" not in each]
        if not more:
            break
        path = more[0]
    assert len(seen) == 74 and f"{here}?kind=repair" in links(page)
    for wrong in ("kind=x", "kind=overdue", "building=9", "building=%00", "state=x", "state=1", "before=x",
                  "before=99999", "before=0", f"before={'9' * 40}", "kind=repair&before=-1"):  # fmt: skip
        assert (await client.get(f"{here}?{wrong}")).status_code == 404, wrong
    # WeChat adds words of its own to whatever is passed on.
    assert (await client.get(f"{here}?from=singlemessage&isappinstalled=0")).status_code == 200
    assert len(re.findall('class="number"', (await client.get(here)).text)) == MOST


async def test_months_can_be_seen_and_downloaded(here: str, client: httpx.AsyncClient) -> None:
    page = await client.get(f"{here}/figures")
    assert "2026-02" in words(page)
    picture = await client.get(f"{here}/figures/2026-02/picture.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    sheet = await client.get(f"{here}/figures/2026-02/sheet.xlsx")
    assert sheet.content == SHEET and "spreadsheetml" in sheet.headers["content-type"]
    assert "linli-2026-02.xlsx" in sheet.headers["content-disposition"]
    for wrong in ("2026-01/sheet.xlsx", "2026-02/other.png", "x/picture.png", "2026-02/"):
        assert (await client.get(f"{here}/figures/{wrong}")).status_code == 404


async def test_photos_are_shown_with_their_own_matter_alone(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    [shown] = re.findall(r'<img src="([^"]*/photos/\d+)', (await client.get(f"{here}/repair/1")).text)
    photo = await client.get(shown)
    assert (photo.status_code, photo.headers["content-type"]) == (200, "image/jpeg")
    number = shown.rpartition("/")[2]
    for wrong in (f"repair/2/photos/{number}", f"repair/1/photos/{int(number) + 1}", "repair/1/photos/x"):
        assert (await client.get(f"{here}/{wrong}")).status_code == 404
    # As long as nobody has said what it shows, and when its file is gone.
    write(building, lambda tx: setattr(tx.session.get_one(Repair, 1), "place", ""))
    assert (await client.get(shown)).status_code == 404
    write(building, lambda tx: setattr(tx.session.get_one(Repair, 1), "place", "lift"))
    write(building, lambda tx: setattr(tx.session.get_one(Media, int(number)), "storage", "0" * 64))
    assert (await client.get(shown)).status_code == 404


async def test_a_file_is_handed_over_under_its_name(
    building: Building, here: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(session: Session) -> int:
        kept = building.app.media.keep_file(b"%PDF a file")
        media = Media(
            community_id=1, about="repair:1", kind="file", storage=kept.storage, mime=kept.mime, size=kept.size,
            name="公 告\".pdf", created_at=MORNING,
        )  # fmt: skip
        session.add(media)
        session.flush()
        return media.id

    number = building.app.database.write_now(add)
    known = board_pages.board_page.MATTERS["repair"]
    monkeypatch.setitem(
        board_pages.board_page.MATTERS, "repair", replace(known, photos=lambda tx, row: [number])
    )
    page = await client.get(f"{here}/repair/1")
    assert (
        '公 告".pdf' in words(page) and "<img" not in page.text.partition("<main>")[2].partition("</main>")[0]
    )
    file = await client.get(f"{here}/repair/1/photos/{number}")
    assert file.content == b"%PDF a file" and file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''%E5%85%AC%20%E5%91%8A%22.pdf"


async def test_the_feed_is_valid_and_holds_what_xml_can(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    write(building, lambda tx: many(tx, 60))
    write(building, lambda tx: repair(tx, 9, "灯坏\x01了 & <b>]]>"))
    feed = await client.get(f"{here}/feed.xml?lang=zh")
    assert feed.headers["content-type"] == "application/atom+xml; charset=utf-8"
    root = ET.fromstring(feed.content)
    entries = root.findall("a:entry", ATOM)
    assert len(entries) == 50
    ids = [each.findtext("a:id", "", ATOM) for each in entries]
    assert len(set(ids)) == 50 and all(each.startswith("urn:uuid:") for each in ids)
    moments = [each.findtext("a:updated", "", ATOM) for each in entries]
    assert moments == sorted(moments, reverse=True) and root.findtext("a:updated", "", ATOM) == moments[0]
    hrefs = [link.get("href", "") for each in entries for link in each.findall("a:link", ATOM)]
    assert all(each.startswith(f"{HOST}{here}/repair/") and each.endswith("?lang=zh") for each in hrefs)
    for name in ("id", "title", "updated", "author", "link"):
        assert root.find(f"a:{name}", ATOM) is not None
    titles = "".join(each.findtext("a:title", "", ATOM) for each in entries)
    assert "灯坏了 & <b>]]>" in titles


async def test_the_code_leads_to_the_page(here: str, client: httpx.AsyncClient) -> None:
    code = await client.get(f"{here}/qr.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    ET.fromstring(code.content)
    size = segno.make(f"{HOST}{here}", error="m", micro=False).symbol_size(4, 4)[0]
    assert f'width="{size}"' in code.text


async def test_the_page_for_the_lobby_says_each_thing_once(here: str, client: httpx.AsyncClient) -> None:
    page = words(await client.get(f"{here}/print"))
    first, rest = page.split(ZH["board_page.printed_rest"])
    assert "报修 1" in first and "申请 1" in first
    assert not [each for each in ("报修 1", "申请 1", "信息") if each in rest] and "报修 5" in rest


async def test_a_page_that_nobody_chats_with_says_where_to_write(
    here: str, client: httpx.AsyncClient
) -> None:
    listing = words(await client.get(f"{here}/listing/1"))
    assert "在和邻里的聊天里发「集市」，点「看信息 1」" in listing and "私聊我" not in listing


async def test_one_sees_where_one_is_and_when_it_was(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    for path in ("", "/", "/overdue"):
        page = await client.get(f"{here}{path}")
        [current] = re.findall(r'<a href="[^"]*" aria-current="page">([^<]*)</a>', page.text)
        assert current == ZH["board_page.overdue" if path == "/overdue" else "board_page.name"], path
    building.clock.at += timedelta(days=400)
    assert "2026年3月2日" in words(await client.get(here))


# --- who may see it ----------------------------------------------------------------------------------


async def test_wrong_doors_are_one_and_the_same(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    write(building, lambda tx: add_community(tx, "别的小区", time_zone="Asia/Shanghai", language="zh"))
    secret = here.rpartition("-")[2]
    gone = await client.get("/board/x")
    assert gone.status_code == 404
    for language in LANGUAGES:
        assert texts(language)["board_page.gone"] in words(gone)
    for wrong in (
        *("/board", "/board/", "/board/1", "/board/2", "/board/1/overdue", f"/board/2-{secret}", f"{here}x"),
        *(f"/board/{'a' * 40}", f"/board/1-{'0' * 20}/feed.xml", f"{here}/x", f"{here}/repair/4"),
        *(
            f"{here}/repair/99",
            f"{here}/x/1",
            f"{here}/repair/%00",
            f"{here}/listing/3",
            f"{here}/repair/1/x",
        ),
        *(f"/board/1-{'0' * 20}/repair/1/photos/1", f"/board/{'9' * 400}", "/board/%E2%80%AE"),
    ):
        page = await client.get(wrong)
        assert (page.status_code, page.text) == (404, gone.text), wrong


async def test_members_are_told_how_to_get_in(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    building.set_policy("board_page", "members")
    for path in ("/board/1", here, f"{here}/repair/1", "/board/1/feed.xml"):
        page = await client.get(path)
        assert page.status_code == 403 and "阳光花园" not in page.text
        for language in LANGUAGES:
            assert texts(language)["board_page.members"] in words(page)
    # What is printed leads to these words.
    assert (await client.get("/board/1/qr.svg")).status_code == 200
    building.set_policy("board_page", "all")
    assert (await client.get("/board/1")).status_code == 200
    building.set_policy("board_page", "off")
    assert (await client.get("/board/1")).status_code == (await client.get(here)).status_code == 404


async def test_every_answer_has_our_headers_and_nothing_can_be_done(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    before = building.read(select(Entry))
    for path in (here, f"{here}/repair/1", "/board/x", f"{here}/qr.svg", "/board/board.css", "/robots.txt"):
        for answer in (await client.get(path), await client.head(path)):
            assert answer.headers.items() >= {
                name: value for name, value in HEADERS.items() if name != "Cache-Control"
            }.items() or all(
                answer.headers[name] == HEADERS[name] for name in HEADERS if name != "Cache-Control"
            )
        for method in ("POST", "PUT", "DELETE"):
            refused = await client.request(method, path)
            assert refused.status_code == 405 and ZH["board_page.refused"] in words(refused)
    assert (await client.get(here)).headers["cache-control"] == "private, no-cache"
    assert (await client.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"
    assert building.read(select(Entry)) == before


# --- how often, and what if --------------------------------------------------------------------------


async def test_a_copy_holds_until_something_changes(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    first = await client.get(here)
    again = {"If-None-Match": first.headers["etag"]}
    assert (await client.get(here, headers=again)).status_code == 304
    building.clock.at += timedelta(minutes=2)  # only the minute is another one
    assert (await client.get(here, headers=again)).status_code == 304
    assert "截至 3月5日周四 09:03" in words(await client.get(here))
    assert (await client.get(f"{here}?lang=en", headers=again)).status_code == 200
    write(building, lambda tx: repair(tx, 9, "灯坏了"))
    assert (await client.get(here, headers=again)).status_code == 200


async def test_what_becomes_overdue_needs_no_act(
    building: Building, here: str, client: httpx.AsyncClient
) -> None:
    write(building, lambda tx: repair(tx, 9, "灯坏了", due_at=tx.now + timedelta(minutes=5)))
    before = await client.get(here)
    building.clock.at += timedelta(minutes=6)
    after = await client.get(here, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert words(after).count("已超期") == words(before).count("已超期") + 1


async def test_too_many_at_once_are_asked_to_come_again() -> None:
    turns, go = Turns(1, 2), threading.Event()
    waiting = [asyncio.create_task(turns.take(go.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Sorry) as sorry:
        await turns.take(lambda: None)
    assert (sorry.value.status, sorry.value.key) == (503, "board_page.busy")
    go.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await turns.take(lambda: 7) == 7


async def test_who_comes_too_late_reads_when_to_come_again(
    building: Building, here: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.board_pages.AT_ONCE", 0)
    monkeypatch.setattr("bot.board_pages.Turns", lambda at_once, waiting: Full())
    transport = httpx.ASGITransport(app=Starlette(routes=routes(building.app)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as busy:
        answer = await busy.get(here)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert ZH["board_page.busy"] in words(answer)


class Full:
    """A queue that is full."""

    async def take(self, work: object) -> None:
        raise Sorry(503, "board_page.busy")


async def test_errors_of_ours_are_said_in_words(
    here: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr("handlers.board_page.enter", away)
    answer = await client.get(here)
    assert answer.status_code == 503 and ZH["board_page.away"] in words(answer)
    monkeypatch.setattr("handlers.board_page.enter", lambda *_: 1 / 0)
    answer = await client.get(here)
    assert answer.status_code == 500 and ZH["board_page.failed"] in words(answer)


async def test_below_a_path_of_a_proxy_links_begin_with_it(building: Building, here: str) -> None:
    settings = building.app.settings
    building.app.settings = settings.model_copy(
        update={"web": settings.web.model_copy(update={"address": "https://sub.example/linli"})}
    )
    transport = httpx.ASGITransport(app=Starlette(routes=routes(building.app)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as made:
        page, feed = await made.get(here), await made.get(f"{here}/feed.xml")
    assert all(each.startswith(("/linli/board/", "?")) for each in links(page))
    assert f"https://sub.example/linli{here}/repair/1" in feed.text


async def test_the_whole_server_has_the_pages(building: Building, here: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=web(building.app)), base_url=HOST) as made:
        assert (await made.get(here)).status_code == 200
        assert (await made.get("/robots.txt")).status_code == 200


# --- in a browser ------------------------------------------------------------------------------------


@pytest.fixture
def furnished(sqlite_template: Path, tmp_path: Path) -> Iterator[tuple[Building, str]]:
    """The scene, and how its addresses begin, for tests that cannot await."""
    shutil.copy(sqlite_template, tmp_path / "linli.db")
    building = Building(tmp_path / "data", f"sqlite:///{tmp_path / 'linli.db'}")
    here = furnished_with_address(building)
    write(building, lambda tx: many(tx, 40))
    yield building, here
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(building.close())).result()


@pytest.fixture
def phone_page(browser: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 360, "height": 740}, java_script_enabled=True)
    page.set_default_timeout(10000)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def fits(page: Page, width: int = 360) -> None:
    """No scrolling sideways, large letters, links for thumbs, headings in order; with all that unfolds."""
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    sizes = page.evaluate(
        "[...document.querySelectorAll('p, li, a, h1, h2, span, time, summary')]"
        ".map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert sizes and min(sizes) >= 18
    boxes = page.evaluate(
        "[...document.querySelectorAll('a, summary')].map(each => each.getBoundingClientRect())"
        ".map(box => [box.height, box.x, box.x + box.width])"
    )
    assert boxes and all(height >= 44 and left >= 0 and right <= width for height, left, right in boxes)
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_pages_on_a_small_phone(furnished: tuple[Building, str], phone_page: Page, language: str) -> None:
    building, here = furnished
    app = Starlette(routes=[*routes(building.app), *vote_pages.routes(building.app)])
    with served(app) as at:
        for path in PAGES:
            phone_page.goto(f"{at}{here}{path}{'&' if '?' in path else '?'}lang={language}")
            expect(phone_page.locator("html")).to_have_attribute(
                "lang", "en" if language == "en" else "zh-CN"
            )
            fits(phone_page)
            unhindered(phone_page)
            broken = "[...document.images].filter(each => each.complete && !each.naturalWidth).length"
            assert phone_page.evaluate(broken) == 0, path
        for path in ("/board/x", "/votes/1/1", "/votes/1/2"):
            phone_page.goto(f"{at}{path}")
            unhindered(phone_page)


def test_one_gets_around_without_any_script(furnished: tuple[Building, str], browser: Browser) -> None:
    building, here = furnished
    page = browser.new_page(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page.set_default_timeout(10000)
    with served(Starlette(routes=routes(building.app))) as at:
        page.goto(f"{at}{here}?lang=zh")
        page.get_by_text("按状态、楼栋找").click()
        page.get_by_role("link", name="正在办").click()
        expect(page.locator("summary")).to_have_text("按状态、楼栋找 · 正在办")
        page.get_by_role("link", name="申请", exact=True).click()
        expect(page.locator(".lines li")).to_have_count(1)
        page.locator(".lines a").click()
        expect(page.locator("h1")).to_have_text("电动车充电桩")
        page.get_by_role("link", name="English").click()
        expect(page.locator("h2").first).to_have_text("What it says")
        page.get_by_role("link", name="Overdue").click()
        expect(page.locator(".lines li")).to_have_count(3)
        page.get_by_role("link", name="The board").first.click()
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_role("link", name="Back to the newest")).to_be_visible()
    page.close()


def test_on_paper_it_is_black_on_white_with_the_code(
    furnished: tuple[Building, str], browser: Browser
) -> None:
    building, here = furnished
    page = browser.new_page(viewport={"width": 794, "height": 1123})
    with served(Starlette(routes=routes(building.app))) as at:
        page.goto(f"{at}{here}/print?lang=zh")
        page.emulate_media(media="print")
        for hidden in ("nav", ".tools", ".language"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(page.locator(".scan img")).to_be_visible()
        expect(page.locator(".scan")).to_contain_text("公示栏 The board")
        colours = page.evaluate(
            "[...new Set([...document.querySelectorAll('body *')]"
            ".filter(each => each.getClientRects().length).map(each => getComputedStyle(each))"
            ".flatMap(each => [each.color, each.backgroundColor]))].sort()"
        )
        assert set(colours) <= {"rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
        assert page.evaluate("document.documentElement.scrollWidth") == 794
        assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
