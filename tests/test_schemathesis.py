"""The service against its own OpenAPI document, by schemathesis."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import servers
from tests.lab import bearer, tables
from tests.served import CODE, served

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.environ.get("CI") == "true":
    import schemathesis
else:
    schemathesis = pytest.importorskip("schemathesis", reason="the extra ci has it")

from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

pytestmark = pytest.mark.slow

load_all_checks()
HELD = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "negative_data_rejection",
    ]
)
NEGATIVE = CHECKS.get_by_names(["negative_data_rejection"])
ROUNDS = 50
EXAMPLES = 60
VERBS = ("start", "resend", "check", "cancel", "fetch")
LIFTED = {
    "cooldown_seconds": [0],
    "limits": {"requests_per_key": "100000/1s"},
}


class Api:
    """A running service as schemathesis sees it."""

    def __init__(self, url: str, numbers: Iterator[int]) -> None:
        self._verbs = schemathesis.openapi.from_url(f"{url}/openapi.json")
        self.told: Counter[tuple[str, int]] = Counter()
        self._numbers = numbers

    def operation(self, verb: str) -> Any:
        return self._verbs.find_operation_by_id(verb)

    def ask(self, verb: str, case: Any) -> Any:
        """Send one case and hold its answer against the document."""
        answer = case.call(headers=bearer("web1"))
        case.validate_response(answer, checks=HELD)
        self.told[verb, answer.status_code] += 1
        return answer

    def valid(self, verb: str, id_: str | None = None, body: Any = None) -> Any:
        more: dict[str, Any] = {"path_parameters": {"verification_id": id_}} if id_ else {}
        if body is not None:
            more |= {"body": body, "media_type": "application/json"}
        return self.ask(verb, self.operation(verb).Case(**more)).json()

    def start(self) -> str:
        number = f"+3725{next(self._numbers):07d}"
        return str(self.valid("start", body={"to": number, "metadata": {"order": "42"}})["id"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.embedded() as redis, served(tables(redis.url, apps={"web": LIFTED})) as found:
        yield found


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """A number is used once: the budgets of a number stay as they are."""
    return iter(range(1_000_000, 9_999_999))


@pytest.fixture
def api(url: str, numbers: Iterator[int]) -> Api:
    return Api(url, numbers)


def test_every_answer_of_a_lifecycle_is_as_documented(api: Api) -> None:
    for _ in range(ROUNDS):
        id_ = api.start()
        api.valid("resend", id_)
        api.valid("fetch", id_)
        assert api.valid("check", id_, {"code": CODE})["approved"] is True
        api.valid("check", id_, {"code": CODE})  # 410
        api.valid("cancel", api.start(), {})
    for verb in VERBS:
        assert (
            sum(count for (asked, status), count in api.told.items() if (asked, status // 100) == (verb, 2))
            >= 50
        )


def test_what_a_start_links_to_can_be_followed(api: Api) -> None:
    schema = api.operation("start").schema
    followed: Counter[str] = Counter()

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        """What is drawn at random is neither a number nor its code; with these no body is invalid."""
        match context.operation.label.rpartition("/")[2]:
            case "start":
                return {"to": f"+3725{next(api._numbers):07d}"}
            case "check":
                return {"code": CODE}
        return body

    class Following(schema.as_state_machine()):
        def before_call(self, case: Any) -> None:
            """What hypothesis tries again must come out the same, and no number is used again."""
            case.headers.pop("Idempotency-Key", None)

        def get_call_kwargs(self, _: Any) -> dict[str, Any]:
            return {"headers": bearer("web1")}

        def validate_response(self, response: Any, case: Any, **__: Any) -> None:
            case.validate_response(response, checks=HELD, excluded_checks=NEGATIVE)
            if "vrf_" in response.request.url:
                followed[case.operation.definition.raw["operationId"], response.status_code] += 1

    Following.run(
        settings=settings(
            max_examples=ROUNDS,
            stateful_step_count=6,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
    )
    assert {verb for verb, status in followed if status < 300} == {"check", "resend", "cancel", "fetch"}


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_is_sent_the_answer_is_as_documented(api: Api, verb: str) -> None:
    id_ = api.start()
    path = {} if verb == "start" else {"path_parameters": {"verification_id": id_}}
    operation = api.operation(verb)
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of([operation.as_strategy(generation_mode=mode, **path) for mode in modes]))
    def fuzz(case: Any) -> None:
        api.ask(verb, case)

    fuzz()
    assert sum(api.told.values()) > EXAMPLES // 2
