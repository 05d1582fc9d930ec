"""Listings, as talks."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from store.tables import Listing, Media, Person, Ruling, Talk, Timer
from tests.people import Building, Phone, photo

DESK = "出一张实木书桌，1.4米，自提180"


def listings(building: Building) -> list[Listing]:
    return building.read(select(Listing).order_by(Listing.id))


async def test_one_forwarded_text_with_photos_stands_on_the_board(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await owner.says("发布")
    owner.sees("发布什么？点一种；或者直接写一段话", "出租", "二手", "求购", "赠送", "寻物", "招领", "取消")
    await building.restart()
    await owner.says(DESK)
    owner.sees("有照片吗", "跳过", "返回")
    await owner.sends_photo()
    await owner.taps("好了")
    look = owner.sees("【二手】实木书桌 · 180 元", "确认发布", "修改", "返回", "取消")
    assert DESK in look.text and "3 号楼" in look.text and "不写电话也能联系" in look.text
    assert look.photos == 1
    await owner.says("发布")
    owner.sees("信息 1 已发布到公示栏：实木书桌", "修改信息", "已售出", "续期", "撤下信息")
    shown = board.sees(f"【二手】实木书桌 · 180 元\n{DESK}\n3 号楼 · 信息 1 · 4月1日")
    assert (shown.photos, "陈" in shown.text, "1201" in shown.text) == (1, False, False)
    notice = neighbour.sees("【二手】实木书桌 · 180 元", "看信息 1")
    assert notice.silent or not building.changes
    office.sees_nothing()
    assert len(building.read(select(Media))) == 1
    await neighbour.taps("看信息 1")
    assert neighbour.sees(DESK, "写信给发布人", "举报").photos == 1
    await owner.taps("已售出")
    owner.sees("信息 1（实木书桌）：已售出")
    assert "【二手】实木书桌 · 已售出" in board.last.text
    await neighbour.says("看信息 1")
    neighbour.sees("信息 1 现在是「已售出」")


async def test_each_step_is_asked_for_who_taps_and_what_was_not_said(
    building: Building, owner: Phone, board: Phone
) -> None:
    await owner.says("/sell")
    await owner.taps("求购")
    owner.sees("写清楚是什么，照片可以一起发", "返回")
    await owner.says("🎉🎉")
    owner.sees("用几个字做标题")
    await owner.says("🎉🎉🎉")
    owner.sees("标题里要有字")
    await owner.says("儿童自行车")
    owner.sees("多少钱？", "跳过")
    for price in ("-5", "1e9", "三四百", "0", "99999亿"):
        await owner.says(price)
        owner.sees("没看懂金额")
    await owner.says("两百五")
    await owner.says("返回")
    owner.sees("多少钱？")
    await owner.says("面议")
    await owner.says("没有")
    owner.sees("【求购】儿童自行车 · 价格面议\n🎉🎉\n")
    await owner.taps("修改")
    await owner.taps("价格")
    await owner.says("两百五")
    await owner.taps("确认发布")
    await owner.says("确认发布")
    board.sees("【求购】儿童自行车 · 250 元")
    assert [(each.kind, each.price) for each in listings(building)] == [("wanted", 25000)]
    assert building.read(select(Talk)) == []


async def test_too_much_is_asked_again_and_nothing_said_is_lost(building: Building, owner: Phone) -> None:
    await owner.says("/sell")
    await owner.says("出" + "书" * 4000)
    owner.sees("写了 4001 个字，有点长，最多 1500 个字")
    for number in range(2):
        await owner.sends_photo(photo(40 + number))
    owner.sees("照片收到了")
    await owner.says("二手钢琴一架")
    owner.sees("多少钱？")
    await owner.sends_recording("mp4")
    owner.sees("视频已收到，但我还看不懂")
    await owner.says("八千")
    await owner.taps("好了")
    assert owner.sees("【二手】钢琴一架 · 8,000 元").photos == 2
    for _ in range(8):
        await owner.says("返回")
    owner.sees("发布什么？")
    await owner.says("取消")
    owner.sees("已取消")
    assert listings(building) == []


async def test_what_breaks_a_rule_is_not_published_and_can_be_put_right_or_appealed(
    building: Building, owner: Phone, board: Phone, office: Phone, neighbour: Phone
) -> None:
    await owner.offers("出闲置发票，代开发票，专票普票都有，点数低，加我微信fp888，100 元")
    told = owner.sees("这条信息没有发布", "修改信息", "判错了，申诉")
    assert "规则 F" in told.text and "代开发票" in told.text
    for phone in (board, neighbour, office):
        phone.sees_nothing()
    await owner.taps("判错了，申诉")
    office.sees("出闲置发票，代开发票，专票普票都有，点数低，加我微信fp888，100 元", "没违规，放行 1")
    assert "陈女士（3 号楼 2 单元 1201）" in office.last.text
    await office.taps("没违规，放行 1")
    owner.sees("没有违规：已按您写的原样发布")
    board.sees("出闲置发票，代开发票，专票普票都有，点数低，加我微信fp888，100 元")
    neighbour.sees("【二手】发票", "看信息 1")
    await owner.offers("出闲置发票， 代开发票，专票普票都有，点数低，加我微信 fp888，100 元")
    owner.sees("信息 2 已发布")


async def test_an_edit_that_may_break_a_rule_leaves_what_stands_there(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await owner.offers(DESK)
    board.sees("【二手】实木书桌")
    await owner.taps("修改信息")
    owner.sees("要改哪一项？", "内容", "标题", "价格", "照片（张）", "种类")
    await owner.taps("内容")
    await owner.says("出实木餐桌，长期有效，自提 200")
    owner.sees("改好后是这样：\n\n【二手】实木餐桌 · 200 元", "确认发布")
    await owner.taps("确认发布")
    owner.sees("要等物业看一下", "修改信息")
    assert "公示栏上的信息 1 还是原来的样子" in "".join(each.text for each in owner.chat.messages)
    assert "实木书桌" in board.last.text
    await owner.says("我的")
    owner.sees("1 · 实木书桌 · 180 元 · 公示中", "看信息 1")
    await owner.taps("看信息 1")
    owner.sees("您改过的内容还在等物业")
    await office.taps("没违规，放行 1")
    owner.sees("没有违规")
    assert "【二手】实木餐桌 · 200 元" in board.last.text
    assert listings(building)[0].draft == {}
    await owner.taps("修改信息")
    await owner.taps("内容")
    await owner.says("出闲置发票，代开发票，专票普票都有，点数低，加我微信fp888，100 元")
    await owner.says("跳过")
    await owner.says("确认发布")
    owner.sees("这条信息没有发布")
    assert "实木餐桌" in board.last.text
    await owner.taps("修改信息")
    await owner.taps("价格")
    await owner.says("150")
    await owner.taps("修改")
    await owner.taps("内容")
    await owner.says("出实木餐桌")
    await owner.says("150")
    await owner.taps("确认发布")
    owner.sees("信息 1（实木餐桌）已改好")
    assert "【二手】实木餐桌 · 150 元" in board.last.text


async def test_staff_refuse_what_was_held_and_the_author_puts_it_right(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await owner.offers("出书桌 180，长期有效")
    owner.sees("这条信息要等物业看一下再发布", "修改信息")
    office.sees("出书桌 180，长期有效", "违规，删除 1")
    await office.taps("违规，删除 1")
    owner.sees("物业看过了：确实不能发布", "修改信息")
    await office.says("/audit")
    office.sees("刘经理：裁定：违规 · 裁定 1")
    await owner.taps("修改信息")
    await owner.taps("内容")
    await owner.says("出书桌 180")
    await owner.taps("确认发布")
    owner.sees("信息 1 已发布")
    board.sees("【二手】书桌 · 180 元")
    assert [each.state for each in building.read(select(Ruling))] == ["upheld"]


async def test_its_author_is_reminded_when_people_are_awake(building: Building, owner: Phone) -> None:
    await building.later(hours=17)  # two at night
    await owner.offers(DESK)
    clocks = building.read(select(Timer.due_at).where(col(Timer.action).startswith("listing.")))
    assert {f"{each.astimezone(ZoneInfo('Asia/Shanghai')):%H:%M}" for each in clocks} == {"08:30"}
    await building.later(days=28, hours=7)
    owner.sees("到期", "续期")
    await building.later(days=2)
    owner.sees("到期了，不再显示", "续期")


async def test_it_expires_with_a_word_before_and_is_renewed_with_one_tap(
    building: Building, owner: Phone, board: Phone, neighbour: Phone
) -> None:
    await owner.offers(DESK)
    await building.later(days=28)
    owner.sees("到期。还要继续吗？", "续期", "已售出")
    await building.later(days=2)
    owner.sees("信息 1（实木书桌）到期了", "续期")
    board.sees("已到期")
    await neighbour.forges("listing.write:1")
    neighbour.sees("信息 1 现在是「已到期」")
    await owner.taps("续期")
    owner.sees("信息 1（实木书桌）已续期")
    board.sees("【二手】实木书桌 · 180 元")
    await building.later(days=29)
    await owner.taps("续期")
    await building.later(days=2)
    assert [each.state for each in listings(building)] == ["open"]
    await owner.taps("撤下信息")
    owner.sees("信息 1（实木书桌）已撤下")
    assert not any("实木书桌" in each.text for each in board.chat.messages) or not building.changes
    await owner.forges("listing.change:1")
    owner.sees("信息 1 现在是「已撤下」")


async def test_one_person_has_only_so_many(building: Building, owner: Phone) -> None:
    building.set_policy("listing_limit", 1)
    await owner.offers(DESK)
    await owner.says("/sell")
    owner.sees("您已经有 1 条信息在公示栏上")
    await owner.says("出一个台灯 20")
    owner.sees("您已经有 1 条信息在公示栏上")
    await owner.says("已售出")
    await owner.says("/sell")
    owner.sees("您今天已经发布了 1 条")
    await building.later(days=1)
    await owner.says("/help")
    owner.sees("每人最多同时 1 条", "集市", "发布信息")
    await owner.says("/sell 出一个台灯 20")
    owner.sees("有照片吗")
    await owner.says("发布：阳台出租，可住人")
    owner.sees("不得单独出租用于居住")
    await owner.says("发布 " + "字" * 1501)
    owner.sees("写了 1501 个字，有点长")


async def test_a_rental_shows_what_the_law_wants(
    building: Building, owner: Phone, board: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.says("/sell")
    await owner.says("阳台改的单间出租 600")
    owner.sees("厨房、卫生间、阳台、地下储藏室不得单独出租用于居住")
    await owner.says("主卧出租，带阳台，独立卫生间")
    owner.sees("每月租金多少？")
    await owner.says("面议")
    owner.sees("没看懂金额")
    await owner.says("1800一个月")
    owner.sees("押金怎么付？", "押一付一", "押一付三", "不收押金")
    await owner.taps("押一付三")
    owner.sees("面积多少平方米")
    for area in ("很大", "0", "9999"):
        await owner.says(area)
        owner.sees("没看懂面积")
    await owner.says("15.5平")
    owner.sees("谁出租？", "业主本人出租", "转租，房主已同意")
    await owner.taps("业主本人出租")
    owner.sees("最多住几个人")
    await owner.says("两个")
    await owner.says("跳过")
    owner.sees("【出租】主卧出租 · 每月 1,800 元\n一间卧室、15.5 ㎡、押一付三、业主本人出租、最多住 2 人\n")
    await owner.taps("确认发布")
    board.sees("最多住 2 人")
    granny = phone("王奶奶")
    await granny.says("/sell")
    await granny.says("车位出租 300/月")
    await granny.says("跳过")
    granny.sees("【出租】车位出租 · 每月 300 元\n车位、储物间、商铺（不住人）\n")


async def test_a_free_sentence_is_offered_and_a_repair_goes_before(
    building: Building, owner: Phone, crew: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.says("求购二手儿童自行车 500以内")
    owner.sees(
        "这是要发布到小区公示栏的信息吗？\n「求购二手儿童自行车 500以内」", "发布到公示栏", "不是，是报修"
    )
    await owner.taps("发布到公示栏")
    await owner.says("跳过")
    owner.sees("【求购】二手儿童自行车 · 500 元")
    await owner.says("取消")
    await owner.says("转让一台热水器，漏水了")
    await owner.taps("不是，是报修")
    owner.sees("哪里需要报修")
    await owner.says("取消")
    await owner.says("厨房水龙头滴水")
    owner.sees("厨房水龙头滴水")
    await owner.says("取消")
    await owner.says("捡到钥匙一串")
    await owner.says("电梯里困了人")
    crew.sees("🚨 紧急报修")
    guest = phone("李师傅")
    await guest.says("出一张实木书桌，自提180")
    guest.sees("没看懂这句话")
    assert listings(building) == []


async def test_neighbours_write_through_the_bot_and_nobody_is_named(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await owner.offers(DESK)
    await neighbour.taps("看信息 1")
    await neighbour.taps("写信给发布人")
    neighbour.sees("想对信息 1（实木书桌）的发布人说什么")
    await neighbour.says("还在吗？今晚来看")
    neighbour.sees("已发给发布人（信息 1）")
    got = owner.sees("邻居（3 号楼）（信息 1 · 实木书桌）：\n还在吗？今晚来看", "回复", "举报这封信")
    assert "周" not in got.text
    await owner.taps("回复")
    await owner.says("在，七点以后")
    got = neighbour.sees("发布人（信息 1 · 实木书桌）：\n在，七点以后", "回复")
    assert "陈" not in got.text
    await owner.says("已售出")
    await neighbour.taps("回复")
    await neighbour.sends_photo()
    assert owner.sees("1 个附件", "回复").photos == 1
    office.sees_nothing()
    await owner.taps("举报这封信")
    owner.sees("已转给物业")
    card = office.sees("有人举报一封来信")
    assert "周先生 3 号楼 2 单元 1202" in card.text
    await building.later(days=8)
    await neighbour.taps("回复")
    neighbour.sees("信息 1 现在是「已售出」")
    await neighbour.offers("出一个台灯 20")
    await neighbour.forges("listing.write:2")
    neighbour.sees("信息 2 是您自己发布的")


async def test_three_neighbours_hide_what_they_report_until_staff_decide(
    building: Building,
    owner: Phone,
    neighbour: Phone,
    office: Phone,
    board: Phone,
    phone: Callable[[str], Phone],
) -> None:
    await owner.offers(DESK)
    await owner.forges("listing.report:1")
    owner.sees("信息 1 是您自己发布的")
    await neighbour.taps("看信息 1")
    await neighbour.taps("举报")
    neighbour.sees("已举报信息 1，物业 24 小时内裁定", "补充理由")
    office.sees("有邻居举报", "没违规，放行 1")
    await neighbour.taps("补充理由")
    await neighbour.says("是中介的")
    office.sees("举报信息 1 的理由：是中介的")
    await neighbour.forges("listing.report:1")
    assert [each.state for each in listings(building)] == ["open"]
    await owner.says("我的")
    await owner.taps("看信息 1")
    await owner.taps("修改信息")
    await owner.taps("价格")
    await owner.says("170")
    await owner.taps("确认发布")
    await owner.says("我的")
    await owner.taps("看信息 1")
    await owner.taps("修改信息")
    await owner.taps("价格")
    await owner.says("160")
    for name in ("王奶奶", "Mr Smith"):
        await phone(name).forges("listing.report:1")
    owner.sees("有 3 位邻居举报，先不显示")
    await owner.taps("确认发布")
    owner.sees("物业正在看")
    assert [each.state for each in listings(building)] == ["held"]
    assert "170" not in "".join(each.text for each in board.chat.messages)
    await owner.forges("listing.change:1")
    owner.sees("物业正在看")
    await office.taps("没违规，放行 1")
    owner.sees("没有违规")
    board.sees("【二手】实木书桌 · 170 元")
    await neighbour.says("/board")
    neighbour.sees("共 1 条", "看信息 1")


async def test_the_market_has_kinds_pages_and_words(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await neighbour.says("集市")
    neighbour.sees("现在还没有", "发布信息")

    def work(session: Session) -> None:
        who = session.exec(select(Person).where(Person.name == "陈女士")).one()
        row: dict[str, Any] = {"community_id": who.community_id, "person_id": who.id}
        now = building.clock.now()
        for number in range(1, 17):
            kind = "rent" if number % 8 == 0 else "sale"
            state = "closed" if number == 3 else "open"
            title = f"自行车 100% {number}" if number == 5 else f"台灯 {number} 号"
            listing = Listing(
                **row, number=number, kind=kind, title=title, text=title, state=state, created_at=now
            )
            session.add(listing)

    building.app.database.write_now(work)
    await neighbour.says("/board")
    shown = neighbour.sees(
        "集市 · 全部信息 · 共 15 条 · 第 1/3 页\n16 · 【出租】台灯 16 号",
        "看信息 16",
        "下一页",
        "二手 13",
        "出租 2",
    )
    assert "看信息 10" not in shown.buttons and "上一页" not in shown.buttons
    await neighbour.taps("下一页")
    neighbour.sees("第 2/3 页", "上一页", "下一页", "看信息 10")
    await neighbour.taps("下一页")
    assert "3 · " not in neighbour.sees("第 3/3 页").text.split("\n", 1)[1]
    await neighbour.taps("出租 2")
    neighbour.sees("集市 · 出租 · 共 2 条\n16 · 【出租】台灯 16 号\n8 ·", "看全部")
    await neighbour.says("集市 自行车 100%")
    neighbour.sees("集市 · 「自行车 100%」 · 共 1 条\n5 · ", "看信息 5")
    await neighbour.taps("看信息 5")
    neighbour.sees("【二手】自行车 100% 5", "写信给发布人")
    await neighbour.says("/board 钢琴")
    neighbour.sees("集市里没有找到「钢琴」", "看全部", "发布信息")
    for forged in (
        "market.page:sale.999.灯",
        "market.page",
        "market.page:sale.1." + "字" * 9,
    ):
        await neighbour.forges(forged)
        neighbour.sees("集市")
    await office.says("/board")
    office.sees("共 15 条", "看信息 16")
    await office.taps("看信息 16")
    office.sees("发布人：陈女士（3 号楼 2 单元 1201）", "举报")


async def test_whoever_leaves_offers_nothing_here_any_more(
    building: Building, office: Phone, board: Phone, phone: Callable[[str], Phone]
) -> None:
    tenant = phone("Mr Smith")
    await tenant.says("language")
    await tenant.offers("For sale: IKEA desk, 120cm, 300 yuan")
    tenant.sees("Listing 1 is on the board: IKEA desk", "Sold", "Edit the listing")
    board.sees("【二手】IKEA desk · 300 元")
    await office.says("查户 2-1-1504")
    await office.taps("Mr Smith")
    await office.taps("移出")
    await office.taps("确定移出")
    assert [each.state for each in listings(building)] == ["withdrawn"]
    assert "IKEA" not in "".join(each.text for each in board.chat.messages)
    await tenant.forges("listing.change:1")
    tenant.sees("Listing 1 is now “taken down”")


async def test_old_buttons_second_taps_and_restarts_do_no_harm(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await owner.offers(DESK)
    await neighbour.taps("看信息 1")
    await owner.taps("修改信息")
    await owner.taps("价格")
    await building.restart()
    await owner.says("99")
    await owner.forges("listing.close:1")
    owner.sees("信息 1（实木书桌）：已售出")
    await owner.says("确认发布")
    owner.sees("没看懂这句话")
    assert [(each.state, each.price) for each in listings(building)] == [("closed", 18000)]
    for value in ("listing.close:1", "listing.renew:1", "listing.withdraw:1", "listing.change:1"):
        await owner.forges(value)
        owner.sees("信息 1 现在是「已售出」，这一步不用再做了")
    await neighbour.taps("写信给发布人")
    neighbour.sees("信息 1 现在是「已售出」")
    assert "举报" not in neighbour.last.buttons
    await neighbour.forges("listing.reason:1")
    neighbour.sees("您没有举报过信息 1")
    await neighbour.forges("listing.change:1")
    neighbour.sees("这件事不归您办理")
    await office.says("/audit")
    office.sees("操作记录")
