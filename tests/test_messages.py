from __future__ import annotations

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
PLAIN = Templates("Acme", "xx", {}, {}, [HOST])


def render(code="123456", locale=None, region="EE", transaction=None, autofill=None, templates=TEMPLATES):
    return templates.render(code, locale, region, transaction, autofill)


def built_in(tag):
    """The payment's text, because some languages share the other one."""
    values = {"code": "123456", "brand": "Acme", "amount": PAYMENT.amount, "payee": PAYMENT.payee}
    return LANGUAGES[tag].transaction.format_map(values)


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
        ("tlh", "US", "123456 is your Acme code."),
        (None, "EE", "Acme: 123456 (et)"),
        (None, "BR", "Acme: 123456 (pt-br)"),
        (None, "001", "Acme: 123456 (et)"),
        ("tlh", "001", "Acme: 123456 (et)"),
    ],
)
def test_the_locale_asked_for_goes_before_the_country_and_the_country_before_the_default(
    locale, region, text
):
    assert render(locale=locale, region=region) == text


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("zh", "zh-hans"),
        ("zh-CN", "zh-hans"),
        ("zh-SG", "zh-hans"),
        ("zh-Hans-HK", "zh-hans"),
        ("zh-TW", "zh-hant"),
        ("zh_HK", "zh-hant"),
        ("zh-MO", "zh-hant"),
        ("zh-Hant-TW", "zh-hant"),
        ("no", "nb"),
        ("no_NO", "nb"),
        ("nn-NO", "nb"),
        ("in", "id"),
        ("in_ID", "id"),
        ("sr", "sr-latn"),
        ("sr-RS", "sr-latn"),
        ("pt-PT", "pt"),
        ("de-AT", "de"),
    ],
)
def test_a_tag_that_phones_send_finds_the_language_that_its_readers_have(locale, tag):
    assert render(locale=locale, transaction=PAYMENT, templates=PLAIN) == built_in(tag)


@pytest.mark.parametrize(
    ("region", "tag"),
    [("EE", "et"), ("BR", "pt-br"), ("CN", "zh-hans"), ("TW", "zh-hant"), ("NO", "nb"), ("ME", "sr-latn")],
)
def test_a_country_has_its_language(region, tag):
    assert render(region=region, transaction=PAYMENT, templates=PLAIN) == built_in(tag)


# Most of Estonia does not read Russian, half of Belgium no Dutch: nobody's second language is a default.
@pytest.mark.parametrize("region", ["BE", "CH", "001"])
def test_a_country_with_no_language_of_all_has_the_apps(region):
    templates = Templates("Acme", "fr", {}, {})
    assert render(region=region, transaction=PAYMENT, templates=templates) == built_in("fr")


def test_english_is_left_when_nothing_else_is():
    assert render(region="001", templates=PLAIN) == "123456 is your Acme code."


@pytest.mark.parametrize(
    ("own", "region"),
    [
        ("en", "US"),
        ("en-US", "US"),
        ("pt", "BR"),
        ("zh", "TW"),
        ("zh-TW", "TW"),
        ("no", "NO"),
        ("iw", "IL"),
        ("de-AT", "AT"),
    ],
)
def test_a_text_of_the_app_goes_before_a_built_in_one(own, region):
    assert render(region=region, templates=Templates("Acme", "xx", {own: "Acme {code}"}, {})) == "Acme 123456"


def test_a_text_of_the_app_for_one_country_is_not_for_others():
    templates = Templates("Acme", "xx", {"de-AT": "Acme {code}"}, {})
    assert render(region="DE", templates=templates) == "123456 ist Ihr Acme-Code."


@given(st.text(max_size=200))
def test_no_locale_fails_a_send(locale):
    assert "123456" in render(locale=locale)
    assert "12.00 EUR" in render(locale=locale, transaction=PAYMENT)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("pt-BR", "123456: 12.00 EUR -> ACME (pt)"),
        ("en", "123456 is your Acme code to pay 12.00 EUR to ACME."),
        ("fr", "123456 est votre code Acme pour payer 12.00 EUR à ACME."),
        (None, "123456 on sinu Acme kood. Makse 12.00 EUR, saaja ACME."),
        ("tlh", "123456 on sinu Acme kood. Makse 12.00 EUR, saaja ACME."),
    ],
)
def test_a_payment_names_amount_and_payee(locale, text):
    assert render(locale=locale, transaction=PAYMENT) == text


# Naive: falls back to the app's plain text, so that the person approves a payment without reading it.
def test_a_payment_without_a_text_for_any_language_wanted_is_in_english():
    templates = Templates("Acme", "xx", {"xx": "{code}"}, {})
    assert render(region="001", transaction=PAYMENT, templates=templates) == (
        "123456 is your Acme code to pay 12.00 EUR to ACME."
    )


# Naive: replaces one placeholder after another, or str.format on the result.
def test_a_value_is_never_read_as_a_template():
    templates = Templates("{code}{payee}{amount}", "en", {}, {})
    assert render(locale="en", transaction=PAYMENT, templates=templates) == (
        "123456 is your {code}{payee}{amount} code to pay 12.00 EUR to ACME."
    )


@pytest.mark.parametrize("locale", ["iw", "iw_IL", "he"])
def test_hebrew_has_two_tags(locale):
    assert render(locale=locale, templates=PLAIN) == "123456 הוא קוד Acme"


def test_a_decomposed_letter_is_sent_composed():
    templates = Templates("Cafe\u0301", "et", {"et": "{code} e\u0301 {brand}"}, {})
    assert render(templates=templates) == "123456 \u00e9 Caf\u00e9"


@pytest.mark.parametrize("transaction", [None, PAYMENT])
def test_the_web_line_is_the_last_and_nothing_else_is_on_it(transaction):
    text = render(locale="en", transaction=transaction, autofill={"web": HOST})
    assert text.split("\n")[1:] == ["", f"@{HOST} #123456"]


@pytest.mark.parametrize("transaction", [None, PAYMENT])
def test_the_android_hash_is_the_last_line(transaction):
    text = render(locale="en", transaction=transaction, autofill={"android": APP_HASH})
    assert text.split("\n")[1:] == ["", APP_HASH]


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
    templates = Templates("Acme", "en", {"en": "{code}" + filler}, {})
    if fits:
        text = render(region="US", templates=templates, autofill={"android": APP_HASH})
        assert text == f"123456{filler}\n\n{APP_HASH}"
        assert segments(text).count == 1
        return
    with pytest.raises(InvalidRequest) as refused:
        render(region="US", templates=templates, autofill={"android": APP_HASH})
    assert pointer(refused) == ["/autofill"]


# A line left out would unbind the code from its site, and the caller cannot know every country's text.
def test_a_text_that_leaves_no_room_for_the_line_gives_way_to_the_next_language():
    host = "login.a-host-of-a-rather-long-name.example.com"
    templates = Templates("Acme", "fr", {}, {}, [host])
    text = render(region="RU", autofill={"web": host}, templates=templates)
    assert text == f"123456 est votre code Acme.\n\n@{host} #123456"


@pytest.mark.parametrize(
    "template",
    ["Welcome to {brand}.", "{code} {name}", "{code} {payee}", "{code} {}", "{code} {0}"],
)
def test_a_template_holds_the_code_and_no_unknown_placeholder(template):
    assert template_faults(template, "Acme") == [
        "must hold {code}, may hold {brand}, and no other placeholder"
    ]


@pytest.mark.parametrize("template", ["{code}", "{code} {amount}", "{code} {payee}", "{amount} {payee}"])
def test_a_template_for_a_payment_holds_amount_and_payee_too(template):
    assert template_faults(template, "Acme", transaction=True) == [
        "must hold {amount}, {code}, {payee}, may hold {brand}, and no other placeholder"
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{code} {code.__class__}",
        "{code} {brand!r}",
        "{code} {brand:>99}",
        "{code} {brand[0]}",
        "{code} {{brand}}",
        "{code} }",
    ],
)
def test_a_brace_belongs_to_a_placeholder(template):
    assert template_faults(template, "Acme") == ["must have no brace but those of its placeholders"]


def test_the_code_is_there_once():
    assert template_faults("{code}, again: {code}", "Acme") == ["must hold {code} once"]


@pytest.mark.parametrize("before", ["See acme.example: ", "https://acme/ ", "me@acme "])
def test_the_code_comes_before_a_link(before):
    assert template_faults(before + "{code}", "Acme") == [
        "must have {code} before anything that phones make a link of"
    ]
    assert template_faults("Acme. {code} " + before, "Acme") == []


def test_all_faults_of_a_form_are_said_at_once():
    assert len(template_faults("a.b {code} {code} {a} {", "Acme")) == 4


@pytest.mark.parametrize(
    ("text", "hosts", "fault"),
    [
        ("a" * 151, [], "a code of 10 digits: it has 161 units of GSM-7, of which 160 fit"),
        ("ж" * 61, [], "a code of 10 digits: it has 71 units of UCS-2, because of 'ж', of which 70 fit"),
        (
            "a" * 138,
            [],
            "an Android app's hash and a code of 10 digits: it has 161 units of GSM-7, of which 160 fit",
        ),
        (
            "a" * 119,
            ["a.example", HOST, "b.example"],
            f"the line for {HOST} and a code of 10 digits: it has 161 units of GSM-7, of which 160 fit",
        ),
    ],
)
def test_a_text_that_is_too_long_is_told_by_how_much_and_why(text, hosts, fault):
    assert template_faults("{code}" + text, "Acme", autofill_hosts=hosts) == [
        f"must fit one segment with {fault}"
    ]


@pytest.mark.parametrize(("character", "hosts", "room"), [("a", [], 137), ("a", [HOST], 118), ("ж", [], 47)])
@pytest.mark.parametrize("values", ["{code}", "{code}{amount}{payee}"])
def test_a_text_has_room_for_the_longest_code_and_for_every_autofill_line(character, hosts, room, values):
    transaction = "payee" in values
    if transaction:
        room -= 2  # the shortest payment, a character each; a long one may take a second segment

    def faults(length):
        return template_faults(
            values + character * length, "Acme", transaction=transaction, autofill_hosts=hosts
        )

    assert (faults(room), len(faults(room + 1))) == ([], 1)


def test_the_brand_takes_its_room():
    assert template_faults("{code}" + "a" * 137, "Acme") == []
    assert len(template_faults("{code}{brand}" + "a" * 137, "Acme")) == 1


def test_the_longest_code_is_the_longest_that_phones_and_a_check_take():
    assert len(LONGEST_CODE) == 10
