"""How much the test server lets a bot send: Telegram's limits, counted by the server's clock."""

from collections.abc import Callable

from tests.bot_api_facts import flooded

ALL = 0
"""Stands for all chats together."""
A_SECOND = 30
BURST = 3.0
A_MINUTE_TO_A_GROUP = 20


class Flood:
    """Counts what is sent, and refuses what is too much; who does not wait then must wait longer."""

    def __init__(self, now: Callable[[], float], on: bool) -> None:
        self.now = now
        self.on = on
        self.all: list[float] = []
        self.groups: dict[int, list[float]] = {}
        self.private: dict[int, tuple[float, float]] = {}
        self.until: dict[int, float] = {}

    def check(self, chat: int, *, private: bool, sends: int) -> None:
        """Count what is sent to a chat, or refuse it; no sends are one edit, which counts in groups only."""
        if not self.on or (private and not sends):
            return
        now = self.now()
        for key in (ALL, chat):
            if now < self.until.get(key, 0):
                self.until[key] += 1
                raise flooded(_whole(self.until[key] - now))
        self.all = [at for at in self.all if at > now - 1]
        self._refuse(ALL, now, _wait(self.all, sends, A_SECOND, 1, now))
        if private:
            self._to_person(chat, sends, now)
        else:
            self._to_group(chat, max(sends, 1), now)
        self.all += [now] * sends

    def _refuse(self, key: int, now: float, wait: float) -> None:
        if wait > 0:
            seconds = _whole(wait)
            self.until[key] = now + seconds
            raise flooded(seconds)

    def _to_group(self, chat: int, sends: int, now: float) -> None:
        times = self.groups[chat] = [at for at in self.groups.get(chat, []) if at > now - 60]
        self._refuse(chat, now, _wait(times, sends, A_MINUTE_TO_A_GROUP, 60, now))
        times += [now] * sends

    def _to_person(self, chat: int, sends: int, now: float) -> None:
        left, at = self.private.get(chat, (BURST, now))
        left = min(BURST, left + now - at)
        self._refuse(chat, now, 1 - left if left < 0.999 else 0)
        self.private[chat] = (left - sends, now)


def _wait(times: list[float], more: int, limit: int, window: float, now: float) -> float:
    """How long until so many more fit into the window; an album that never fits alone may go."""
    over = len(times) + more - limit
    return times[min(over, len(times)) - 1] + window - now if over > 0 and times else 0


def _whole(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
