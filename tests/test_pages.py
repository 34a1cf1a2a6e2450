"""Pages for people: every error code, and a reference that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from otp_service.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab import Lab

VOID = {"meta", "link"}


def tree(problem: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for each in problem.__subclasses__():
        yield each
        yield from tree(each)


PROBLEMS = sorted(
    {(each.code, each.status, each.title) for each in tree() if each.__module__ == Problem.__module__}
)
PAGES = ["/docs", *(f"/errors/{code}" for code, _, _ in PROBLEMS)]


class Page(HTMLParser):
    """What a page refers to and holds; a tag left open, or closed twice, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in {"href", "src", "action"} else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("code", "status", "title"), PROBLEMS)
async def test_every_code_has_a_page(web: Lab, code: str, status: int, title: str) -> None:
    answer = await web.http.get(f"/errors/{code}")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert all(word in answer.text for word in (code, str(status), title))


async def test_the_type_of_a_problem_leads_to_its_page(web: Lab) -> None:
    problem = (await web.start("nobody")).json()
    page = await web.http.get(problem["type"].removeprefix("http://127.0.0.1:8080"))

    assert problem["title"] in page.text


@pytest.mark.parametrize("code", ["no_such_code", "%3Cscript%3E", "MALFORMED_JSON"])
async def test_a_code_that_nobody_answers_with_has_no_page(web: Lab, code: str) -> None:
    answer = await web.http.get(f"/errors/{code}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "script" not in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_asks_nothing_of_anybody_else(web: Lab, path: str) -> None:
    text = (await web.http.get(path)).text

    assert re.findall(r"https?:|@import|url\(|['\"=(\s]//\w", text) == []
    assert [link for link in Page(text).links if ":" in link and link != "data:,"] == []


@pytest.mark.parametrize("path", PAGES[:2])
async def test_a_page_may_do_nothing_but_look_well(web: Lab, path: str) -> None:
    answer = await web.http.get(path)
    [style] = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))

    assert policy == {
        "default-src": "'none'", "style-src": f"'sha256-{digest}'", "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert Page(answer.text).tags.isdisjoint({"script", "iframe", "object", "form"})
    assert " style=" not in answer.text


@pytest.mark.parametrize("path", PAGES[:2])
async def test_a_page_is_light_or_dark_as_the_reader_wishes(web: Lab, path: str) -> None:
    text = (await web.http.get(path)).text
    assert "prefers-color-scheme: dark" in text
    assert '<meta name="color-scheme" content="light dark">' in text


async def test_the_reference_shows_every_call_and_every_object(web: Lab) -> None:
    document = (await web.http.get("/openapi.json")).json()
    page = Page((await web.http.get("/docs")).text)
    calls = {verb["operationId"] for verbs in document["paths"].values() for verb in verbs.values()}

    assert set(page.ids) == calls | set(document["components"]["schemas"])
    assert len(page.ids) == len(set(page.ids))


async def test_every_link_of_the_reference_leads_somewhere(web: Lab) -> None:
    page = Page((await web.http.get("/docs")).text)
    inside = {link[1:] for link in page.links if link.startswith("#")}
    outside = {link for link in page.links if link[0] not in "#d"}
    statuses = {(await web.http.get(f"/{link}")).status_code for link in outside}

    assert inside <= set(page.ids)
    assert (statuses, len(outside)) == ({200}, len({code for code, _, _ in PROBLEMS}) + 1)


async def test_pages_are_no_part_of_the_contract(web: Lab) -> None:
    paths = (await web.http.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path.startswith(("/docs", "/errors"))]
