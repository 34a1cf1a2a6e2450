from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.delivery.alphabet import DEFAULT, UCS2, parts
from otp_service.segments import segments

if TYPE_CHECKING:
    from otp_service.delivery.alphabet import Charset

VECTORS = json.loads((Path(__file__).parent / "data" / "gsm7_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_parts_are_as_many_as_segments(vector: dict[str, Any]) -> None:
    cut = parts(vector["text"], "gsm", 7)
    assert len(cut) == vector["segments"]
    assert {part.coding for part in cut} == {UCS2 if vector["encoding"] == "UCS-2" else DEFAULT}


@pytest.mark.parametrize("charset", ["gsm", "ascii", "latin-1"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_no_part_is_too_long(vector: dict[str, Any], charset: Charset) -> None:
    cut = parts(vector["text"], charset, 7)
    assert all(len(part.octets) <= (140 if part.coding == UCS2 else 160) for part in cut)


def test_every_character_of_gsm7_is_one_or_two_octets_as_segments_says() -> None:
    for code in range(0x10000):
        character = chr(code)
        (part,) = parts(character, "gsm", 0)
        size = segments(character)
        assert (part.coding == DEFAULT) == (size.encoding == "GSM-7")
        assert part.coding == UCS2 or len(part.octets) == size.units


@pytest.mark.parametrize(
    ("charset", "octets"), [("gsm", b"\x00\x05"), ("latin-1", b"@\xe9"), ("ascii", b"\x00@\x00\xe9")]
)
def test_default_alphabet_is_what_the_smsc_says(charset: Charset, octets: bytes) -> None:
    assert parts("@é", charset, 0)[0].octets == octets


def test_half_a_character_is_replaced() -> None:
    assert parts("\ud83d", "gsm", 0)[0].octets == b"\0?"
