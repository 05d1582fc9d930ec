"""The vault seals so that only its own key opens, and hashes so that equal things are found."""

import stat
from pathlib import Path

import pytest

from store.vault import Vault, WrongKey, kept_key

PHONE = "13800138000"


def test_what_is_sealed_is_opened_by_the_same_key() -> None:
    assert Vault("key").open(Vault("key").seal(PHONE)) == PHONE
    assert Vault("key").open_bytes(Vault("key").seal_bytes(b"roster")) == b"roster"


def test_sealed_texts_show_nothing_and_differ() -> None:
    first, second = Vault("key").seal(PHONE), Vault("key").seal(PHONE)
    assert first != second
    assert PHONE not in first


def test_another_key_opens_nothing() -> None:
    sealed = Vault("key").seal(PHONE)
    for wrong in (sealed, f"{Vault('other').mark}:{sealed.partition(':')[2]}", "nonsense"):
        with pytest.raises(WrongKey):
            Vault("other").open(wrong)
    with pytest.raises(WrongKey):
        Vault("other").open_bytes(Vault("key").seal_bytes(b"roster"))


def test_hashes_are_equal_for_one_key_only() -> None:
    assert Vault("key").hash(PHONE) == Vault("key").hash(PHONE)
    assert len({Vault("key").hash(PHONE), Vault("other").hash(PHONE), Vault("key").hash("1")}) == 3


def test_nothing_stays_nothing() -> None:
    vault = Vault("key")
    assert (vault.seal(""), vault.open(""), vault.hash("")) == ("", "", "")


def test_a_key_is_made_once_and_is_its_owner_s(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = kept_key(file)
    assert (kept_key(file), len(key)) == (key, 43)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
