"""The settings of the tests' service account."""

from typing import Any

from pydantic import SecretStr

from bot.settings import Wechat
from tests.wechat_api import WeChatApi


def settings_of(api: WeChatApi, **changes: Any) -> Wechat:
    """The WeChat section for this server's account, with its template and its notification."""
    values: dict[str, Any] = {
        "app_id": api.app_id,
        "app_secret": SecretStr(api.app_secret),
        "token": SecretStr(api.token),
        "aes_key": SecretStr(api.aes_key),
        "base_url": api.url,
        "free_messages": api.free_messages,
        "free_hours": 48,
        "tap_messages": api.tap_messages,
        "tap_seconds": 60,
        "template": api.template,
        "template_fields": "thing1=about, thing2=words, time3=time",
        "notification": api.notification,
        "notification_fields": "thing1=about, thing2=words, time3=time",
        "digest_at": "",
    }
    return Wechat(**{**values, **changes})
