"""Every wrong variant is somebody's counterpart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.naive import VARIANTS

MARKED = {
    name
    for path in Path(__file__).parent.glob("test_*.py")
    for marker in re.findall(r"mark\.naive\(([^)]*)\)", path.read_text(encoding="utf-8"))
    for name in re.findall(r'"([a-z_]+)"', marker)
}


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_a_variant_is_failed_by_some_test(name: str) -> None:
    assert name in MARKED


def test_every_mark_names_a_variant() -> None:
    assert MARKED - set(VARIANTS) == set()
