"""Written proxies and guardians: staff enter the paper, both sides are told, and the power ends when it should."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from handlers.agents import acts_for
from handlers.people import new_person
from handlers.tx import Tx
from store.tables import Agent, Home, HomeRole, Person, Talk
from tests.handlers.test_homes import add_home, opens, write
from tests.people import Building, Phone


async def appoints(office: Phone, *answers: str, whose: str = "陈女士", home: str = "3-2-1201") -> None:
    """Enter a paper for somebody of a home, up to where the answers lead."""
    await opens(office, home, whose, "登记委托")
    for answer in answers:
        await office.says(answer)


PAPER = ("书面委托", "周先生", "业主大会投票", "12月31日", "提交")


# --- appointing -------------------------------------------------------------------------------------


async def test_a_paper_is_entered_and_both_sides_are_told(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await appoints(office)
    office.sees(
        "陈女士（3 号楼 2 单元 1201）由别人代办：是书面委托，还是监护人？", "书面委托", "监护人", "取消"
    )
    await office.taps("书面委托")
    office.sees("由谁代办？", "返回", "取消")
    await office.says("周先生")
    office.sees("委托什么事？", "跳过")
    await building.restart()
    await office.says("业主大会投票")
    office.sees("到哪一天？", "跳过")
    await office.says("12月31日")
    office.sees(
        "提交后双方都会收到通知：\n委托人：陈女士，3 号楼 2 单元 1201\n"
        "种类：书面委托\n代办人：周先生\n范围：业主大会投票\n到期：2026-12-31",
        "提交",
        "修改",
    )
    owner.sees_nothing()
    await office.taps("提交")
    power = "（书面委托，3 号楼 2 单元 1201，业主大会投票，2026年12月31日止）"
    office.sees(f"已登记：周先生可以代陈女士办{power}，双方都已通知。", "撤销")
    owner.sees(f"物业按书面材料登记了：周先生可以代您办{power}。不是您的意思，请点「撤销」。", "撤销")
    neighbour.sees(f"物业登记了：您可以替陈女士办事{power}。")
    await neighbour.says("/agents")
    neighbour.sees(f"可以代您办的人：无\n您可以替谁办：陈女士{power}")
    await opens(office, "1201", "陈女士")
    office.sees("可以代办的人：周先生（书面委托", "撤销周先生")


async def test_what_is_skipped_is_everything_and_for_good(office: Phone, neighbour: Phone) -> None:
    await appoints(office, "监护人", "周先生", "跳过", "没有")
    office.sees("范围：无\n到期：无", "提交")
    await office.says("提交")
    neighbour.sees("您可以替陈女士办事（监护人，3 号楼 2 单元 1201，所有事，不限期）。")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("陈女士", "不能委托给自己。"),
        ("查不到的", "没有找到这个人，或者有几个同名的。"),
        ("3-2-1202 陈女士", "没有找到这个人"),
        ("PHOTO", "请用文字回答"),
    ],
)
async def test_nobody_is_their_own_agent_and_no_stranger_is_one(
    building: Building, office: Phone, answer: str, said: str
) -> None:
    await appoints(office, "书面委托")
    if answer == "PHOTO":
        await office.sends_photo()
    else:
        await office.says(answer)
    office.sees(said, "返回", "取消")
    assert "由谁代办？" in office.last.text
    await office.says("周先生")
    office.sees("委托什么事？")


async def test_of_two_people_of_one_name_the_home_says_which(building: Building, office: Phone) -> None:
    write(building, lambda tx: add_home(tx, "5", "", "101", "周先生"))
    await appoints(office, "书面委托", "周先生")
    office.sees("或者有几个同名的", "取消")
    await office.says("5号楼101 周先生")
    await office.says("跳过")
    await office.says("跳过")
    await office.says("提交")
    (agent,) = building.read(select(Agent))
    (home,) = building.read(select(Home).join(HomeRole).where(HomeRole.person_id == agent.agent_id))
    assert (home.building, home.room) == ("5", "101")


async def test_mr_smith_can_be_an_agent(office: Phone, phone: Callable[[str], Phone]) -> None:
    await phone("Mr Smith").says("English")
    await appoints(office, "书面委托", "2-1-1504 Mr Smith", "跳过", "2026-12-31", "提交")
    phone("Mr Smith").sees(
        "The property staff entered: you may act for 陈女士 "
        "(written proxy, Building 3, entrance 2, 1201, everything, until 2026-12-31)."
    )


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        ("2026-12-31", "2026-12-31"),
        ("2026年12月31日止", "2026-12-31"),
        ("到12月31号", "2026-12-31"),
        ("12.31", "2026-12-31"),
        ("１２月３１日", "2026-12-31"),
        ("3月2日", "2026-03-02"),
        ("1月5日", "2027-01-05"),
        ("2025-12-31", ""),
        ("2月30日", ""),
        ("明年12月31日", ""),
        ("年底", ""),
        ("好久", ""),
    ],
)
@pytest.mark.by_hand
async def test_a_day_is_read_or_asked_again(building: Building, office: Phone, day: str, kept: str) -> None:
    await appoints(office, "书面委托", "周先生", "跳过", day)
    (talk,) = building.read(select(Talk))
    assert talk.answers.get("until", "") == kept
    office.sees("没看懂是哪一天，或者已经过了。请写成「2026-12-31」。" if not kept else f"到期：{kept}")


async def test_an_answer_can_be_changed_before_it_counts(building: Building, office: Phone) -> None:
    await appoints(office, *PAPER[:-1])
    await office.taps("修改")
    office.sees("要改哪一项？", "代办人", "到期")
    await office.taps("到期")
    office.sees("到哪一天？")
    await office.says("跳过")
    office.sees("到期：无")
    await office.says("返回")
    office.sees("到哪一天？")
    await office.says("取消")
    office.sees("已取消，没有提交任何内容。")
    assert building.read(select(Agent)) == []


async def test_only_an_owner_gives_a_power(
    building: Building, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await opens(office, "1504", "Mr Smith")
    (tie,) = building.read(select(HomeRole).where(HomeRole.role == "tenant"))
    await office.forges(f"agent.new:{tie.id}")
    office.sees("只有业主才能设代表或委托别人。")
    await phone("Mr Smith").says("/agents")
    phone("Mr Smith").sees("可以代您办的人：无")


# --- ending -----------------------------------------------------------------------------------------


async def test_the_principal_revokes_in_their_own_chat(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await appoints(office, *PAPER)
    await owner.says("委托")
    owner.sees("可以代您办的人：周先生（书面委托", "撤销周先生")
    await owner.says("撤销周先生")
    owner.sees("已撤销：周先生不再代陈女士办（书面委托，3 号楼 2 单元 1201，业主大会投票）。")
    neighbour.sees("已撤销：周先生不再代陈女士办")
    assert len([m for m in owner.chat.messages if "已撤销" in m.text]) == 1
    await office.taps("撤销")
    office.sees("这个委托已经撤销了。")
    await owner.says("/agents")
    owner.sees("可以代您办的人：无")


async def test_staff_revoke_in_the_group(owner: Phone, neighbour: Phone, office: Phone) -> None:
    await appoints(office, *PAPER)
    await opens(office, "1201", "陈女士", "撤销周先生")
    for phone in (office, owner, neighbour):
        phone.sees("已撤销：周先生不再代陈女士办")


async def test_the_agent_and_others_cannot_revoke(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    await appoints(office, *PAPER)
    (agent,) = building.read(select(Agent))
    for phone in (neighbour, crew):
        await phone.forges(f"agent.revoke:{agent.id}")
        phone.sees("这件事不归您办理")


async def test_powers_end_with_the_home(owner: Phone, neighbour: Phone, office: Phone) -> None:
    await appoints(office, *PAPER)
    await opens(office, "1201", "陈女士", "移出", "确定移出")
    neighbour.sees("已撤销：周先生不再代陈女士办")
    await neighbour.says("/agents")
    neighbour.sees("您可以替谁办：无")


async def test_an_agent_who_has_gone_acts_for_nobody(owner: Phone, neighbour: Phone, office: Phone) -> None:
    await appoints(office, *PAPER)
    await opens(office, "1202", "周先生", "移出", "确定移出")
    owner.sees("已撤销：周先生不再代陈女士办")


async def test_the_principal_is_taken_out_while_the_paper_is_entered(
    building: Building, office: Phone
) -> None:
    other = building.group("赵经理")
    await appoints(office, "书面委托")
    await opens(other, "1201", "陈女士", "移出", "确定移出")
    await office.says("周先生")
    office.sees_nothing()
    assert building.read(select(Talk)) == []
    assert building.read(select(Agent)) == []


# --- who may act for whom ---------------------------------------------------------------------------


@pytest.mark.by_hand
async def test_who_acts_for_whom_is_decided_by_the_day_the_home_and_the_paper(building: Building) -> None:
    def work(tx: Tx) -> dict[str, bool]:
        def person(name: str) -> Person:
            return tx.session.exec(select(Person).where(Person.name == name)).one()

        wang, zhou, stranger = person("王奶奶"), person("周先生"), new_person(tx, 1, "路人")
        first, second, of_zhou = (
            tx.session.exec(select(Home).where(Home.room == room)).one() for room in ("101", "803", "1202")
        )
        day = timedelta(days=1)

        def power(home: Home | None, **times: timedelta) -> Agent:
            made = Agent(
                community_id=1,
                kind="proxy",
                principal_id=wang.id,
                agent_id=zhou.id,
                home_id=home.id if home else None,
                starts_at=tx.now + times.get("starts", -day),
                ends_at=tx.now + times["ends"] if "ends" in times else None,
            )
            tx.session.add(made)
            tx.session.flush()
            return made

        found: dict[str, bool] = {}

        def asks(name: str, agent: Person = zhou, principal: Person = wang, home: Home = first) -> None:
            found[name] = acts_for(tx, agent, principal, home) is not None

        asks("without a paper")
        one = power(first, ends=day)
        asks("for the home")
        asks("for another home", home=second)
        asks("somebody else", agent=stranger)
        asks("the other way round", agent=wang, principal=zhou, home=of_zhou)
        asks("for a home of others", home=of_zhou)
        tx.now += day - timedelta(seconds=1)
        asks("in the last second")
        tx.now += timedelta(seconds=1)
        asks("a second later")
        one.ends_at, one.revoked_at = None, tx.now
        tx.session.flush()
        asks("revoked")
        power(second, starts=day)
        asks("not yet", home=second)
        power(None)
        asks("for all homes", home=second)
        tie = tx.session.exec(select(HomeRole).where(HomeRole.home_id == second.id)).one()
        tie.role = "tenant"
        tx.session.flush()
        asks("for a home that the principal no longer owns", home=second)
        return found

    found = write(building, work)
    assert {name for name, may in found.items() if may} == {
        "for the home",
        "in the last second",
        "for all homes",
    }
