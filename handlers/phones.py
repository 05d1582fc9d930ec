"""Telephone numbers: compared in one form, sealed where they are kept, masked where staff read them."""

import re
import unicodedata

from handlers.tx import Tx
from store.tables import Person
from store.vault import WrongKey

# A Chinese mobile, a landline with its area code, or another country's number with its code.
MOBILE = re.compile(r"1[3-9]\d{9}")
LANDLINE = re.compile(r"0[1-9]\d{9,10}")
FOREIGN = re.compile(r"\+[1-9]\d{6,14}")


def normal_phone(text: str) -> str:
    """The number in the form in which it is compared: 13800138000, 02155550110, +4915112345678; "" for none."""
    digits = re.sub(r"[\s\-().·]", "", unicodedata.normalize("NFKC", text))
    digits = re.sub(r"^(\+86|0086|86(?=1[3-9]\d{9}$))", "", digits)
    digits = re.sub(r"^00(?=[1-9])", "+", digits)
    known = MOBILE.fullmatch(digits) or LANDLINE.fullmatch(digits) or FOREIGN.fullmatch(digits)
    return digits if known else ""


def masked(phone: str) -> str:
    """What somebody who need not dial it may see of a number: 138****8000."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) > 7 else phone


def set_phone(tx: Tx, person: Person, phone: str) -> None:
    """Keep a number, in its compared form, of a person; none takes it away."""
    person.phone, person.phone_hash = tx.house.vault.seal(phone), tx.house.vault.hash(phone)
    tx.session.add(person)


def phone_of(tx: Tx, person: Person) -> str:
    """The person's number in its compared form; "" if it is not known. WrongKey if another key sealed it."""
    return tx.house.vault.open(person.phone)


def number_to_call(tx: Tx, person: Person) -> str:
    """The number, hidden, for who has to telephone; "" also for one that another key sealed, which stops no paging."""
    try:
        phone = phone_of(tx, person)
    except WrongKey:
        return ""
    return tx.house.vault.hide(phone) if phone else ""
