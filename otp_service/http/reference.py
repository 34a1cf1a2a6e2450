"""The API's reference as HTML, from its OpenAPI document: it needs no internet."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INTRODUCTION = """<h1>{title}</h1>
<p>{summary}</p>
<p class="faint">For tools: <a href="openapi.json">openapi.json</a>.</p>
<p>Every call under <code>/v1/</code> takes an API key: <code>Authorization: Bearer otp_live_…</code></p>"""


def body(document: dict[str, Any], codes: Iterable[str]) -> str:
    """The inside of a page.

    Args:
        document: OpenAPI 3.1.
        codes: Of all errors, each with a page under ``errors/``.
    """
    info, schemas = document["info"], document["components"]["schemas"]
    verbs = (
        _verb(method, path, verb, schemas)
        for path, methods in document["paths"].items()
        for method, verb in methods.items()
    )
    shapes = (_shape(name, schema) for name, schema in schemas.items())
    links = (f'<a href="errors/{code}"><code>{code}</code></a>' for code in codes)
    return "\n".join(
        (
            _INTRODUCTION.format(title=escape(info["title"]), summary=escape(info["summary"])),
            _section("Calls", verbs),
            _section("Objects", shapes),
            _section("Errors", (f"<p>{', '.join(links)}</p>",)),
        )
    )


def _section(title: str, parts: Iterable[str]) -> str:
    return "\n".join(("<section>", f"<h2>{title}</h2>", *parts, "</section>"))


def _verb(method: str, path: str, verb: dict[str, Any], schemas: dict[str, Any]) -> str:
    content = verb.get("requestBody", {}).get("content", {}).get("application/json", {})
    parameters = [(each["name"], each["schema"], each) for each in verb.get("parameters", ())]
    answers = (
        (f"<code>{status}</code>", prose(answer["description"]), _contents(answer))
        for status, answer in verb["responses"].items()
    )
    return "\n".join(
        (
            f'<section id="{escape(verb["operationId"])}">',
            f'<h3><code><span class="verb">{method.upper()}</span> {escape(path)}</code></h3>',
            f"<p>{prose(verb.get('description', verb['summary']))}</p>",
            *_parameters(parameters),
            *_request(path, content.get("schema"), schemas),
            f"<h4>Answers</h4>\n{_table(answers)}",
            "</section>",
        )
    )


def _parameters(parameters: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> Iterator[str]:
    if parameters:
        rows = (_row(name, schema, each, required=each["required"]) for name, schema, each in parameters)
        yield f"<h4>Parameters</h4>\n{_table(rows)}"


def _request(path: str, schema: dict[str, Any] | None, schemas: dict[str, Any]) -> Iterator[str]:
    """The body that a call takes, and a call with the least of it."""
    if schema is None:
        return
    shape = schemas[_name(schema)]
    least = {name: shape["properties"][name]["examples"][0] for name in shape.get("required", ())}
    call = (
        f'curl "$OTP_URL{path.replace("{verification_id}", "$ID")}" '
        f"-H \"Authorization: Bearer $OTP_KEY\" \\\n  --json '{json.dumps(least)}'"
    )
    yield f"<h4>Body: {_type(schema)}</h4>\n<pre>{escape(call)}</pre>"


def _contents(answer: dict[str, Any]) -> str:
    return ", ".join(_type(content["schema"]) for content in answer.get("content", {}).values())


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        _row(field, each, each, required=field in required)
        for field, each in schema.get("properties", {}).items()
    )
    return (
        f'<section id="{escape(name)}">\n<h3>{escape(name)}</h3>\n'
        f"<p>{prose(schema.get('description', ''))}</p>\n{_table(rows)}\n</section>"
    )


def _row(name: str, schema: dict[str, Any], about: dict[str, Any], *, required: bool) -> tuple[str, str, str]:
    default = schema.get("default")
    notes = ("required",) if required else (f"default {json.dumps(default)}",) if default is not None else ()
    said = " ".join(
        (
            prose(about.get("description", "")),
            *(f'<span class="faint">{escape(note)}</span>' for note in notes),
        )
    )
    return f"<code>{escape(name)}</code>", _type(schema), said


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = "\n".join(
        f'<tr><th scope="row">{first}</th><td>{second}</td><td>{third}</td></tr>'
        for first, second, third in rows
    )
    return f"<table>\n{lines}\n</table>" if lines else ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(_name(schema))
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        words = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(str(word))}</code>" for word in words)
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    return escape(" ".join((schema.get("type", "anything"), *_limits(schema))))


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "pattern" in schema:
        yield schema["pattern"]
    elif "maxLength" in schema:
        yield f"of {schema.get('minLength', 0)} to {schema['maxLength']} characters"


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def prose(text: str) -> str:
    """Text with `code` in it, as HTML."""
    return re.sub("`+([^`]+)`+", r"<code>\1</code>", escape(text))
