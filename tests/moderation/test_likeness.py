"""Names of things: what is the same kind, and what only sounds so."""

import pytest

from moderation.likeness import alike, names, said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("充电桩", "电动车充电桩"),
        ("电瓶车充电桩", "电动车充电桩"),
        ("３号楼東側加裝充電樁 10 个", "电动车充电桩"),
        ("门禁", "单元门禁"),
        ("监控设备", "监控摄像头"),
        ("健身设施", "健身器材"),
        ("室内消火栓", "消火栓"),
        ("楼道灯", "3 楼楼道灯"),
        ("EV chargers", "Charger"),
        ("Benches", "bench"),
        ("EV chargers", "电动车充电桩"),
        ("a new lift", "电梯"),
        ("桩", "桩"),
    ],
)
def test_the_same_kind_of_thing(one, other):
    assert alike(one, other) and alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("电动车充电桩", "电动车棚"),
        ("自行车架", "自行车棚"),
        ("健身器材", "消防器材"),
        ("电梯", "楼梯"),
        ("设备", "监控设备"),
        ("小区", "小区大门"),
        ("灯", "灯带"),
        ("car", "card reader"),
        ("new system", "new door"),
        ("", ""),
        ("10", "10"),
        ("🙂", "电梯"),
        ("电梯", "监控"),
    ],
)
def test_unlike_things(one, other):
    assert not alike(one, other) and not alike(other, one)


def test_long_words_are_no_burden():
    assert alike("啊" * 100 + "电梯" + "啊" * 4000, "电梯")
    assert not alike("啊" * 4000, "电梯")


@pytest.mark.parametrize(
    ("thing", "words", "named"),
    [
        ("电动车充电桩", "东侧的充电桩又坏了", True),
        ("电动车充电桩", "Two chargers are dead", True),
        ("电动车充电桩", "电动车被偷了", False),
        ("单元门禁", "門禁刷不開", True),
        ("灯", "灯不亮", True),
        ("电梯", "the lifts are slow", True),
        ("card reader", "my car was scratched", False),
        ("🙂", "电梯坏了", False),
        ("电梯", "", False),
    ],
)
def test_words_name_a_thing(thing, words, named):
    assert names(thing, said(words)) is named
