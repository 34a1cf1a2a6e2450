"""What is kept about a number, read for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_service.store.keys import Shard
from otp_service.store.numbers import Kept, Numbers
from otp_service.verification import VerificationId

if TYPE_CHECKING:
    from tests.lab import Lab
    from tests.servers import Server

pytestmark = pytest.mark.every_server


async def test_a_record_is_read_wherever_its_target_is_and_without_one_not_at_all(
    web: Lab, redis: Server
) -> None:
    numbers, at, id_ = Numbers(web.service.scripts, web.service.client), Shard(3), VerificationId.of(3)
    assert await numbers._read(at, id_) is None
    redis.run("HSET", at.verification(id_), "a", "web", "k", "k1")
    assert await numbers._read(at, id_) is None
    redis.run("SET", at.details(id_), b"long")
    assert await numbers._read(at, id_) == Kept(id_, "web", "k1", b"long")
    redis.run("HSET", at.verification(id_), "x", b"short")
    assert await numbers._read(at, id_) == Kept(id_, "web", "k1", b"short")
