"""`otp-service serve` and `otp-service worker`: the processes of production, over real HTTP."""

from __future__ import annotations

import json
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from otp_service.cli import app
from otp_service.serve import _Processes, listen
from otp_service.settings import SettingsError
from tests import command, servers
from tests.deployed import Deployment, Serving, closed, deployed, stopped
from tests.lab import code_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = "+37256789045"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("serve")) as made:
        yield made


@pytest.fixture(scope="module")
def two(deployment: Deployment) -> Iterator[Serving]:
    with deployment.serving("--workers", "2", OTP_LIMITS__REQUESTS_PER_ADDRESS="2/1m") as made:
        command.wait_until(lambda: len(made.processes()) == 2)
        yield made


def test_a_start_in_one_process_is_checked_in_the_other(two: Serving, deployment: Deployment) -> None:
    one, other = two.processes()
    with stopped(one):
        started = two.post("start", to=NUMBER)
    with stopped(other):
        code = code_in(deployment.vendor.texts[-1])
        checked = two.post(f"{started.json()['id']}/check", code=code)

    assert (started.status_code, checked.json()["status"]) == (201, "approved")


def test_it_says_when_but_not_with_what(two: Serving) -> None:
    headers = two.http.get("/livez").headers

    assert "date" in headers
    assert "server" not in headers


def test_the_log_is_one_json_line_for_each_event(two: Serving) -> None:
    two.post("start", to="+37256789047")
    two.command.wait_for('"event": "Tried"')
    lines = [json.loads(line) for line in two.command.stderr.splitlines()]
    events = {line["event"].partition(" ")[0] for line in lines}

    assert events <= {"Serving", "Started", "Tried", "Checked"}
    assert all({"timestamp", "level"} <= set(line) for line in lines)
    assert all("request_id" in line for line in lines if line["event"] == "Tried")


def test_metrics_count_for_all_processes(two: Serving) -> None:
    for number in range(4):
        assert two.post("start", to=f"+3725678902{number}").status_code == 201
    text = httpx.get(f"http://{two.metrics}/metrics", trust_env=False).text
    [count] = re.findall(r'^otp_starts_total\{app="web"\} ([0-9.]+)$', text, re.MULTILINE)

    assert float(count) >= 4


def test_the_log_holds_neither_code_nor_number_nor_the_address_of_a_provider(
    two: Serving, deployment: Deployment
) -> None:
    two.post("start", to="+37256789048")
    code = code_in(deployment.vendor.texts[-1])
    two.command.wait_for(r'"to": "\+372\*{5}048", "provider": "smspm", "outcome": "accepted"')

    assert not re.search(rf"\b{code}\b|56789048|{deployment.vendor.url}", two.command.stderr)


def test_it_takes_a_signal_while_its_processes_still_start(deployment: Deployment) -> None:
    with deployment.serving("--workers", "2", "--no-worker") as made:
        assert made.command.end() == 0
        assert "Traceback" not in made.command.stderr


def test_a_start_under_way_is_answered_before_it_ends(deployment: Deployment) -> None:
    with deployment.serving() as made, ThreadPoolExecutor(1) as pool, closed(deployment.vendor):
        start = pool.submit(made.post, "start", to="+37256789049")
        assert deployment.vendor.asked.wait(command.PATIENCE)
        made.command.process.send_signal(signal.SIGTERM)
        refuses_connections(made)
        deployment.vendor.gate.set()

        assert start.result().status_code == 201
        assert made.command.process.wait(command.PATIENCE) == 0


def test_a_forwarded_address_is_not_believed(two: Serving) -> None:
    with httpx.Client(base_url=two.http.base_url, trust_env=False) as stranger:
        statuses = [
            stranger.get("/livez", headers={"X-Forwarded-For": f"203.0.113.{last}"}).status_code
            for last in range(3)
        ]

    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_without_settings_it_says_all_that_is_missing(verb: str) -> None:
    ended = CliRunner().invoke(app, [verb], env={"OTP_CONFIG": None})

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == [
        *("redis_url", "public_url", "keyring", "index_key", "proof_keys", "apps"),
        "`otp-service init` writes a configuration that has all of these",
    ]


def test_all_faults_are_told_before_anything_starts(deployment: Deployment) -> None:
    faulty = {"OTP_CONFIG": str(deployment.config), "OTP_SHARDS": "1", "OTP_APPS__WEB__CODE_LENGTH": "4"}
    ended = CliRunner().invoke(app, ["serve"], env=faulty)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert {line.split(":")[0] for line in ended.stderr.splitlines()} == {"shards", "apps.web.code_length"}


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"^--port: cannot listen on 127\.0\.0\.1:{port}: Address already in use$"
        ):
            listen("127.0.0.1", port)


def test_an_unreachable_redis_is_told_in_a_sentence(deployment: Deployment) -> None:
    with socket.socket() as nobody, ExitStack() as stack:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://user:sesame@127.0.0.1:{nobody.getsockname()[1]}/0"
        both = [
            stack.enter_context(command.started(verb, "--config", str(deployment.config), OTP_REDIS_URL=url))
            for verb in ("serve", "worker")
        ]

        assert [each.process.wait(command.PATIENCE) for each in both] == [1, 1]
        assert {each.stdout + each.stderr for each in both} == {
            "redis_url: Redis does not answer there (ConnectionError). Start it, or correct the address.\n"
        }


def test_a_redis_that_forgets_is_refused_in_a_sentence(deployment: Deployment) -> None:
    with servers.embedded() as forgetful:
        ended = command.run("serve", "--config", str(deployment.config), OTP_REDIS_URL=forgetful.url)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("redis_url: nothing is persisted; ")
    assert ended.stderr.count("\n") == 1


def test_the_worker_works_until_it_is_told_to_stop(deployment: Deployment) -> None:
    arguments = ("worker", "--config", str(deployment.config))
    with command.started(*arguments, OTP_REDIS_URL=deployment.redis.url) as made:
        made.wait_for("Working")

        assert made.end() == 0
        assert "Traceback" not in made.stderr


def refuses_connections(serving: Serving) -> None:
    """Until the service takes no more connections: the signal has arrived."""

    def refused() -> bool:
        try:
            socket.create_connection((serving.http.base_url.host, serving.http.base_url.port or 0), 1).close()
        except OSError:
            return True
        return False

    command.wait_until(refused)


def test_a_reload_that_breaks_in_a_new_way_leaves_the_supervisor_watching(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def read() -> None:
        raise OverflowError("nobody thought of it")

    _Processes.handle_hup(SimpleNamespace(_settings=None, _read=read))  # type: ignore[arg-type]
    assert "Not reloaded" in caplog.text
