"""The public page of a vote and its files: what everybody may see, when, and what nobody may; at last in a browser."""

import asyncio
import hashlib
import re
import shutil
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sqlmodel import Session, select
from starlette.applications import Starlette

from bot.app import _vote_page
from bot.page_door import HEADERS
from bot.vote_pages import Kept, VotePages, routes
from bot.web import web
from conversations.words import LANGUAGES, Reader, texts
from handlers.bundle import verify
from handlers.matters import add_event
from handlers.tx import Tx
from handlers.vote_page import rule_lines, state_of, turnout_by_building
from handlers.votes import cast, close, extend, open_vote
from store.database import StoreUnavailable
from store.tables import Community, Objection, Person, Purchase, Vote
from tests import published
from tests.bot.browsing import unhindered
from tests.people import MORNING, Building
from tests.serving import served

pytestmark = pytest.mark.by_hand
HOST = "https://linli.example"
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(2)> {{ 7*7 }}'
STATUTORY: dict[str, Any] = {"kind": "statutory", "rule": "ordinary"}
SEALED = {"poll": {"visible": "totals"}}
DAYS = timedelta(days=3)
ZH = texts("zh")


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def begins(building: Building, community_id: int = 1, **options: Any) -> None:
    """A vote is made: a poll, unless the options say otherwise, open for three days."""

    def make(tx: Tx) -> None:
        given = {
            "kind": "poll",
            "title": "3 号楼加装充电桩",
            "text": "现有 4 个，2021 年装。",
            "opens_at": tx.now,
            "deadline": tx.now + DAYS,
            "notice_at": tx.now - timedelta(days=15),
            **options,
        }
        open_vote(tx, community_id, **given)

    write(building, make)


def the_vote(tx: Tx, number: int = 1) -> Vote:
    return tx.session.exec(select(Vote).where(Vote.number == number, Vote.community_id == 1)).one()


def votes(building: Building, name: str, choice: Any = "for", number: int = 1) -> None:
    write(building, lambda tx: cast(tx, the_vote(tx, number), one(tx, name), choice=choice))


def ends(building: Building, number: int = 1) -> None:
    """The deadline is over, and the vote is closed."""
    building.clock.at = max(building.clock.at, MORNING + DAYS + timedelta(minutes=1))
    write(building, lambda tx: close(tx, the_vote(tx, number)))


@pytest.fixture
async def client(building: Building) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(building.app)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as made:
        yield made


def words(page: httpx.Response) -> str:
    """What a reader sees of a page."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<head>.*</head>", "", page.text)))


def printed(page: httpx.Response) -> dict[str, str]:
    """The SHA-256 of each file as the page prints it."""
    return dict(
        re.findall(r'href="[^"]*/([a-z]+\.[a-z]+)" download.*?<code>([0-9a-f]{64})</code>', page.text)
    )


# --- an open vote ------------------------------------------------------------------------------------


async def test_an_open_vote_says_what_how_and_until_when(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, **STATUTORY)
    votes(building, "王奶奶", "against")
    page = await client.get("/votes/1/1")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for part in (
        "业主大会表决",
        "阳光花园 · 投票 1",
        "3 号楼加装充电桩",
        "现有 4 个，2021 年装。",
        "正在投票，2026-03-05 09:00 截止",
        "参与的面积、人数须不少于全体的 2/3。",
        "同意的面积、人数须超过参与者的 1/2（一般事项）。",
        "没投票的人怎么算：没投票的不算参与。",
        "点收到的选票上的按钮",
        "记录共 2 条",
    ):
        assert part in words(page)
    head = write(building, lambda tx: the_vote(tx).head)
    assert re.search(r"<code>2(-[A-Z2-7]{4}){4}</code>", page.text) and head not in page.text


async def test_on_paper_it_leads_to_the_board_unless_its_address_is_a_secret(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building)
    building.app.house = replace(building.app.house, board_page=lambda path: f"{HOST}/board/{path}")
    for seen_by, shown in (("link", False), ("off", False), ("members", True), ("all", True)):
        building.set_policy("board_page", seen_by)
        page = await client.get("/votes/1/1")
        assert ('src="/board/1/qr.svg"' in page.text) is shown and "/board/1-" not in page.text


async def test_nothing_of_an_open_vote_tells_how_it_stands(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building)
    before = await client.get("/votes/1/1")
    votes(building, "王奶奶", "against")
    after = await client.get("/votes/1/1")
    shown = [re.sub(r"<code>\d+(-\w{4}){4}</code>|记录共 \d 条", "", page.text) for page in (before, after)]
    assert shown[0] == shown[1]
    for name in ("bundle.zip", "ballots.csv", "result.png"):
        answer = await client.get(f"/votes/1/1/{name}")
        assert (answer.status_code, ZH["vote_page.not_yet"] in words(answer)) == (404, True)


async def test_roster_and_policy_are_there_from_the_beginning_with_their_hashes(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, **STATUTORY)
    page = await client.get("/votes/1/1")
    assert set(printed(page)) == {"policy.json", "roster.json"}
    for name, hashed in printed(page).items():
        file = await client.get(f"/votes/1/1/{name}")
        assert (file.headers["content-type"], file.status_code) == ("application/json", 200)
        assert hashlib.sha256(file.content).hexdigest() == hashed
        assert file.headers["content-disposition"] == f'attachment; filename="linli-vote-1-{name}"'
    first = write(building, lambda tx: (the_vote(tx).policy_hash, the_vote(tx).roster_hash))
    assert first == tuple(printed(page)[name] for name in ("policy.json", "roster.json"))


async def test_a_named_poll_gives_its_names_away_at_the_end_only(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, poll={"visible": "named"})
    page = await client.get("/votes/1/1")
    assert "roster.json" not in printed(page) and ZH["vote_page.names_later"] in words(page)
    hashed = write(building, lambda tx: the_vote(tx).roster_hash)
    assert hashed in page.text
    refused = await client.get("/votes/1/1/roster.json")
    assert (refused.status_code, "王奶奶" in refused.text) == (404, False)
    ends(building)
    file = await client.get("/votes/1/1/roster.json")
    assert hashlib.sha256(file.content).hexdigest() == hashed and "王奶奶" in file.text
    assert "王奶奶" not in (await client.get("/votes/1/1")).text


async def test_a_poll_says_that_it_decides_nothing(building: Building, client: httpx.AsyncClient) -> None:
    begins(building, poll={"question": "choose", "choices": ["东门", "西门"], "most": 1})
    shown = words(await client.get("/votes/1/1"))
    assert "征求意见，非业主大会决定" in shown and "选项：东门、西门，以上都不选。最多选 1 项。" in shown


async def test_an_extended_poll_shows_the_new_deadline(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)
    write(building, lambda tx: extend(tx, the_vote(tx), tx.now + 2 * DAYS))
    assert "正在投票，2026-03-08 09:00 截止" in words(await client.get("/votes/1/1"))


# --- a closed vote -----------------------------------------------------------------------------------


async def test_a_closed_vote_shows_its_result_and_everything_to_count_it_again(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, **STATUTORY)
    votes(building, "王奶奶")
    votes(building, "陈女士", "against")
    ends(building)
    page = await client.get("/votes/1/1")
    for part in (
        "结果：未通过，参与的",
        "赞成：1 人，220.66 平方米",
        "./linli verify linli-vote-1.zip",
        "已结束",
    ):
        assert part in words(page)
    assert "./linli tally linli-vote-1.zip" in words(page)
    hashes = printed(page)
    assert list(hashes) == ["bundle.zip", "ballots.csv", "policy.json", "roster.json"]
    files = {name: (await client.get(f"/votes/1/1/{name}")) for name in hashes}
    assert {name: hashlib.sha256(file.content).hexdigest() for name, file in files.items()} == hashes
    found = verify(files["bundle.zip"].content)
    assert found.ballots == 2 and str(found.head) in page.text
    with zipfile.ZipFile(BytesIO(files["bundle.zip"].content)) as archive:
        for name in ("ballots.csv", "policy.json", "roster.json"):
            assert archive.read(name) == files[name].content
    assert files["bundle.zip"].headers["content-disposition"] == 'attachment; filename="linli-vote-1.zip"'
    alt = unescape(re.findall(r'<img src="/votes/1/1/result.png\?lang=zh" alt="([^"]+)"', page.text)[0])
    assert alt.startswith("结果：未通过")
    picture = await client.get("/votes/1/1/result.png?lang=zh")
    assert (
        picture.headers["content-type"] == "image/png" and Image.open(BytesIO(picture.content)).width == 1080
    )
    assert (await client.get("/votes/1/1/result.png?lang=en")).content != picture.content


async def test_who_took_part_by_building_and_which_homes_did_not(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, **STATUTORY)
    votes(building, "王奶奶")
    votes(building, "陈女士")
    ends(building)
    page = await client.get("/votes/1/1")
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td></tr>', page.text)
    assert rows == [
        ("1 号楼", "2 / 2", "220.66 / 220.66"),
        ("2 号楼", "0 / 1", "0.00 / 76.50"),
        ("3 号楼", "1 / 2", "89.35 / 216.15"),
    ]
    silent = re.findall(r"<span>(.*?)</span>", page.text)
    assert len(silent) == 2 and silent[0].endswith("1504") and silent[1].endswith("1202")


async def test_where_only_totals_are_published_no_home_is_named(
    building: Building, client: httpx.AsyncClient
) -> None:
    begins(building, **SEALED)
    votes(building, "王奶奶")
    ends(building)
    page = await client.get("/votes/1/1")
    assert ZH["vote_page.sealed"] in words(page) and "1202" not in page.text and "<table>" not in page.text
    assert "./linli tally" not in page.text
    answer = await client.get("/votes/1/1/ballots.csv")
    assert (answer.status_code, ZH["vote_page.only_totals"] in words(answer)) == (404, True)
    assert verify((await client.get("/votes/1/1/bundle.zip")).content).is_sealed


async def test_no_name_stands_anywhere(building: Building, client: httpx.AsyncClient) -> None:
    begins(building, **STATUTORY)
    votes(building, "王奶奶")
    ends(building)
    for name in ("", "/policy.json", "/roster.json", "/ballots.csv", "/bundle.zip"):
        text = (await client.get(f"/votes/1/1{name}")).content.decode("utf-8", "replace")
        assert not any(each in text for each in ("王奶奶", "陈女士", "周先生", "刘经理"))


async def test_objections_are_counted_and_not_told(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)
    ends(building)

    def object_(tx: Tx) -> None:
        vote = the_vote(tx)
        vote.objections_until = tx.now + timedelta(days=7)
        common = {"community_id": 1, "vote_id": vote.id, "person_id": one(tx, "王奶奶").id, "at": tx.now}
        tx.session.add_all(
            [
                vote,
                *(
                    Objection(**common, what="计票不对", state=state)
                    for state in ("waiting", "waiting", "rejected")
                ),
            ]
        )

    write(building, object_)
    shown = words(await client.get("/votes/1/1"))
    assert "异议 3 件：待处理 2 件、不成立 1 件" in shown and "计票不对" not in shown
    assert "结果已公布，2026-03-12 09:01 前可以提异议" in shown and "我要异议" in shown


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"state": "open", "opens_at": MORNING + DAYS}, "notice"),
        ({"state": "open"}, "open"),
        ({"state": "open", "deadline": MORNING}, "open"),
        ({"state": "open", "deadline": MORNING - timedelta(seconds=1)}, "counting"),
        ({}, "published"),
        ({"objections_until": MORNING}, "objecting"),
        ({"objections_until": MORNING - DAYS}, "answering"),
        ({"objections_until": MORNING - DAYS, "final_at": MORNING}, "final"),
        ({"final_at": MORNING, "annulled_at": MORNING}, "annulled"),
    ],
)
def test_where_a_vote_stands(changed: dict[str, Any], state: str) -> None:
    given = {"state": "closed", "opens_at": MORNING - DAYS, "deadline": MORNING + DAYS, **changed}
    assert state_of(Vote(**given), MORNING) == state


async def test_the_purchase_that_it_decides_is_told(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)

    def ask(tx: Tx) -> None:
        made = Purchase(
            community_id=1,
            number=31,
            person_id=one(tx, "陈女士").id,
            what="充电桩",
            vote_id=the_vote(tx).id,
            created_at=tx.now,
        )
        tx.session.add(made)
        tx.session.flush()
        add_event(tx, f"purchase:{made.id}", "event.closed", None, community_id=1)

    write(building, ask)
    page = await client.get("/votes/1/1")
    assert "采购申请 31 的经过" in words(page) and "3月2日" in words(page)


# --- who asks, and how -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "/votes",
        "/votes/",
        "/votes/1",
        "/votes/1/",
        "/votes/1/2",
        "/votes/2/1",
        "/votes/1/0",
        "/votes/1/-1",
        "/votes/1/01",
        "/votes/1/1/",
        "/votes/1/1.0",
        f"/votes/1/{'9' * 30}",
        f"/votes/{'9' * 5000}/1",
        "/votes/1/%D9%A1",
        "/votes/1/1%0A",
        "/votes/1/1/log.jsonl",
        "/votes/1/1/..%2f..%2fpersonal.css",
        "/votes/1/1/bundle.zip/x",
        "/votes/a'b/1/policy.json",
    ],
)
async def test_what_does_not_exist_is_said_in_words(
    building: Building, client: httpx.AsyncClient, address: str
) -> None:
    begins(building)
    page = await client.get(address)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for language in LANGUAGES:
        assert texts(language)["vote_page.gone"] in words(page)


async def test_a_vote_stands_under_its_own_community(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)

    def neighbours(tx: Tx) -> int:
        made = Community(name="月亮湾", created_at=tx.now)
        tx.session.add(made)
        tx.session.flush()
        return made.id

    other = write(building, neighbours)
    assert (await client.get(f"/votes/{other}/1")).status_code == 404
    assert (await client.get(f"/votes/{other}/1/policy.json")).status_code == 404


async def test_every_answer_has_our_headers(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)
    for address in ("/votes/1/1", "/votes/1/1/policy.json", "/votes/vote.css", "/votes/1/9"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, address)
            for name, value in HEADERS.items():
                if name != "Cache-Control":
                    assert answer.headers[name] == value, address
            assert answer.headers["cache-control"] == ("no-store" if address.endswith("9") else "no-cache")
    answer = await client.post("/votes/1/1", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert ZH["vote_page.refused"] in words(answer)


async def test_what_is_known_is_not_sent_again(building: Building, client: httpx.AsyncClient) -> None:
    begins(building)
    for address in ("/votes/1/1", "/votes/1/1/roster.json"):
        tag = (await client.get(address)).headers["etag"]
        for held in (tag, f'"other", W/{tag}', "*"):
            answer = await client.get(address, headers={"If-None-Match": held})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert (await client.get(address, headers={"If-None-Match": '"other"'})).status_code == 200
    tag = (await client.get("/votes/1/1")).headers["etag"]
    votes(building, "王奶奶")
    assert (await client.get("/votes/1/1", headers={"If-None-Match": tag})).status_code == 200


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "zh-CN"),
        ("?lang=en", "zh", "en"),
        ("?lang=zh", "en-US,en;q=0.9", "zh-CN"),
        ("?lang=xx", "en-US,en;q=0.9", "en"),
        ("", "fr-FR, en-GB;q=0.3, zh;q=0.7", "zh-CN"),
        ("", "en;q=0, fr", "zh-CN"),
        ("", "de", "zh-CN"),
        ("", ";;q=,en;q=x,*" * 300, "en"),
    ],
)
async def test_it_speaks_the_reader_s_language(
    building: Building, client: httpx.AsyncClient, query: str, accepted: str, language: str
) -> None:
    begins(building)
    page = await client.get(f"/votes/1/1{query}", headers={"Accept-Language": accepted})
    assert f'<html lang="{language}">' in page.text and page.headers["vary"] == "Accept-Language"


async def test_what_somebody_wrote_is_only_text(building: Building, client: httpx.AsyncClient) -> None:
    begins(building, title=HOSTILE, text=HOSTILE, poll={"question": "choose", "choices": [HOSTILE, "b"]})
    ends(building)
    page = await client.get("/votes/1/1")
    assert page.text.count("<script") == 0 and "<img src=x" not in page.text
    assert page.text.count("<img ") == 1 and HOSTILE in words(page)


async def test_the_database_is_away(
    building: Building, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(building)

    @contextmanager
    def away() -> Iterator[Session]:
        raise StoreUnavailable("away")
        yield

    monkeypatch.setattr(building.app.database, "read", away)
    answer = await client.get("/votes/1/1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert ZH["vote_page.away"] in words(answer)


async def test_an_error_of_ours_is_said_as_ours(
    building: Building, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(building)
    monkeypatch.setattr("bot.vote_pages.look", lambda *_: 1 / 0)
    answer = await client.get("/votes/1/1")
    assert (answer.status_code, ZH["vote_page.failed"] in words(answer)) == (500, True)


async def test_the_pages_are_always_served(building: Building) -> None:
    begins(building)
    transport = httpx.ASGITransport(app=web(building.app))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        assert (await client.get("/votes/1/1")).status_code == 200
        assert (await client.get("/votes/1/7")).status_code == 404


@pytest.mark.parametrize(
    ("address", "host", "port", "playground", "page"),
    [
        ("https://linli.example/bot/", "127.0.0.1", 8080, False, "https://linli.example/bot/votes/1/3"),
        ("", "0.0.0.0", 8080, True, "http://127.0.0.1:8080/votes/1/3"),
        ("", "127.0.0.1", 8080, False, None),
        ("", "127.0.0.1", 0, True, None),
    ],
)
def test_the_address_of_a_page(
    building: Building, address: str, host: str, port: int, playground: bool, page: str | None
) -> None:
    settings = building.app.settings
    changed = settings.model_copy(
        update={
            "web": settings.web.model_copy(update={"address": address, "host": host, "port": port}),
            "playground": settings.playground.model_copy(update={"enabled": playground}),
        }
    )
    made = _vote_page(changed)
    assert (made(1, 3) if made else None) == page


# --- what is kept in memory --------------------------------------------------------------------------


async def test_a_bundle_is_made_once_for_all_who_ask_at_once(
    building: Building, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(building)
    ends(building)
    made: list[int] = []
    right = VotePages._made

    def counting(self: VotePages, vote: Vote) -> Any:
        made.append(vote.id)
        return right(self, vote)

    monkeypatch.setattr(VotePages, "_made", counting)
    answers = await asyncio.gather(*(client.get("/votes/1/1/bundle.zip") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200} and len(made) == 1
    await client.get("/votes/1/1")
    assert len(made) == 1


async def test_what_was_not_asked_for_longest_is_let_go_first() -> None:
    kept = Kept(10)

    async def get(name: str, size: int = 4) -> bytes:
        return await kept.get((name,), lambda: name.encode() * size, len)

    for name in ("a", "b", "a", "c"):
        await get(name)
    assert [key for (key,) in kept.held] == ["a", "c"]
    assert await get("d", 40) == b"d" * 40  # too large to be kept beside anything
    assert [key for (key,) in kept.held] == ["d"]


async def test_what_could_not_be_made_is_tried_again() -> None:
    kept, tries = Kept(), iter([ZeroDivisionError, None])

    def make() -> bytes:
        error = next(tries)
        if error is not None:
            raise error
        return b"x"

    with pytest.raises(ZeroDivisionError):
        await kept.get(("x",), make, len)
    assert await kept.get(("x",), make, len) == b"x"


# --- who took part, from what is published -----------------------------------------------------------


@pytest.mark.parametrize(
    "vote",
    [
        published.Vote(),
        published.Vote(acts=[]),
        published.Vote(poll={}),
        published.Vote(policy={"options": {**published.OPTIONS, "multi_unit": "per_unit"}}),
        published.Vote(
            [published.unit(101, "1"), published.unit(102, "2", "3", building="2", area="77.125")],
            [published.ballot("1"), published.ballot("2"), published.ballot("3", "against")],
        ),
    ],
)
def test_the_buildings_together_are_the_result(vote: published.Vote) -> None:
    bundle = vote.bundle()
    rows = turnout_by_building(bundle)
    for name, of in (("cast", "voted_area"), ("total", "area")):
        assert sum(Decimal(getattr(row, of)) for row in rows) == Decimal(bundle.result[name]["area"])
    if "heads" in bundle.result["cast"]:
        assert sum(row.voted for row in rows) == bundle.result["cast"]["heads"]
        assert sum(len(row.silent) for row in rows) == bundle.result["silent"]["heads"]


def test_of_a_sealed_vote_no_building_is_told() -> None:
    assert turnout_by_building(published.Vote(poll={"visible": "totals"}).bundle()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_can_be_said(language: str) -> None:
    reader = Reader(language, "Asia/Shanghai", MORNING)
    scope = {"buildings": [str(n) for n in range(20)], "entrances": None, "floors": ["3"], "homes": None}
    options = {**published.OPTIONS, "scope": scope, "parking_votes": True, "revote": "first"}
    for poll in (
        None,
        {},
        *({"threshold": threshold, "question": question, "choices": ["a", "b"], "weight": "both", "of": of}
          for threshold in ("plurality", "1/2", "2/3") for question in ("yes_no", "choose")
          for of in ("for_against", "cast", "eligible")),
    ):  # fmt: skip
        policy = published.Vote(poll=poll, acts=[], policy={"options": options}).bundle().policy
        lines = list(rule_lines(policy, reader))
        assert len(lines) >= 6 and not any("{" in line or not line for line in lines)


# --- in a browser ------------------------------------------------------------------------------------


@pytest.fixture
def furnished(sqlite_template: Path, tmp_path: Path) -> Iterator[Building]:
    """A building with votes of all kinds, for tests that cannot await."""
    shutil.copy(sqlite_template, tmp_path / "linli.db")
    building = Building(tmp_path / "data", f"sqlite:///{tmp_path / 'linli.db'}")
    begins(building, **STATUTORY)
    begins(building, **SEALED, title="是否更换门禁")
    begins(building, **STATUTORY, title=f"充电桩{'很长的名字' * 30}{'x' * 200}", deadline=MORNING + 9 * DAYS)
    for number in (1, 2):
        votes(building, "王奶奶", number=number)
        votes(building, "陈女士", "against" if number == 2 else "for", number=number)
        votes(building, "周先生", number=number)
    for number in (1, 2):
        ends(building, number)
    yield building
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(building.close())).result()


@pytest.fixture
def phone_page(browser: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(5000)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def fits(page: Page) -> None:
    """No scrolling sideways, large letters, links for thumbs, headings in order."""
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    sizes = page.evaluate(
        "[...document.querySelectorAll('p, li, a, h1, h2, h3, td, th, code, summary')]"
        ".map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert sizes and min(sizes) >= 18
    for each in page.locator("a, summary").all():
        box = each.bounding_box()
        assert box is not None and box["height"] >= 44 and box["x"] >= 0 and box["x"] + box["width"] <= 390
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    unhindered(page)


def test_votes_on_a_small_phone(furnished: Building, phone_page: Page, tmp_path: Path) -> None:
    with served(Starlette(routes=routes(furnished.app))) as address:
        for name, number in (("passed", 1), ("sealed", 2), ("open", 3)):
            for language in LANGUAGES:
                phone_page.goto(f"{address}/votes/1/{number}?lang={language}")
                fits(phone_page)
            phone_page.get_by_role("link", name="中文").click()
            expect(phone_page.locator("html")).to_have_attribute("lang", "zh-CN")
            if number != 3:
                assert phone_page.evaluate("document.images[0].naturalWidth") == 1080
                phone_page.get_by_text(ZH["vote_page.in_words"]).click()
                expect(phone_page.locator("details .words")).to_be_visible()
            phone_page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        phone_page.goto(f"{address}/votes/1/1?lang=zh")
        with phone_page.expect_download() as download:
            phone_page.get_by_role("link", name=ZH["vote_page.file.bundle"]).click()
        assert download.value.suggested_filename == "linli-vote-1.zip"
        assert verify(Path(download.value.path()).read_bytes()).ballots == 3
        phone_page.goto(f"{address}/votes/1/99")
        assert phone_page.evaluate("document.documentElement.scrollWidth") == 390
