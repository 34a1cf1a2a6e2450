"""What happened and how long it took, for Prometheus.

No label holds a number, an id, a code or a word that a caller chose: apps and providers come from the
configuration, routes are templates, countries are of ISO 3166, everything else is a word of ours.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from otp_service.events import (
    AddressRoams,
    BreakerOpened,
    Checked,
    ChecksFailing,
    NumberClosed,
    Pumped,
    Received,
    Refused,
    SendRefused,
    SignalsSilent,
    SpendReached,
    Started,
    Tried,
    Unrecorded,
)
from otp_service.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otp_service.events import Event

_QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds; what happens on this machine or beside it. A script is given up after 0.9."""

_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; what waits for a provider. A route's deadline is 8 by default."""

_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client looks at it once, when it is imported."""


class Metrics:
    """All counters and histograms of a process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._starts = self._counter("otp_starts", "Verifications opened.", "app")
        self._sends = self._histogram(
            "otp_send_seconds", "A provider's answer to a send.", _SLOW, "provider", "outcome"
        )
        self._checks = self._counter("otp_checks", "Checks settled.", "app", "result")
        self._refusals = self._counter(
            "otp_refusals",
            "Problems answered; no app where nobody proved to be one.",
            "app",
            "code",
            "reason",
        )
        self._sends_refused = self._counter(
            "otp_guard_refusals", "Sends that a rule refused, or would have.", "app", "rule", "enforced"
        )
        self._addresses = self._counter(
            "otp_client_addresses", "Starts by what is known of their client's address.", "app", "kind"
        )
        self._receipts = self._counter("otp_receipts", "Reports of providers.", "provider", "state")
        self._alarms = self._counter("otp_alarms", "Events that somebody should look at.", "app", "event")
        self._requests = self._histogram(
            "otp_http_request_seconds", "Requests, until their answer was sent.", _SLOW, "route", "status"
        )
        self._hash_wait = self._histogram(
            "otp_hash_wait_seconds", "Hashes, until a thread was free for them.", _QUICK
        )
        self._hash = self._histogram("otp_hash_seconds", "Hashes at work.", _QUICK)
        self._scripts = self._histogram(
            "otp_redis_script_seconds", "Verbs of the store, a second try included.", _QUICK, "verb"
        )
        self._redis_errors = self._counter(
            "otp_redis_errors", "Verbs of the store without an answer in time.", "verb"
        )
        self._open = self._gauge("otp_breaker_open", "1 while a provider is left out; no country means all.")
        self._recent = self._gauge(
            "otp_recent_sends", "Sends that conversion goes by: by half less with every hour, at most 300."
        )
        self._conversion = self._gauge("otp_conversion", "Share of recent sends whose code came back.")

    def tell(self, event: Event) -> None:
        """Count what happened: a listener of events."""
        match event:
            case Started():
                self._starts.labels(event.app).inc()
                self._addresses.labels(event.app, event.address or "none").inc()
            case Tried():
                self._sends.labels(event.provider, event.outcome).observe(event.latency_ms / 1000)
            case Checked():
                self._checks.labels(event.app, event.result).inc()
            case Refused():
                self._refusals.labels(event.app, event.code, event.reason).inc()
            case SendRefused():
                self._sends_refused.labels(event.app, event.rule, str(event.enforced).lower()).inc()
            case Received():
                self._receipts.labels(event.provider, event.state).inc()
            case (
                AddressRoams()
                | ChecksFailing()
                | NumberClosed()
                | Unrecorded()
                | Pumped()
                | SpendReached()
                | SignalsSilent()
            ):
                self._alarms.labels(event.app, type(event).__name__).inc()
            case BreakerOpened():
                self._alarms.labels("", type(event).__name__).inc()

    def learned(
        self, breakers: Mapping[str, int | None], conversions: Mapping[str, tuple[float, float]]
    ) -> None:
        """Show what is known of the providers.

        Args:
            breakers: Milliseconds to a probe of an open one, else None; by ``provider`` or ``provider:EE``.
            conversions: Recent sends and approvals, by ``provider:EE``.
        """
        for circuit, left in breakers.items():
            self._open.labels(*_place(circuit)).set(left is not None)
        for circuit, (sends, approvals) in conversions.items():
            self._recent.labels(*_place(circuit)).set(sends)
            self._conversion.labels(*_place(circuit)).set(min(1.0, approvals / sends))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            route: Its template, never its path.
            status: HTTP status.
            seconds: From the request to the last byte of its answer.
        """
        self._requests.labels(route, status).observe(seconds)

    def hashed(self, waited: float, took: float) -> None:
        """A hash was made, after so many seconds in the queue and so many at work."""
        self._hash_wait.observe(waited)
        self._hash.observe(took)

    @contextmanager
    def script(self, verb: str) -> Iterator[None]:
        """See how long a verb of the store takes, and whether it fails."""
        with self._scripts.labels(verb).time(), self._redis_errors.labels(verb).count_exceptions():
            yield

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        # All processes show the same, so whichever spoke last is right.
        return Gauge(
            name, meaning, ("provider", "country"), registry=self.registry, multiprocess_mode="mostrecent"
        )

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)


def _place(circuit: str) -> tuple[str, str]:
    provider, _, country = circuit.partition(":")
    return provider, country


@contextmanager
def exposed(listen: str, processes: int = 1) -> Iterator[Metrics | None]:
    """Serve metrics to Prometheus, for as many processes as there are.

    One process counts in what is yielded. Several each make a ``Metrics`` of their own; what they count goes
    through files in a private directory, which this process adds up. So they must be started in here, and
    import ``prometheus_client`` themselves: spawned, not forked.

    Args:
        listen: ``host:port``; 0 for a free one.
        processes: How many count.

    Raises:
        SettingsError: The address is taken, or is not this machine's.
    """
    with ExitStack() as closing:
        metrics = None if processes > 1 else Metrics()
        registry = metrics.registry if metrics else closing.enter_context(_gathered())
        closing.enter_context(_served(listen, registry))
        yield metrics


@contextmanager
def _gathered() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    before = os.environ.get(_DIRECTORY)
    with TemporaryDirectory(prefix="otp-metrics-") as directory:
        os.environ[_DIRECTORY] = directory
        MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
        try:
            yield registry
        finally:
            os.environ.pop(_DIRECTORY)
            if before is not None:
                os.environ[_DIRECTORY] = before


@contextmanager
def _served(listen: str, registry: CollectorRegistry) -> Iterator[None]:
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise SettingsError((f"metrics_listen: cannot listen on {listen}: {error.strerror}",)) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
