"""A server process for tests: ``python -m tests.served <tables as JSON> <variant>``; prints its port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from otp_service.app import create_app
from otp_service.service import Seams
from otp_service.settings import Settings
from tests import naive

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "424242"


async def serve(tables: dict[str, Any]) -> None:
    settings = Settings.model_validate(tables)
    app = create_app(settings, seams=Seams(draw=lambda _: CODE), work=False)
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = uvicorn.Server(config)
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
        await server.serve(sockets=[listener])


@contextlib.contextmanager
def served(tables: dict[str, Any], variant: str | None = None) -> Iterator[str]:
    """The URL of a service in a process of its own, whose every code is ``CODE``."""
    command = [sys.executable, "-m", "tests.served", json.dumps(tables), variant or ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def main() -> None:
    tables, variant = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch:
        if variant:
            naive.install(variant, patch)
        asyncio.run(serve(json.loads(tables)))


if __name__ == "__main__":
    main()
