"""Builds every part once and closes them at the end: all of the service but its HTTP face."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from otp_service import codes, events
from otp_service.codes import PROFILES, HashPool
from otp_service.delivery import providers
from otp_service.delivery.chain import Chain
from otp_service.delivery.courier import INBOX, Courier
from otp_service.delivery.learning import Learning
from otp_service.delivery.providers.smpp import Smpp
from otp_service.delivery.receipts import ReceiptUrls
from otp_service.delivery.routing import Router
from otp_service.delivery.transport import Transport
from otp_service.dispatch import Parts
from otp_service.guard.fixed_numbers import FixedNumbers
from otp_service.guard.guard import Guard
from otp_service.guard.locks import Locks
from otp_service.guard.signals import Signals
from otp_service.guard.spend import Prices
from otp_service.guard.subjects import Subjects
from otp_service.guard.watch import Watch
from otp_service.keyring import Keyring
from otp_service.messages import Templates
from otp_service.metrics import Metrics
from otp_service.proof import Signer
from otp_service.registry import Registry
from otp_service.settings import ProviderSettings, SettingsError
from otp_service.store import boot
from otp_service.store.checks import Checks
from otp_service.store.claims import Claims
from otp_service.store.client import CONNECTIONS, connect
from otp_service.store.experience import Experience
from otp_service.store.ledgers import Ledgers
from otp_service.store.locks import LockStore
from otp_service.store.scripts import Scripts
from otp_service.store.store import Store
from otp_service.store.timers import Timers
from otp_service.verifier import Verifier
from otp_service.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from otp_service.delivery.provider import Provider
    from otp_service.events import Event, Listener
    from otp_service.settings import AppSettings, Settings
    from otp_service.store.client import RedisClient


_SHORTEST_CREDENTIAL = 4


@dataclass(frozen=True, slots=True)
class Seams:
    """Where a test, or the demo, reaches in: time, randomness, and who listens.

    Args:
        skew: Milliseconds to add to the clock of Redis.
        draw: Draws a code of so many digits.
        random: Returns that many random bytes.
        listener: Hears of everything that happens.
    """

    skew: Callable[[], int] = lambda: 0
    draw: Callable[[int], str] = codes.draw
    random: Callable[[int], bytes] = os.urandom
    listener: Listener = events.log


@dataclass(kw_only=True, slots=True)
class Service:
    """The parts of a service; all of it but its HTTP face."""

    settings: Settings
    keyring: Keyring = field(repr=False)
    client: RedisClient = field(repr=False)
    scripts: Scripts = field(repr=False)
    store: Store = field(repr=False)
    claims: Claims = field(repr=False)
    timers: Timers = field(repr=False)
    pool: HashPool = field(repr=False)
    transport: Transport = field(repr=False)
    providers: Mapping[str, Provider] = field(repr=False)
    urls: ReceiptUrls = field(repr=False)
    signer: Signer = field(repr=False)
    guard: Guard = field(repr=False)
    locks: Locks = field(repr=False)
    watch: Watch = field(repr=False)
    learning: Learning = field(repr=False)
    router: Router = field(repr=False)
    verifier: Verifier = field(repr=False)
    worker: Worker = field(repr=False)
    metrics: Metrics = field(repr=False)
    tell: Listener = field(repr=False)
    draining: bool = False

    @asynccontextmanager
    async def running(self, *, work: bool) -> AsyncIterator[None]:
        """Look at Redis first, and close everything at the end.

        Args:
            work: Whether to run the worker meanwhile.

        Raises:
            SettingsError: This is not the Redis that was meant, or not one that keeps things.
            StoreUnavailable: Redis does not answer.
        """
        async with AsyncExitStack() as closing:
            closing.callback(self.pool.close)
            closing.push_async_callback(self.transport.aclose)
            closing.push_async_callback(self.client.aclose)
            closing.push_async_callback(self.guard.idle)
            await boot.check(self.scripts, self.client, self.settings, self.keyring.fingerprint())
            await self.learning.exchange()
            await self.watch.look()
            runs = [self.learning.run(), self.watch.run(), *([self.worker.run()] if work else [])]
            for run in runs:
                closing.push_async_callback(_cancel, asyncio.create_task(run))
            yield


def build(settings: Settings, seams: Seams | None = None, metrics: Metrics | None = None) -> Service:
    """Make every part, once.

    Args:
        settings: All that ``require_serving`` asks for.
        seams: For tests and the demo.
        metrics: Where to count, if somebody serves that.

    Raises:
        SettingsError: A provider's section has faults.
    """
    seams = seams or Seams()
    metrics = metrics or Metrics()
    tell = _both(seams.listener, metrics.tell)
    keyring = _keyring(settings, seams)
    client = connect(settings.redis_url or "")
    scripts = Scripts(client, connections=CONNECTIONS, skew=seams.skew, watch=metrics.script)
    store = Store(
        scripts, record_ttl=settings.record_ttl_seconds, idempotency_ttl=settings.idempotency_ttl_seconds
    )
    timers = Timers(scripts)
    pool = HashPool(
        PROFILES[settings.hash_profile],
        threads=os.cpu_count() or 1,
        queue=settings.hash_queue,
        hashed=metrics.hashed,
    )
    transport = Transport()
    made = _providers(settings, transport)
    urls = ReceiptUrls(settings.public_url, keyring)
    learning = Learning(
        Experience(scripts),
        clock=lambda: round(time.monotonic() * 1000) + seams.skew(),
        tell=tell,
        learned=metrics.learned,
        process=seams.random(8).hex(),
    )
    prices = {name: section.prices for name, section in settings.providers.items()}
    locks = Locks(LockStore(scripts), keyring, lambda: scripts.now_ms)
    guard = Guard(
        Subjects(keyring, settings.guard, settings.spend_cap),
        Ledgers(scripts),
        Prices(prices),
        locks,
        Signals(settings.apps.values(), settings.guard.signals, transport, tell, seams.random),
        tell,
        seams.random,
        settings.guard.deny,
    )
    watch = Watch(Checks(scripts), locks, settings.apps.values(), tell)
    router = Router(learning.conversions, prices, seams.random)
    signer = Signer([(key.id, key.secret) for key in settings.proof_keys], settings.public_url or "")
    fixed = FixedNumbers(lambda: scripts.now_ms)
    verifier = Verifier(
        Parts(
            store=store,
            registry=Registry(keyring, fixed, seams.random),
            keyring=keyring,
            pool=pool,
            courier=Courier(
                Chain(made, {name: _timeout(settings, name) for name in made}),
                urls,
                settings.routes,
                router,
                learning,
                {name: _templates(app) for name, app in settings.apps.items()},
                {name: _credentials(section) for name, section in settings.providers.items()},
                tell,
            ),
            guard=guard,
            fixed=fixed,
            watch=watch,
            signer=signer,
            installation_sends=settings.limits.sends_per_number,
            tell=tell,
            draw=seams.draw,
            random=seams.random,
        )
    )
    worker = Worker(timers, verifier, urls, settings.apps)
    for name, provider in made.items():
        if isinstance(provider, Smpp):  # its receipts come over the connection that it holds
            provider.heard = partial(worker.receive, name)
    return Service(
        settings=settings,
        keyring=keyring,
        client=client,
        scripts=scripts,
        store=store,
        claims=Claims(scripts, ttl=settings.idempotency_ttl_seconds),
        timers=timers,
        pool=pool,
        transport=transport,
        providers=made,
        urls=urls,
        signer=signer,
        guard=guard,
        locks=locks,
        watch=watch,
        learning=learning,
        router=router,
        verifier=verifier,
        worker=worker,
        metrics=metrics,
        tell=tell,
    )


def _both(first: Listener, second: Listener) -> Listener:
    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell


async def _cancel(task: asyncio.Task[None]) -> None:
    while not task.done():  # once is not enough: wait_for of Python 3.11, as redis-py uses it, can swallow it
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    await asyncio.gather(task, return_exceptions=True)


def _keyring(settings: Settings, seams: Seams) -> Keyring:
    if settings.index_key is None:
        raise SettingsError(("index_key: required to serve",))
    return Keyring([(key.id, key.secret) for key in settings.keyring], settings.index_key, seams.random)


def _providers(settings: Settings, transport: Transport) -> dict[str, Provider]:
    """All providers of the configuration, and the inbox that test keys reach."""
    sections = {INBOX: ProviderSettings(type=INBOX)} | settings.providers
    faults = [fault for name, section in sections.items() for fault in providers.faults(name, section)]
    if sections[INBOX].type != INBOX:
        faults.append(f"providers.{INBOX}.type: must be {INBOX}, because test keys send there")
    if faults:
        raise SettingsError(tuple(faults))
    return {name: providers.build(name, section, transport) for name, section in sections.items()}


def _timeout(settings: Settings, provider: str) -> float:
    section = settings.providers.get(provider)
    return section.timeout_seconds if section else ProviderSettings(type=INBOX).timeout_seconds


def _credentials(section: ProviderSettings) -> tuple[str, ...]:
    """A section's own options, of which any may be a secret; one that is shorter would mask common words."""
    values = (str(value) for value in section.options.values())
    return tuple(value for value in values if len(value) >= _SHORTEST_CREDENTIAL)


def _templates(app: AppSettings) -> Templates:
    return Templates(app.brand, app.locale, app.templates, app.transaction_templates, app.autofill_hosts)
