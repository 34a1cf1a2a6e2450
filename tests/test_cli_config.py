"""The commands that make, check and show a configuration."""

from __future__ import annotations

import hashlib
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from otp_service import provision
from otp_service.cli import app
from otp_service.settings import ApiKey, example, load

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

KEY = re.compile(r"otp_(live|test)_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})")


def run(*arguments: str, **environ: str) -> Result:
    """Run a command with nothing but ``environ`` of ours in the environment."""
    clear: dict[str, Any] = {"OTP_CONFIG": None, **environ}
    return CliRunner().invoke(app, arguments, env=clear)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Result]:
    path = tmp_path / "otp.toml"
    return path, run("init", "--countries", "EE,de", "--brand", "Ä “x” \\ 🙂", "--output", str(path))


def test_init_writes_what_can_serve(made: tuple[Path, Result]) -> None:
    path, _ = made
    settings = load({}, path)

    settings.require_serving()
    assert settings.apps["web"].countries == {"EE", "DE"}
    assert settings.apps["web"].brand == "Ä “x” \\ 🙂"


def test_init_writes_for_its_owner_only(made: tuple[Path, Result]) -> None:
    assert stat.S_IMODE(made[0].stat().st_mode) == 0o600


def test_init_prints_a_live_and_a_test_key_that_it_let_in(made: tuple[Path, Result]) -> None:
    path, result = made
    printed = {
        ApiKey(id_, hashlib.sha256(secret.encode()).digest(), kind == "live", frozenset({"verify", "read"}))
        for kind, id_, secret in KEY.findall(result.stdout)
    }

    assert {key.live for key in printed} == {True, False}
    assert set(load({}, path).apps["web"].keys) == printed


def test_init_keeps_no_api_key(made: tuple[Path, Result]) -> None:
    path, result = made

    assert [secret for _, _, secret in KEY.findall(result.stdout) if secret in path.read_text("utf-8")] == []


def test_init_draws_new_keys_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run("init", "--countries", "*", "--output", str(tmp_path / name))
    one, two = (load({}, tmp_path / name) for name in ("one", "two"))

    drawn = [key.secret for each in (one, two) for key in (*each.keyring, *each.proof_keys)]
    assert len({*drawn, one.index_key, two.index_key}) == 6


def test_init_does_not_overwrite(made: tuple[Path, Result]) -> None:
    path, _ = made
    before = path.read_bytes()
    result = run("init", "--countries", "EE", "--output", str(path))

    assert (result.exit_code, path.read_bytes()) == (2, before)
    assert "is there already" in result.stderr
    assert not KEY.search(result.output)


def test_init_overwrites_when_told_to(made: tuple[Path, Result]) -> None:
    path, _ = made
    path.chmod(0o644)
    result = run("init", "--countries", "LV", "--output", str(path), "--force")

    assert result.exit_code == 0
    assert load({}, path).apps["web"].countries == {"LV"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["otp.toml"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["init"], "--countries"),
        (["init", "--countries", "XX"], "apps.web.countries.0: must be an ISO 3166"),
        (["init", "--countries", "EE", "--app", "My App"], "apps.My App: must be 1 to 32"),
        (["init", "--countries", "EE", "--brand", "a\x7f"], "apps.web.brand: must be 1 to 30"),
        (
            ["init", "--countries", "EE", "--output", "/no/such/otp.toml"],
            "/no/such/otp.toml: cannot be written",
        ),
        (["keys", "create", "--app", "web", "--scopes", "admin"], "--scopes: must be verify, read"),
        (["keys", "list", "--config", "/no/such"], "/no/such: cannot be read"),
        (["config", "check", "--config", "/no/such"], "/no/such: cannot be read"),
        (["config", "nonsense"], "No such command"),
    ],
)
def test_bad_input_ends_with_2_and_no_traceback(arguments: list[str], says: str) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_check_counts_what_is_there(made: tuple[Path, Result]) -> None:
    result = run("config", "check", "--config", str(made[0]))

    assert (result.exit_code, result.stdout) == (0, "ok: 1 app, 2 keys, 1 route, 1 provider\n")
    assert result.stderr == ""


def test_check_reads_the_environment(made: tuple[Path, Result]) -> None:
    result = run("config", "check", OTP_CONFIG=str(made[0]), OTP_APPS__WEB__CODE_LENGTH="99")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "apps.web.code_length: must be a whole number from 6 to 10 (from OTP_APPS"
    )


def test_check_tells_the_faults_of_all_rooms_at_once(tmp_path: Path) -> None:
    path = tmp_path / "otp.toml"
    long_text = "x" * 160
    path.write_text(
        f'shards = 1\n[apps.web]\nbrand = "Acme"\ncountries = ["EE"]\n'
        f'templates = {{ en = "{{code}} {long_text}" }}\n'
        f'[routes.default]\nproviders = ["smspm"]\n[providers.smspm]\ntoken = "t"\n'
    )
    result = run("config", "check", "--config", str(path))

    assert result.exit_code == 2
    assert [line.split(":")[0].split()[0] for line in result.stderr.splitlines()] == [
        "shards",
        "providers.smspm.hash",
        "apps.web.templates.en",
    ]


def test_check_notes_what_has_no_effect_and_what_serving_lacks(tmp_path: Path) -> None:
    path = tmp_path / "otp.toml"
    path.write_text('redis_url = "redis://h"\n[operators.ann]\nkey = "' + "0" * 64 + '"\n')
    result = run("config", "check", "--config", str(path))

    assert result.exit_code == 0
    assert "note: operators is set but not in force in this version\n" in result.stderr
    assert "note: public_url: required to serve\n" in result.stderr


def test_example_prints_the_file() -> None:
    assert run("config", "example").stdout == example()


@pytest.mark.parametrize(
    ("options", "kind", "scopes"),
    [
        ([], "live", "verify,read"),
        (["--test"], "test", "verify,read"),
        (["--scopes", "read"], "live", "read"),
        (["--scopes", "read, verify"], "live", "verify,read"),
    ],
)
def test_create_prints_a_key_and_the_line_that_lets_it_in(options: list[str], kind: str, scopes: str) -> None:
    result = run("keys", "create", "--app", "web", *options)
    [(printed, id_, secret)] = KEY.findall(result.stdout)

    assert printed == kind
    assert f'"{id_}:{hashlib.sha256(secret.encode()).hexdigest()}:{kind}:{scopes}",\n' in result.stdout


def test_list_shows_ids_and_no_digests(made: tuple[Path, Result]) -> None:
    path, created = made
    result = run("keys", "list", "--config", str(path))
    live, test = (id_ for _, id_, _ in KEY.findall(created.stdout))

    assert result.stdout == f"web\t{live}\tlive\tverify,read\nweb\t{test}\ttest\tverify,read\n"


def test_the_repr_of_a_new_key_hides_it() -> None:
    new = provision.api_key(live=True, scopes={"read"})

    assert new.key not in repr(new)
