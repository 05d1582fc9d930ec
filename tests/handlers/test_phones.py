"""Telephone numbers are compared in one form, whatever they were written like."""

import pytest

from handlers.phones import masked, normal_phone


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("13800138000", "13800138000"),
        (" 138 0013 8000 ", "13800138000"),
        ("138-0013-8000", "13800138000"),
        ("+86 138 0013 8000", "13800138000"),
        ("8613800138000", "13800138000"),
        ("008613800138000", "13800138000"),
        ("１３８００１３８０００", "13800138000"),
        ("021-5555 0110", "02155550110"),
        ("(0755) 8888 6666", "075588886666"),
        ("+49 151 12345678", "+4915112345678"),
        ("0049 151 12345678", "+4915112345678"),
        ("1380013800", ""),
        ("138001380000", ""),
        ("12345", ""),
        ("没有", ""),
        ("", ""),
        ("1.38E+10", ""),
    ],
)
def test_a_number_has_one_form(written: str, number: str) -> None:
    assert normal_phone(written) == number


def test_a_masked_number_keeps_what_tells_it_from_others() -> None:
    assert (masked("13800138000"), masked("")) == ("138****8000", "")
