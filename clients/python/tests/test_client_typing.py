"""Files that use the whole public API, read as a user's type checker reads them: strictly."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYRIGHT = HERE.parents[2] / "tests" / "node_modules" / ".bin" / "pyright"
STUBS = ("celery-types", "django-stubs", "flask")


def assert_mypy_agrees(file: str) -> None:
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", file]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_pyright_agrees(file: str) -> None:
    if not PYRIGHT.exists():
        pytest.skip("no pyright: npm ci --prefix tests")
    command = [str(PYRIGHT), "--pythonpath", sys.executable, file]  # the file itself asks for strict
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def frameworks() -> str:
    for name in STUBS:
        try:
            distribution(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed: pip install -e '.[ci]'")
    return "client_typing_frameworks.py"


def test_mypy_sees_the_types_that_the_package_promises() -> None:
    assert_mypy_agrees("client_typing.py")


@pytest.mark.slow
def test_pyright_sees_the_types_that_the_package_promises() -> None:
    assert_pyright_agrees("client_typing.py")


@pytest.mark.slow
def test_mypy_sees_the_types_that_the_modules_promise(frameworks: str) -> None:
    assert_mypy_agrees(frameworks)


@pytest.mark.slow
def test_pyright_sees_the_types_that_the_modules_promise(frameworks: str) -> None:
    assert_pyright_agrees(frameworks)


def test_every_public_name_is_in_a_file_that_they_read() -> None:
    import otp_client  # noqa: PLC0415 - only here

    read = (HERE / "client_typing.py").read_text(encoding="utf-8")
    assert [name for name in otp_client.__all__ if f"otp_client.{name}" not in read] == []
