"""`otp-service dev`: a service to develop against, and its inbox."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis

from otp_service import inbox
from tests import command
from tests.lab import code_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = "+37256789045"


@dataclass(frozen=True)
class Dev:
    """A running `otp-service dev`, and what it printed."""

    command: command.Command
    http: httpx.Client
    printed: str

    @property
    def messages(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.http.get("/inbox/messages").json()["messages"]
        return found

    def key(self, kind: str) -> str:
        [key] = set(re.findall(rf"otp_{kind}_\w+", self.printed))
        return str(key)

    def curl(self, index: int, **replaced: str) -> httpx.Response:
        """Run a printed command, with its placeholders replaced."""
        line = re.findall(r"^ *curl (.*(?:(?<=\\)\n.*)*)", self.printed, re.MULTILINE)[index].replace(
            "\\\n", ""
        )
        for placeholder, value in replaced.items():
            line = line.replace(placeholder, value)
        words = shlex.split(line)
        headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
        return self.http.post(words[1], headers=headers, content=words[words.index("-d") + 1])

    def start(self, to: str, kind: str = "live", **body: Any) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.key(kind)}"}
        return self.http.post("/v1/verifications/start", json={"to": to, **body}, headers=bearer)


def ready(made: command.Command) -> str:
    return made.wait_for(r"(?s).*Ctrl-C.*")[0]


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    with command.started("dev", "--port", "0") as made:
        printed = ready(made)
        url = re.search(r"http://127\.0\.0\.1:\d+", printed)
        assert url
        with httpx.Client(base_url=url[0], trust_env=False) as http:
            yield Dev(made, http, printed)


def test_the_printed_commands_start_and_check(dev: Dev) -> None:
    started = dev.curl(0)
    checked = dev.curl(1, ID=started.json()["id"], CODE=code_in(dev.messages[0]["text"]))

    assert (started.status_code, checked.json()["status"]) == (201, "approved")


@pytest.mark.parametrize("kind", ["live", "test"])
def test_both_keys_reach_the_inbox(dev: Dev, kind: str) -> None:
    before = len(dev.messages)

    assert dev.start("+4915123456789", kind).status_code == 201
    assert (len(dev.messages), dev.messages[0]["to"]) == (before + 1, "+4915123456789")


def test_the_inbox_lists_to_text_and_time_newest_first(dev: Dev) -> None:
    for number in (NUMBER, "+14155550132"):
        dev.start(number)
    newest, older = dev.messages[:2]

    assert (newest["to"], older["to"]) == ("+14155550132", NUMBER)
    assert re.fullmatch(r"\d{6} is your Acme code\.", newest["text"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest["at"])


@pytest.mark.parametrize("number", ["+14155550132", "+819012345678", "+5511961234567"])
def test_any_country_will_do(dev: Dev, number: str) -> None:
    assert dev.start(number).status_code == 201


def test_no_budget_of_number_or_address_stops_it(dev: Dev) -> None:
    client = {"ip": "203.0.113.9", "session": "one"}

    assert {dev.start(NUMBER, client=client).status_code for _ in range(21)} == {201}


@pytest.mark.parametrize("path", ["/", "/inbox", "/inbox/messages", "/login", "/login/otp-verify.js"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "localhost@evil.example", "[::1"],
)
def test_a_name_pointed_at_this_machine_gets_nothing(dev: Dev, path: str, host: str) -> None:
    answer = dev.http.get(path, headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_a_host_of_loopback_is_answered(dev: Dev, host: str) -> None:
    assert dev.http.get("/inbox/messages", headers={"Host": host}).status_code == 200


def test_another_site_may_not_read_the_messages(dev: Dev) -> None:
    headers = dev.http.get("/inbox/messages", headers={"Origin": "http://evil.example"}).headers

    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_front_door_leads_to_the_inbox(dev: Dev) -> None:
    assert dev.http.get("/").headers["location"] == "/inbox"


def test_the_page_runs_its_own_style_and_script_and_nothing_else(dev: Dev) -> None:
    answer = dev.http.get("/inbox")
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    [style], [script] = (
        re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL) for tag in ("style", "script")
    )

    assert rules == {
        "default-src": "'none'",
        "style-src": source(style),
        "script-src": source(script),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }


@pytest.mark.parametrize("path", ["/inbox", "/login"])
def test_a_page_has_no_attribute_that_its_policy_forbids(dev: Dev, path: str) -> None:
    assert not re.search(r"<[^>]*\s(?:style|on\w+)\s*=", dev.http.get(path).text)


def test_the_login_page_runs_the_component_too_and_posts_to_itself(dev: Dev) -> None:
    answer = dev.http.get("/login")
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    [script] = re.findall("<script>(.*?)</script>", answer.text, re.DOTALL)

    assert (rules["script-src"], rules["form-action"]) == (f"'self' {source(script)}", "'self'")


def test_what_an_address_asks_for_is_shown_as_text(dev: Dev) -> None:
    page = dev.http.get("/login", params={"lang": '"><script>'}).text

    assert '"><script>' not in page


def test_the_login_page_keeps_the_verification_to_itself(dev: Dev) -> None:
    with browser(dev) as http:
        started = http.post("/login/start", data={"to": NUMBER})
        cookie = started.headers["set-cookie"]
        checked = http.post("/login/check", data={"code": code_in(dev.messages[0]["text"])})

    assert started.json().keys() == {"status", "next_send_in", "checks_left", "sends_left", "to_masked"}
    assert checked.json() == {"status": "approved"}
    assert {"HttpOnly", "SameSite=strict", "Path=/login"} <= set(cookie.split("; "))


def test_another_browser_cannot_use_the_code(dev: Dev) -> None:
    with browser(dev) as one, browser(dev) as other:
        one.post("/login/start", data={"to": NUMBER})
        answer = other.post("/login/check", data={"code": code_in(dev.messages[0]["text"])})

    assert (answer.status_code, answer.json()["code"]) == (404, "verification_not_found")


def test_signing_in_changes_the_cookie_and_signing_out_forgets_it(dev: Dev) -> None:
    with browser(dev) as http:
        http.post("/login/start", data={"to": NUMBER})
        planted = http.cookies["login"]
        http.post("/login/check", data={"code": code_in(dev.messages[0]["text"])})
        signed_in = http.cookies["login"]
        page = http.get("/login").text
        http.post("/login/leave")

        assert planted != signed_in
        assert "Signed in as <b>+372*****045</b>" in page
        assert NUMBER not in page.partition("</dl>")[0]
        assert "Signed in" not in http.get("/login").text
        assert "Signed in" not in dev.http.get("/login", headers={"Cookie": f"login={planted}"}).text


def test_another_site_cannot_post_to_the_login_page(dev: Dev) -> None:
    answer = dev.http.post("/login/start", data={"to": NUMBER}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["login.html", "languages/../../login.py", "languages/en.js"])
def test_only_files_of_the_component_are_served(dev: Dev, path: str) -> None:
    assert dev.http.get(f"/login/{path.replace('..', '%2e%2e')}").status_code == 404


def test_the_page_needs_no_other_host(dev: Dev) -> None:
    addresses = set(
        re.findall(r"(?:https?:)?//[\w.]+[^\s'\"]*", without_comments(dev.http.get("/inbox").text))
    )

    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_a_policy_names_every_inline_script() -> None:
    assert inbox.policy("<script>a</script><script>b</script>").count("'sha256-") == 2


def test_the_log_tells_what_happened_and_neither_code_nor_number(dev: Dev) -> None:
    dev.start("+37256789046")
    code = code_in(dev.messages[0]["text"])
    written = dev.command.wait_for(r'"to": "\+372\*{5}046", "provider": "console", "outcome": "accepted"')

    assert written
    assert not re.search(rf"\b{code}\b|56789046|{dev.key('live')}", dev.command.stderr)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_redis(how: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="otp") as place,  # not tmp_path: a socket's path is short
        command.started("dev", "--port", "0", TMPDIR=place) as made,
    ):
        ready(made)
        [path] = Path(place).glob("otp-redis-*")
        with redis.Redis.from_url(f"unix://{path}/redis.sock") as client:
            pid = client.info("server")["process_id"]

        assert made.end(how) == 0
        assert "Traceback" not in made.stderr
        assert not command.is_running(pid)
        assert not path.exists()


def browser(dev: Dev) -> httpx.Client:
    """One that runs the component, with cookies of its own."""
    return httpx.Client(base_url=dev.http.base_url, headers={"Accept": "application/json"}, trust_env=False)


def source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def without_comments(page: str) -> str:
    return re.sub(r"(?<!:)// .*", "", page)
