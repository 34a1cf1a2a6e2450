"""Metrics: what is counted, what no label may hold, and how Prometheus gets at it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otp_service.app import create_app
from otp_service.codes import PROFILES, HashPool
from otp_service.errors import StoreUnavailable
from otp_service.events import Received, Unrecorded
from otp_service.metrics import Metrics, exposed
from otp_service.settings import Settings, SettingsError
from tests.lab import NUMBER, Lab, lab, other_code, tables

if TYPE_CHECKING:
    from tests.servers import Server

COUNTS_ONE_HASH = """
import time
from otp_service.metrics import Metrics
Metrics().hashed(0.1, 0.2)
"""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


def text_of(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def value(text: str, name: str, **labels: str) -> float:
    """The sum of the samples with a name and these labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def counted(web: Lab, name: str, **labels: str) -> float:
    return value(text_of(web.service.metrics), name, **labels)


def get(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text


async def test_starts_are_counted_by_app(web: Lab) -> None:
    await web.start()
    assert counted(web, "otp_starts_total", app="web") == 1


async def test_a_try_is_counted_and_timed_by_provider_and_outcome(web: Lab) -> None:
    await web.start()
    assert counted(web, "otp_send_seconds_count", provider="console", outcome="accepted") == 1


async def test_checks_are_counted_by_result(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    await web.check(id_, other_code(web.code()))
    await web.check(id_, web.code())

    assert counted(web, "otp_checks_total", app="web", result="wrong") == 1
    assert counted(web, "otp_checks_total", app="web", result="approved") == 1


@pytest.mark.parametrize(
    ("to", "code", "reason"),
    [("+33612345678", "blocked", "country_not_allowed"), ("nobody", "invalid_number", "")],
)
async def test_refusals_are_counted_by_code_and_reason(web: Lab, to: str, code: str, reason: str) -> None:
    await web.start(to)
    assert counted(web, "otp_refusals_total", app="web", code=code, reason=reason) == 1


async def test_a_stranger_is_refused_in_nobodys_name(web: Lab) -> None:
    await web.post("start", headers={"Authorization": "Bearer otp_live_web1_wrong"})
    assert counted(web, "otp_refusals_total", app="", code="unauthenticated") == 1


async def test_what_the_edge_refuses_is_counted(redis: Server) -> None:
    async with lab(redis.url, apps={"web": {"limits": {"requests_per_key": "1/1m"}}}) as web:
        for _ in range(3):
            await web.http.get("/livez")
        assert counted(web, "otp_refusals_total", app="web", reason="requests_per_key") == 2


def test_receipts_are_counted_by_provider_and_state() -> None:
    metrics = Metrics()
    metrics.tell(Received("vrf_x", "smspm", "failed", "30005", "due"))
    assert value(text_of(metrics), "otp_receipts_total", provider="smspm", state="failed") == 1


def test_alarms_are_counted() -> None:
    metrics = Metrics()
    metrics.tell(Unrecorded("web", "vrf_x"))
    assert value(text_of(metrics), "otp_alarms_total", app="web", event="Unrecorded") == 1


async def test_requests_are_timed_by_the_template_of_their_route(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    await web.fetch(id_)
    route = "/v1/verifications/{verification_id}"

    assert counted(web, "otp_http_request_seconds_count", route=route, status="200") == 1


async def test_paths_that_lead_nowhere_share_one_label(web: Lab) -> None:
    for path in ("/a", "/b", "/v1/c"):
        await web.http.get(path)
    assert counted(web, "otp_http_request_seconds_count", route="none", status="404") == 3


async def test_a_fault_of_ours_is_a_500(redis: Server) -> None:
    async with lab(redis.url, seams={"draw": lambda _: 1 / 0}) as web:
        await web.start()
        route = "/v1/verifications/start"
        assert counted(web, "otp_http_request_seconds_count", route=route, status="500") == 1
        assert counted(web, "otp_refusals_total", app="web", code="internal_error") == 1


async def test_each_hash_tells_how_long_it_waited_and_took(web: Lab) -> None:
    await web.start()
    assert counted(web, "otp_hash_wait_seconds_count") == 1
    assert counted(web, "otp_hash_seconds_count") == 1


async def test_the_wait_for_a_thread_is_not_counted_as_work() -> None:
    heard: list[tuple[float, float]] = []
    pool = HashPool(PROFILES["test"], threads=1, queue=1, hashed=lambda *times: heard.append(times))
    held = threading.Timer(0.05, lambda: None)
    held.start()
    pool._pool.submit(held.join)
    with closing(pool):
        await pool.hash(bytes(32), bytes(16))
    [(waited, took)] = heard
    assert 0 < took < waited < 60


async def test_verbs_of_the_store_are_timed(web: Lab) -> None:
    await web.start()
    assert counted(web, "otp_redis_script_seconds_count", verb="open") == 1


async def test_a_verb_without_an_answer_is_an_error(web: Lab) -> None:
    metrics = web.service.metrics
    with pytest.raises(StoreUnavailable), metrics.script("open"):
        raise StoreUnavailable("no answer")

    assert value(text_of(metrics), "otp_redis_errors_total", verb="open") == 1


async def test_no_label_holds_what_a_caller_chose(web: Lab) -> None:
    chosen = {"metadata": {"chosen-key": "chosen-value"}, "client": {"session": "chosen-session"}}
    started = await web.start(key="chosen-idempotency", purpose="chosen-purpose", **chosen)
    id_ = started.json()["id"]
    await web.check(id_, web.code(), purpose="chosen-purpose")
    await web.http.get("/chosen-path?chosen=query", headers={"X-Request-Id": "chosen-id"})
    await web.http.request("CHOSEN", "/livez")
    await web.start("+999chosen")
    text = text_of(web.service.metrics)

    assert not [leak for leak in ("chosen", "CHOSEN", id_, NUMBER[1:], web.code()) if leak in text]


async def test_metrics_are_not_on_the_port_of_the_api(web: Lab) -> None:
    assert (await web.http.get("/metrics")).status_code == 404


def test_prometheus_reads_what_one_process_counts() -> None:
    port = free_port()
    with exposed(f"127.0.0.1:{port}") as metrics:
        assert metrics
        metrics.hashed(0.1, 0.2)
        assert value(get(port), "otp_hash_seconds_count") == 1


def test_prometheus_reads_what_all_processes_counted_those_that_ended_too() -> None:
    port = free_port()
    with exposed(f"127.0.0.1:{port}", processes=2):
        for _ in range(2):
            subprocess.run([sys.executable, "-c", COUNTS_ONE_HASH], check=True)
        assert value(get(port), "otp_hash_seconds_count") == 2


def test_the_files_of_several_processes_are_private_and_gone_at_the_end(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with exposed(f"127.0.0.1:{free_port()}", processes=2):
        [directory] = tmp_path.iterdir()
        assert directory.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_a_fault_of_the_setting() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        pytest.raises(SettingsError, match=r"metrics_listen: cannot listen on .*: Address already in use"),
        exposed(f"127.0.0.1:{taken.getsockname()[1]}"),
    ):
        pass


def test_the_port_is_free_again_at_the_end() -> None:
    listen = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with exposed(listen):
            pass


async def test_a_service_counts_where_it_is_told_to(redis: Server) -> None:
    metrics = Metrics()
    app = create_app(Settings.model_validate(tables(redis.url)), metrics=metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://otp.test") as client:
        await client.get("/livez")

    assert value(text_of(metrics), "otp_http_request_seconds_count", route="/livez") == 1
