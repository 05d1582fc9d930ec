"""How people come in, how groups become the community's, and what becomes of a chat that changes."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from conversations.said import Change
from handlers.codes import Invitation, claim_codes, code_in, code_quoted, invitations, new_code
from handlers.people import new_person
from handlers.roster import add_community, add_place
from handlers.tx import Tx
from store.tables import Account, Audit, Code, Inbox, Outgoing, Person, Place, Role
from tests.people import NAME, Building, Phone

pytestmark = pytest.mark.by_hand  # codes and groups on Telegram: tests/bot/test_telegram.py


def write(building: Building, work: Any) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def claim_code(building: Building) -> str:
    """The code that the terminal prints, after the fixture's own admin group has gone."""
    for place in building.read(select(Place).where(Place.external_id == "staff")):
        place.kind = "group"
        building.app.database.write_now(lambda session, place=place: session.merge(place))
    ((name, code),) = write(building, lambda tx: claim_codes(tx, NAME, but=()))
    assert name == "阳光花园"
    return code


def invitation(building: Building, name: str) -> str:
    """A link's code for somebody of the roster, who has no account yet."""

    def work(tx: Tx) -> str:
        person = tx.session.exec(select(Person).where(Person.name == name)).first()
        assert person is not None
        for account in tx.session.exec(select(Account).where(Account.person_id == person.id)):
            tx.session.delete(account)
        for place in tx.session.exec(select(Place).where(Place.person_id == person.id)):
            place.person_id, place.external_id = None, f"old {place.external_id}"
        tx.session.flush()
        (made,) = invitations(tx, building.community, name, NAME)
        return made.code

    return write(building, work)


def group(building: Building, member: str, chat: str = "g1") -> Phone:
    return Phone(building, member, chat, "group")


async def changes(phone: Phone, kind: str, **what: str) -> None:
    await phone._send(change=Change(kind=kind, **what))


# --- codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/start K7PQ2-9MXTR", "K7PQ2-9MXTR"),
        ("/claim k7pq29mxtr", "k7pq29mxtr"),
        (" /link  K7PQ2-9MXTR ", "K7PQ2-9MXTR"),
        ("K7PQ2-9MXTR", "K7PQ2-9MXTR"),
        ("/start", ""),
        ("/start K7PQ2-9MXTR 谢谢", ""),
        ("/repair K7PQ2-9MXTR", ""),
        ("水龙头一直滴水滴水滴水", ""),
        ("ＡＢＣＤＥ12345", ""),
    ],
)
def test_a_code_is_typed_alone_or_after_its_command(text: str, code: str) -> None:
    assert code_in(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("给赵师傅的邀请码：5CDX6-PNV2G（30 天内有效，只能用一次）\n请只转给本人。", "5CDX6-PNV2G"),
        ("5cdx6 pnv2g", "5CDX6-PNV2G"),
        ("K7PQ2-9MXTR 还是 5CDX6-PNV2G？", ""),
        ("great-place, there-where", ""),
        ("我住 3-2-1201，电话 13800000101", ""),
    ],
)
def test_a_letter_that_is_passed_on_brings_its_code(text: str, code: str) -> None:
    assert code_quoted(text) == code


async def test_only_the_hash_of_a_code_is_kept(building: Building) -> None:
    code = claim_code(building)
    (row,) = building.read(select(Code))
    assert code.replace("-", "") not in str(row.model_dump()).upper()


async def test_a_link_brings_its_person_in_once(building: Building) -> None:
    code = invitation(building, "陈女士")
    new, thief = Phone(building, "chen", "chen"), Phone(building, "thief", "thief")
    await new.says("你好")
    new.sees("我还不认识您")
    await new.says(f"/start {code}")
    new.sees("欢迎来到阳光花园", "同意，开始", "不同意")
    await new.taps("同意，开始")
    new.sees("陈女士，您好", "报修")
    await thief.says(f"/start {code}")
    thief.sees("已经用过")
    await new.says(f"/start {code}")
    new.sees("已经用过了，就在这里")
    await new.says("电梯里困了人")
    new.sees("紧急")


async def test_a_link_ends_with_its_time(building: Building) -> None:
    code = invitation(building, "陈女士")
    building.clock.at += timedelta(days=31)
    new = Phone(building, "chen", "chen")
    await new.says(code)
    new.sees("过期")


async def test_a_new_link_ends_the_one_before(building: Building) -> None:
    """Whoever asks for another letter has lost the first, and nobody knows who found it."""
    lost = invitation(building, "陈女士")
    second = write(building, lambda tx: invitations(tx, building.community, "陈女士", NAME))[0].code
    new, thief = Phone(building, "chen", "chen"), Phone(building, "thief", "thief")
    await thief.says(f"/start {lost}")
    thief.sees("不对，或者已经用过")
    await new.says(f"/start {second}")
    new.sees("欢迎来到")


async def test_an_invitation_of_everybody_leaves_the_letters_that_are_out(building: Building) -> None:
    def invite(**options: Any) -> list[Invitation]:
        made: list[Invitation] = write(
            building, lambda tx: invitations(tx, building.community, "", "pigeon", **options)
        )
        return made

    everybody = building.read(select(Person.name).order_by(Person.id))
    first = invite(building="3")
    assert {each.building for each in first} == {"3"}
    rest = invite()
    assert sorted(each.name for each in (*first, *rest)) == sorted(everybody)
    assert invite() == []
    assert len(invite(again=True)) == len(everybody)
    assert len([code for code in building.read(select(Code)) if code.used_at is None]) == len(everybody)
    building.clock.at += timedelta(days=31)
    assert len(invite()) == len(everybody)


async def test_who_has_moved_out_or_was_forgotten_is_not_invited_with_everybody(building: Building) -> None:
    def work(tx: Tx) -> list[Invitation]:
        new_person(tx, building.community.id, "")
        new_person(tx, building.community.id, "钱先生")
        assert not {"", "钱先生"} & {each.name for each in invitations(tx, building.community, "", "pigeon")}
        return invitations(tx, building.community, "钱先生", "pigeon")

    (made,) = write(building, work)
    assert (made.name, made.about, made.building) == ("钱先生", "", "")


async def test_an_invitation_names_the_home_or_the_work(building: Building) -> None:
    made = write(building, lambda tx: invitations(tx, building.community, "", "pigeon"))
    shown = {each.name: (each.about, each.building) for each in made}
    assert shown["陈女士"] == ("3 号楼 2 单元 1201", "3")
    assert shown["王师傅"] == ("维修", "")


async def test_whoever_spoke_in_the_admin_group_first_comes_in_by_their_link(
    building: Building, owner: Phone
) -> None:
    code = invitation(building, "王师傅")
    here = group(building, "wang", "g3")
    await here.says(f"/claim {claim_code(building)}")
    await here.says("/tickets")
    private = Phone(building, "wang", "wang")
    await private.says(f"/start {code}")
    await private.taps("同意，开始")
    private.sees("王师傅，派给您的工单")
    await owner.says("厨房水龙头滴水")
    await owner.taps("提交")
    private.sees("报修 1", "接单")
    await here.taps("升级为紧急")
    owner.sees("紧急")


async def test_whoever_is_known_already_takes_nobody_elses_link(building: Building, neighbour: Phone) -> None:
    code = invitation(building, "陈女士")
    await neighbour.says(f"/start {code}")
    neighbour.sees("已经登记过了")
    new = Phone(building, "chen", "chen")
    await new.says(f"/start {code}")
    new.sees("欢迎来到")  # it was not used up


async def test_a_personal_code_is_no_code_for_a_group(building: Building) -> None:
    code = invitation(building, "陈女士")
    somebody = group(building, "chen")
    await somebody.says(f"/start {code}")
    somebody.sees("已经作废")
    thief = Phone(building, "thief", "thief")
    await thief.says(f"/start {code}")
    thief.sees("不对")


# --- the admin group and the owners' group ----------------------------------------------------------


async def test_the_admin_group_is_claimed_once_and_whoever_acts_there_is_staff(
    building: Building, owner: Phone
) -> None:
    code = claim_code(building)
    boss = group(building, "boss")
    await changes(boss, "added")
    boss.sees("还没有连到小区")
    await boss.says("大家好")
    boss.sees_nothing()
    await boss.says("/claim AAAAA-AAAAA")
    boss.sees("不对")
    await boss.says(f"/claim {code}")
    boss.sees("管理群", "连接业主群")
    other = group(building, "thief", "g2")
    await other.says(f"/claim {code}")
    other.sees("不对")
    await owner.says("厨房水龙头滴水")
    await owner.taps("提交")
    await boss.taps("升级为紧急")
    owner.sees("紧急")
    (person,) = building.read(select(Person).where(Person.name == "boss"))
    assert [row.action for row in building.read(select(Audit))] == ["repair.raise:1"]
    assert building.read(select(Role.role).where(Role.person_id == person.id)) == ["staff"]


async def test_whoever_leaves_the_admin_group_is_staff_no_longer(building: Building) -> None:
    code = claim_code(building)
    boss = group(building, "boss")
    await boss.says(f"/claim {code}")
    await boss.says("/tickets")
    private = Phone(building, "boss", "boss")
    await private.says("你好")
    await private.taps("同意，开始")
    private.sees("请在管理群里办")
    await private.says("/link")
    private.sees("不归您办理")  # whoever acts for the community does it where their colleagues see it
    await changes(group(building, "other"), "left", account="boss")
    await private.says("/help")
    private.sees("还没有登记进来")


async def test_the_owners_group_is_linked_from_the_admin_group(
    building: Building, office: Phone, owner: Phone
) -> None:
    await office.says("/link")
    code = office.sees("一小时内").text.rpartition("/link ")[2]
    here = group(building, "anybody")
    await office.says(f"/link {code}")
    office.sees("请把这个码发到业主群里")
    await here.says(f"/start {code}")
    here.sees("业主群")
    office.sees("业主群已连上")
    await here.says("厨房水龙头滴水")
    here.sees_nothing()
    await owner.says("电梯里困了人")
    here.sees("电梯")


async def test_a_group_code_is_no_code_for_a_private_chat(building: Building, owner: Phone) -> None:
    code = claim_code(building)
    await owner.says(f"/claim {code}")
    owner.sees("发到那个群里")


async def test_words_in_a_group_are_no_codes(building: Building, office: Phone) -> None:
    here = group(building, "anybody")
    for words in ("everything", "4008001234", "ABCDE-12345"):
        await here.says(words)
        here.sees_nothing()


async def test_no_code_takes_a_group_from_another_community(building: Building, office: Phone) -> None:
    await office.says("/link")
    code = office.sees("一小时内").text.rpartition("/link ")[2]

    def elsewhere(tx: Tx) -> None:
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        add_place(tx, other, NAME, "theirs", "board")

    write(building, elsewhere)
    theirs = group(building, "anybody", "theirs")
    await theirs.says(f"/link {code}")
    theirs.sees("属于别的小区")
    assert [p.community_id for p in building.read(select(Place).where(Place.external_id == "theirs"))] == [2]


async def test_a_new_admin_group_ends_the_old_one_s_rights(building: Building) -> None:
    boss, mallory = group(building, "boss"), group(building, "mallory")
    await boss.says(f"/claim {claim_code(building)}")
    await mallory.says("/tickets")
    ((_, code),) = [(0, write(building, lambda tx: new_code(tx, building.community.id, "staff", hours=1)))]
    await group(building, "boss", "g9").says(f"/claim {code}")
    await mallory.says("/link")
    mallory.sees("还没有连到小区")
    private = Phone(building, "mallory", "mallory")
    await private.says("/link")
    private.sees("申请登记之前", "同意，开始")


async def test_the_owners_group_never_becomes_the_admin_group(building: Building, owner: Phone) -> None:
    here = group(building, "anybody", "board")
    code = write(building, lambda tx: new_code(tx, building.community.id, "staff", hours=1))
    await here.says(f"/claim {code}")
    here.sees("这里是业主群，不能认领")
    assert building.read(select(Place.kind).where(Place.external_id == "board")) == ["board"]


async def test_after_the_bot_was_put_out_another_group_can_be_claimed(building: Building) -> None:
    boss = group(building, "boss")
    await boss.says(f"/claim {claim_code(building)}")
    assert write(building, lambda tx: claim_codes(tx, NAME, but=())) == []
    await changes(boss, "removed")
    assert len(write(building, lambda tx: claim_codes(tx, NAME, but=()))) == 1


async def test_a_group_that_was_replaced_while_we_were_out_stays_replaced(building: Building) -> None:
    boss = group(building, "boss")
    await boss.says(f"/claim {claim_code(building)}")
    await changes(boss, "removed")
    ((_, code),) = write(building, lambda tx: claim_codes(tx, NAME, but=()))
    await group(building, "boss", "g9").says(f"/claim {code}")
    await changes(boss, "added")
    boss.sees("还没有连到小区")


async def test_the_admin_group_hears_that_we_are_back_and_the_owners_group_nothing(
    building: Building, office: Phone
) -> None:
    for where in (office, Phone(building, "刘经理", "board", "board")):
        await changes(where, "removed")
        await changes(where, "added")
    office.sees("我回到群里了")
    Phone(building, "刘经理", "board", "board").sees_nothing()


async def test_a_press_from_outside_makes_nobody_staff(building: Building, office: Phone) -> None:
    await office.says("/tickets")
    stranger = Phone(building, "stranger", "staff", "staff")
    await stranger._send(tap="link", outsider=True)
    stranger.sees("请在群里发一句 /tickets")
    assert building.read(select(Account).where(Account.external_id == "stranger")) == []


async def test_what_people_say_in_the_owners_group_is_not_kept(building: Building, owner: Phone) -> None:
    here = Phone(building, "陈女士", "board", "board")
    await here.says("我家密码是 1234")
    (row,) = building.read(select(Inbox))
    assert "1234" not in str(row.payload)
    await here.says("/repair")
    here.sees("请私聊我")


async def test_only_staff_link_a_group(building: Building, owner: Phone) -> None:
    await owner.says("/link")
    owner.sees("不归您办理")


async def test_an_anonymous_administrator_hears_why_nothing_happens(building: Building) -> None:
    nobody = Phone(building, "anonymous", "staff", "staff")
    await nobody.says("/tickets")
    nobody.sees("匿名")
    await nobody.says("今天天气不错")
    nobody.sees_nothing()


# --- what happens to a chat -------------------------------------------------------------------------


async def test_a_group_that_moved_is_the_same_group(building: Building, office: Phone, owner: Phone) -> None:
    await changes(office, "moved", moved_to="supergroup")
    await owner.says("电梯里困了人")
    Phone(building, "刘经理", "supergroup", "staff").sees("紧急")
    office.sees_nothing()


async def test_a_group_that_moved_is_the_same_group_also_if_somebody_spoke_there_first(
    building: Building, office: Phone, owner: Phone
) -> None:
    there = Phone(building, "刘经理", "supergroup", "staff")
    await there.says("/tickets")
    await changes(office, "moved", moved_to="supergroup")
    await owner.says("电梯里困了人")
    there.sees("紧急")
    assert [place.kind for place in building.read(select(Place).where(Place.external_id == "staff"))] == [
        "group"
    ]


async def test_a_chat_that_blocked_us_is_told_nothing_until_it_speaks_again(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await changes(owner, "blocked")
    await neighbour.says("电梯里困了人")
    owner.sees_nothing()
    await owner.says("/help")
    owner.sees("陈女士，您好")


# --- what Telegram and others bring beside words ----------------------------------------------------


async def test_an_edited_message_changes_nothing_but_counts_when_it_is_urgent(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner._send(text="你好啊", edited=True)
    owner.sees("请把新的话再发一遍")
    await owner.says("/repair")
    await owner._send(text="厨房灯不亮", edited=True)
    owner.sees("您改了之前发的话", "电梯")
    owner.sees_nothing()
    crew.sees_nothing()
    await owner._send(text="电梯里困了人", edited=True)
    crew.sees("紧急")


async def test_an_answer_goes_into_the_topic_in_which_somebody_spoke(
    building: Building, office: Phone
) -> None:
    await office._send(text="/tickets", thread="7", forum=True)
    (row,) = building.read(select(Outgoing))
    assert row.thread == "7"
    (place,) = building.read(select(Place).where(Place.external_id == "staff"))
    assert place.forum


async def test_an_album_is_one_message_and_each_of_its_photos_counts_once(
    building: Building, owner: Phone
) -> None:
    from conversations.said import File
    from tests.people import photo

    kept = [building.app.media.keep_photo(photo(width)) for width in (30, 31, 32)]
    files = [File(storage=each.storage, mime=each.mime, size=each.size) for each in kept]
    await owner.says("厨房水龙头滴水")
    await owner._send(key="a1", also=("a2",), files=tuple(files[:2]))
    owner.sees("收到 2 张")
    await owner._send(key="a1", also=("a2", "a3"), files=tuple(files))
    owner.sees("收到 3 张")
    await owner._send(key="a3")
    owner.sees_nothing()
