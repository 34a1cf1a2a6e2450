"""A service behind a real HTTP server in this process, where a test can still reach in."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from otp_service.app import create_app
from otp_service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_service.service import Seams, Service


@asynccontextmanager
async def listening(configuration: dict[str, Any], seams: Seams) -> AsyncIterator[tuple[Service, str]]:
    """The service and its URL; uvicorn logs wherever the root logger does."""
    app = create_app(Settings.model_validate(configuration), seams=seams, work=False)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    # asyncio sets TCP_NODELAY only where the protocol is named: else each answer waits 40 ms for an ACK.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield app.state.service, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
