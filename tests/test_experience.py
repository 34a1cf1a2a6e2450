"""What all processes know of the providers, as it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_service.store import keys
from otp_service.store.checks import Alarm, Checks
from otp_service.store.experience import Experience
from otp_service.verification import VerificationId

if TYPE_CHECKING:
    from tests.lab import Lab
    from tests.servers import Server

pytestmark = pytest.mark.every_server


async def test_nobody_carried_a_code_that_is_not_on_record(live: Lab) -> None:
    known = VerificationId.parse((await live.start()).json()["id"])
    assert known
    unknown = VerificationId.of(known.shard)
    found = await Experience(live.service.scripts).carriers(known.shard, [(unknown, 0), (known, 0)])
    assert found[0] is None
    assert found[1]
    assert found[1][0] == "console"


async def test_failed_checks_are_counted_for_each_app_by_itself(web: Lab, redis: Server) -> None:
    checks = Checks(web.service.scripts)
    assert await checks.failed("web", 3) == Alarm(on=False, began=False, failed=3, usual=0)
    assert await checks.failed("other", 0) == Alarm(on=False, began=False, failed=0, usual=0)
    assert {name.decode() for name in redis.names()} >= {keys.checks("web")}
