"""Linli on Telegram: the real client talks with a strict server, from the claim of the admin group to a repair done."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot import settings
from bot.app import App
from handlers.codes import claim_codes, invitations
from handlers.roster import add_community, import_roster, read_roster
from handlers.tell import tell_staff
from handlers.tx import Tx
from store.tables import Community, Inbox, Outgoing, Place
from tests.bot_api import BotApi, Group, User
from tests.people import ROSTER, photo
from tests.test_bot_api import emulator

QUICK = {"per_second": 1000, "chat_per_second": 1000, "group_per_minute": 60000}
MEMBERS = {"owner": "陈女士", "neighbour": "周先生", "crew": "李师傅", "plumber": "王师傅"}


class Town:
    """A community on the strict server: its people with their phones, its groups, and the program."""

    def __init__(self, app: App, api: BotApi) -> None:
        self.app, self.api = app, api
        self.community = app.database.write_now(self._furnish)
        names = {"owner": "Chen", "neighbour": "Zhou", "crew": "Li", "plumber": "Wang", "boss": "刘经理"}
        self.people = {role: api.user(name) for role, name in names.items()}

    def _furnish(self, session: Session) -> Community:
        tx = Tx(session, self.app.clock.now(), self.app.house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        return community

    def write(self, work: Callable[[Tx], Any]) -> Any:
        return self.app.database.write_now(
            lambda session: work(Tx(session, self.app.clock.now(), self.app.house))
        )

    def code(self, name: str) -> str:
        made = self.write(lambda tx: invitations(tx, self.community, name, "telegram"))
        return str(made[0].code)

    def claim_code(self) -> str:
        return str(self.write(lambda tx: claim_codes(tx, "telegram", but=()))[0][1])

    async def sees(self, who: User | Group, text: str, *labels: str) -> Any:
        return await self.api.until(lambda: who.sees(text, *labels))

    async def taps(self, who: User, label: str, where: User | Group | None = None, text: str = "") -> Any:
        chat = where if isinstance(where, Group) else (where or who).chat

        def standing() -> Any:  # what is done with has lost its buttons
            found = [each for each in chat.from_bot if text in each.text and label in each.buttons]
            assert found and self.are_one(found), (
                f"{label!r} stands {len(found)} times in {[m.text for m in chat.from_bot]}"
            )
            return found[-1]

        return who.taps(await self.api.until(standing), label)

    def are_one(self, found: list[Any]) -> bool:
        """Whether these are what we wanted to say once."""
        return len(found) == 1

    async def comes_in(self, role: str) -> User:
        """Somebody opens their link, and agrees to what is stored."""
        self.people[role].starts(self.code(MEMBERS[role]))
        await self.taps(self.people[role], "同意，开始")
        await self.sees(self.people[role], f"{MEMBERS[role]}，")
        return self.people[role]

    async def claims(self, *, forum: bool = False, supergroup: bool = True, **rights: bool) -> Group:
        """The boss makes the admin group, with the bot as an administrator of these rights."""
        boss = self.people["boss"]
        self.office = self.api.group("物业管理群", boss, forum=forum, supergroup=supergroup)
        self.office.adds_bot(boss, **rights)
        await self.sees(self.office, "还没有连到小区")
        boss.writes(f"/claim {self.claim_code()}", self.office)
        await self.sees(self.office, "的物业管理群")
        return self.office

    async def moves_in(self, roles: Iterable[str] = MEMBERS) -> None:
        """These come in by their link; the groups are claimed and linked."""
        for role in roles:
            await self.comes_in(role)
        boss = self.people["boss"]
        await self.claims()
        await self.taps(boss, "连接业主群", self.office)
        command = (await self.sees(self.office, "一小时内")).text.splitlines()[-1]
        self.board = self.api.group("阳光花园业主群", self.people["neighbour"])
        self.board.adds_bot(self.people["neighbour"])
        self.people["neighbour"].writes(command, self.board)
        await self.sees(self.board, "业主群")
        await self.sees(self.office, "业主群已连上")

    def read(self, query: Any) -> list[Any]:
        with self.app.database.read() as session:
            return list(session.exec(query).all())


@asynccontextmanager
async def program(data: Path, api: Any, **sections: Any) -> AsyncIterator[App]:
    """The program on this data, started; the playground is part of it."""
    found = settings.load(
        store={"data": str(data)},
        telegram={"token": api.token, "base_url": api.url, **QUICK},
        policy={"office_phone": "021-5555 0110"},
        **sections,
    )
    app = App(found)
    assert app.telegram is not None
    app.telegram.album_seconds = 0.05
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    async with BotApi(flood=False) as made:
        yield made
        assert made.mistakes == []


@pytest.fixture
async def town(api: BotApi, tmp_path: Path) -> AsyncIterator[Town]:
    async with program(tmp_path / "data", api) as app:
        made = Town(app, api)
        await made.moves_in()
        yield made


async def goes_the_whole_way(town: Town) -> None:
    """An ordinary repair, from the first word to the owner's confirmation, in every chat that it concerns."""
    owner, neighbour, plumber = (town.people[role] for role in ("owner", "neighbour", "plumber"))
    owner.writes("报修")
    await town.taps(owner, "我家")
    await town.sees(owner, "什么坏了")
    owner.writes("厨房水龙头滴水")
    await town.taps(owner, "随时可以")
    owner.sends_album([photo(30), photo(31), photo(32)])
    await town.taps(owner, "好了", text="收到 3 张")
    await town.taps(owner, "提交", text="厨房水龙头滴水")
    await town.sees(owner, "王师傅")
    await town.sees(town.office, "厨房水龙头滴水", "升级为紧急")
    await town.sees(town.board, "水龙头")
    await town.sees(neighbour, "水龙头")
    assert "1201" not in town.board.sees("水龙头").text
    await town.taps(plumber, "接单")
    await town.sees(owner, "王师傅已接单")
    await town.taps(plumber, "我出发了")
    await town.taps(plumber, "修好了")
    plumber.sends_photo(photo(50), caption="换了垫圈")
    await town.taps(plumber, "好了", text="收到 1 张")
    await town.taps(owner, "确认修好", text="王师傅")
    await town.sees(town.board, "已修好")


async def test_a_repair_goes_its_whole_way(town: Town) -> None:
    crew, plumber = town.people["crew"], town.people["plumber"]
    boss_group = town.office
    playground = town.app.browser
    await playground.open()
    assert playground.community == "阳光花园"
    await goes_the_whole_way(town)
    assert sum(shown.photos for shown in plumber.messages if shown.sender_id == town.api.bot_id) == 3
    assert [row.state for row in town.read(select(Outgoing).where(Outgoing.state == "failed"))] == []
    assert town.read(select(Inbox).where(Inbox.state == "failed")) == []
    assert all(tap.answered for tap in town.api.taps.values())
    number = town.community.id
    # The same community is live in the playground.
    for chat in (f"{number}.board", f"{number}.staff"):
        await town.api.until(
            lambda chat=chat: [
                message
                for message in playground.history(chat, chat)
                if "水龙头" in message.text and "已修好" in message.text
            ]
        )
    said = await playground.say(place=f"{number}.p2", who=f"{number}.p2", key="1", text="电梯里困了人")
    assert said == ""
    await town.taps(crew, "接单", text="紧急报修 2")
    await town.sees(boss_group, "紧急报修 2")
    await town.api.until(lambda: [m for m in playground.history(f"{number}.board", "") if "报修 2" in m.text])


async def test_an_emergency_reaches_the_crew_at_once(town: Town) -> None:
    owner, crew, boss = (town.people[role] for role in ("owner", "crew", "boss"))
    owner.writes("电梯里困了人")
    await town.sees(crew, "紧急报修", "接单")
    await town.sees(town.office, "紧急报修")
    await town.taps(crew, "接单")
    await town.sees(owner, "李师傅已接单")
    boss.writes("/tickets", town.office)
    await town.sees(town.office, "1", "查看 1")


async def reports(town: Town, who: User, words: str = "厨房水龙头滴水") -> None:
    who.writes(words)
    await town.taps(who, "提交", text=words)
    await town.sees(who, f"{words}\n属一般报修")


# --- buttons ----------------------------------------------------------------------------------------


async def test_a_button_goes_with_its_press_and_the_message_says_who(town: Town) -> None:
    owner, boss, plumber = (town.people[role] for role in ("owner", "boss", "plumber"))
    await reports(town, owner)
    shown = await town.sees(town.office, "厨房水龙头滴水", "升级为紧急")
    boss.taps(shown, "升级为紧急")
    boss.taps(shown, "升级为紧急")
    marked = await town.sees(town.office, "✓ 升级为紧急 · 刘经理")
    assert "升级为紧急" not in marked.buttons
    await town.api.until(lambda: all(tap.answered for tap in town.api.taps.values()))
    await town.sees(owner, "物业已把报修 1 升级为紧急")
    page = await town.sees(plumber, "紧急报修", "接单")
    plumber.taps(page, "接单")
    await town.sees(plumber, "✓ 接单", "我出发了")
    assert [shown for shown in plumber.messages if "接单" in shown.buttons] == []
    await town.sees(owner, "王师傅已接单")
    assert len([row for row in owner.messages if "物业已把报修 1 升级为紧急" in row.text]) == 1


# --- groups -----------------------------------------------------------------------------------------


async def test_a_group_that_becomes_a_supergroup_stays_the_admin_group(api: BotApi, tmp_path: Path) -> None:
    async with program(tmp_path / "data", api) as app:
        town = Town(app, api)
        owner, boss = await town.comes_in("owner"), town.people["boss"]
        office = await town.claims(supergroup=False)
        office.upgrades()
        owner.writes("电梯里困了人")
        await town.sees(office, "紧急报修")
        boss.writes("/tickets", office)
        await town.sees(office, "电梯里困了人", "查看 1")
        assert len(town.read(select(Place).where(Place.kind == "staff", Place.messenger == "telegram"))) == 1


async def test_a_group_that_moved_while_nobody_heard_of_it_is_followed(api: BotApi, tmp_path: Path) -> None:
    async with program(tmp_path / "data", api) as app:
        town = Town(app, api)
        office = await town.claims(supergroup=False)
        api.queue.allowed = ["callback_query"]  # the news of the move is lost
        office.upgrades()
        town.write(lambda tx: tell_staff(tx, town.community.id, "place.linked_staff"))
        app.delivery.wake.set()
        await town.sees(office, "业主群已连上")


async def test_repairs_have_a_topic_of_their_own_where_there_are_topics(api: BotApi, tmp_path: Path) -> None:
    async with program(tmp_path / "data", api) as app:
        town = Town(app, api)
        owner, boss = await town.comes_in("owner"), town.people["boss"]
        office = await town.claims(forum=True, can_manage_topics=True)
        owner.writes("电梯里困了人")
        page = await town.sees(office, "紧急报修")
        assert [topic.name for topic in office.topics.values()] == ["报修"]
        assert page.thread in office.topics
        talk = office.makes_topic("闲聊")
        office.writes_in(talk, boss, "/tickets")
        await api.until(lambda: [shown for shown in office.from_bot if shown.thread == talk])
        await town.taps(owner, "取消")
        await town.sees(owner, "不再问了")
        office.deletes_topic(page.thread)
        await reports(town, owner)
        again = await town.sees(office, "厨房水龙头滴水", "升级为紧急")
        assert again.thread in office.topics
        assert again.thread not in (page.thread, talk)


async def test_without_the_right_to_make_topics_all_stands_in_the_general_one(
    api: BotApi, tmp_path: Path
) -> None:
    async with program(tmp_path / "data", api) as app:
        town = Town(app, api)
        owner = await town.comes_in("owner")
        office = await town.claims(forum=True, can_manage_topics=False)
        owner.writes("电梯里困了人")
        assert (await town.sees(office, "紧急报修")).thread is None


async def test_whoever_leaves_the_admin_group_acts_no_more(town: Town) -> None:
    owner, boss = town.people["owner"], town.people["boss"]
    clerk = town.api.user("小赵")
    town.office.joins(clerk, boss)
    clerk.writes("/tickets", town.office)
    await town.sees(town.office, "没有未完成")
    clerk.starts()
    await town.taps(clerk, "同意，开始")
    await town.sees(clerk, "小赵，物业的事")
    await reports(town, owner)
    town.office.leaves(clerk)
    clerk.writes("/link")
    await town.sees(clerk, "不归您办理")
    clerk.writes("/help")
    await town.sees(clerk, "还没有登记进来")


async def test_a_press_of_who_is_not_in_the_group_any_more_makes_nobody_staff(town: Town) -> None:
    owner, boss = town.people["owner"], town.people["boss"]
    clerk = town.api.user("小赵")
    town.office.joins(clerk, boss)
    await reports(town, owner)
    shown = await town.sees(town.office, "厨房水龙头滴水", "升级为紧急")
    town.office.leaves(clerk)
    clerk.taps(shown, "升级为紧急")
    await town.sees(town.office, "小赵，我还不确定")
    assert "升级为紧急" in town.office.sees("厨房水龙头滴水", "升级为紧急").buttons


async def test_who_joined_acts_with_the_first_press(town: Town) -> None:
    owner, boss = town.people["owner"], town.people["boss"]
    clerk = town.api.user("小赵")
    town.office.joins(clerk, boss)
    await reports(town, owner)
    await town.taps(clerk, "升级为紧急", town.office)
    await town.sees(town.office, "✓ 升级为紧急 · 小赵")


async def test_without_the_playground_nobody_is_reached_in_it(api: BotApi, tmp_path: Path) -> None:
    """Whoever was only tried in the playground before has no phone: pages must not go there."""
    async with program(tmp_path / "data", api) as app:
        town = Town(app, api)
        await app.browser.open()
        code, master = town.code("陈女士"), town.code("王师傅")
    async with program(tmp_path / "data", api, playground={"enabled": False}) as app:
        town.app = app
        owner, plumber = town.people["owner"], town.people["plumber"]
        owner.starts(code)
        plumber.starts(master)
        await town.taps(owner, "同意，开始")
        await town.taps(plumber, "同意，开始")
        await town.sees(owner, "陈女士，您好")
        await town.sees(plumber, "王师傅，派给您的")
        owner.writes("电梯里困了人")
        await town.sees(plumber, "紧急报修", "接单")
        await town.api.until(lambda: town.read(select(Outgoing).where(Outgoing.state == "unreachable")))
        unserved = select(Place.id).where(Place.messenger == "browser")
        waits = select(Outgoing).where(col(Outgoing.place_id).in_(unserved), Outgoing.state == "waiting")
        assert town.read(waits) == []
        assert town.read(select(Outgoing).where(col(Outgoing.place_id).in_(unserved))) == []


# --- people -----------------------------------------------------------------------------------------


async def test_whoever_blocks_the_bot_hears_from_it_when_they_come_back(town: Town) -> None:
    owner, neighbour = town.people["owner"], town.people["neighbour"]
    neighbour.blocks()
    await reports(town, owner)
    await town.sees(town.board, "水龙头")
    assert not [shown for shown in neighbour.messages if "报修 1" in shown.text]
    neighbour.unblocks()
    neighbour.writes("/help")
    await town.sees(neighbour, "周先生，您好")
    await reports(town, owner, "卫生间马桶堵了")
    await town.sees(neighbour, "马桶")


@pytest.mark.parametrize(
    ("sends", "answer"),
    [
        (lambda owner: owner.sends_voice(), "现在有危险"),
        (lambda owner: owner.sends_video(b"no video"), "不是能播放的语音或视频"),
        (lambda owner: owner.sends_document(b"%PDF-1.4"), "不是照片"),
        (lambda owner: owner.sends_document(b"x", "a.jpg", "image/jpeg", size=30_000_000), "太大了"),
        (lambda owner: owner.sends_sticker(), "还看不懂"),
        (lambda owner: owner.sends_contact("8613800138000", owner.id), "138****8000 已记下"),
        (lambda owner: owner.sends_location(31.23, 121.47), "没看懂这句话"),
        (lambda owner: owner.edits(owner.writes("你好"), "您好啊"), "您改了之前发的话"),
        (lambda owner: owner.writes("/help@linli_test_bot"), "陈女士，您好"),
    ],
    ids=["voice", "video", "file", "too large", "sticker", "contact", "location", "edit", "command"],
)
async def test_whatever_comes_is_answered(town: Town, sends: Callable[[User], Any], answer: str) -> None:
    owner = town.people["owner"]
    before = len(town.read(select(Inbox)))
    sends(owner)
    await town.sees(owner, answer)
    await town.api.until(lambda: len(town.read(select(Inbox))) > before)
    assert town.read(select(Inbox).where(Inbox.state == "failed")) == []


async def test_a_place_that_is_shared_is_where_the_crew_should_go(town: Town) -> None:
    owner, crew = town.people["owner"], town.people["crew"]
    owner.writes("着火了")
    await town.sees(crew, "紧急报修", "接单")
    owner.sends_location(31.23045, 121.4737)
    await town.sees(crew, "📍 31.23045, 121.47370")


async def test_names_and_words_are_shown_as_they_were_typed(town: Town) -> None:
    owner, plumber = town.people["owner"], town.people["plumber"]
    words = "<b>水龙头</b> *滴水* _很久_ [了](http://a.b) & `x` #1 @all"
    await reports(town, owner, words)
    shown = await town.sees(plumber, words, "接单")
    assert not [
        entity for entity in shown.entities if entity["type"] in ("bold", "italic", "text_link", "code")
    ]


# --- the bot itself ---------------------------------------------------------------------------------


async def test_the_bot_introduces_itself_in_both_languages(town: Town) -> None:
    api, owner = town.api, town.people["owner"]
    foreigner = api.user("Smith", language_code="en")
    await api.until(lambda: ("description", "en") in api.words and api.menu_buttons)
    for_owners = [
        "repair",
        "board",
        "sell",
        "complain",
        "public",
        "votes",
        "purchase",
        "purchases",
        "my",
        "overdue",
        "figures",
        "notices",
        "disclosures",
        "rules",
        "equipment",
        "agents",
        "notify",
        "mute",
        "mydata",
    ]
    for_owners += ["forget"]
    assert list(owner.menu()) == [*for_owners, "language", "help"]
    assert (owner.menu()["repair"], foreigner.menu()["repair"]) == ("报修", "Report a repair")
    for_staff = [
        "public",
        "waiting",
        "tickets",
        "notice",
        "notices",
        "disclosures",
        "incidents",
        "overdue",
        "figures",
        "times",
        "rulings",
        "rules",
        "votes",
        "poll",
        "purchases",
        "home",
        "crew",
        "committee",
    ]
    for_staff += ["manager", "roster", "equipment", "spots", "canvass", "papers", "audit", "link", "help"]
    await api.until(lambda: list(town.people["boss"].menu(town.office)) == for_staff)


async def test_a_second_start_sets_nothing_again(api: BotApi, tmp_path: Path) -> None:
    for _ in range(2):
        async with program(tmp_path / "data", api):
            await api.until(lambda: api.menu_buttons)
    assert len([call for call in api.calls if call.method == "setMyName"]) == 2  # one for each language


async def test_a_wrong_token_ends_in_words_without_the_token(
    api: BotApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = settings.load(
        store={"data": str(tmp_path / "data")},
        telegram={"token": "987654321:AAF-another_token_0123456789abcdefghij", "base_url": api.url},
    )
    app = App(found)
    assert app.telegram is not None
    assert not await app.telegram.is_reached()
    await app.stop()
    assert "another_token" not in caplog.text


async def test_an_independent_server_takes_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the emulator can do: polling, private chats, texts with buttons, edits, callbacks."""
    monkeypatch.setattr("bot.telegram.NO_PREVIEW", None)  # it does not know this parameter
    people = BotApi()  # only makes the updates
    async with emulator() as (other, url):
        there = SimpleNamespace(token=people.token, url=url)
        async with program(tmp_path / "data", there) as app:
            town = Town(app, people)
            owner = town.people["owner"]

            async def told(words: str) -> Outgoing:
                for update in people.updates[len(handed) :]:
                    handed.append(update)
                    await other.enqueue_update(update, token=people.token)
                sent = select(Outgoing).where(Outgoing.state == "sent", col(Outgoing.text).contains(words))
                return (await people.until(lambda: town.read(sent)))[-1]

            handed: list[Any] = []
            owner.starts(town.code("陈女士"))
            await told("欢迎来到")
            owner.writes("同意")
            await told("陈女士，您好，这里是")
            owner.writes("报修")
            await told("哪里需要报修")
            owner.writes("我家")
            await told("什么坏了")
            owner.writes("厨房水龙头滴水")
            question = await told("师傅什么时候可以上门")
            body = {"message_id": int(question.message_id), "date": 1, "chat": owner.chat.card(), "text": "?"}
            owner.chat.keep({**body, "from": people.bot_card()})
            owner.forges(owner.messages[-1], question.buttons[0]["value"])
            await told("✓ 随时可以")
            owner.writes("跳过")
            await told("请看一下对不对")
            owner.writes("提交")
            await told("已登记")
            assert town.read(select(Outgoing).where(Outgoing.state == "failed")) == []
            assert town.read(select(Inbox).where(Inbox.state == "failed")) == []
