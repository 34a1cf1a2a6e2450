"""The HTTP surface changes on purpose; ``.venv/bin/python -m tests.test_surface`` pins the new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otp_service.app import create_app
from otp_service.settings import Settings
from tests.lab import tables

PINNED = Path(__file__).parent / "data" / "openapi.json"


def document() -> dict[str, Any]:
    """The OpenAPI document; no Redis is asked for it."""
    return create_app(Settings.model_validate(tables("redis://127.0.0.1:1")), work=False).openapi()


def test_the_openapi_document_is_the_pinned_one() -> None:
    assert document() == json.loads(PINNED.read_text())


if __name__ == "__main__":
    PINNED.write_text(json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n")
