from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.errors import InvalidRequest
from otp_service.messages import read_transaction


def pointer(refused):
    return [error["pointer"] for error in refused.value.errors]


@pytest.mark.parametrize(
    "payee",
    [
        "ACME",
        "H&M",
        "Müller, Söhne - Co.",
        "O'Reilly",
        "St. Gallen",
        "A.",
        "Łódź",
        "ООО Ромашка",
        "हिन्दी",
        "7",
        "a" * 50,
    ],
)
def test_a_payee_is_taken_as_it_is(payee):
    assert read_transaction(payee, "1").payee == payee


@pytest.mark.parametrize(
    "amount",
    ["12.00 EUR", "1.234,56 €", "1.234.567,89", "1.500.000.000 Rp", "$5", "£0.99", "١٢.٥", "5 kr.", "1" * 20],
)
def test_an_amount_is_taken_as_it_is(amount):
    assert read_transaction("ACME", amount).amount == amount


# Naive: re.fullmatch(r"[\w .,'&€$£-]+", payee), or an ASCII test for the letters round the dot.
@pytest.mark.parametrize(
    "payee",
    [
        "acme-refund.com",
        "a.b",
        "1.1.1.1",
        "7.fm",
        "ромашка.рф",
        "сafé.fr",
        "हिन्दी.भारत",
        "कि.भारत",
        "١.com",
        "Pay at acme.com now",
        "https://acme",
        "acme。com",
        "acme．com",
        "acme․com",
        "a@b",
        "@evil #123456",
        "ACME\n",
        "ACME\n@evil.example #123456",
        "ACME\u2028x",
        "ACME\u202eMOC",
        "ACME\u200b",
        "ACME\x00",
        "ACME\u00a0Co",
        "{code}",
        "50%",
        "a_b",
        "½",
        "",
        " ",
        "...",
        "a" * 51,
        "\u0301",
        "\u0338 Acme",
        "\u3164",
        "Ac\u115fme",
        "\uffa0\u1160",
    ],
)
def test_a_payee_that_could_say_more_than_a_name_is_refused(payee):
    with pytest.raises(InvalidRequest) as refused:
        read_transaction(payee, "1")
    assert pointer(refused) == ["/transaction/payee"]


@pytest.mark.parametrize(
    "amount",
    [
        "",
        " ",
        "EUR",
        "1.com",
        "185.12.3.4",
        "1.2.3.4",
        "EUR 10.0.0.138",
        "1.200.150.1000",
        "\u03385",
        "x.1",
        "acme.com",
        "5 x.co",
        "1\n",
        "1" * 21,
        "1/2",
        "12%",
        "1.0\u202e",
    ],
)
def test_an_amount_that_could_say_more_than_a_sum_is_refused(amount):
    with pytest.raises(InvalidRequest) as refused:
        read_transaction("ACME", amount)
    assert pointer(refused) == ["/transaction/amount"]


def test_two_codings_of_one_payee_are_one_transaction():
    assert read_transaction("Cafe\u0301", "1") == read_transaction("Caf\u00e9", "1")


def test_a_payee_that_is_refused_is_not_repeated():
    with pytest.raises(InvalidRequest) as refused:
        read_transaction("acme-refund.com", "1")
    assert "refund" not in f"{refused.value!r} {refused.value.members()}"


@given(st.text("aжé1٣. \n@#/-é", max_size=60), st.text("a1. ,€", max_size=25))
def test_no_transaction_breaks_the_line_or_makes_a_link(payee, amount):
    try:
        found = read_transaction(payee, amount)
    except InvalidRequest:
        return
    text = f"{found.payee} {found.amount}"
    assert text.isprintable()
    assert not re.search(r"[^\W_]\.[^\W\d_]", text)
