"""The service as an ASGI application: its HTTP face, and the only file that knows all others."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from otp_service.http import health, openapi, pages, receipts
from otp_service.http.auth import Keys
from otp_service.http.edge import Edge
from otp_service.http.idempotency import Idempotency
from otp_service.http.problems import Problems
from otp_service.http.timing import Timing
from otp_service.http.verifications import Verifications
from otp_service.service import build
from otp_service.settings import not_in_force

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_service.metrics import Metrics
    from otp_service.service import Seams
    from otp_service.settings import Settings


def create_app(
    settings: Settings, *, seams: Seams | None = None, work: bool = True, metrics: Metrics | None = None
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: All that ``require_serving`` asks for.
        seams: For tests and the demo.
        work: Whether to run the worker in this process too.
        metrics: Where to count, if somebody serves that.

    Raises:
        SettingsError: A provider's section has faults.
    """
    service = build(settings, seams, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(work=work):
            yield

    app = FastAPI(
        title="OTP service",
        summary="Proves that a person holds a phone number.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from the Host header
    )
    problems = Problems(settings.public_url, service.tell)
    problems.install(app)
    app.include_router(
        Verifications(service.verifier, Idempotency(service.claims, service.keyring), problems).router()
    )
    app.include_router(receipts.router(service.providers, service.urls, service.worker.receive))
    app.include_router(health.router(service.timers, service.signer, lambda: service.draining))
    openapi.complete(app)
    app.include_router(pages.router(app.openapi))
    app.add_middleware(
        Edge,
        keys=Keys(settings.apps.values()),
        problems=problems,
        strangers=settings.limits.requests_per_address,
        trusted=settings.trusted_proxies,
    )
    app.add_middleware(Timing, answered=service.metrics.answered)
    app.state.service = service
    for sentence in not_in_force(settings):
        logging.getLogger("otp_service").warning("%s", sentence)
    return app
