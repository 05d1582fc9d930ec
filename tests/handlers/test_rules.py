"""The rules of conduct: public for all; staff add and silence, after they have seen what that would do."""

from sqlmodel import select

from handlers.conduct import weigh
from handlers.tx import Tx
from store.tables import Audit, CommunityRule, Listing, Person
from tests.people import Building, Phone


def verdict(building: Building, text: str) -> str:
    with building.app.database.read() as session:
        tx = Tx(session, building.clock.now(), building.app.house)
        return weigh(tx, building.community.id, text).verdict


def offered(building: Building, *texts: str) -> None:
    """Listings that stand on the board, as the dry run finds them."""

    def work(session: object) -> None:
        person = session.exec(select(Person).where(Person.name == "陈女士")).one()  # type: ignore[attr-defined]
        for number, text in enumerate(texts, 900):
            row = {
                "community_id": person.community_id,
                "number": number,
                "person_id": person.id,
                "kind": "sale",
            }
            session.add(  # type: ignore[attr-defined]
                Listing.model_validate({**row, "title": text, "created_at": building.clock.now()})
            )

    building.app.database.write_now(work)


async def test_everybody_reads_the_rules(building: Building, owner: Phone) -> None:
    await owner.says("规则")
    owner.sees("【诈骗借贷】\nF1 ")
    assert "另外规定" not in owner.last.text
    await owner.says("/rules")
    owner.sees("【广告推广】")


async def test_staff_add_a_word_after_a_dry_run(building: Building, owner: Phone, office: Phone) -> None:
    offered(building, "周末一起抢闪闪券", "出一张书桌")
    assert verdict(building, "明晚东门闪闪券") == "ok"
    await office.says("/rules")
    await office.taps("加一个词")
    office.sees("要加哪些词？")
    await office.says("、、")
    office.sees("没看懂是哪些词")
    await office.says("闪闪券，代代券")
    office.sees("看到这些词怎么办？", "先等物业看", "直接删除", "这样说不算违规")
    await office.says("随便")
    office.sees("看到这些词怎么办？")
    await office.taps("先等物业看")
    await office.taps("广告推广")
    await office.says("小区里不得买卖券")
    shown = office.sees("点「生效」才算", "生效").text
    assert "会多拦下 1 条：\n· 周末一起抢闪闪券" in shown and "没有误拦" in shown
    assert verdict(building, "明晚东门闪闪券") == "ok"
    await office.taps("生效")
    office.sees("已生效")
    assert "C1 闪闪券、代代券：先等物业看（广告推广）。小区里不得买卖券" in office.last.text
    assert verdict(building, "明晚东门闪闪券") == "hold"
    assert verdict(building, "明晚东门闪.闪.券") == "hold"
    await owner.says("/rules")
    owner.sees("【本小区另外规定】")
    assert "闪闪券、代代券" in owner.last.text
    acts = building.read(select(Audit.action).order_by(Audit.id))
    assert "rule.added" in acts

    number = building.read(select(CommunityRule.id))[0]
    await office.says("/rules")
    await office.taps(f"撤下 #{number}")
    office.sees("会多放行 1 条", "撤下")
    await office.taps("撤下")
    office.sees("已撤下")
    assert verdict(building, "明晚东门闪闪券") == "ok"


async def test_staff_silence_a_word_and_name_a_context(building: Building, office: Phone) -> None:
    assert verdict(building, "今晚玩百家乐，首充送88") == "violation"
    await office.says("/rules")
    await office.taps("停用规则或词")
    await office.says("没有这个词的")
    office.sees("没有「没有这个词的」这条规则")
    await office.says("百家乐")
    office.sees("里不再算的词：百家乐", "停用")
    await office.taps("停用")
    office.sees("已生效")
    assert verdict(building, "今晚玩百家乐桌游") == "ok"

    await office.says("/rules")
    await office.taps("加一个词")
    await office.says("子弹壳工艺品")
    await office.taps("这样说不算违规")
    office.sees("点「生效」才算")
    await office.taps("生效")
    office.sees("这样说不算：子弹壳工艺品")
    assert verdict(building, "出子弹壳工艺品一个") == "ok"
    assert verdict(building, "收子弹壳、火药，有货私聊") == "violation"


async def test_a_whole_rule_is_silenced_by_its_number(building: Building, office: Phone) -> None:
    await office.says("/rules")
    await office.taps("停用规则或词")
    await office.says("g1")
    office.sees("G1 停用")
    await office.taps("停用")
    assert verdict(building, "六合彩特码") == "ok"
