"""What goes on without a caller: sends that failed receipts made due."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otp_service.errors import IdempotencyInProgress, Overloaded, Problem, StoreUnavailable
from otp_service.verification import SHARDS, VerificationId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_service.delivery.provider import Receipt
    from otp_service.delivery.receipts import ReceiptUrls
    from otp_service.settings import AppSettings
    from otp_service.store.timers import Timers
    from otp_service.verifier import Verifier

LEASE_MS: Final = 30_000
"""A worker that died gives its timers back after this."""

_MOST: Final = 20

_AT_ONCE: Final = 8
"""Shards asked together: few enough to leave the connections to those who wait for an answer."""


class Worker:
    """Polls every shard for timers, at least once each; any number of workers may run.

    Args:
        timers: What is due.
        verifier: Does it.
        urls: Reads which try a receipt is about.
        apps: By name.
        poll_seconds: Between two looks, when nobody wakes it.
    """

    def __init__(
        self,
        timers: Timers,
        verifier: Verifier,
        urls: ReceiptUrls,
        apps: Mapping[str, AppSettings],
        poll_seconds: float = 1.0,
    ) -> None:
        self._timers = timers
        self._verifier = verifier
        self._urls = urls
        self._apps = apps
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()

    async def receive(self, provider: str, receipt: Receipt) -> None:
        """Take a receipt that is proved to be the provider's, and look at once when another send is due."""
        about = self._urls.read(provider, receipt.token)
        if about and await self._verifier.receive(provider, about, receipt):
            self.wake()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def run(self) -> None:
        """Work until canceled."""
        while True:
            self._woken.clear()
            try:
                await self.work()
            except StoreUnavailable:
                pass  # the next look may find it
            except Exception:  # one timer that cannot be done must not stop the rest for good
                logging.getLogger("otp_service").exception("the worker goes on after this")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._poll_seconds)

    async def work(self) -> None:
        """Do all that is due now."""
        for first in range(0, SHARDS, _AT_ONCE):
            shards = range(first, first + _AT_ONCE)
            due = await asyncio.gather(*(self._timers.due(shard, _MOST, LEASE_MS) for shard in shards))
            await asyncio.gather(
                *(
                    self._send_again(shard, timer)
                    for shard, timers in zip(shards, due, strict=True)
                    for timer in timers
                )
            )

    async def _send_again(self, shard: int, timer: str) -> None:
        id_, send, app = timer.split(":")
        found = VerificationId.parse(id_)
        try:
            if found and app in self._apps:
                await self._verifier.send_again(self._apps[app], found, int(send))
        except (StoreUnavailable, Overloaded, IdempotencyInProgress):
            return  # the lease gives it back
        except Problem as problem:
            logging.getLogger("otp_service").info("no second send verification=%s code=%s", id_, problem.code)
        await self._timers.done(shard, timer)
