"""The web hook: a service of one's own that telephones or texts people, since a muted chat wakes nobody.

Each call is a POST of JSON, signed: X-Linli-Signature is the HMAC-SHA256, in hex, of X-Linli-Timestamp (seconds, in
digits) and the body behind it, by the secret. 2xx: it is taken; 4xx: never; all else, or no answer within five
seconds: once more a little later, with the same id.
"""

import asyncio
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests

from bot.delivery import Later, Letter, Never, Taken
from bot.settings import Paging

NAME = "hook"
AT_ONCE = 4
SECONDS = 5.0
AGAIN_SECONDS = 15.0
"""How soon a call that was not taken is tried once more: a new ring comes after minutes."""


class Hook:
    """What reaches the web hook of the settings."""

    def __init__(self, settings: Paging) -> None:
        self._url = settings.hook_url.get_secret_value()
        self._secret = settings.hook_secret.get_secret_value().encode()
        # Of its own: while the service does not answer, nobody else's work waits behind it.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hook")

    @property
    def host(self) -> str:
        """Where it is, without what may be secret in its address."""
        return urlsplit(self._url).netloc.rpartition("@")[2]

    def close(self) -> None:
        """Wait for nothing that is on its way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, letter: Letter) -> Taken:
        """Deliver one call of a ring; raises Later and Never."""
        number = str(letter.row.id)
        status = await self.post({"id": number, **json.loads(letter.row.text)})
        if 200 <= status < 300:
            return Taken(number)
        if 400 <= status < 500:
            raise Never(f"HTTP {status}")
        raise Later(f"HTTP {status}", AGAIN_SECONDS)

    async def post(self, call: dict[str, Any]) -> int:
        """The HTTP status with which it answers a call; Later, without its address, if it does not."""
        body = json.dumps(call, ensure_ascii=False).encode()
        work = partial(self._post, body, str(int(datetime.now(UTC).timestamp())))
        reason = "too slow"
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            pass
        except (requests.RequestException, OSError, ValueError) as error:
            reason = type(error).__name__
        raise Later(reason, AGAIN_SECONDS)  # outside, so that no exception with an address hangs on it

    def _post(self, body: bytes, timestamp: str) -> int:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Linli-Timestamp": timestamp,
            "X-Linli-Signature": signature(self._secret, timestamp, body),
        }
        # A redirection would carry names and numbers elsewhere; of the answer only the status counts.
        with requests.post(
            self._url, data=body, headers=headers, timeout=SECONDS, allow_redirects=False, stream=True
        ) as answer:
            return int(answer.status_code)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What proves that a call is ours: the HMAC-SHA256 of the timestamp and the body, in hex."""
    return hmac.new(secret, timestamp.encode() + body, hashlib.sha256).hexdigest()
