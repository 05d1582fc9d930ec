"""Repairs, as talks."""

from tests.people import Building, Phone


async def test_a_stuck_lift_reaches_the_crew(
    building: Building, owner: Phone, office: Phone, crew: Phone, board: Phone
) -> None:
    await owner.says("/repair")
    owner.sees("哪里需要报修？", "我家", "楼道", "电梯", "车库", "其他地方")
    await owner.taps("电梯")
    await building.restart()
    await owner.says("里面困了人，快来")
    owner.sees("不要扒门")
    owner.sees("在哪一栋？", "3 号楼", "1 号楼", "2 号楼")
    crew.sees("🚨 紧急报修 1 · 电梯", "接单", "去不了")
    office.sees("🚨 紧急报修 1")
    board.sees("报修 1 · 电梯 · 电梯 · 紧急")
    await owner.taps("3 号楼")
    crew.sees("报修 1 · 3 号楼 电梯")
    await crew.taps("接单")
    owner.sees("李师傅已接单")
    office.sees("已接单 · 李师傅")


async def test_a_dripping_tap_goes_its_whole_way(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, plumber: Phone, board: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    owner.sees("师傅什么时候可以上门？", "随时可以", "先打电话", "取消")
    await owner.taps("先打电话")
    owner.sees("有照片吗", "跳过")
    await owner.sends_photo()
    owner.sees("收到 1 张", "好了")
    await owner.taps("好了")
    owner.sees(
        "位置：我家\n问题：厨房水龙头滴水\n上门：先打电话\n照片（张）：1", "提交", "修改", "返回", "取消"
    )
    await owner.taps("提交")
    owner.sees("报修 1 已登记：3 号楼 2 单元 1201 · 厨房水龙头滴水", "升级为紧急", "撤回")
    assert board.sees("报修 1 · 3 号楼 · 水龙头").photos == 1
    assert neighbour.sees("报修 1 · 3 号楼 · 水龙头").silent
    office.sees("🧾 报修 1")
    plumber.sees(
        "报修 1 · 3 号楼 2 单元 1201\n水龙头：厨房水龙头滴水\n上门：先打电话 · 周三 18:00 前", "接单"
    )
    await plumber.taps("接单")
    owner.sees("王师傅已接单")
    await plumber.taps("我出发了")
    owner.sees("王师傅已出发")
    await plumber.taps("修好了")
    plumber.sees("拍一张修好的照片", "跳过")
    await plumber.sends_photo()
    await plumber.taps("好了")
    await plumber.says("换了阀芯")
    plumber.sees("等业主确认")
    assert owner.sees("做了：换了阀芯", "确认修好", "还没修好").photos == 1
    await owner.taps("确认修好")
    owner.sees("报修 1 完成")
    assert "已修好" in board.last.text
