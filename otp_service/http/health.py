"""Is it alive, can it serve, and with which keys does it sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from otp_service.http.problems import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_service.proof import Signer
    from otp_service.store.timers import Timers


def router(timers: Timers, signer: Signer, draining: Callable[[], bool]) -> APIRouter:
    """``/livez``, ``/readyz`` and the JWKS."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/livez", operation_id="livez", response_description="Alive.")
    async def livez() -> dict[str, str]:
        """Alive; touches nothing."""
        return {"status": "alive"}

    @routes.get("/readyz", operation_id="readyz", response_description="Ready.")
    async def readyz() -> Response:
        """Can serve: Redis answers, and it is not draining."""
        if draining():
            return Response(encode({"status": "draining"}), 503, {"Retry-After": "5"}, "application/json")
        await timers.ping()
        return Response(encode({"status": "ready"}), 200, media_type="application/json")

    @routes.get("/.well-known/jwks.json", operation_id="jwks", response_description="The keys, newest first.")
    async def jwks() -> Response:
        """Public keys for the proofs."""
        return Response(
            encode(signer.jwks()), 200, {"Cache-Control": "public, max-age=300"}, "application/json"
        )

    return routes
