"""Pace: what one messenger may be sent now, so that it never has to refuse; pure bookkeeping of what went out."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from handlers.tell import ANSWER, URGENT
from store.tables import Place

CHAT_SECONDS = 1.0
GROUP_SECONDS = 60.0
URGENT_AT_ONCE = 3  # into one private chat in a second: messengers bear a short burst
KEPT_FOR_ANSWERS = 1  # of what a messenger may get in a second
KEPT_FOR_URGENT = 5  # of what a group may get in a minute
TOGETHER = 10.0  # seconds within which two chats told to wait mean the whole messenger
LONGER = 1.03  # than the messenger's are our windows: what goes out evenly does not arrive so
EVEN = 0.9  # of the even distance must lie between two messages; the rest makes up for a late start
LONG_AGO = float("-inf")


@dataclass
class _Chat:
    """What one chat may get, `most` messages in any window of `seconds`, and what it got; times are the pace's."""

    most: int
    most_urgent: int
    """Likewise, for a message that is urgent."""
    seconds: float
    sent: deque[float] = field(default_factory=deque)
    """When the last messages went out, the latest at the end."""
    told: float = LONG_AGO
    """When the messenger last told it to wait ..."""
    halted: float = LONG_AGO
    """... and until when."""

    def free(self, lane: int) -> float:
        """When a message of this lane may go."""
        most = self.most_urgent if lane == URGENT else self.most
        return max(self.halted, _free(self.sent, most, self.seconds))

    def limits_until(self) -> float:
        """When it may be forgotten."""
        return max(self.halted, self.told + TOGETHER, _free(self.sent, 1, self.seconds))


class Pace:
    """What one messenger may be sent: `per_second` messages in all and `chat_per_second` into a private chat, in
    any second, and `group_per_minute` into a group, in any minute; the last five of those only what is urgent.

    Edits and deletions of our own messages count in a group as messages do. `now` is a clock in seconds that never goes
    back.
    """

    def __init__(
        self,
        per_second: int = 30,
        chat_per_second: int = 1,
        group_per_minute: int = 20,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_second = per_second
        self.chat_per_second = chat_per_second
        self.group_per_minute = group_per_minute
        self.now = now
        self.sent: deque[float] = deque(maxlen=per_second)
        self.chats: dict[int, _Chat] = {}
        """What is known of each chat that is limited by it, by its place."""
        self.halted_until = LONG_AGO
        self.swept = LONG_AGO

    def wait(self, place: Place, lane: int) -> float:
        """Seconds until a message of this lane may go to the place; 0: now."""
        chat = self.chats.get(place.id)
        return max(self.closed(lane), self._left(chat.free(lane)) if chat else 0.0)

    def held(self, lane: int) -> dict[int, float]:
        """Seconds until a message of this lane may go to each chat that may not have one now, by its place."""
        waits = {place_id: self._left(chat.free(lane)) for place_id, chat in self.chats.items()}
        return {place_id: seconds for place_id, seconds in waits.items() if seconds}

    def closed(self, lane: int = URGENT) -> float:
        """Seconds until anything at all of this lane may go.

        Answers and pages need not come evenly, and find one place free: who waits for one waits for no broadcast.
        """
        free = max(self.halted_until, _free(self.sent, self.per_second, 1.0))
        if lane > ANSWER:
            others = _free(self.sent, max(1, self.per_second - KEPT_FOR_ANSWERS), 1.0)
            free = max(free, others, _free(self.sent, 1, EVEN / self.per_second))
        return self._left(free)

    def took(self, place: Place, messages: int = 1, *, into_chat: bool = True) -> None:
        """So many messages go out to the place now; a mere change there may count in all only."""
        times = [self.now()] * messages
        self.sent.extend(times)
        if into_chat:
            self._chat(place).sent.extend(times)
        self._forget()

    def halt(self, place: Place, seconds: float) -> None:
        """Nothing to this place for so long: the messenger said so; nothing at all if it just said so elsewhere."""
        now = self.now()
        chat = self._chat(place)
        chat.told, chat.halted = now, max(chat.halted, now + seconds)
        just_told = [
            each.halted for each in self.chats.values() if each.told > now - TOGETHER and each.halted > now
        ]
        if len(just_told) > 1:
            self.halted_until = max(self.halted_until, min(just_told))  # one of them may have its own reason

    def _chat(self, place: Place) -> _Chat:
        if place.id not in self.chats:
            if place.kind == "private":
                burst = max(self.chat_per_second, URGENT_AT_ONCE)
                chat = _Chat(self.chat_per_second, burst, CHAT_SECONDS)
            else:
                usual = max(1, self.group_per_minute - KEPT_FOR_URGENT)
                chat = _Chat(usual, self.group_per_minute, GROUP_SECONDS)
            chat.sent = deque(maxlen=chat.most_urgent)
            self.chats[place.id] = chat
        return self.chats[place.id]

    def _left(self, until: float) -> float:
        """Seconds until then; less than a microsecond is nothing, since clocks are rounded."""
        return max(0.0, round(until - self.now(), 6))

    def _forget(self) -> None:
        """Once a second, the chats that nothing limits any more: there may be millions in time."""
        now = self.now()
        if now > self.swept + 1:
            self.swept = now
            self.chats = {key: chat for key, chat in self.chats.items() if chat.limits_until() > now}


def _free(sent: deque[float], most: int, seconds: float) -> float:
    """When one more may go so that no window of so many seconds holds over `most`."""
    return sent[-most] + seconds * LONGER if len(sent) >= most else LONG_AGO
