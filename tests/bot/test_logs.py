"""Logs hold neither secrets nor telephone numbers."""

import pytest

from bot.logs import Masking


@pytest.mark.parametrize(
    "private",
    [
        "13800001111",
        "138 0000 1111",
        "138-0000-1111",
        "138.0000.1111",
        "+86 138 0000 1111",
        "021-55550000",
        "02155550000",
        "0571-8888 1234",
        "310101199001011234",
        "6222020200112233445",
        "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_",
        "a secret of the settings",
    ],
)
@pytest.mark.parametrize("around", ["{}", "请打 {}。", "https://api.example/bot{}/sendMessage", "({})"])
def test_what_is_private_is_masked(private: str, around: str) -> None:
    masked = Masking(["a secret of the settings"]).mask(around.format(private))
    assert masked == around.format("***") or masked == around.format("+***")


def test_a_password_in_an_address_is_masked() -> None:
    assert Masking().mask("postgresql://linli:secret@host/db") == "postgresql://linli:***@host/db"


@pytest.mark.parametrize(
    "plain", ["2026-03-02T01:00:00.012345678Z", "报修 218 · 3 号楼 1201", "7F3A", "key=陈女士-17", "89.35"]
)
def test_what_is_not_private_stays(plain: str) -> None:
    assert Masking().mask(plain) == plain


def test_every_text_of_an_event_is_masked() -> None:
    event = Masking()(None, "", {"event": "taken", "text": "打 13800001111", "count": 13800001111})
    assert event == {"event": "taken", "text": "打 ***", "count": 13800001111}
