"""Fixtures: servers for the session, emptied before each test, and a service on one.

``@pytest.mark.every_server`` runs a test on the embedded server and, among the slow ones, on Debian's
redis-server 7.0 and on a Cluster. ``@pytest.mark.naive("x")`` runs it once more against the wrong variant
``x`` of ``tests/naive.py``, which must fail it: a test that passes there would prove nothing.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import naive, servers
from tests.lab import Lab, lab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

KINDS = ("embedded", "debian", "cluster")


@dataclass(frozen=True)
class Ground:
    """What a test stands on."""

    server: str = "embedded"
    variant: str | None = None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ground" not in metafunc.fixturenames:
        return
    everywhere = metafunc.definition.get_closest_marker("every_server")
    wrong = metafunc.definition.get_closest_marker("naive")
    grounds = [pytest.param(Ground(), id=KINDS[0])]
    if everywhere:
        grounds += [pytest.param(Ground(kind), id=kind, marks=pytest.mark.slow) for kind in KINDS[1:]]
    grounds += [
        pytest.param(
            Ground(variant=name),
            id=f"naive-{name}",
            marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"must fail: {name}"),
        )
        for name in (wrong.args if wrong else ())
    ]
    metafunc.parametrize("ground", grounds)


def pytest_collection_finish() -> None:
    """Keep what was imported out of garbage collections, which else stop for as long as Redis may take."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was left out, and what it would take."""
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"left out {count}: {reason}")


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[servers.Server]:
    with servers.embedded() as server:
        yield server


@pytest.fixture(scope="session")
def debian_server() -> Iterator[servers.Server]:
    with servers.debian() as server:
        yield server


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[servers.Server]:
    with servers.cluster() as server:
        yield server


@pytest.fixture
def redis(request: pytest.FixtureRequest, ground: Ground) -> servers.Server:
    """An empty server of the kind that the test stands on."""
    server: servers.Server = request.getfixturevalue(f"{ground.server}_server")
    server.flush()
    return server


@pytest.fixture
def changes() -> dict[str, Any]:
    """What a module changes in the configuration of its services."""
    return {}


@pytest.fixture
def seams() -> dict[str, Any]:
    """What a module puts into the seams of its services."""
    return {}


@pytest.fixture
def service(
    redis: servers.Server,
    ground: Ground,
    changes: dict[str, Any],
    seams: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], AbstractAsyncContextManager[Lab]]:
    """A service for a key of app ``web``, with the wrong variant in place where the test stands on one."""
    if ground.variant:
        naive.install(ground.variant, monkeypatch)
    return lambda key: lab(redis.url, seams=seams, key=key, **changes)


@pytest.fixture
async def web(service: Callable[[str], AbstractAsyncContextManager[Lab]]) -> AsyncIterator[Lab]:
    """A service whose messages land in the inbox."""
    async with service("web1") as made:
        yield made


@pytest.fixture
async def live(service: Callable[[str], AbstractAsyncContextManager[Lab]]) -> AsyncIterator[Lab]:
    """The same, called with a live key: messages take the route."""
    async with service("live1") as made:
        yield made
