"""Every provider there is. A new one is one file beside this and one line in ``TYPES``."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from otp_service.delivery.providers.apprise import Apprise
from otp_service.delivery.providers.aws import Aws
from otp_service.delivery.providers.bird import Bird
from otp_service.delivery.providers.console import Console
from otp_service.delivery.providers.infobip import Infobip
from otp_service.delivery.providers.messagebird import Messagebird
from otp_service.delivery.providers.plivo import Plivo
from otp_service.delivery.providers.sinch import Sinch
from otp_service.delivery.providers.smpp import Smpp
from otp_service.delivery.providers.smspm import Smspm
from otp_service.delivery.providers.smtp import Smtp
from otp_service.delivery.providers.telnyx import Telnyx
from otp_service.delivery.providers.twilio import Twilio
from otp_service.delivery.providers.vonage import Vonage
from otp_service.delivery.providers.vonage_messages import VonageMessages
from otp_service.delivery.providers.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

    from otp_service.delivery.provider import Provider
    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

TYPES: Final[dict[str, type[Provider]]] = {
    "apprise": Apprise,
    "aws": Aws,
    "bird": Bird,
    "console": Console,
    "infobip": Infobip,
    "messagebird": Messagebird,
    "plivo": Plivo,
    "sinch": Sinch,
    "smpp": Smpp,
    "smspm": Smspm,
    "smtp": Smtp,
    "telnyx": Telnyx,
    "twilio": Twilio,
    "vonage": Vonage,
    "vonage_messages": VonageMessages,
    "webhook": Webhook,
}


def build(name: str, section: ProviderSettings, transport: Transport) -> Provider:
    """The provider that a section without faults describes.

    Args:
        name: The section's name.
        section: What it holds.
        transport: Where the calls go out; closed by who made it.
    """
    return TYPES[section.type](name, section, transport)


def faults(name: str, section: ProviderSettings) -> list[str]:
    """What is wrong with a section, each fault with its key and what is allowed; never what was given.

    Args:
        name: The section's name.
        section: What it holds.
    """
    return [f"providers.{name}.{key}" for key in _faults(section)]


def _faults(section: ProviderSettings) -> Iterator[str]:
    if section.ca_file is not None:
        try:
            ssl.create_default_context(cafile=section.ca_file)
        except OSError:
            yield "ca_file: must be a PEM file of certificates"
    if section.type not in TYPES:
        yield f"type: must be one of {', '.join(sorted(TYPES))}"
        return
    model = TYPES[section.type].Options
    try:
        model.model_validate(section.options)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            key = error["loc"][0] if error["loc"] else "type"
            yield f"{key}: {_text(error, section.type, model.model_fields)}"


def _text(error: ErrorDetails, kind: str, known: Iterable[str]) -> str:
    match error["type"]:
        case "missing":
            return "required"
        case "extra_forbidden":
            return f"no such setting; {kind} takes {', '.join(sorted(known)) or 'none of its own'}"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return re.sub("^[A-Z][a-z]+ should", "must", error["msg"])
