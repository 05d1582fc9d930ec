"""QR codes that bring a code of ours: whoever scans one follows the account and sends it, in one step."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.wechat_client import Away, Client, Trouble, real_time

AT_ONCE = 8
LONGEST = timedelta(days=30)
"""For which WeChat keeps such a code."""
TRIES, PAUSE = 3, 1.0
BUSY = -1


async def scenes(
    client: Client, codes: Sequence[str], until: datetime | None, made: Callable[[], object] = lambda: None
) -> dict[str, str]:
    """What the QR code for each of these codes says; all of them, or Trouble or Away. `made` is called after each.

    Without `until` they last, as what hangs on a wall must: an account has 100,000 of those.
    """
    free = asyncio.Semaphore(AT_ONCE)

    async def one(code: str) -> str:
        async with free:
            url = await _create(client, code, until)
        made()
        return url

    return dict(zip(codes, await asyncio.gather(*map(one, codes)), strict=True))


async def _create(client: Client, code: str, until: datetime | None) -> str:
    """One of them, which lives no longer than its code; among thousands one may need a second try."""
    for left in reversed(range(TRIES)):
        try:
            if until is None:
                return await client.create_lasting_qr(code)
            return await client.create_qr(code, int(min(until - real_time(), LONGEST).total_seconds()))
        except (Trouble, Away) as error:
            if not left or (isinstance(error, Trouble) and error.code != BUSY):
                raise
        await asyncio.sleep(PAUSE)
    raise AssertionError
