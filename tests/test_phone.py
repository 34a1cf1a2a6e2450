from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from otp_service import phone
from otp_service.errors import InvalidNumber
from otp_service.phone import LineType

SPELLINGS = json.loads(Path(__file__).with_name("data").joinpath("spellings.json").read_text())
ONE = SPELLINGS["one"]
PAIRS = [(case["e164"], *spelling) for case in SPELLINGS["pairs"] for spelling in case["spellings"]]
EXAMPLES = [
    phonenumbers.format_number(number, PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in PhoneNumberType.values()
    if (number := phonenumbers.example_number_for_type(region, kind))
]


# Naive: counts and sends to the text as it came, so that each spelling has budgets of its own.
@pytest.mark.parametrize(("text", "region"), ONE["spellings"])
def test_every_spelling_of_a_number_is_that_number(text, region):
    assert phone.parse(text, region).e164 == ONE["e164"]


def test_forty_spellings_are_tried():
    assert len({(text, region) for text, region in ONE["spellings"]}) >= 40


# Naive: libphonenumber's E164 alone, which keeps +54 11 … and +54 9 11 … apart and calls +52 1 … invalid.
@pytest.mark.parametrize(("e164", "text", "region"), PAIRS)
def test_two_spellings_of_one_mobile_are_one_number(e164, text, region):
    assert phone.parse(text, region).e164 == e164


@pytest.mark.parametrize("case", SPELLINGS["pairs"], ids=lambda case: case["e164"])
def test_the_line_type_is_the_same_for_every_spelling(case):
    assert {phone.parse(*spelling).line_type for spelling in case["spellings"]} == {case["line_type"]}


# Naive: re.match(r"^\+?[\d\s().-]+$", text), which takes a newline at the end and digits of every script;
# or phonenumbers.parse on the raw text, which drops extensions, spells letters out and reads tel: parameters.
@pytest.mark.parametrize(("text", "region", "why"), SPELLINGS["refused"])
def test_what_is_not_a_plain_spelling_is_refused(text, region, why):
    with pytest.raises(InvalidNumber) as refused:
        phone.parse(text, region)
    assert [error["pointer"] for error in refused.value.errors] == ["/to"], why


@pytest.mark.parametrize("region", ["", "ee", "UK", "EST", "001", "XX", "EE\n", "\u0415\u0415"])
def test_a_region_that_is_none_is_refused_at_its_own_pointer(region):
    with pytest.raises(InvalidNumber) as refused:
        phone.parse("56789045", region)
    assert [error["pointer"] for error in refused.value.errors] == ["/region"]


def test_an_unknown_region_is_refused_even_beside_an_international_number():
    with pytest.raises(InvalidNumber):
        phone.parse("+37256789045", "XX")


def test_a_number_of_many_thousand_digits_is_refused_before_it_is_read():
    with pytest.raises(InvalidNumber, match="at most 32 characters"):
        phone.parse("+" + "1" * 100_000)


# Naive: InvalidNumber(f"{text} is not a number").
@pytest.mark.parametrize(("text", "region", "why"), SPELLINGS["refused"])
def test_a_refusal_never_repeats_the_number(text, region, why):
    with pytest.raises(InvalidNumber) as refused:
        phone.parse(text, region)
    told = f"{refused.value!r} {refused.value.members()}"
    assert not [run for run in re.findall(r"\d{3,}", text) if run in told], why
    assert refused.value.__context__ is None


def test_a_phone_does_not_show_its_number():
    assert "6789045" not in repr(phone.parse("+37256789045"))


def test_region_and_calling_code_come_with_the_number():
    found = phone.parse("+77012345678")
    assert (found.region, found.calling_code) == ("KZ", 7)


def test_the_one_form_of_a_number_is_its_own_spelling():
    found = [phone.parse(e164) for e164 in EXAMPLES]
    assert [phone.parse(number.e164) for number in found] == found


@pytest.mark.parametrize(
    ("e164", "line_type"),
    [
        ("+37256789045", LineType.MOBILE),
        ("+3726123456", LineType.FIXED),
        ("+15017122661", LineType.FIXED_OR_MOBILE),
        ("+445612345678", LineType.VOIP),
        ("+447012345678", LineType.PERSONAL),
        ("+19002345678", LineType.PREMIUM),
        ("+491806123456", LineType.SHARED_COST),
        ("+18002345678", LineType.TOLL_FREE),
        ("+445512345678", LineType.UAN),
        ("+447640123456", LineType.PAGER),
    ],
)
def test_each_kind_of_line_is_told_apart(e164, line_type):
    assert phone.parse(e164).line_type == line_type


# Naive: the library's type alone, which says mobile, VoIP or toll-free.
@pytest.mark.parametrize(
    "e164", ["+870773111632", "+881612345678", "+882161234567", "+883510012345678", "+979123456789"]
)
def test_a_range_of_no_country_is_satellite_whatever_the_library_says(e164):
    found = phone.parse(e164)
    assert (found.line_type, found.region) == (LineType.SATELLITE, "001")


def test_every_calling_code_of_no_country_is_known_as_one():
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    assert {code for code, regions in codes.items() if regions == ("001",)} <= phone._NO_COUNTRY


@given(st.sampled_from(EXAMPLES), st.lists(st.sampled_from(" -.()[]"), max_size=16), st.randoms())
def test_separators_anywhere_change_nothing(e164, separators, random):
    spelled = list(e164)
    for separator in separators:
        spelled.insert(random.randrange(len(spelled) + 1), separator)
    assert phone.parse("".join(spelled)) == phone.parse(e164)


@given(st.text(max_size=40) | st.text("+0123456789 -.()", max_size=34), st.sampled_from([None, "EE", "AR"]))
def test_any_text_is_refused_or_becomes_e164(text, region):
    try:
        found = phone.parse(text, region)
    except InvalidNumber:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{4,14}", found.e164)


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        ("+37256789045", "+372*****045"),
        ("+3725678904", "+372*****04"),
        ("+15017122661", "+1*******661"),
        ("+390236618300", "+39*******300"),
        ("+2904123", "+290***3"),
        ("+37212", "+372**"),
        ("+372", "+372"),
    ],
)
def test_a_mask_keeps_the_calling_code_and_the_last_digits(e164, shown):
    assert phone.mask(e164) == shown


# Naive: e164[:4] + "****" + e164[-4:], which shows a short number whole.
def test_a_mask_hides_more_than_half_of_the_digits_after_the_calling_code():
    codes = {e164: str(phone.parse(e164).calling_code) for e164 in EXAMPLES}
    shown = {e164: phone.mask(e164).removeprefix("+" + code) for e164, code in codes.items()}
    assert not [e164 for e164, rest in shown.items() if rest.count("*") <= len(rest) / 2]


# Naive: assumes E.164 and cuts, so that a log line about a bad number shows it.
@pytest.mark.parametrize("text", ["", "56789045", "+", "+99956789045", "tel:+37256789045", "+37256789045\n"])
def test_a_mask_hides_what_is_no_number_whole(text):
    assert phone.mask(text) == "***"


def test_the_geocoder_is_not_loaded():
    loaded = "import sys, otp_service.phone; sys.exit('phonenumbers.geodata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
