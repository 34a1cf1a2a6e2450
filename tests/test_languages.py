from __future__ import annotations

import re
import unicodedata

import phonenumbers
import pytest

from otp_service.messages import LANGUAGES, LONGEST_CODE, Templates, read_transaction
from otp_service.segments import segments
from otp_service.settings.texts import LONGEST_BRAND
from tests.provider_cases import missing

APP_HASH = "FA+9qCX9VSu"
HOST = "login.example.com"
RIGHT_TO_LEFT = {"ar", "fa", "he"}
GSM7 = "bs ca da de en es et fi fr hr id it lt lv ms nb nl pl ro sl sr-latn sv tr"
"""Languages whose text for a code GSM-7 can spell."""

each_language = pytest.mark.parametrize("tag", LANGUAGES)
each_right_to_left = pytest.mark.parametrize("tag", sorted(RIGHT_TO_LEFT))


def render(tag, brand="Acme", code="123456", payment=None, autofill=None):
    transaction = read_transaction(*payment) if payment else None
    return Templates(brand, tag, {}, {}, [HOST]).render(code, tag, "001", transaction, autofill)


def displayed(line):
    """What a phone shows from left to right, by the Unicode bidirectional algorithm."""
    try:
        from bidi import get_display  # noqa: PLC0415 - only CI has it
    except ModuleNotFoundError:
        missing("python-bidi")
    return re.sub("[\u2068\u2069]", "", get_display(line))


def test_there_are_at_least_24_languages():
    assert len(LANGUAGES) >= 24


@each_language
def test_a_text_for_a_code_fits_one_segment_with_the_longest_code_and_brand(tag):
    assert segments(render(tag, "A" * LONGEST_BRAND, LONGEST_CODE)).count == 1


@each_language
def test_a_brand_that_gsm7_cannot_spell_fits_too(tag):
    assert segments(render(tag, "Ж" * LONGEST_BRAND, LONGEST_CODE)).count == 1


@each_language
def test_gsm7_is_used_where_the_language_allows(tag):
    assert (segments(render(tag)).encoding == "GSM-7") is (tag in GSM7.split())


@each_language
def test_a_text_leaves_room_for_the_hash_of_an_android_app(tag):
    text = render(tag, "A" * 20, LONGEST_CODE, autofill={"android": APP_HASH})
    assert text == f"{render(tag, 'A' * 20, LONGEST_CODE)}\n\n{APP_HASH}"


@each_language
def test_a_text_leaves_room_for_a_web_line(tag):
    text = render(tag, "A" * 16, autofill={"web": HOST})
    assert text == f"{render(tag, 'A' * 16)}\n\n@{HOST} #123456"


@each_language
def test_the_longest_payment_takes_two_segments_at_most(tag):
    assert segments(render(tag, "A" * 20, LONGEST_CODE, ("A" * 50, "1" * 20))).count <= 2


@each_language
@pytest.mark.parametrize("payment", [None, ("Shop", "12.00 EUR")])
def test_the_code_stands_early_once_and_free(tag, payment):
    text = render(tag, payment=payment)
    found = [match.start() for match in re.finditer(r"\b123456\b", text)]
    assert len(found) == 1
    assert found[0] <= 5


@each_language
def test_a_text_holds_each_value_once(tag):
    text = LANGUAGES[tag]
    assert sorted(re.findall("{.*?}", text.code)) == ["{brand}", "{code}"]
    assert sorted(re.findall("{.*?}", text.transaction)) == ["{amount}", "{brand}", "{code}", "{payee}"]


@each_language
def test_a_text_is_composed_and_has_no_invisible_character(tag):
    text = render(tag, payment=("ACME", "1 EUR")).translate({0x2068: None, 0x2069: None})
    assert text == unicodedata.normalize("NFC", text)
    assert text.isprintable()


def test_every_country_has_one_language_at_most():
    regions = [region for language in LANGUAGES.values() for region in language.regions]
    assert len(regions) == len(set(regions))
    assert set(regions) <= set(phonenumbers.SUPPORTED_REGIONS)


@each_language
def test_a_countrys_language_is_official_there_by_the_cldr(tag):
    try:
        from babel.languages import get_official_languages  # noqa: PLC0415 - only CI has it
    except ModuleNotFoundError:
        missing("babel")
    language = {"nb": "no"}.get(tag, tag.partition("-")[0])
    for region in LANGUAGES[tag].regions:
        official = {each.partition("_")[0] for each in get_official_languages(region, de_facto=True)}
        assert official & {language, tag}, region


@each_language
def test_a_text_begins_in_the_direction_of_its_language(tag):
    kinds = [unicodedata.bidirectional(character) for character in render(tag)]
    first = next(kind for kind in kinds if kind in ("L", "R", "AL"))
    assert (first in ("R", "AL")) is (tag in RIGHT_TO_LEFT)


@each_right_to_left
def test_a_plain_brand_needs_no_invisible_character(tag):
    assert render(tag, "Acme Bank").isprintable()


@each_right_to_left
@pytest.mark.parametrize(
    "brand", ["Acme", "Acme Bank", "Acme+", "+Acme", "Yahoo!", "24 Acme", "Acme 24", "A-1", "7Eleven", "(A)"]
)
def test_code_and_brand_are_shown_whole_and_the_code_first(tag, brand):
    shown = displayed(render(tag, brand))
    assert shown.endswith(" 123456")  # the right end is where these readers begin
    assert brand in shown


@each_right_to_left
@pytest.mark.parametrize("amount", ["12.00 EUR", "1 000,00 €", "$5", "£0.99", "12", "-5.00", "EUR 1 000.00"])
@pytest.mark.parametrize("payee", ["ACME", "7 Eleven", "St. Gallen 1", "H&M", "A.", "'A'"])
def test_amount_and_payee_are_shown_whole(tag, amount, payee):
    shown = displayed(render(tag, payment=(payee, amount)))
    assert shown.endswith(" 123456")
    assert shown.index(payee) < shown.index(amount) < shown.index("Acme")


@each_right_to_left
def test_the_autofill_line_is_shown_as_it_is_written(tag):
    line = render(tag, autofill={"web": HOST}).split("\n")[-1]
    assert displayed(line) == line == f"@{HOST} #123456"


@each_right_to_left
def test_a_name_in_the_same_direction_is_shown_from_right_to_left(tag):
    assert displayed("שלום עולם") in displayed(render(tag, "שלום עולם"))


@pytest.mark.parametrize("tag", ["en", "et", "ko", "zh-hans"])
def test_a_right_to_left_name_carries_no_number_off(tag):
    shown = displayed(render(tag, "שלום", payment=("בנק 24", "1 000.00 EUR")))
    assert "123456" in shown
    assert "1 000.00 EUR" in shown
    assert "24 קנב" in shown


# Naive: values are put in as they are.
@pytest.mark.parametrize(
    ("template", "start"),
    [("{brand}: הקוד {code}", True), ("הקוד {code} {brand}", False), ("קוד {brand}: {code}", False)],
)
def test_an_apps_own_text_reads_right_wherever_the_brand_stands(template, start):
    shown = displayed(Templates("Acme", "he", {"he": template}, {}).render("123456", "he", "IL", None, None))
    assert (shown.endswith("Acme"), "Acme" in shown, "123456" in shown) == (start, True, True)
    assert shown.index("123456") < shown.index("Acme") or template.endswith("{brand}")


# Naive: values are put in as they are, and a payee moves the digits of the amount.
def test_a_payee_cannot_change_the_amount_that_is_shown():
    template = {"en": "{code}: {payee} {amount}"}
    templates = Templates("Acme", "en", {}, template)
    payment = read_transaction("Shop א 99", "1 000.00 EUR")
    shown = displayed(templates.render("123456", "en", "US", payment, None))
    assert shown == "123456: Shop 99 א 1 000.00 EUR"


@pytest.mark.parametrize("brand", ["Acme", "Acme+", "24", "Ωmega"])
def test_no_direction_is_marked_where_all_letters_run_from_left_to_right(brand):
    assert render("en", brand, payment=("7 Eleven", "1 000,00 €")).isprintable()
