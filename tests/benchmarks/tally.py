"""How long a count takes beside reading its ballots, and whether it grows with them in a straight line."""

import gc
import json
import random
import time
from collections.abc import Callable
from typing import Any

from handlers.bundle import case_of, pack, verify
from handlers.tally import count, result
from tests.benchmarks.measure import Figure, out, table
from tests.published import Vote, ballot, unit

HOMES = (6_250, 12_500, 25_000, 50_000)
BALLOTS = 2
"""A home: every owner changes their mind once."""
ROUNDS = 5


def main(quick: bool = False) -> None:
    """Votes of growing size, each counted several times in turn with reading the same case."""
    rows = []
    for homes in HOMES[:2] if quick else HOMES:
        bundle = election(homes).bundle()
        text = json.dumps(case_of(bundle.policy, bundle.roster, bundle.log))
        packed = pack(bundle)
        del bundle
        read, counted, published = [], [], []
        for _ in range(ROUNDS):
            case, took = _took(lambda text=text: json.loads(text))
            read.append(took)
            counted.append(_took(lambda case=case: count(case))[1])
            published.append(_took(lambda case=case: result(case))[1])
        del case
        ballots = homes * BALLOTS
        rows.append(
            (
                f"{ballots:,} ballots of {homes:,} homes",
                Figure(read),
                Figure(counted),
                Figure(counted).beside(Figure(read)),
                f"{Figure(counted).median / ballots * 1e6:.1f}",
                Figure(published),
                f"{_took(lambda packed=packed: verify(packed))[1]:.1f}",
            )
        )
    columns = ("", "reading s", "counting s", "to reading", "µs a ballot", "all readings s", "verify s")
    table("A statutory vote; in a straight line the µs a ballot are the same everywhere", columns, rows)
    out.print(f"the largest was counted in {rows[-1][2]} s")


def election(homes: int) -> Vote:
    """A vote in which a third of the homes have two owners and some people two homes; everybody votes about twice."""
    chance = random.Random(homes)
    units = [
        unit(
            number,
            *([f"P{number}", f"Q{number}"] if number % 3 == 0 else [f"P{number - number % 10 // 9}"]),
            area=f"{chance.randint(40, 180)}.{chance.randint(0, 99):02}",
        )
        for number in range(homes)
    ]
    sides = ("for", "against", "abstain")
    voters = (chance.choice(chance.choice(units)["owners"]) for _ in range(homes * BALLOTS))
    return Vote(units=units, acts=[ballot(voter, chance.choice(sides)) for voter in voters])


def _took(work: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    start = time.perf_counter()
    made = work()
    return made, time.perf_counter() - start


if __name__ == "__main__":
    main()
