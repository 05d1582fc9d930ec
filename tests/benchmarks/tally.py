"""How long a count takes beside reading its ballots, and whether it grows with them in a straight line."""

import gc
import json
import random
import time
from collections.abc import Callable
from typing import Any

from handlers.law import pack_of
from handlers.tally import count, result
from tests.benchmarks.measure import Figure, out, table

HOMES = (6_250, 12_500, 25_000, 50_000)
BALLOTS = 2
"""A home: every owner changes their mind once."""
ROUNDS = 5
SIDES = ("for", "against", "abstain")


def main(quick: bool = False) -> None:
    """Communities of growing size, each counted several times in turn with reading the same case."""
    rows = []
    largest = 0.0
    for homes in HOMES[:2] if quick else HOMES:
        text = json.dumps(election(homes))
        read, counted, published = [], [], []
        for _ in range(ROUNDS):
            case, took = _took(lambda text=text: json.loads(text))
            read.append(took)
            counted.append(_took(lambda case=case: count(case))[1])
            published.append(_took(lambda case=case: result(case))[1])
        largest = Figure(counted).median
        ballots = homes * BALLOTS
        rows.append(
            (
                f"{ballots:,} ballots of {homes:,} homes",
                Figure(read),
                Figure(counted),
                Figure(counted).beside(Figure(read)),
                f"{Figure(counted).median / ballots * 1e6:.1f}",
                Figure(published),
            )
        )
    columns = ("", "reading s", "counting s", "to reading", "µs a ballot", "with all readings s")
    table("A statutory vote", columns, rows)
    out.print(
        f"the largest was counted in {largest:.2f} s; a straight line has the same µs a ballot everywhere"
    )


def election(homes: int) -> dict[str, Any]:
    """A vote in which a third of the homes have two owners, some people two homes, and each ballot is cast twice."""
    chance = random.Random(homes)
    units = [
        {
            "id": f"{number // 200 + 1}-1-{number % 200}",
            "building": str(number // 200 + 1),
            "entrance": "1",
            "kind": "residential",
            "status": "sold_delivered",
            "area": f"{chance.randint(40, 180)}.{chance.randint(0, 99):02}",
            "owners": [f"P{number}", f"Q{number}"] if number % 3 == 0 else [f"P{number - number % 10 // 9}"],
            "developer": None,
            "buyers": [],
            "rep": None,
        }
        for number in range(homes)
    ]
    ballots = [
        {
            "seq": number + 1,
            "voter": chance.choice(units[chance.randrange(homes)]["owners"]),
            "on_behalf_of": None,
            "capacity": "self",
            "units": "all",
            "choice": chance.choice(SIDES),
            "channel": "bot",
            "at": f"2026-06-{2 + number % 10:02}T{number % 24:02}:{number % 60:02}:00+08:00",
        }
        for number in range(homes * BALLOTS)
    ]
    return {
        "name": "benchmark",
        "rule": "ordinary",
        "options": pack_of("").options("statutory"),
        "opens_at": "2026-06-01T00:00:00+08:00",
        "deadline": "2026-06-16T00:00:00+08:00",
        "roster": {
            "record_date": "2026-05-31",
            "units": units,
            "proxies": [],
            "legal_agents": [],
            "undelivered_owners": [],
        },
        "ballots": ballots,
    }


def _took(work: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    start = time.perf_counter()
    made = work()
    return made, time.perf_counter() - start


if __name__ == "__main__":
    main()
