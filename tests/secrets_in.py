"""Looks for secrets in whatever was written: in plain, in every usual encoding, and inside decoded tokens."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STEM = 6
"""Bytes by which a form is looked up; none is shorter."""

_TOKEN = re.compile(rb"[A-Za-z0-9_+/-]{12,}")
_DEPTH = 2


def forms(secret: bytes) -> dict[str, bytes]:
    """A secret as it could be written; in base64 for each place where it can begin inside a longer text."""
    found = {
        "plain": secret,
        "repr": repr(secret)[2:-1].encode(),
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "percent": "".join(f"%{byte:02X}" for byte in secret).encode(),
    }
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret)
        cut = whole[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        found[f"base64.{shift}"] = cut
        found[f"base64url.{shift}"] = cut.translate(bytes.maketrans(b"+/", b"-_"))
    for name in ("sha1", "sha256"):
        digest = hashlib.new(name, secret, usedforsecurity=False).digest()
        found[f"{name}.hex"] = digest.hex().encode()
        found[f"{name}.HEX"] = digest.hex().upper().encode()
        found[f"{name}.base64"] = base64.b64encode(digest).rstrip(b"=")
        found[f"{name}.base64url"] = base64.urlsafe_b64encode(digest).rstrip(b"=")
        found[f"{name}.raw"] = digest
        found[f"{name}.repr"] = repr(digest)[2:-1].encode()
    return found


class Searcher:
    """Finds any form of any secret.

    Args:
        secrets: By what they are called in a finding.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        for name, secret in secrets.items():
            for kind, form in forms(secret).items():
                self._forms[form[:_STEM]].append((form, f"{name} ({kind})"))

    def find(self, text: bytes) -> set[str]:
        """Every secret in a text and in the tokens that it holds, with its form."""
        return {found for layer in _layers(text, _DEPTH) for found in self._plain(layer)}

    def _plain(self, text: bytes) -> Iterator[str]:
        for start in range(len(text) - _STEM + 1):
            for form, name in self._forms.get(text[start : start + _STEM], ()):
                if text.startswith(form, start):
                    yield name


def _layers(text: bytes, depth: int) -> Iterator[bytes]:
    """A text, and what its base64 runs decode to, also inside those."""
    yield text
    if depth:
        for run in set(_TOKEN.findall(text)):
            token = run.translate(bytes.maketrans(b"-_", b"+/"))
            yield from _layers(base64.b64decode(token[: len(token) // 4 * 4]), depth - 1)
