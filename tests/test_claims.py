"""How long an Idempotency-Key is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_service.errors import IdempotencyMismatch

if TYPE_CHECKING:
    from tests.lab import Lab

pytestmark = pytest.mark.every_server


@pytest.mark.parametrize("changes", [{"idempotency_ttl_seconds": 3600}])
async def test_a_key_is_free_again_when_its_time_is_over_and_not_before(web: Lab) -> None:
    claims = web.service.claims
    since, kept = await claims.claim("key", "one", "run")
    assert kept is None
    web.pass_time(3599)
    with pytest.raises(IdempotencyMismatch):
        await claims.claim("key", "another", "run")
    web.pass_time(1)
    again, kept = await claims.claim("key", "another", "run")
    assert (again > since, kept) == (True, None)
