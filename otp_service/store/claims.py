"""Idempotency-Keys: who claimed which, for which request, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.store import keys
from otp_service.store.answers import refuse

if TYPE_CHECKING:
    from otp_service.store.scripts import Scripts


class Claims:
    """Claims of all apps; a shard of its own for each, because it is not about one number.

    Args:
        scripts: Runs the scripts.
        ttl: Seconds for which a key is remembered.
    """

    def __init__(self, scripts: Scripts, *, ttl: int) -> None:
        self._scripts = scripts
        self._ttl_ms = ttl * 1000

    async def claim(self, name: str, digest: str, run: str) -> tuple[int, tuple[str, bytes] | None]:
        """Claim an Idempotency-Key for one request.

        Args:
            name: Of the key.
            digest: Of the request.
            run: Who claims it.

        Returns:
            Since when it is claimed (ms); and the key id and sealed answer, if one was kept.
        """
        arguments = {"digest": digest, "run": run, "ttl": self._ttl_ms}
        _, code, *rest = await self._scripts.run("claim", [keys.claim(name)], arguments)
        refuse(code, rest)
        return rest[0], ((rest[1].decode(), rest[2]) if code == "kept" else None)

    async def keep(self, name: str, digest: str, since: int, key_id: str, sealed: bytes) -> None:
        """Keep the sealed answer to a claimed request."""
        arguments = {"digest": digest, "since": since, "key_id": key_id}
        await self._scripts.run("keep", [keys.claim(name)], arguments, sealed)

    async def release(self, name: str, digest: str, since: int, run: str) -> None:
        """Let go of a claim; when every run has, the key can be used for a mended request."""
        arguments = {"digest": digest, "since": since, "run": run, "release": True}
        await self._scripts.run("keep", [keys.claim(name)], arguments)
