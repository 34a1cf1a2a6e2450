"""What every provider is tested with: its section, a message, and what it says (``data/providers``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from pydantic import Secret, SecretStr

from otp_service.delivery.provider import Callback, Message, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import TYPES, build
from otp_service.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otp_service.delivery.provider import Provider
    from otp_service.delivery.transport import Transport

HTTP_PROVIDERS = sorted(set(TYPES) - {"apprise", "console", "smpp", "smtp"})
TIMEOUT = 0.9
"""Seconds for a call in a test; a third of it to connect."""


def cases(name: str) -> dict[str, Any]:
    """What a provider was seen to say, the source beside each."""
    path = Path(__file__).parent / "data" / "providers" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def provider(name: str, transport: Transport, url: str | None = None, **section: Any) -> Provider:
    """The provider, calling ``url``, with the section of its data file but for what ``section`` says."""
    fields = {"type": name, "base_url": url, "timeout_seconds": TIMEOUT}
    return build(name, ProviderSettings(**fields | cases(name)["section"] | section), transport)


def message(**changes: Any) -> Message:
    """A message to a number that is nobody's."""
    fields: dict[str, Any] = {
        "to": "+37256000000",
        "region": "EE",
        "text": "Testing: 0123456789 is your Acme code.",
        "expires_in": 600,
        "attempt": "a1b2c3",
        "receipt_url": None,
    }
    return Message(**fields | changes)


def secrets(name: str) -> list[str]:
    """What of a provider's section may never be shown."""
    options = TYPES[name].Options.model_validate(cases(name)["section"]["options"])
    return [value.get_secret_value() for _, value in options if isinstance(value, Secret | SecretStr)]


def leaves(value: Any) -> Iterator[str]:
    """Every text and number inside a document, as text."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield str(value)


def receipts(case: Mapping[str, Any]) -> list[Receipt]:
    """The receipts that a case expects."""
    return [
        Receipt(
            ReceiptState(each["state"]),
            Outcome(each["outcome"]) if "outcome" in each else None,
            each.get("reason", ""),
        )
        for each in case["receipts"]
    ]


def callback(url: str, body: bytes, **headers: str) -> Callback:
    """A POST to ``url``; ``x_y`` is the header ``x-y``."""
    return Callback("POST", url, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def missing(counterpart: str) -> NoReturn:
    """Skip what cannot be shown without somebody else's program; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{counterpart} is missing")
    pytest.skip(f"{counterpart} is missing")
