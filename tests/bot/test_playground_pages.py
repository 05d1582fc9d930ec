"""The playground's page and routes, on a backend in memory; the last part in a real browser."""

import asyncio
import base64
import contextlib
import io
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace

import httpx
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette

from bot.playground import (
    BODY_CAP,
    WORDS,
    Button,
    Message,
    Person,
    Phone,
    Upload,
    refusal_to_start,
    routes,
)
from tests.bot.browsing import opened, unhindered, write

CHEN = Person("chen", "陈女士", "3 号楼 1201", "private:chen")
WANG = Person("wang", "王先生", "5 号楼 302", "private:wang")
STRANGER = Person("new", "陌生人", "还没登记", "private:new")
ZHOU = Person("zhou", "周经理", "物业经理", "group:office")
LIN = Person("lin", "小林", "物业前台", "group:office")
LI = Person("li", "李师傅", "水电", "private:li")
PHONES = (
    Phone("owner", "业主的手机", (CHEN, WANG, STRANGER), "chen"),
    Phone("neighbour", "邻居的手机", (CHEN, WANG, STRANGER), "wang"),
    Phone("staff", "物业管理群", (ZHOU, LIN), "zhou", any_file=True, replies=True),
    Phone("crew", "维修师傅的手机", (LI,), "li"),
    Phone("board", "公示栏", (), "", "board"),
)
NAMES = {person.account: person.name for phone in PHONES for person in phone.people}


@dataclass
class Fake:
    """A community in memory that answers "收到" and remembers what it was told."""

    community: str = "梧桐里小区"
    heard: list[dict[str, object]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    places: dict[str, list[Message]] = field(default_factory=dict)
    files: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    minutes: int = 0
    answer: str = ""
    broken: bool = False
    real: bool = False
    watchers: set[asyncio.Queue[frozenset[str] | None]] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop | None = None

    def phones(self, language: str) -> tuple[Phone, ...]:
        if language == "en":
            return (replace(PHONES[0], title="An owner's phone"), *PHONES[1:])
        return PHONES

    def history(self, place: str, who: str, limit: int = 100) -> list[Message]:
        messages = self.places.get(place, [])[-limit:]
        return [
            replace(m, mine=bool(who) and m.sender == who, sender=NAMES.get(m.sender, m.sender))
            for m in messages
        ]

    async def say(
        self,
        *,
        place: str,
        who: str,
        key: str,
        text: str = "",
        tap: str = "",
        on: str = "",
        replies_to: str = "",
        contact: str = "",
        uploads: tuple[Upload, ...] | list[Upload] = (),
    ) -> str:
        self.tried.append(key)
        if self.broken:
            raise RuntimeError("the database is away")
        if self.answer:
            return self.answer
        if key in {said["key"] for said in self.heard}:
            return ""
        self.heard.append(
            {
                "place": place,
                "who": who,
                "key": key,
                "text": text,
                "tap": tap,
                "on": on,
                "replies_to": replies_to,
                "contact": contact,
                "uploads": list(uploads),
            }
        )
        if text or uploads:
            self.post(place, text, sender=who, key=key)
            self.post(
                place, f"收到：{text}", buttons=(Button("接单", "repair.accept:1"), Button("去不了", "no"))
            )
        return ""

    def media(self, key: str, place: str, who: str) -> tuple[bytes, str] | None:
        return self.files.get((place, key))

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[frozenset[str]]]:
        self.loop = asyncio.get_running_loop()
        queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self.watchers.add(queue)

        async def changes() -> AsyncIterator[frozenset[str]]:
            while (places := await queue.get()) is not None:
                yield places

        try:
            yield changes()
        finally:
            self.watchers.discard(queue)

    async def move_clock(self, seconds: int) -> bool:
        self.minutes += 0 if self.real else seconds // 60
        return not self.real

    async def reset(self) -> bool:
        if not self.real:
            self.places.clear()
            self.heard.clear()
            self.changed(None)
        return not self.real

    def now(self) -> str:
        return f"周日 11-22 14:{5 + self.minutes:02d}"

    def post(self, place: str, text: str, **more: object) -> str:
        messages = self.places.setdefault(place, [])
        name = f"{place}:{len(messages) + 1}"
        messages.append(Message(**{"id": name, "mine": False, "text": text, "at": "14:05", **more}))
        self.changed(place)
        return name

    def edit(self, place: str, name: str, **changes: object) -> None:
        self.places[place] = [replace(m, **changes) if m.id == name else m for m in self.places[place]]
        self.changed(place)

    def changed(self, place: str | None) -> None:
        self.tell(frozenset() if place is None else frozenset({place}))

    def tell(self, what: frozenset[str] | None) -> None:
        for queue in list(self.watchers):
            assert self.loop is not None
            self.loop.call_soon_threadsafe(queue.put_nowait, what)


@pytest.fixture
def fake() -> Fake:
    return Fake()


def client(
    fake: Fake, *, key: str = "", hosts: tuple[str, ...] = (), base: str = "http://127.0.0.1:8000"
) -> httpx.AsyncClient:
    app = Starlette(routes=routes(fake, key=key, hosts=hosts))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


@pytest.fixture
async def page(fake: Fake) -> AsyncIterator[httpx.AsyncClient]:
    async with client(fake) as visitor:
        yield visitor


def form(**fields: str) -> dict[str, str]:
    return {"slot": "owner", "who": "chen", "key": "k1", **fields}


def sentence(word: str, language: str = "zh") -> dict[str, str]:
    return {"error": WORDS[word][language == "en"]}


# --- The page and its data


async def test_the_page_is_served_with_its_files(page: httpx.AsyncClient) -> None:
    shown = await page.get("/playground")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "梧桐里小区" in shown.text and '<html lang="zh-CN">' in shown.text
    assert 'lang="en"' in (await page.get("/playground?lang=en")).text
    css, js = await page.get("/playground/playground.css"), await page.get("/playground/playground.js")
    assert (css.status_code, css.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (js.status_code, js.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


async def test_every_answer_carries_the_security_headers(page: httpx.AsyncClient) -> None:
    for address in ("/playground", "/playground/phones", "/playground/history?slot=nobody"):
        headers = (await page.get(address)).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_the_phones_come_with_their_people_and_the_clock(page: httpx.AsyncClient) -> None:
    said = (await page.get("/playground/phones")).json()
    assert said["now"] == "周日 11-22 14:05"
    assert [phone["slot"] for phone in said["phones"]] == ["owner", "neighbour", "staff", "crew", "board"]
    assert said["phones"][2]["people"][1] == {
        "account": "lin",
        "name": "小林",
        "note": "物业前台",
        "place": "group:office",
    }
    english = (await page.get("/playground/phones?lang=en")).json()
    assert english["phones"][0]["title"] == "An owner's phone"


async def test_history_is_what_this_person_sees(fake: Fake, page: httpx.AsyncClient) -> None:
    fake.post("group:office", "我来查", sender="lin", photos=("/playground/media/a.jpg",))
    for who, mine in (("lin", True), ("zhou", False)):
        [message] = (await page.get(f"/playground/history?slot=staff&who={who}")).json()["messages"]
        assert (message["text"], message["mine"], message["sender"]) == ("我来查", mine, "小林")
        assert message["photos"] == [f"/playground/media/a.jpg?slot=staff&who={who}"]


async def test_who_is_not_among_the_people_of_a_phone_sees_nothing(page: httpx.AsyncClient) -> None:
    for query in ("slot=owner&who=zhou", "slot=attic&who=chen", ""):
        answer = await page.get(f"/playground/history?{query}")
        assert (answer.status_code, answer.json()) == (404, sentence("gone"))


# --- Saying something


async def test_a_message_reaches_the_backend_whole(fake: Fake, page: httpx.AsyncClient) -> None:
    files = [("photos", ("a.png", b"png", "image/png")), ("photos", ("b.jpg", b"jpg", "image/jpeg"))]
    answer = await page.post("/playground/say", data=form(text="水管漏了"), files=files)
    assert (answer.status_code, answer.json()) == (200, {})
    assert fake.heard == [
        {
            "place": "private:chen",
            "who": "chen",
            "key": "k1",
            "text": "水管漏了",
            "tap": "",
            "on": "",
            "replies_to": "",
            "contact": "",
            "uploads": [Upload("a.png", "image/png", b"png"), Upload("b.jpg", "image/jpeg", b"jpg")],
        }
    ]


async def test_what_the_backend_refuses_is_said_in_its_words(fake: Fake, page: httpx.AsyncClient) -> None:
    fake.answer = "请慢一点，一分钟后再发。"
    answer = await page.post("/playground/say", data=form(text="喂"))
    assert (answer.status_code, answer.json()) == (422, {"error": "请慢一点，一分钟后再发。"})


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({}, 422, "nothing"),
        ({"text": "  "}, 422, "nothing"),
        ({"text": "好", "key": ""}, 422, "nothing"),
        ({"text": "长" * 4001}, 422, "too_long"),
        ({"contact": "我的号码"}, 422, "bad_number"),
        ({"contact": "1" * 25}, 422, "bad_number"),
        ({"contact": "138"}, 422, "bad_number"),
        ({"text": "好", "slot": "board"}, 403, "read_only"),
        ({"text": "好", "who": "zhou"}, 404, "gone"),
    ],
)
async def test_what_cannot_be_taken_is_answered_with_a_sentence(
    fake: Fake, page: httpx.AsyncClient, fields: dict[str, str], status: int, word: str
) -> None:
    answer = await page.post("/playground/say?lang=en", data=form(**fields))
    assert (answer.status_code, answer.json()) == (status, sentence(word, "en"))
    assert fake.heard == []


async def test_a_number_reaches_the_backend(fake: Fake, page: httpx.AsyncClient) -> None:
    answer = await page.post("/playground/say", data=form(contact="+86 138-0013-8000"))
    assert (answer.status_code, answer.json()) == (200, {})
    assert [(said["contact"], said["text"]) for said in fake.heard] == [("+86 138-0013-8000", "")]


async def test_a_thirteenth_photo_is_refused(fake: Fake, page: httpx.AsyncClient) -> None:
    files = [("photos", (f"{n}.png", b"png", "image/png")) for n in range(13)]
    answer = await page.post("/playground/say", data=form(), files=files)
    assert (answer.status_code, answer.json()) == (422, sentence("too_many"))


async def test_a_fault_of_ours_shows_no_trace(
    fake: Fake, page: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR", logger="bot.playground")
    fake.broken = True
    answer = await page.post("/playground/say", data=form(text="喂"))
    assert (answer.status_code, answer.json()) == (500, sentence("failed"))
    assert "the database is away" in caplog.text


async def test_a_body_that_says_it_is_too_large_is_not_read(page: httpx.AsyncClient) -> None:
    answer = await page.post("/playground/say", headers={"Content-Length": str(BODY_CAP + 1)}, content=b"x")
    assert (answer.status_code, answer.json()) == (413, sentence("too_large"))


async def test_a_body_that_does_not_say_its_size_is_counted(page: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        while True:
            yield bytes(1024 * 1024)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await page.post("/playground/say", headers=kind, content=endless())
    assert (answer.status_code, answer.json()) == (413, sentence("too_large"))


async def test_a_form_that_cannot_be_read_is_answered(page: httpx.AsyncClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await page.post("/playground/say", headers=kind, content=b"nonsense")
    assert (answer.status_code, answer.json()) == (400, sentence("unread_form"))


# --- Pictures, clock, reset, events


@pytest.mark.parametrize("mime", ["image/jpeg", "image/png", "image/webp"])
async def test_a_picture_is_shown(fake: Fake, page: httpx.AsyncClient, mime: str) -> None:
    fake.files["private:chen", "7/a"] = (b"data", mime)
    answer = await page.get("/playground/media/7/a?slot=owner&who=chen")
    assert (answer.content, answer.headers["content-type"]) == (b"data", mime)
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "image/jpeg; charset=x"])
async def test_what_is_no_plain_picture_is_only_handed_over(
    fake: Fake, page: httpx.AsyncClient, mime: str
) -> None:
    fake.files["private:chen", "a.html"] = (b"<script>", mime)
    answer = await page.get("/playground/media/a.html?slot=owner&who=chen")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a.html"


async def test_a_recording_is_played_in_parts_and_can_be_saved(page: httpx.AsyncClient, fake: Fake) -> None:
    fake.files["private:chen", "a"] = (b"0123456789", "video/mp4")
    answer = await page.get("/playground/media/a?slot=owner&who=chen", headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"234", "video/mp4")
    assert answer.headers["content-range"] == "bytes 2-4/10"
    assert "media-src 'self'" in answer.headers["content-security-policy"]
    saved = await page.get("/playground/media/a?slot=owner&who=chen&save=1")
    assert saved.headers["content-disposition"] == "attachment; filename*=UTF-8''a.mp4"
    assert saved.headers["content-type"] == "application/octet-stream"


async def test_a_picture_of_another_place_is_not_there(fake: Fake, page: httpx.AsyncClient) -> None:
    fake.files["private:chen", "a.jpg"] = (b"data", "image/jpeg")
    answer = await page.get("/playground/media/a.jpg?slot=neighbour&who=wang")
    assert (answer.status_code, answer.json()) == (404, sentence("no_media"))


async def test_the_clock_moves_on_and_never_back(fake: Fake, page: httpx.AsyncClient) -> None:
    answer = await page.post("/playground/clock", data={"seconds": "600"})
    assert (answer.status_code, answer.json()) == (200, {"now": "周日 11-22 14:15"})
    for seconds in ("-60", "0", "", "soon", "²", "9999999", "1" * 400):
        refused = await page.post("/playground/clock", data={"seconds": seconds})
        assert (refused.status_code, refused.json()) == (422, sentence("bad_move"))


async def test_reset_begins_again(fake: Fake, page: httpx.AsyncClient) -> None:
    fake.post("private:chen", "旧的")
    assert (await page.post("/playground/reset")).json() == {}
    assert (await page.get("/playground/history?slot=owner&who=chen")).json() == {"messages": []}


async def test_a_real_community_is_not_played_with(fake: Fake, page: httpx.AsyncClient) -> None:
    fake.real = True
    fake.post("private:chen", "旧的")
    for what, fields in (("clock", {"seconds": "600"}), ("reset", {})):
        refused = await page.post(f"/playground/{what}", data=fields)
        assert (refused.status_code, refused.json()) == (409, sentence("real_community"))
    assert fake.minutes == 0
    assert len((await page.get("/playground/history?slot=owner&who=chen")).json()["messages"]) == 1


async def test_events_name_the_places_that_changed_until_the_end(fake: Fake, page: httpx.AsyncClient) -> None:
    stream = asyncio.create_task(page.get("/playground/events"))
    while not fake.watchers:
        await asyncio.sleep(0)
    fake.tell(frozenset({"private:chen", "board"}))
    fake.tell(frozenset())
    fake.tell(None)
    answer = await stream
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == (
        "retry: 2000\nevent: hello\ndata: null\n\n"
        'event: places\ndata: ["board", "private:chen"]\n\n'
        "event: places\ndata: []\n\n"
    )
    assert fake.watchers == set()


async def test_a_quiet_stream_carries_the_clock(
    fake: Fake, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.playground.HEARTBEAT_SECONDS", 0.001)
    told: list[str] = []
    monkeypatch.setattr(fake, "now", lambda: told.append("") or "周日 11-22 14:06")
    stream = asyncio.create_task(page.get("/playground/events"))
    while not told:
        await asyncio.sleep(0.001)
    fake.tell(None)
    assert 'event: now\ndata: "周日 11-22 14:06"\n\n' in (await stream).text


async def test_a_reader_who_leaves_is_forgotten(fake: Fake) -> None:
    app = Starlette(routes=routes(fake, key=""))
    gone = asyncio.Event()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(event: object) -> None:
        gone.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "scheme": "http",
        "path": "/playground/events",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await app(scope, receive, send)
    assert fake.watchers == set()


# --- Who may come in

KEY = "a long enough key 口令"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:80", "LOCALHOST", "[::1]", "[::1]:8000"]
)
async def test_without_a_key_this_machine_may_come_in(page: httpx.AsyncClient, host: str) -> None:
    assert (await page.get("/playground/phones", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "linli.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "10.0.0.5",
        "[::",
        "",
    ],
)
async def test_without_a_key_no_other_name_opens_it(page: httpx.AsyncClient, host: str) -> None:
    answer = await page.get("/playground/phones", headers={"Host": host})
    assert (answer.status_code, answer.json()) == (403, sentence("bad_host"))


async def test_without_a_key_nobody_comes_through_a_proxy(page: httpx.AsyncClient) -> None:
    answer = await page.get("/playground", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status_code, answer.text) == (403, WORDS["bad_host"][0])


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8000"]
)
async def test_another_site_cannot_post(fake: Fake, page: httpx.AsyncClient, origin: str) -> None:
    answer = await page.post("/playground/say", data=form(text="好"), headers={"Origin": origin})
    assert (answer.status_code, answer.json()) == (403, sentence("bad_origin"))
    assert fake.heard == []
    same = await page.post(
        "/playground/say", data=form(text="好"), headers={"Origin": "http://127.0.0.1:8000"}
    )
    assert same.status_code == 200


async def test_with_a_key_every_address_needs_it(fake: Fake) -> None:
    async with client(fake, key=KEY, base="https://linli.example") as visitor:
        for path in (
            "",
            "/playground.js",
            "/phones",
            "/history?slot=owner",
            "/events",
            "/media/a?slot=owner",
        ):
            assert (await visitor.get(f"/playground{path}")).status_code == 401
        for path in ("/say", "/clock", "/reset"):
            answer = await visitor.post(f"/playground{path}", data=form(text="好"))
            assert (answer.status_code, answer.json()) == (401, sentence("need_key"))
        wrong = await visitor.get("/playground", params={"key": "guess"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)


async def test_the_key_is_given_once_and_leaves_the_address(fake: Fake) -> None:
    async with client(fake, key=KEY, base="https://linli.example") as visitor:
        answer = await visitor.get("/playground", params={"key": KEY, "lang": "en"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/playground?lang=en")
        cookie = answer.headers["set-cookie"]
        assert cookie.split("; ", 1)[1] == "HttpOnly; Path=/playground; SameSite=strict; Secure"
        assert "a long" not in cookie
        assert (await visitor.get("/playground")).status_code == 200
        assert (await visitor.post("/playground/say", data=form(text="好"))).status_code == 200


async def test_named_hosts_are_the_only_names(fake: Fake) -> None:
    async with client(fake, key=KEY, hosts=("linli.example",), base="http://linli.example") as visitor:
        assert (await visitor.get("/playground", params={"key": KEY})).status_code == 303
        other = await visitor.get("/playground", params={"key": KEY}, headers={"Host": "other.example"})
        assert other.status_code == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_it_starts_on_this_machine_without_a_key(address: str) -> None:
    assert refusal_to_start(address, key="", public=False) == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "192.168.1.5", "linli.example"])
def test_a_public_address_needs_both_the_setting_and_a_key(address: str) -> None:
    assert "explicitly" in refusal_to_start(address, key="k" * 16, public=False)
    assert "16 characters" in refusal_to_start(address, key="k" * 15, public=True)
    assert refusal_to_start(address, key="k" * 16, public=True) == ""


def test_the_words_are_complete_in_both_languages() -> None:
    assert [key for key, both in WORDS.items() if len(both) != 2 or not all(both)] == []


# --- In a browser

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OWNER, STAFF, CREW = (f"[data-slot={slot}].phone" for slot in ("owner", "staff", "crew"))


@pytest.fixture
def served(fake: Fake) -> Iterator[str]:
    app = Starlette(routes=routes(fake, key=""))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/playground"
    fake.tell(None)
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def desk(browser: Browser, served: str) -> Iterator[Page]:
    yield from opened(browser, served, 1440, 900)


@pytest.fixture
def mobile(browser: Browser, served: str) -> Iterator[Page]:
    yield from opened(browser, served, 390, 844)


def eventually(check: Callable[[], bool]) -> None:
    """Wait for the other thread; a test that holds needs a few milliseconds."""
    until = time.monotonic() + 5
    while not check():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def test_a_message_sent_shows_once_and_the_focus_stays(fake: Fake, desk: Page) -> None:
    write(desk, OWNER, "厨房水龙头滴水")
    expect(desk.locator(f"{OWNER} .message:not(.mine) .text")).to_have_text("收到：厨房水龙头滴水")
    expect(desk.locator(f"{OWNER} .message.mine .text")).to_have_text(["厨房水龙头滴水"])
    expect(desk.locator(f"{OWNER} textarea")).to_be_focused()
    expect(desk.locator(f"{OWNER} textarea")).to_have_value("")
    assert [said["text"] for said in fake.heard] == ["厨房水龙头滴水"]


def test_enter_that_picks_a_chinese_word_does_not_send(fake: Fake, desk: Page) -> None:
    box = desk.locator(f"{OWNER} textarea")
    box.fill("shui")
    box.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    box.press("Shift+Enter")
    expect(box).to_have_value("shui\n")
    assert fake.heard == []


def test_a_tap_posts_the_value(fake: Fake, desk: Page) -> None:
    name = fake.post("private:li", "报修 1", buttons=(Button("接单", "accept:1"), Button("去不了", "no:1")))
    desk.click(f"{CREW} .buttons >> text=接单")
    eventually(lambda: len(fake.heard) == 1)
    assert [fake.heard[0][part] for part in ("tap", "on", "who", "text")] == ["accept:1", name, "li", ""]
    expect(desk.locator(f"{CREW} [aria-busy=true]")).to_have_count(0)


def test_an_edit_keeps_the_focus_the_draft_and_the_place(fake: Fake, desk: Page) -> None:
    for number in range(30):
        fake.post("private:li", f"旧消息 {number}")
    name = fake.post("private:li", "报修 1", buttons=(Button("接单", "yes"), Button("去不了", "no")))
    second = desk.locator(f"{CREW} .buttons >> text=去不了")
    desk.fill(f"{CREW} textarea", "写了一半")
    second.focus()
    desk.evaluate(f"document.querySelector('{CREW} .log').scrollTop = 40")
    expect(desk.locator(f"{CREW} .newest")).to_be_hidden()
    fake.edit("private:li", name, text="报修 1（改过）", edited=True)
    fake.post("private:li", "又来一条")
    expect(desk.locator(f"{CREW} .message >> nth=-2")).to_contain_text("报修 1（改过）")
    expect(desk.locator(f"{CREW} .message >> nth=-2")).to_contain_text("已编辑")
    expect(second).to_be_focused()
    expect(desk.locator(f"{CREW} .newest")).to_be_visible()
    expect(desk.locator(f"{CREW} textarea")).to_have_value("写了一半")
    assert desk.evaluate(f"document.querySelector('{CREW} .log').scrollTop") == 40


def test_buttons_that_go_leave_the_focus_on_their_message(fake: Fake, desk: Page) -> None:
    name = fake.post("private:li", "报修 1", buttons=(Button("接单", "yes"),))
    desk.focus(f"{CREW} .buttons button")
    fake.edit("private:li", name, buttons=())
    expect(desk.locator(f"{CREW} .message")).to_be_focused()


def test_a_text_is_shown_as_typed(fake: Fake, desk: Page) -> None:
    typed = "<img src=x onerror=alert(1)> **粗** &amp;\n第二行"
    fake.post("board", typed)
    shown = desk.locator("[data-slot=board] .text")
    expect(shown).to_have_text(typed, use_inner_text=True)
    assert shown.locator("*").count() == 0


def test_a_withdrawn_message_says_so(fake: Fake, desk: Page) -> None:
    name = fake.post("board", "写错了")
    expect(desk.locator("[data-slot=board] .text")).to_have_text("写错了")
    fake.edit("board", name, deleted=True)
    expect(desk.locator("[data-slot=board] .message")).to_have_text("消息已撤回")


def test_what_was_not_sent_stays_and_goes_out_with_the_same_key(fake: Fake, desk: Page) -> None:
    fake.broken = True
    write(desk, OWNER, "电梯里困了人")
    expect(desk.locator(f"{OWNER} .error p")).to_have_text(WORDS["failed"][0])
    expect(desk.locator(f"{OWNER} .message.mine .text")).to_have_text("电梯里困了人")
    fake.broken = False
    desk.click(f"{OWNER} >> text=重试")
    expect(desk.locator(f"{OWNER} .message:not(.mine) .text")).to_have_text("收到：电梯里困了人")
    expect(desk.locator(f"{OWNER} .error")).to_have_count(0)
    assert (len(fake.tried), len(set(fake.tried)), len(fake.heard)) == (2, 1, 1)


def test_a_message_outlives_a_lost_network_and_can_be_dropped(fake: Fake, desk: Page) -> None:
    desk.route("**/playground/say*", lambda route: route.abort())
    write(desk, OWNER, "厨房煤气味好大")
    expect(desk.locator(f"{OWNER} .error p")).to_have_text(WORDS["unreachable"][0])
    desk.click(f"{OWNER} >> text=重试")
    expect(desk.locator(f"{OWNER} .error p")).to_have_text(WORDS["unreachable"][0])
    desk.click(f"{OWNER} >> text=不发了")
    expect(desk.locator(f"{OWNER} .message")).to_have_count(0)
    expect(desk.locator(f"{OWNER} textarea")).to_be_focused()
    assert fake.tried == []


def test_a_large_photo_goes_out_lighter(fake: Fake, desk: Page) -> None:
    noise = Image.frombytes("RGB", (2600, 900), random.Random(1).randbytes(2600 * 900 * 3))
    large = io.BytesIO()
    noise.save(large, "PNG")
    picture = {"name": "大.png", "mimeType": "image/png", "buffer": large.getvalue()}
    desk.set_input_files(f"{OWNER} input[type=file]", [picture])
    desk.press(f"{OWNER} textarea", "Enter")
    eventually(lambda: len(fake.heard) == 1)
    [upload] = fake.heard[0]["uploads"]
    assert (upload.mime, Image.open(io.BytesIO(upload.data)).size) == ("image/jpeg", (2048, 709))


def test_a_photo_is_sent_and_can_be_taken_back_before(fake: Fake, desk: Page) -> None:
    picture = {"name": "漏水.png", "mimeType": "image/png", "buffer": PIXEL}
    desk.set_input_files(f"{OWNER} input[type=file]", [picture, {**picture, "name": "二.png"}])
    desk.click(f"{OWNER} .draft >> nth=1 >> button")
    desk.press(f"{OWNER} textarea", "Enter")
    eventually(lambda: len(fake.heard) == 1)
    assert fake.heard[0]["uploads"] == [Upload("漏水.png", "image/png", PIXEL)]
    expect(desk.locator(f"{OWNER} .drafts")).to_be_hidden()


def test_a_number_is_shared_by_the_button_below_the_message(fake: Fake, desk: Page) -> None:
    fake.post("private:chen", "您好，请用手机号登记。", asks_number=True)
    button = desk.locator(OWNER).get_by_role("button", name=WORDS["contact"][0])
    button.click()
    asked = desk.get_by_label(WORDS["number"][0]).and_(desk.locator("input"))
    expect(asked).to_be_focused()
    asked.fill("我的")
    asked.press("Enter")
    expect(desk.locator("#number .error")).to_have_text(WORDS["bad_number"][0])
    asked.fill("１３８００１３８０００")
    desk.locator("#number").get_by_role("button", name=WORDS["share"][0]).click()
    expect(desk.locator("#number")).to_be_hidden()
    eventually(lambda: len(fake.heard) == 1)
    said = fake.heard[0]
    assert [said[part] for part in ("contact", "who", "text", "tap")] == ["13800138000", "chen", "", ""]
    fake.places["private:chen"] = [replace(m, asks_number=False) for m in fake.places["private:chen"]]
    fake.post("private:chen", "📱 138****8000", sender="chen", key=said["key"])
    expect(button).to_have_count(0)
    expect(desk.locator(f"{OWNER} .message.mine .text")).to_have_text(["📱 138****8000"])


def test_nobody_shares_a_number_by_closing_the_prompt(fake: Fake, mobile: Page) -> None:
    fake.post("private:chen", "您好，请用手机号登记。", asks_number=True)
    mobile.click(f"{OWNER} .share")
    mobile.locator("#number").get_by_role("button", name=WORDS["no"][0]).click()
    expect(mobile.locator("#number")).to_be_hidden()
    assert fake.tried == []


def test_a_number_that_was_not_sent_goes_out_again(fake: Fake, desk: Page) -> None:
    fake.post("private:chen", "您好，请用手机号登记。", asks_number=True)
    fake.broken = True
    desk.click(f"{OWNER} .share")
    desk.keyboard.type("13800138000")
    desk.keyboard.press("Enter")
    expect(desk.locator(f"{OWNER} .error p")).to_have_text(WORDS["failed"][0])
    fake.broken = False
    desk.click(f"{OWNER} >> text=重试")
    eventually(lambda: [said["contact"] for said in fake.heard] == ["13800138000"])
    expect(desk.locator(f"{OWNER} .message.mine")).to_have_count(0)


def test_in_the_admin_group_any_file_can_be_sent(fake: Fake, desk: Page) -> None:
    roster = {"name": "三号楼业主名册（2026 年 3 月更新）.csv", "mimeType": "text/csv", "buffer": b"a,b"}
    picture = {"name": "漏水.png", "mimeType": "image/png", "buffer": PIXEL}
    for phone in (STAFF, OWNER):
        desk.set_input_files(f"{phone} input[type=file]", [roster, picture])
    expect(desk.locator(f"{STAFF} .draft")).to_have_count(2)
    expect(desk.locator(f"{OWNER} .draft")).to_have_count(1)
    expect(desk.locator(f"{STAFF} .attach")).to_have_attribute("title", WORDS["attach_any"][0])
    expect(desk.locator(f"{OWNER} .attach")).to_have_attribute("title", WORDS["attach"][0])
    fake.broken = True
    desk.press(f"{STAFF} textarea", "Enter")
    expect(desk.locator(f"{STAFF} .failed .file")).to_have_text(f"📎 {roster['name']}")
    fake.broken = False
    desk.click(f"{STAFF} >> text=重试")
    eventually(lambda: len(fake.heard) == 1)
    assert fake.heard[0]["uploads"] == [
        Upload(str(roster["name"]), "text/csv", b"a,b"),
        Upload("漏水.png", "image/png", PIXEL),
    ]
    fake.post("group:office", "", sender="zhou", files=(str(roster["name"]),))
    expect(desk.locator(f"{STAFF} .mine .file").last).to_have_text(f"📎 {roster['name']}")


def test_in_the_admin_group_one_replies_to_a_message_of_ours(fake: Fake, desk: Page) -> None:
    card = "投诉 12：楼道三天没打扫 <b>"
    fake.post("group:office", card)
    fake.post("group:office", "谁去？", sender="lin")
    fake.post("private:chen", "您好")
    reply, bar = desk.locator(f"{STAFF} .reply"), desk.locator(f"{STAFF} .answering")
    expect(reply).to_have_count(1)
    expect(desk.locator(f"{OWNER} .text")).to_have_text("您好")
    expect(desk.locator(f"{OWNER} .reply")).to_have_count(0)
    expect(bar).to_be_hidden()
    reply.focus()
    desk.keyboard.press("Enter")
    expect(bar.locator("span")).to_have_text(f"回复：{card}")
    expect(desk.locator(f"{STAFF} textarea")).to_be_focused()
    desk.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    reply.click()
    bar.locator("button").click()
    expect(bar).to_be_hidden()
    reply.click()
    desk.keyboard.type("今天打扫")
    desk.keyboard.press("Enter")
    expect(bar).to_be_hidden()
    eventually(lambda: len(fake.heard) == 1)
    desk.keyboard.type("谢谢")
    desk.keyboard.press("Enter")
    eventually(lambda: len(fake.heard) == 2)
    shown = fake.places["group:office"][0].id
    assert [(said["text"], said["replies_to"]) for said in fake.heard] == [("今天打扫", shown), ("谢谢", "")]


def test_somebody_else_can_hold_the_phone(fake: Fake, desk: Page) -> None:
    fake.post("private:new", "您好，您是哪一户？")
    desk.select_option(f"{OWNER} select", label="陌生人 · 还没登记")
    expect(desk.locator(f"{OWNER} .text")).to_have_text("您好，您是哪一户？")
    desk.reload()
    expect(desk.locator(f"{OWNER} select")).to_have_value("new")
    expect(desk.locator(f"{OWNER} .text")).to_have_text("您好，您是哪一户？")


def test_the_clock_the_reset_and_the_suggestions(fake: Fake, desk: Page) -> None:
    desk.click("text=+10 分钟")
    expect(desk.locator("#now")).to_have_text("周日 11-22 14:15")
    desk.click(".suggest >> text=电梯里困了人")
    expect(desk.locator(f"{OWNER} .message")).to_have_count(2)
    desk.click("#reset")
    desk.keyboard.press("Escape")
    expect(desk.locator(f"{OWNER} .message")).to_have_count(2)
    desk.click("#reset")
    desk.click("#reset-yes")
    expect(desk.locator(f"{OWNER} .message")).to_have_count(0)
    expect(desk.locator(f"{OWNER} .empty")).to_have_text("还没有消息")


def test_alt_and_a_number_jump_to_a_phone(desk: Page) -> None:
    desk.keyboard.press("Alt+3")
    expect(desk.locator("[data-slot=staff] textarea")).to_be_focused()
    desk.keyboard.press("Alt+5")
    expect(desk.locator("[data-slot=board] .log")).to_be_focused()


def test_five_phones_fit_side_by_side(desk: Page) -> None:
    tops = [box["y"] for phone in desk.locator(".phone").all() if (box := phone.bounding_box())]
    assert len(tops) == 5 and len(set(tops)) == 1
    assert desk.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        1440,
        900,
    ]


def test_a_narrow_page_shows_one_phone_and_marks_the_others(fake: Fake, mobile: Page) -> None:
    expect(mobile.locator(".phone:visible")).to_have_count(1)
    assert mobile.evaluate("document.documentElement.scrollWidth") == 390
    fake.post("private:li", "紧急报修 1", urgent=True)
    tab = mobile.locator(".tabs [data-slot=crew]")
    expect(tab.locator(".dot")).to_be_visible()
    tab.click()
    expect(mobile.locator(f"{CREW} .text")).to_be_visible()
    expect(tab.locator(".dot")).to_be_hidden()
    unhindered(mobile)


def test_a_lost_connection_is_said_and_everything_is_fetched_again(fake: Fake, desk: Page) -> None:
    fake.tell(None)  # the stream ends, as it does when the server goes
    expect(desk.locator("#banner")).to_have_text("连接中断，正在重连…")
    fake.places["board"] = [Message("board:9", False, "断线时的公示", "14:06")]
    expect(desk.locator("[data-slot=board] .text")).to_have_text("断线时的公示")
    expect(desk.locator("#banner")).to_be_hidden()
