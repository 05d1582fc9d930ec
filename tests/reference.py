"""Writes docs/reference.md from the code: commands, settings, and the questions of each script."""

import re
from pathlib import Path

from typer.main import get_command

from bot.__main__ import cli
from bot.settings import FILE
from conversations.words import texts
from handlers.rights import RIGHTS
from handlers.talk import SCRIPTS

TARGET = Path(__file__).parent.parent / "docs" / "reference.md"


def reference() -> str:
    """The whole document."""
    parts = ["# 命令、设置与问题 Reference", "", "由代码生成 *written by* `python -m tests.reference`", ""]
    parts += ["## 命令 Commands", "", "| | |", "|---|---|", *_commands(), ""]
    parts += ["## 设置 Settings", "", "| | 默认 default | |", "|---|---|---|", *_settings(), ""]
    parts += ["## 问题 Questions", "", *_questions()]
    parts += ["## 权限 Rights", "", "| | |", "|---|---|", *_rights(), ""]
    return "\n".join(parts)


def _commands() -> list[str]:
    rows = []

    def walk(prefix: str, command: object) -> None:
        for name, child in sorted(getattr(command, "commands", {}).items()):
            if getattr(child, "commands", None):
                walk(f"{prefix} {name}", child)
                continue
            words = []
            for parameter in child.params:
                shown = (
                    parameter.opts[-1] if parameter.param_type_name == "option" else parameter.name.upper()
                )
                if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False):
                    shown += f" {parameter.name.upper()}"
                words.append(shown if parameter.required else f"[{shown}]")
            usage = " ".join([f"{prefix} {name}", *words])
            rows.append(f"| `{usage}` | {(child.help or '').splitlines()[0]} |")

    walk("./linli", get_command(cli))
    return rows


def _settings() -> list[str]:
    rows, section, comment = [], "", ""
    for line in FILE.read_text("utf-8").splitlines():
        if match := re.match(r"\[(.+)\]", line):
            section = match[1]
        elif line.startswith("#"):
            comment = line.removeprefix("#").strip()
        elif "=" in line:
            name, _, value = line.partition("=")
            rows.append(f"| `{section}.{name.strip()}` | `{value.strip()}` | {comment} |")
    return rows


def _questions() -> list[str]:
    parts = []
    for name, known in SCRIPTS.items():
        parts += [f"### {name} → `{known.script.finish}`", ""]
        for number, step in enumerate(known.script.steps, 1):
            zh, en = (texts(language)[f"{name}.{step}.ask"].split("\n")[0] for language in ("zh", "en"))
            parts.append(f"{number}. `{step}` {zh} *{en}*")
        parts.append("")
    return parts


def _rights() -> list[str]:
    return [
        f"| `{action}` | {', '.join(each if isinstance(each, str) else each.__name__ for each in who)} |"
        for action, who in sorted(RIGHTS.items())
    ]


if __name__ == "__main__":
    TARGET.write_text(reference(), "utf-8")
