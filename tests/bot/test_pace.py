"""Pace: no window ever holds more than a messenger bears, and nobody waits longer than that takes."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pace import CHAT_SECONDS, GROUP_SECONDS, KEPT_FOR_URGENT, LONGER, URGENT_AT_ONCE, Pace
from handlers.tell import ANSWER, BROADCAST, NEWS, URGENT
from store.tables import Place
from tests.benchmarks import simulated
from tests.benchmarks.pace import broadcast, nearly_all
from tests.benchmarks.town import town

PER_SECOND, PER_MINUTE = 30, 20
CHAT, MINUTE = CHAT_SECONDS * LONGER, GROUP_SECONDS * LONGER


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def place(number: int, kind: str = "private") -> Place:
    return Place(id=number, community_id=1, messenger="test", external_id=f"{number}", kind=kind)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def pace(watch: Watch) -> Pace:
    return Pace(now=watch)


def send(pace: Pace, watch: Watch, where: Place, lane: int = NEWS) -> float:
    """Wait as long as the pace says, and send; the seconds waited."""
    waited = pace.wait(where, lane)
    watch.at += waited
    assert pace.wait(where, lane) == 0
    pace.took(where)
    return waited


# --- the limits -------------------------------------------------------------------------------------


def test_many_chats_get_almost_thirty_a_second_evenly(pace: Pace, watch: Watch) -> None:
    waits = [send(pace, watch, place(number), BROADCAST) for number in range(3000)]
    assert 28 <= 3000 / (watch.at - 1000) <= 30
    assert max(waits) < 0.2


def test_what_starts_late_is_made_up_for(pace: Pace, watch: Watch) -> None:
    for number in range(3000):
        send(pace, watch, place(number), BROADCAST)
        watch.at += 0.002
    assert 28 <= 3000 / (watch.at - 1000) <= 30


def test_a_private_chat_gets_one_a_second(pace: Pace, watch: Watch) -> None:
    assert [send(pace, watch, place(1)) for _ in range(3)] == pytest.approx([0, CHAT, CHAT])


def test_pages_may_come_to_a_private_chat_in_a_short_burst(pace: Pace, watch: Watch) -> None:
    send(pace, watch, place(1), BROADCAST)
    waits = [send(pace, watch, place(1), URGENT) for _ in range(URGENT_AT_ONCE)]
    assert max(waits[:-1]) < 0.1
    assert sum(waits) == pytest.approx(CHAT)


@pytest.mark.parametrize("kind", ["group", "staff", "board"])
def test_a_group_has_room_for_pages_when_it_is_full(pace: Pace, watch: Watch, kind: str) -> None:
    group = place(1, kind)
    for _ in range(PER_MINUTE - KEPT_FOR_URGENT):
        assert send(pace, watch, group, ANSWER) < 0.1
    assert pace.wait(group, ANSWER) > 55
    for _ in range(KEPT_FOR_URGENT):
        assert send(pace, watch, group, URGENT) < 0.1
    assert pace.wait(group, URGENT) > 55
    assert pace.wait(place(2), ANSWER) < 0.1


def test_the_photos_of_a_message_count(pace: Pace, watch: Watch) -> None:
    group = place(1, "board")
    pace.took(group)
    pace.took(group, 14)
    assert pace.wait(group, NEWS) == pytest.approx(MINUTE)


def test_a_group_that_may_get_little_gets_something(watch: Watch) -> None:
    pace = Pace(group_per_minute=3, now=watch)
    assert [send(pace, watch, place(1, "staff")) for _ in range(2)] == pytest.approx([0, MINUTE])


def test_held_names_the_chats_and_what_they_wait(pace: Pace, watch: Watch) -> None:
    send(pace, watch, place(1))
    send(pace, watch, place(2))
    assert list(pace.held(NEWS)) == [1, 2]
    assert pace.held(NEWS)[2] == pytest.approx(CHAT)
    assert pace.held(URGENT) == {}


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([URGENT, ANSWER, NEWS, BROADCAST]), st.floats(0, 5)),
        max_size=400,
    ),
    st.integers(1, 30),
    st.integers(1, 3),
    st.integers(1, 25),
)
def test_no_window_holds_too_much_whatever_comes_when(
    letters: list[tuple[int, int, float]], per_second: int, chat_per_second: int, per_minute: int
) -> None:
    """Letters of any lane come to four people and two groups after any pauses, each sent as soon as it may be."""
    watch = Watch()
    pace = Pace(per_second, chat_per_second, per_minute, watch)
    sent: list[float] = []
    chats: dict[int, list[float]] = defaultdict(list)
    usual: dict[int, list[float]] = defaultdict(list)
    for number, lane, pause in letters:
        watch.at += pause if pause < 0.5 else 0
        send(pace, watch, place(number, "staff" if number > 4 else "private"), lane)
        sent.append(watch.at)
        chats[number].append(watch.at)
        if lane != URGENT:
            usual[number].append(watch.at)
    assert within(sent, 1) <= per_second
    for number, times in chats.items():
        if number > 4:
            assert within(times, 60) <= per_minute
            assert within(usual[number], 60) <= max(1, per_minute - KEPT_FOR_URGENT)
        else:
            assert within(times, 1) <= max(chat_per_second, URGENT_AT_ONCE)
            assert within(usual[number], 1) <= chat_per_second


def within(times: list[float], seconds: float) -> int:
    """The most in any window of so many seconds."""
    return max((sum(at <= other < at + seconds for other in times) for at in times), default=0)


def test_what_limits_nothing_any_more_is_forgotten(pace: Pace, watch: Watch) -> None:
    for number in range(5000):
        send(pace, watch, place(number), BROADCAST)
        assert len(pace.chats) < 100
    send(pace, watch, place(1, "staff"))
    pace.halt(place(2), 30)
    for seconds, left in ((20, {1, 2}), (20, {1}), (30, set())):
        watch.at += seconds
        send(pace, watch, place(9))
        assert set(pace.chats) - {9} == left


# --- told to wait -----------------------------------------------------------------------------------


def test_a_chat_that_was_told_to_wait_gets_nothing_and_holds_nobody_up(pace: Pace, watch: Watch) -> None:
    pace.halt(place(1), 3600)
    assert (pace.wait(place(1), URGENT), pace.wait(place(2), BROADCAST), pace.closed()) == (3600, 0, 0)
    assert pace.held(URGENT) == {1: 3600}
    watch.at += 3600
    assert pace.wait(place(1), BROADCAST) == 0


def test_two_chats_told_so_at_once_halt_the_whole_messenger(pace: Pace, watch: Watch) -> None:
    pace.halt(place(1), 30)
    watch.at += 9
    pace.halt(place(2), 5)
    assert (pace.wait(place(3), URGENT), pace.closed()) == (5, 5)  # the first may have a reason of its own
    assert pace.wait(place(1), URGENT) == 21
    watch.at += 5
    assert pace.wait(place(3), URGENT) == 0


def test_the_same_chat_told_so_twice_halts_only_itself(pace: Pace) -> None:
    pace.halt(place(1), 30)
    pace.halt(place(1), 5)
    assert (pace.wait(place(1), URGENT), pace.wait(place(2), URGENT)) == (30, 0)


def test_two_chats_told_so_long_after_another_halt_only_themselves(pace: Pace, watch: Watch) -> None:
    pace.halt(place(1), 30)
    watch.at += 10
    pace.halt(place(2), 30)
    assert pace.wait(place(3), URGENT) == 0


# --- a whole broadcast, in simulated time -----------------------------------------------------------


def test_a_broadcast_keeps_the_limits_and_lets_answers_and_pages_pass() -> None:
    with town(1000, None) as where:
        traffic = simulated.run(broadcast(where))
    assert traffic.most() <= PER_SECOND
    assert all(27 <= count <= 30 for count in traffic.a_second())
    assert set(traffic.broadcast.values()) == {1}
    assert len(traffic.waits[ANSWER]) > 30
    assert nearly_all(traffic.waits[ANSWER]) < 1
    assert len(traffic.waits[URGENT]) >= 6
    assert max(traffic.waits[URGENT]) < 0.25
