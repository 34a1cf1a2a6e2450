"""Idempotency-Key: one request happens once, and whoever repeats it gets the answer that was kept.

The scripts make each verb happen once by its operation. What is kept here is the answer itself, sealed; the
body is only ever an HMAC.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otp_service.errors import InvalidRequest, Problem, StoreUnavailable
from otp_service.http.problems import encode
from otp_service.keyring import name
from otp_service.store.answers import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_service.keyring import Keyring
    from otp_service.store.claims import Claims

KEPT: Final = frozenset({403, 410, 502})
"""Errors that the same request would meet again, or must not try again."""

_VISIBLE: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb answers.

    Args:
        status: HTTP status.
        body: What will be JSON; for a problem its members.
        headers: What goes with it.
        keep: Whether the answer is kept here; a check's is not, because its scripts keep the result.
        replayed: Whether this is the answer of an earlier request.
    """

    status: int
    body: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    keep: bool = True
    replayed: bool = False


class Idempotency:
    """Runs a verb once for each Idempotency-Key of an app.

    Args:
        claims: Who asked what with which key.
        keyring: Names claims and operations, seals answers.
    """

    def __init__(self, claims: Claims, keyring: Keyring) -> None:
        self._claims = claims
        self._keyring = keyring

    async def once(
        self, app: str, key: str | None, path: str, body: bytes, run: Callable[[Operation], Awaitable[Answer]]
    ) -> Answer:
        """The verb's answer, or the one that was kept for this key.

        Raises:
            InvalidRequest: The key is not 1..255 visible ASCII characters.
            IdempotencyMismatch: It was used with another path or body.
            IdempotencyInProgress: The first request with it is still at work.
        """
        random = secrets.token_hex(16)
        if key is None:
            return await run(Operation(random, random, random))
        if not _VISIBLE.fullmatch(key):
            raise InvalidRequest("An Idempotency-Key has 1 to 255 visible ASCII characters.")
        index = self._keyring.index
        claim = name(index("claim", app, key))
        digest = name(index("request", app, path, body))
        since, kept = await self._claims.claim(claim, digest, random)
        if kept:
            return self._read(claim, *kept)
        operation = Operation(name(index("operation", app, path, key, str(since))), digest, random, since)
        try:
            answer = await run(operation)
        except Problem as problem:
            with suppress(StoreUnavailable):
                await self._after(problem, claim, operation, since)
            raise
        if answer.keep:
            with suppress(StoreUnavailable):  # it happened, and the operation remembers that
                await self._keep(claim, digest, since, answer)
        return answer

    async def _after(self, problem: Problem, claim: str, operation: Operation, since: int) -> None:
        """Keep a final refusal; let go of the key after one that the caller can mend or wait out."""
        if problem.status in KEPT:
            kept = Answer(problem.status, problem.members())
            await self._keep(claim, operation.digest, since, kept)
        elif problem.status < 500:  # noqa: PLR2004 - theirs to mend, not ours
            await self._claims.release(claim, operation.digest, since, operation.run)

    async def _keep(self, claim: str, digest: str, since: int, answer: Answer) -> None:
        key_id = self._keyring.first
        sealed = self._keyring.seal(key_id, encode([answer.status, answer.body]), "answer", claim)
        await self._claims.keep(claim, digest, since, key_id, sealed)

    def _read(self, claim: str, key_id: str, sealed: bytes) -> Answer:
        status, body = json.loads(self._keyring.unseal(key_id, sealed, "answer", claim))
        return Answer(status, body, keep=False, replayed=True)
