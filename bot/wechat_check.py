"""`./linli wechat check` and its menu: what of the service account is right, and what to do about the rest."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from bot.settings import Settings
from bot.wechat_client import Away, Client, Trouble
from bot.wechat_seal import Seal

MENU: dict[str, Any] = {
    "button": [
        {"type": "click", "name": "报修", "key": "repair"},
        {
            "name": "业主",
            "sub_button": [
                {"type": "click", "name": "投票", "key": "votes"},
                {"type": "click", "name": "申请设备", "key": "purchase"},
                {"type": "click", "name": "我的", "key": "my"},
            ],
        },
        {
            "name": "更多",
            "sub_button": [
                {"type": "click", "name": "帮助", "key": "help"},
                {"type": "click", "name": "语言 Language", "key": "language"},
                {"type": "click", "name": "我的资料", "key": "mydata"},
            ],
        },
    ]
}
"""The menu under everybody's chat; each key is a command of `handlers/menu.py`."""
SHAPES = {
    "app_id": (r"wx[0-9a-f]{16}", "wx 加 16 位十六进制数字", "wx and 16 hexadecimal digits"),
    "app_secret": (r"[0-9a-f]{32}", "32 位十六进制数字", "32 hexadecimal digits"),
    "token": (r"[A-Za-z0-9]{3,32}", "3 至 32 位字母或数字", "3 to 32 letters and digits"),
    "aes_key": (r"[A-Za-z0-9]{43}", "43 位字母或数字", "43 letters and digits"),
}
"""What WeChat's settings look like: a pattern, and the same in words."""
FITS = {"about": ("thing",), "words": ("thing",), "time": ("time", "date")}
"""Which kinds of a template's fields hold what we show in them."""
FIELD = re.compile(r"\{\{\s*(\w+)\.DATA\s*\}\}")
PORTS = (None, 80, 443)
TIMEOUT = (5, 10)
BUSY = (-1, 45009, 45011)
WHERE = "公众平台「设置与开发 → 基本配置」或微信开发者平台"
TROUBLES = {
    40164: (
        f"请把本机出口 IP{{ip}} 加入 IP 白名单（{WHERE}）。",
        "Please add this machine's public IP{ip} to the IP whitelist (same page).",
    ),
    40013: ("AppID 不对，请核对 LINLI_WECHAT__APP_ID。", "The AppID is wrong: LINLI_WECHAT__APP_ID."),
    40125: (
        f"AppSecret 不对或已重置，请核对 LINLI_WECHAT__APP_SECRET（{WHERE}）。",
        "The AppSecret is wrong or was reset: LINLI_WECHAT__APP_SECRET.",
    ),
    40243: (
        f"AppSecret 已被冻结，请由管理员解冻（{WHERE}）。",
        "The AppSecret is frozen; an administrator can unfreeze it.",
    ),
    48001: (
        "公众号没有这项权限：须为已认证的服务号，并在「新的功能」里开通模板消息等功能。",
        "The account lacks this right: it must be a verified service account (服务号); apply for the function "
        "(template messages and the like) among its features.",
    ),
    50007: ("公众号已被冻结，请在公众平台查看原因。", "The account is frozen; its console says why."),
}
IP = re.compile(r"invalid ip ([0-9a-fA-F.:]+)")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok` (None: it is left out, or cannot be told), what, and what to do about it."""

    ok: bool | None
    what: str
    advice: str = ""


async def check(settings: Settings, client: Client) -> list[Finding]:
    """All that can be known without an owner's message; it changes nothing, and no finding has a secret in it."""
    found = [_shape(settings, name) for name in SHAPES]
    whole = all(finding.ok for finding in found)
    found.append(_address(settings.web.address))
    if not whole:
        return found
    if settings.web.address:
        found.append(await _callback(settings))
    found.append(await _told("接口凭证 Access token", lambda: _token(client)))
    if not found[-1].ok:
        return found
    wechat = settings.wechat
    return [
        *found,
        await _told("带参数二维码 QR codes with an invitation", lambda: _code(client)),
        await _told("自定义菜单 Menu", lambda: _menu(client)),
        await _told(
            "模板消息 Template message",
            lambda: _template(
                "TEMPLATE", "template_id", wechat.template, wechat.template_fields, client.templates
            ),
        ),
        await _told(
            "订阅通知 One-time notification",
            lambda: _template(
                "NOTIFICATION",
                "priTmplId",
                wechat.notification,
                wechat.notification_fields,
                client.notifications,
            ),
        ),
    ]


Told = tuple[bool | None, str]


async def _told(what: str, look: Callable[[], Awaitable[Told]]) -> Finding:
    """What a look at WeChat found; its refusals become advice."""
    try:
        ok, words = await look()
    except (Trouble, Away) as error:
        busy = isinstance(error, Trouble) and error.code in BUSY
        ok, words = (None if busy else False), advice(error)
    return Finding(ok, what, words)


def advice(trouble: Trouble | Away) -> str:
    """Why WeChat does not do what it was asked, and what to do about it."""
    if isinstance(trouble, Away):
        return (
            f"微信连不上（{trouble.reason}）；请检查网络、代理和 LINLI_WECHAT__BASE_URL。"
            f"WeChat is not reached ({trouble.reason}); please check network, proxy and LINLI_WECHAT__BASE_URL."
        )
    if trouble.code in BUSY:
        return f"微信暂时不答复（{trouble.code}），请稍后再试。WeChat is busy or its daily limit is used up; try later."
    chinese, english = TROUBLES.get(
        trouble.code,
        ("请按错误码在微信文档中查找原因。", "Please look the code up in WeChat's documentation."),
    )
    found = IP.search(trouble.reason)
    ip = f" {found[1]} " if found else ""
    words = f"{chinese}{english}".replace("{ip}", ip.rstrip())
    return f"{words} ({trouble.code} {trouble.reason})"


# --- our own side -----------------------------------------------------------------------------------


def _shape(settings: Settings, name: str) -> Finding:
    value = getattr(settings.wechat, name)
    value = value if isinstance(value, str) else value.get_secret_value()
    pattern, chinese, english = SHAPES[name]
    variable = f"LINLI_WECHAT__{name.upper()}"
    if not value:
        return Finding(False, variable, f"还没有设置（{WHERE}）。It is not set.")
    if not re.fullmatch(pattern, value):
        return Finding(False, variable, f"应为 {chinese}，没有空格。It should be {english}, without spaces.")
    return Finding(True, variable)


def _address(address: str) -> Finding:
    what = f"LINLI_WEB__ADDRESS {address}".rstrip()
    if not address:
        return Finding(
            False, what, "请设为微信能访问的网址，如 https://…。Please set the address that WeChat can reach."
        )
    parts = urlsplit(address)
    if parts.scheme != "https":
        return Finding(
            False,
            what,
            "个人链接须走 https，请配置证书。Personal links need https: please set up a certificate.",
        )
    if parts.port not in PORTS:
        return Finding(False, what, "微信只访问 80 和 443 端口。WeChat calls the ports 80 and 443 only.")
    return Finding(True, what)


async def _callback(settings: Settings) -> Finding:
    """Ask our own address what WeChat will ask when the server configuration is saved."""
    wechat = settings.wechat
    seal = Seal(wechat.token.get_secret_value(), wechat.aes_key.get_secret_value(), wechat.app_id)
    timestamp, nonce, echo = str(int(time.time())), secrets.token_hex(5), str(secrets.randbelow(10**18))
    query = {
        "signature": seal.signature(timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "echostr": echo,
    }
    url = settings.callback
    status, answer = await asyncio.to_thread(_asked, url, query)
    if status == 200 and answer == echo:
        return Finding(
            True,
            url,
            f"请在服务器配置里填这个网址，选「安全模式」（{WHERE}）。"
            "Enter this address in the server configuration, in safe mode (安全模式).",
        )
    if not status:
        words = (
            f"连不上（{answer}）：Linli 在运行吗？反向代理和证书对吗？"
            f"It is not reached ({answer}): is Linli running, are proxy and certificate right?"
        )
    elif status == 403:
        words = (
            "运行中的 Linli 用的是另一个 Token，请用同样的设置重启。"
            "The running Linli has another Token: please restart it with these settings."
        )
    elif status == 404:
        words = (
            "这里没有微信的入口：请用这些设置重启 Linli，并检查反向代理的路径。"
            "There is no WeChat here: please restart Linli with these settings, and check the proxy's paths."
        )
    else:
        words = f"答复不是 Linli 的（HTTP {status}）。The answer (HTTP {status}) is not Linli's: what is in between?"
    return Finding(False, url, words)


def _asked(url: str, query: Mapping[str, str]) -> tuple[int, str]:
    """Status and body; (0, what kind of error) if nobody answers."""
    try:
        with requests.get(url, params=query, timeout=TIMEOUT, allow_redirects=False, stream=True) as answer:
            return answer.status_code, next(answer.iter_content(200), b"").decode("ascii", "replace")
    except (requests.RequestException, OSError, ValueError) as error:
        return 0, type(error).__name__


# --- WeChat's side ----------------------------------------------------------------------------------


async def _token(client: Client) -> Told:
    await client.try_token()
    return True, ""


async def _code(client: Client) -> Told:
    await client.create_qr("check", 60)
    return True, ""


async def _menu(client: Client) -> Told:
    menu = await client.get_menu()
    if _buttons(menu.get("button", ())) == _buttons(MENU["button"]):
        return True, ""
    what = ("菜单不是 Linli 的", "The menu is not Linli's") if menu else ("还没有菜单", "There is no menu")
    return False, f"{what[0]}，请运行 ./linli wechat menu。{what[1]}: run ./linli wechat menu."


def _buttons(buttons: Any) -> list[Any]:
    """What of a menu makes a difference; WeChat fills in the rest."""
    if not isinstance(buttons, Sequence):
        return []
    return [
        (each.get("name"), _buttons(each.get("sub_button") or ()))
        if each.get("sub_button")
        else (each.get("name"), each.get("type"), each.get("key"))
        for each in buttons
        if isinstance(each, dict)
    ]


async def _template(
    setting: str,
    id_: str,
    chosen: str,
    fields: Mapping[str, str],
    fetch: Callable[[], Awaitable[list[dict[str, Any]]]],
) -> Told:
    there = await fetch()
    variable = f"LINLI_WECHAT__{setting}"
    if not chosen:
        return None, (
            f"没有设置 {variable}：久未联系的业主要等下次来访才收到消息。"
            f"{variable} is not set: owners who were not heard lately are reached at their next visit only."
        )
    content = next((str(each.get("content", "")) for each in there if each.get(id_) == chosen), None)
    if content is None:
        titles = "、".join(f"{each.get('title', '')} {each.get(id_, '')}" for each in there[:25])
        return (
            False,
            f"公众号没有这个模板。The account has no such template ({variable}). 现有 It has: {titles or '—'}",
        )
    has = FIELD.findall(content)
    if set(has) != set(fields):
        return False, (
            f"模板的字段是 {', '.join(has)}，请改 {variable}_FIELDS。"
            f"The template's fields are {', '.join(has)}: please change {variable}_FIELDS, such as "
            f'"{", ".join(f"{name}={_guess(name)}" for name in has)}".'
        )
    unfit = [name for name, shows in fields.items() if name.rstrip("0123456789") not in FITS[shows]]
    if unfit:
        return False, (
            f"{', '.join(unfit)} 装不下要显示的内容：about、words 用 thing，time 用 time 或 date；请另选模板。"
            f"{', '.join(unfit)} cannot hold what it shows: about and words need a thing, time a time or date; "
            "please choose another template."
        )
    return True, ""


def _guess(name: str) -> str:
    return "time" if name.startswith(("time", "date")) else "about" if name.endswith("1") else "words"
