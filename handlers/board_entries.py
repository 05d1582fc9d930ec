"""Lines of the board for matters that are older than the board: written once after an upgrade, in small batches."""

from datetime import timedelta

from sqlmodel import col, select

from handlers import board_lines  # noqa: F401  which makes the kinds of matters known
from handlers.actions import action
from handlers.public import MATTERS, put
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Community, CommunitySetting

BATCH = 50
"""Matters at a time, so that nobody who writes to us waits for them."""
SOON = timedelta(seconds=1)
REACHED = "board_page.reached"
"""Of each kind the last row that was looked at; "done" when all were."""
DONE = "done"


def begin_entries(tx: Tx) -> None:
    """Let every community whose older matters have no lines yet get them."""
    known = select(CommunitySetting.community_id, CommunitySetting.value)
    reached = dict(tx.session.exec(known.where(CommunitySetting.name == REACHED)).all())
    for community_id in tx.session.exec(select(Community.id)).all():
        if reached.get(community_id) != DONE:
            set_timer(tx, community_id, f"board.fill:{community_id}", tx.now, move=False)


@action("board.fill", Community)
def fill(tx: Tx, person: None, community: Community) -> None:
    """Write the next batch of lines; what has one gets the same again."""
    setting = tx.session.get(CommunitySetting, (community.id, REACHED))
    if setting is None:
        setting = CommunitySetting(community_id=community.id, name=REACHED, value={})
    if setting.value == DONE:
        return
    reached, left = dict(setting.value), BATCH
    for kind, matter in MATTERS.items():
        table = matter.table
        rows = (
            select(table.id)  # type: ignore[attr-defined]
            .where(table.community_id == community.id, table.id > reached.get(kind, 0))  # type: ignore[attr-defined]
            .order_by(col(table.id))  # type: ignore[attr-defined]
            .limit(left)
            .with_for_update(key_share=True)  # whoever acts on one meanwhile finds its line
        )
        found = tx.session.exec(rows).all()
        for number in found:
            put(tx, f"{kind}:{number}")
            reached[kind] = number
        left -= len(found)
        if not left:
            break
    setting.value = reached if not left else DONE
    tx.session.add(setting)
    if not left:
        set_timer(tx, community.id, f"board.fill:{community.id}", tx.now + SOON)
