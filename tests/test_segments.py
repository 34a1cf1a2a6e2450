from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.segments import segments
from tests.provider_cases import missing

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "data" / "gsm7_vectors.json").read_text())
GSM7 = "aZ0 @$é\n{}€~Ω"
ANY = st.text(GSM7, max_size=500) | st.text(st.characters(exclude_categories=["Cs"]), max_size=250)


# Naive: no extension table, ESC as a character, code points for UTF-16 units, units divided by 153 or 67.
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_text_takes_the_segments_of_the_vector(vector):
    size = segments(vector["text"])
    assert (size.encoding, size.units, size.count) == tuple(
        vector[name] for name in ("encoding", "units", "segments")
    )


def test_the_basic_alphabet_has_127_characters_and_the_extension_ten():
    sizes = [segments(chr(point)) for point in range(0x10000) if not 0xD800 <= point < 0xE000]
    gsm7 = [size.units for size in sizes if size.encoding == "GSM-7"]
    assert (gsm7.count(1), gsm7.count(2)) == (127, 10)


@given(st.characters(exclude_categories=["Cs"]))
def test_a_character_outside_gsm7_takes_its_utf16_units(character):
    size = segments(character)
    assert size.encoding == "GSM-7" or size.units == len(character.encode("utf-16-le")) // 2


@given(ANY)
def test_the_parts_have_room_for_all_units_and_none_is_empty(text):
    size = segments(text)
    single, part = (160, 153) if size.encoding == "GSM-7" else (70, 67)
    if size.count == 1:
        assert size.units <= single
    else:
        assert single < size.units <= size.count * part
        assert (size.count - 1) * (part - 1) < size.units


@given(ANY, ANY)
def test_a_longer_text_never_takes_fewer_segments(text, more):
    assert segments(text + more).count >= segments(text).count


# No clusters of several code points: Twilio keeps these whole where a part ends, which no phone needs.
@pytest.mark.slow
def test_twilio_counts_5000_random_texts_as_we_do():
    if not (HERE / "node_modules" / "sms-segments-calculator").exists():
        missing("tests/node_modules (npm ci --prefix tests)")
    dice = random.Random(5000)  # noqa: S311 - the same texts in every run
    alphabets = ["abc XYZ09@é", "a€{}[]~|^\\", "ñß\n\r", "аж€", "a漢", "a😀", "àâ`’"]
    texts = [
        "".join(dice.choices("".join(dice.sample(alphabets, dice.randint(1, 2))), k=dice.randint(1, 500)))
        for _ in range(5000)
    ]
    counted = subprocess.run(
        ["node", HERE / "segments.js"],
        input="\n".join(map(json.dumps, texts)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sizes = map(segments, texts)
    assert [[size.encoding, size.units, size.count] for size in sizes] == [
        json.loads(line) for line in counted.splitlines()
    ]
