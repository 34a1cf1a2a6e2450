"""The rooms, as a table: what each may import. Imports run one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "otp_service"
BASE = {"errors", "verification", "settings", "phone", "segments"}
STORE = {"store"} | BASE
DELIVERY = {"delivery", "events", "codes", "keyring", "messages"} | STORE

MAY_IMPORT = {
    "errors": {"verification"},
    "verification": set[str](),
    "settings": {"settings"},
    "phone": {"errors"},
    "segments": set[str](),
    "keyring": {"errors"},
    "embedded": set[str](),
    "provision": {"settings"},
    "messages": BASE,
    "proof": {"verification"},
    "codes": {"keyring"} | BASE,
    "events": {"delivery"} | BASE,
    "logs": {"events"},
    "metrics": {"events", "settings"},
    "store": STORE,
    "guard": {"delivery", "events", "guard", "keyring"} | STORE,
    "delivery": DELIVERY,
    "registry": {"guard", "keyring"} | STORE,
    "dispatch": {"guard", "proof", "registry"} | DELIVERY,
    "verifier": {"dispatch", "guard", "proof", "registry"} | DELIVERY,
    "worker": {"verifier"} | DELIVERY,
    "http": {"http", "dispatch", "verifier", "proof", "guard"} | DELIVERY,
}
"""What is not listed, the command line and ``app``, may import everything."""

OUTSIDE = {
    "redis": {"store"},
    "httpx": {"delivery", "demo", "login"},
    "aiosmtplib": {"delivery"},
    "apprise": {"delivery"},
    "argon2": {"codes"},
    "slowapi": {"http"},
    "jwt": {"proof", "demo", "login", "delivery"},
    "prometheus_client": {"metrics"},
    "structlog": {"logs", "http"},
}
"""Packages that only these rooms may import."""


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names, those under TYPE_CHECKING too."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = [path for path in ROOT.rglob("*.py") if room(path) != "__init__"]


@pytest.mark.parametrize(
    "path", [path for path in FILES if room(path) in MAY_IMPORT], ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_run_one_way(path: Path) -> None:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("otp_service.")}
    assert ours - MAY_IMPORT[room(path)] - {room(path)} == set()


@pytest.mark.parametrize("package", OUTSIDE)
def test_only_its_room_imports_a_package(package: str) -> None:
    rooms = {room(path) for path in FILES if any(name.split(".")[0] == package for name in imported(path))}
    assert rooms == OUTSIDE[package]


def test_only_the_demo_imports_the_client() -> None:
    rooms = {room(path) for path in FILES if any(name.startswith("otp_client") for name in imported(path))}
    assert rooms <= {"cli", "demo"}
