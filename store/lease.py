"""Leases: what only one process may do at a time belongs to whoever holds its row."""

from datetime import datetime, timedelta

from sqlmodel import Session, select

from store.tables import Lease


def hold(session: Session, name: str, holder: str, *, now: datetime, seconds: int) -> bool:
    """Take or prolong the lease `name` until `seconds` from now; False if somebody else holds it."""
    lease = session.exec(select(Lease).where(Lease.name == name).with_for_update()).first()
    if lease is not None and lease.holder != holder and lease.until > now:
        return False
    lease = lease or Lease(name=name, holder=holder, until=now)
    lease.holder, lease.until = holder, now + timedelta(seconds=seconds)
    session.add(lease)
    return True


def let_go(session: Session, name: str, holder: str) -> None:
    """Give the lease back, so that the next process need not wait until it runs out."""
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder == holder:
        session.delete(lease)
