"""Apprise, https://appriseit.com: some forty SMS services more, for the end of a route.

All that it says of a message is whether a service took it. It names no message, tells no refusal from a
failure, and takes no receipts.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from otp_service.delivery.provider import Answer, Callback, Message, Outcome, ProviderOptions, Receipt
from otp_service.delivery.transport import CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apprise import NotifyBase

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

PLACEHOLDER: Final = "{to}"
ANY_NUMBER: Final = "+37256000000"
"""What stands for the number when only the rest of an address is looked at."""

THREADS: Final = 8
"""Messages on their way at once; those that wait for a thread too long are never begun."""

LOGGERS: Final = ("apprise", "urllib3", "oauthlib", "requests_oauthlib")
"""Apprise and what it calls with: they log addresses, texts and numbers, the number at WARNING too."""

MISREAD: Final = frozenset({"Vonage"})
"""Services whose refusals Apprise takes for successes: Vonage puts them into a 200."""


class AppriseOptions(ProviderOptions):
    """Addresses of services, as Apprise writes them."""

    urls: tuple[SecretStr, ...] = Field(min_length=1)
    """Each with ``{to}``, for which the number is put in E.164, percent-encoded; all get the message."""

    @model_validator(mode="before")
    @classmethod
    def _installed(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the section holds
        try:
            import apprise  # noqa: F401, PLC0415 - an extra
        except ModuleNotFoundError:
            raise ValueError('needs an extra: pip install "otp-service[apprise]"') from None
        return given

    @field_validator("urls")
    @classmethod
    def _usable(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(PLACEHOLDER in url.get_secret_value() for url in urls):
            raise ValueError(f"must each have {PLACEHOLDER} where the number goes")
        services = [_service(url, ANY_NUMBER) for url in urls]
        if None in services:
            raise ValueError("must each be an address that Apprise reads")
        if any(service and service.service_name in MISREAD for service in services):
            raise ValueError(
                "must not be Vonage's, whose refusals Apprise takes for successes: use type vonage"
            )
        return urls


class Apprise:
    """Sends through the services of Apprise, each in a thread, because Apprise blocks.

    Proxies and passwords of the environment count here, for Apprise cannot be told otherwise.

    Args:
        name: The section's name.
        section: ``AppriseOptions`` beside the common fields, of which only the timeout has an effect.
        transport: Closes the threads; the calls are Apprise's own.
    """

    Options: ClassVar[type[ProviderOptions]] = AppriseOptions
    signs_receipts: bool = False
    takes_media: bool = False

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self._urls = AppriseOptions.model_validate(section.options).urls
        self._timeout = section.timeout_seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        transport.on_close(self._close)

    async def send(self, message: Message) -> Answer:
        """Hand the text to every service; ``accepted`` if one took it, else nobody knows."""
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(self._threads, self._notify, url, message) for url in self._urls]
        if True in await asyncio.gather(*calls, return_exceptions=True):
            return Answer(Outcome.ACCEPTED, reference=message.attempt)
        return Answer(Outcome.UNKNOWN, "not_confirmed")

    def receipts(self, callback: Callback) -> Sequence[Receipt]:  # noqa: ARG002 - there are none
        """None: Apprise takes no receipts."""
        return ()

    def _notify(self, url: SecretStr, message: Message) -> bool:
        from apprise import Apprise as Services  # noqa: PLC0415 - an extra

        service = _service(url, message.to)
        if service is None:
            return False
        connect = min(CONNECT_SECONDS, self._timeout / 3)
        service.socket_connect_timeout, service.socket_read_timeout = connect, self._timeout - connect
        return bool(Services(service).notify(body=message.text, body_format="text"))

    async def _close(self) -> None:
        """Begin no more; those under way end by their own timeouts."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _service(url: SecretStr, number: str) -> NotifyBase | None:
    """What an address stands for with a number in it: one try, no redirects, nothing kept on disk."""
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - an extra

    for logger in LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    # It runs in a thread of ours already, with timeouts of ours: it need not start one of its own.
    asset = AppriseAsset(async_mode=False, service_timeout=0, http_redirects=False, storage_mode="memory")
    written = url.get_secret_value().replace(PLACEHOLDER, quote(number, safe=""))
    service = Apprise.instantiate(written, asset=asset)
    if service is not None:
        service.retry, service.optional = 0, False  # an "optional" service succeeds whatever happens
    return service
