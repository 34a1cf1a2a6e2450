"""The OpenAPI document: what FastAPI sees in the routes, and what our own reader, key check and edge add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otp_service.http.documents import SCHEMAS

if TYPE_CHECKING:
    from fastapi import FastAPI

_STRING: Final = {"type": "string"}
_SECONDS: Final = {"type": "integer", "minimum": 1}

REQUEST_ID: Final = {"X-Request-Id": {"schema": _STRING, "description": "Echoed, or made here."}}
RATE_LIMIT: Final = {
    "RateLimit-Policy": {"schema": _STRING, "description": '`"<name>";q=<quota>;w=<seconds>`'},
    "RateLimit": {"schema": _STRING, "description": '`"<name>";r=<left>;t=<seconds>`'},
}
RETRY_AFTER: Final = {"Retry-After": {"schema": _SECONDS, "description": "Whole seconds."}}
REPLAYED: Final = {"Idempotency-Replayed": {"schema": {"const": "true"}, "description": "Answered before."}}

NEXT: Final = {
    verb: {"operationId": verb, "parameters": {"verification_id": "$response.body#/id"}}
    for verb in ("check", "resend", "cancel", "fetch")
}
"""Links of a start: what can be done next with the verification that it answered."""

_LIMITED: Final = {"200", "201", "429"}
_WAITS: Final = {"409", "429", "503"}
_OURS: Final = {"HTTPValidationError", "ValidationError"}
"""What FastAPI would answer with, had it read the bodies."""


def complete(app: FastAPI) -> None:
    """Make an application show the whole contract."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = {name: schema for name, schema in components.get("schemas", {}).items() if name not in _OURS}
    for model in SCHEMAS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    components["schemas"] = schemas
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "otp_live_<key id>_<secret>"}
    }
    for path, verbs in document["paths"].items():
        for method, verb in verbs.items():
            _complete_verb(verb, with_key=path.startswith("/v1/"), posts=method == "post")
    return document


def _complete_verb(verb: dict[str, Any], *, with_key: bool, posts: bool) -> None:
    if with_key:
        verb["security"] = [{"apiKey": []}]
    answers = {
        status: answer
        for status, answer in verb["responses"].items()
        if not any(name in str(answer) for name in _OURS)
    }
    for status, answer in answers.items():
        headers = dict(REQUEST_ID)
        headers |= RATE_LIMIT if with_key and status in _LIMITED else {}
        headers |= RETRY_AFTER if status in _WAITS else {}
        headers |= REPLAYED if posts else {}
        answer["headers"] = headers
    if verb["operationId"] == "start":
        answers["201"]["links"] = NEXT
    verb["responses"] = answers
