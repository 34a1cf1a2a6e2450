from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.errors import InvalidRequest
from otp_service.messages import LANGUAGES, LONGEST_CODE, Templates, read_transaction, template_faults
from otp_service.segments import segments

HOST = "login.example.com"
APP_HASH = "FA+9qCX9VSu"
PAYMENT = read_transaction("ACME", "12.00 EUR")
TEMPLATES = Templates(
    "Acme",
    "et",
    codes={"et": "{brand}: {code} (et)", "pt-BR": "{brand}: {code} (pt-br)", "pt": "{code} (pt)"},
    transactions={"pt": "{code}: {amount} -> {payee} (pt)"},
    autofill_hosts=[HOST],
)


def render(code="123456", locale=None, region="EE", transaction=None, autofill=None, templates=TEMPLATES):
    return templates.render(code, locale, region, transaction, autofill)


def pointer(refused):
    return [error["pointer"] for error in refused.value.errors]


@pytest.mark.parametrize(
    ("locale", "region", "text"),
    [
        ("pt-BR", "EE", "Acme: 123456 (pt-br)"),
        ("pt_br", "EE", "Acme: 123456 (pt-br)"),
        ("PT-BR-x-old", "EE", "Acme: 123456 (pt-br)"),
        ("pt-PT", "EE", "123456 (pt)"),
        ("en-GB", "EE", "123456 is your Acme code."),
        (None, "US", "123456 is your Acme code."),
        ("", "US", "123456 is your Acme code."),
        ("tlh", "US", "Acme: 123456 (et)"),
        (None, "EE", "Acme: 123456 (et)"),
        (None, "001", "Acme: 123456 (et)"),
    ],
)
def test_the_locale_asked_for_goes_before_the_country_and_the_country_before_the_default(
    locale, region, text
):
    assert render(locale=locale, region=region) == text


def test_english_is_left_when_nothing_else_is():
    assert render(templates=Templates("Acme", "xx", {}, {})) == "123456 is your Acme code."


def test_an_app_can_replace_a_built_in_text():
    assert render(templates=Templates("Acme", "en", {"en": "Acme {code}"}, {})) == "Acme 123456"


@given(st.text(max_size=200))
def test_no_locale_fails_a_send(locale):
    assert "123456" in render(locale=locale)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("pt-BR", "123456: 12.00 EUR -> ACME (pt)"),
        ("en", "123456 is your Acme code to pay 12.00 EUR to ACME."),
    ],
)
def test_a_payment_names_amount_and_payee(locale, text):
    assert render(locale=locale, transaction=PAYMENT) == text


# Naive: falls back to the plain text, so that the person approves a payment without reading it.
@pytest.mark.parametrize("locale", [None, "et", "fr"])
def test_a_payment_without_a_text_for_its_locale_or_the_default_is_refused(locale):
    with pytest.raises(InvalidRequest) as refused:
        render(locale=locale, transaction=PAYMENT)
    assert pointer(refused) == ["/transaction"]


def test_a_payment_in_an_unknown_locale_has_the_text_of_the_default():
    assert "12.00 EUR to ACME" in render(
        locale="fr", transaction=PAYMENT, templates=Templates("Acme", "en", {}, {})
    )


# Naive: replaces one placeholder after another, or str.format on the result.
def test_a_value_is_never_read_as_a_template():
    templates = Templates("{code}{payee}{amount}", "en", {}, {})
    assert render(transaction=PAYMENT, templates=templates) == (
        "123456 is your {code}{payee}{amount} code to pay 12.00 EUR to ACME."
    )


def test_a_decomposed_letter_is_sent_composed():
    templates = Templates("Cafe\u0301", "et", {"et": "{code} e\u0301 {brand}"}, {})
    assert render(templates=templates) == "123456 \u00e9 Caf\u00e9"


@pytest.mark.parametrize("transaction", [None, PAYMENT])
def test_the_web_line_is_the_last_and_nothing_else_is_on_it(transaction):
    text = render(locale="en", transaction=transaction, autofill={"web": HOST})
    assert text.split("\n")[1:] == ["", f"@{HOST} #123456"]


def test_the_android_hash_is_the_last_line():
    assert render(locale="en", autofill={"android": APP_HASH}).split("\n")[1:] == ["", APP_HASH]


# Naive: takes the caller's host, which lets it name a site that is not the app's.
@pytest.mark.parametrize(
    "host", ["evil.example", "", f"{HOST}.", HOST.upper(), f"{HOST} #000000", f"{HOST}\n"]
)
def test_a_host_that_is_not_the_apps_is_refused(host):
    with pytest.raises(InvalidRequest) as refused:
        render(autofill={"web": host})
    assert pointer(refused) == ["/autofill/web"]


# Naive: re.match(r"^[A-Za-z0-9+/]{11}$", app_hash), which takes a newline at the end.
@pytest.mark.parametrize(
    "app_hash", ["", APP_HASH[1:], APP_HASH + "a", "FA-9qCX9VSu", APP_HASH + "\n", "x.co/aaaaaa"]
)
def test_what_is_no_app_hash_is_refused(app_hash):
    with pytest.raises(InvalidRequest) as refused:
        render(autofill={"android": app_hash})
    assert pointer(refused) == ["/autofill/android"]


@pytest.mark.parametrize("autofill", [{}, {"ios": "x"}, {"web": HOST, "android": APP_HASH}])
def test_autofill_is_for_the_web_or_for_android(autofill):
    with pytest.raises(InvalidRequest) as refused:
        render(autofill=autofill)
    assert pointer(refused) == ["/autofill"]


@pytest.mark.parametrize(
    ("filler", "fits"),
    [
        ("a" * 141, True),
        ("a" * 142, False),
        ("€" * 70, True),
        ("€" * 71, False),
        ("ж" * 51, True),
        ("ж" * 52, False),
    ],
)
def test_a_text_with_its_autofill_line_has_at_most_140_bytes(filler, fits):
    templates = Templates("Acme", "et", {"et": "{code}" + filler}, {})
    if fits:
        assert segments(render(templates=templates, autofill={"android": APP_HASH})).count == 1
        return
    with pytest.raises(InvalidRequest) as refused:
        render(templates=templates, autofill={"android": APP_HASH})
    assert pointer(refused) == ["/autofill"]


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


@pytest.mark.parametrize("amount", ["12.00 EUR", "1.234,56 €", "$5", "£0.99", "١٢.٥", "5 kr.", "1" * 20])
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
    ],
)
def test_a_payee_that_could_say_more_than_a_name_is_refused(payee):
    with pytest.raises(InvalidRequest) as refused:
        read_transaction(payee, "1")
    assert pointer(refused) == ["/transaction/payee"]


@pytest.mark.parametrize(
    "amount",
    ["", " ", "EUR", "1.com", "x.1", "acme.com", "5 x.co", "1\n", "1" * 21, "1/2", "12%", "1.0\u202e"],
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


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("Welcome to {brand}.", "It lacks {code}."),
        ("{code} {name}", "It has no value for {name}."),
        ("{code} {payee}", "It has no value for {payee}."),
        ("{code} {}", "It has no value for {}."),
        ("{code} {0}", "It has no value for {0}."),
        ("{code} {code.__class__}", "A brace that is not part of a placeholder cannot be sent."),
        ("{code} {brand!r}", "A brace that is not part of a placeholder cannot be sent."),
        ("{code} {brand:>99}", "A brace that is not part of a placeholder cannot be sent."),
        ("{code} {brand[0]}", "A brace that is not part of a placeholder cannot be sent."),
        ("{code} {{brand}}", "A brace that is not part of a placeholder cannot be sent."),
        ("{code} }", "A brace that is not part of a placeholder cannot be sent."),
        ("{code}" + "a" * 151, "It takes 2 segments with the longest code: 161 units of GSM-7."),
        ("{code}" + "ж" * 61, "It takes 2 segments with the longest code: 71 units of UCS-2."),
    ],
)
def test_each_fault_of_a_template_is_said(template, fault):
    assert template_faults(template, "Acme") == [fault]


def test_all_faults_of_a_template_are_said_at_once():
    assert len(template_faults("{a} {b} {", "Acme", transaction=True)) == 6


def test_a_template_that_leaves_no_room_for_an_autofill_line_is_a_fault():
    assert template_faults("{code}" + "a" * 140, "Acme", autofill_hosts=[HOST]) == [
        f"With the line @{HOST} #0000000000 it takes 2 segments with the longest code: 182 units of GSM-7."
    ]


@pytest.mark.parametrize(("tag", "language"), LANGUAGES.items())
def test_a_built_in_text_has_no_fault_with_a_brand_of_twenty(tag, language):
    brand = "A" * 20
    assert not template_faults(language.code, brand, autofill_hosts=[HOST])
    assert not template_faults(language.transaction, brand, transaction=True)


def test_every_country_has_one_language():
    regions = [region for language in LANGUAGES.values() for region in language.regions]
    assert len(regions) == len(set(regions))


def test_the_longest_code_is_the_longest_that_a_check_takes():
    assert len(LONGEST_CODE) == 10
