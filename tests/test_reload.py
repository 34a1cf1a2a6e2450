"""SIGHUP reads the configuration again, SIGTERM drains first: neither costs a request."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import httpx
import pytest

from otp_service import provision
from tests import command
from tests.deployed import Deployment, Serving, closed, deployed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBER = "+37256789045"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path) as made:
        yield made


def change(deployment: Deployment, old: str, new: str) -> None:
    text = deployment.config.read_text("utf-8")
    assert old in text
    deployment.config.write_text(text.replace(old, new), "utf-8")


def reload(serving: Serving, *, says: str = "Reloaded", times: int = 1) -> None:
    before = serving.command.stderr.count(says)
    serving.command.process.send_signal(signal.SIGHUP)
    command.wait_until(lambda: serving.command.stderr.count(says) == before + times)


def test_a_changed_configuration_is_in_force_for_the_next_request(deployment: Deployment) -> None:
    with deployment.serving() as made:
        change(deployment, 'countries = ["EE"]', 'countries = ["DE"]')
        reload(made)
        refused = made.post("start", to=NUMBER).json()

        assert (refused["code"], refused["reason"]) == ("blocked", "country_not_allowed")


def test_an_open_connection_stays_open(deployment: Deployment) -> None:
    with deployment.serving() as made, httpx.Client(base_url=made.http.base_url, trust_env=False) as client:
        streams = []
        for _ in range(2):
            with client.stream("GET", "/livez") as response:
                response.read()
                streams.append(response.extensions["network_stream"].get_extra_info("client_addr"))
            reload(made)

        assert streams[0] == streams[1]


def test_a_request_under_way_ends_as_it_began(deployment: Deployment) -> None:
    with deployment.serving() as made, ThreadPoolExecutor(1) as pool, closed(deployment.vendor):
        start = pool.submit(made.post, "start", to=NUMBER)
        assert deployment.vendor.asked.wait(command.PATIENCE)
        change(deployment, 'countries = ["EE"]', 'countries = ["DE"]')
        reload(made)
        reload(made)  # a second one, so that whatever the first closes has been closed
        deployment.vendor.gate.set()

        started = start.result()
        assert (started.status_code, started.json()["deliveries"][0]["outcome"]) == (201, "accepted")


def test_a_reload_while_redis_is_away_changes_nothing(deployment: Deployment) -> None:
    with deployment.serving() as made:
        assert made.http.get("/readyz").status_code == 200
        (node,) = deployment.redis.nodes
        node.stop()
        reload(made, says="Not reloaded: Redis does not answer")
        node.start()

        assert made.post("start", to=NUMBER).status_code == 201


def test_a_faulty_configuration_changes_nothing_and_every_fault_is_told(deployment: Deployment) -> None:
    with deployment.serving() as made:
        change(deployment, 'countries = ["EE"]', 'countries = ["XX"]\ncode_length = 4')
        made.command.process.send_signal(signal.SIGHUP)
        made.command.wait_for(r"Not reloaded: apps\.web\.countries\.0: ")
        made.command.wait_for(r"Not reloaded: apps\.web\.code_length: ")

        assert made.post("start", to=NUMBER).status_code == 201


def test_another_redis_is_left_for_a_restart_and_the_rest_is_in_force(deployment: Deployment) -> None:
    with deployment.serving() as made:
        change(deployment, "index_key = ", f'index_key = "{provision.secret_key()}"\n# ')
        change(deployment, 'countries = ["EE"]', 'countries = ["DE"]')
        reload(made)

        assert "index_key has changed, which takes a restart: left as it was" in made.command.stderr
        assert made.post("start", to=NUMBER).json()["reason"] == "country_not_allowed"


@pytest.mark.slow
def test_every_process_has_the_new_configuration(deployment: Deployment) -> None:
    with deployment.serving("--workers", "2") as made:
        command.wait_until(lambda: len(made.processes()) == 2)
        processes = made.processes()
        change(deployment, 'countries = ["EE"]', 'countries = ["DE"]')
        reload(made, times=2)

        assert {made.post("start", to=NUMBER).status_code for _ in range(10)} == {403}
        assert made.processes() == processes


@pytest.mark.slow
def test_a_process_that_starts_later_has_the_new_configuration(deployment: Deployment) -> None:
    with deployment.serving("--workers", "2") as made:
        command.wait_until(lambda: len(made.processes()) == 2)
        change(deployment, 'countries = ["EE"]', 'countries = ["DE"]')
        reload(made, times=2)
        change(deployment, 'countries = ["DE"]', "countries = []")
        old = made.processes()
        for each in old:
            os.kill(each, signal.SIGKILL)
        command.wait_until(lambda: len(set(made.processes()) - set(old)) == 2)

        assert made.post("start", to=NUMBER).status_code == 403


@pytest.mark.slow
def test_the_parent_tells_the_faults_once_and_passes_nothing_on(deployment: Deployment) -> None:
    with deployment.serving("--workers", "2") as made:
        command.wait_until(lambda: len(made.processes()) == 2)
        change(deployment, 'countries = ["EE"]', "countries = []")
        made.command.process.send_signal(signal.SIGHUP)
        made.command.wait_for("Not reloaded")

        assert made.post("start", to=NUMBER).status_code == 201
        assert made.command.stderr.count("Not reloaded") == 1


def test_the_worker_reads_it_again_too(deployment: Deployment) -> None:
    arguments = ("worker", "--config", str(deployment.config))
    with command.started(*arguments, OTP_REDIS_URL=deployment.redis.url) as made:
        made.wait_for("Working")
        made.process.send_signal(signal.SIGHUP)
        made.wait_for("Reloaded")

        assert made.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_draining_server_says_so_and_serves_on(deployment: Deployment, workers: str) -> None:
    with deployment.serving("--workers", workers, "--drain-seconds", "1.5") as made:
        command.wait_until(lambda: made.http.get("/readyz").status_code == 200)
        made.command.process.send_signal(signal.SIGTERM)
        made.command.wait_for("Draining for 1.5 s")
        if workers == "2":
            command.wait_until(lambda: made.command.stderr.count("Draining") == 2)
        ready = httpx.get(f"{made.http.base_url}/readyz", trust_env=False)
        started = made.post("start", to=NUMBER)

        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
        assert started.status_code == 201
        assert made.command.process.wait(command.PATIENCE) == 0


def test_a_reload_while_it_drains_does_not_make_it_ready_again(deployment: Deployment) -> None:
    with deployment.serving("--drain-seconds", "2") as made:
        assert made.http.get("/readyz").status_code == 200
        made.command.process.send_signal(signal.SIGTERM)
        made.command.wait_for("Draining")
        reload(made)

        assert made.http.get("/readyz").status_code == 503


@pytest.mark.slow
def test_a_rolling_restart_under_load_loses_no_request(deployment: Deployment) -> None:
    with ExitStack() as stack:
        slots = [stack.enter_context(_Slot(deployment)) for _ in range(2)]
        balancer = stack.enter_context(_Balancer([slot.url for slot in slots], deployment.key))
        for slot in slots:
            before = balancer.answered
            slot.restart()
            balancer.wait_for(slot.url, before + 50)

    assert balancer.lost == []
    assert balancer.answered > 100


class _Slot:
    """One of several servers: stopped and started again on the same port."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._port = "0"
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _start(self) -> None:
        options = ("--port", self._port, "--drain-seconds", "1")
        ceiling = "100000/1s"
        self._serving = self._stack.enter_context(
            self._deployment.serving(
                *options,
                OTP_LIMITS__REQUESTS_PER_ADDRESS=ceiling,
                OTP_APPS__WEB__LIMITS__REQUESTS_PER_KEY=ceiling,
            )
        )
        self._port = str(self._serving.http.base_url.port)

    def restart(self) -> None:
        assert self._serving.command.end() == 0
        self._stack.close()
        self._start()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Balancer:
    """Calls whichever server said last that it is ready, from four threads, and keeps what got no answer."""

    def __init__(self, urls: list[str], key: str) -> None:
        self.ready = set(urls)
        self.answered = 0
        self.lost: list[str] = []
        self._urls = urls
        self._key = key
        self._numbers = itertools.count(100_000)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=do) for do in (self._probe, *[self._call] * 4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, url: str, answered: int) -> None:
        """Until this server is ready and so many calls were answered."""
        command.wait_until(lambda: url in self.ready and self.answered >= answered)

    def _probe(self) -> None:
        def is_ready(url: str) -> bool:
            try:
                return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        while not self._over.wait(0.1):
            self.ready = {url for url in self._urls if is_ready(url)}

    def _call(self) -> None:
        bearer = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(headers=bearer, timeout=command.PATIENCE, trust_env=False) as http:
            while not self._over.is_set():
                try:
                    answer = http.post(
                        f"{next(iter(self.ready))}/v1/verifications/start",
                        json={"to": f"+37256{next(self._numbers):06}"},
                    )
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))
                else:
                    self.answered += 1
                    if answer.status_code != 201:
                        self.lost.append(answer.text)
