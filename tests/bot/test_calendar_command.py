"""The calendar on the command line."""

from datetime import UTC, datetime
from pathlib import Path

from handlers.holidays import known_years, official_days
from tests.bot.test_command_line import linli, said


def test_the_calendar_on_the_command_line(tmp_path: Path) -> None:
    data, year = str(tmp_path / "data"), datetime.now(UTC).year

    def calendar(*arguments: str) -> tuple[int, str]:
        done = linli("calendar", *arguments, "--data", data)
        return done.returncode, said(done)

    assert "请先：./linli community add" in calendar("show")[1]
    made = said(linli("community", "add", "阳光花园", "--data", data))
    known = [each for each in known_years() if each >= year]
    assert ("日历里已有" in made) == bool(known)
    assert "周一到周五 08:30–18:00 上班" in calendar("show")[1]
    assert (f"{year} 年没有登记节假日" in calendar("show")[1]) == (year not in known)
    assert f"{year + 1} 年没有登记节假日" in calendar("show")[1] or year + 1 in known
    unknown = known_years()[-1] + 1
    code, text = calendar("holidays", f"{unknown}")
    assert (code, "在那之前按周一到周五上班算" in text) == (1, True)
    count = len(official_days(2024))
    assert "2024-" not in calendar("show")[1]
    assert f"{count} 天已登记，其中 {count} 天有变化" in calendar("holidays", "2024")[1]
    assert "其中 0 天有变化" in calendar("holidays", "2024")[1]

    assert calendar("set", "2099-12-31", "off", "公司年假") == (0, "2099-12-31 休 off 公司年假\n")
    assert "2099-12-31  休 off  公司年假" in calendar("show")[1]
    assert calendar("set", "2099-12-31", "usual")[0] == 0
    assert "2099-12-31" not in calendar("show")[1]
    for wrong, sentence in (
        (("2099-13-01", "off"), "请写成 2026-12-31"),
        (("2099-12-31", "perhaps"), "请写 off"),
        (("2099-12-31", "off", "长" * 41), "最多 40 个字"),
    ):
        code, text = calendar("set", *wrong)
        assert (code, sentence in text) == (1, True)

    file = tmp_path / "假.csv"
    file.write_text("日期,休/班,名称\n2099-01-01,休,元旦\n2099-01-02,休,元旦\n2099-01-03,班,元旦\n", "gbk")
    assert "3 天已登记，其中 3 天有变化" in calendar("import", str(file))[1]
    text = calendar("show")[1]
    assert "2099-01-01 – 2099-01-02  休 off  元旦\n2099-01-03  班 work  元旦" in text
    file.write_text("日期,休/班\n2099-01-05,休\n明天,休\n", "utf-8")
    code, text = calendar("import", str(file))
    assert (code, "第 3 行：没看懂日期「明天」" in text) == (1, True)
    assert "2099-01-05" not in calendar("show")[1]
    assert "读不了" in calendar("import", "没有")[1]
