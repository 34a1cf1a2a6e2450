"""The clients' examples against `otp-service dev`, as a browser without scripts walks through them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from otp_client import Client
from tests import command
from tests.lab import code_in
from tests.provider_cases import missing

if TYPE_CHECKING:
    from collections.abc import Iterator


PYTHON = Path(__file__).parents[1] / "clients" / "python"
README = (PYTHON / "README.md").read_text(encoding="utf-8")
EXAMPLES = PYTHON / "examples"
NEEDS = {"fastapi": ("itsdangerous", "python_multipart"), "django": ("django",), "flask": ("flask",)}
NODE_EXAMPLES = PYTHON.parent / "typescript" / "examples"
CLIENT_BUILT = {"../dist": "npm ci --prefix clients/typescript && npm run build --prefix clients/typescript"}
BUILT = {
    "express": CLIENT_BUILT | {"express/node_modules": "npm ci --prefix clients/typescript/examples/express"},
    "node": CLIENT_BUILT,
}
SCRIPT = {"Accept": "application/json"}
numbers = (f"+3725678{last:04}" for last in count(1))
names = (f"user{each}" for each in count(1))


@dataclass(frozen=True)
class Service:
    url: str
    key: str

    def code_for(self, number: str) -> str:
        messages = httpx.get(f"{self.url}/inbox/messages").json()["messages"]
        return code_in(next(each["text"] for each in messages if each["to"] == number))


class Forms(HTMLParser):
    """The forms of a page: where each leads, and what its hidden inputs send."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given["action"], {}))
        if tag == "input" and given.get("type") == "hidden":
            self.found[-1][1][given["name"]] = given["value"]


@dataclass
class Browser:
    """A person's browser without scripts: it shows a page, and sends the forms that are on it."""

    http: httpx.Client
    page: httpx.Response = field(init=False)

    def __post_init__(self) -> None:
        self.page = self.http.get("/")

    def submit(self, ending: str, **typed: str) -> httpx.Response:
        self.page = self._post(ending, typed, {})
        return self.page

    def script(self, ending: str, **posted: str) -> httpx.Response:
        """What the component does: the form's fields, and JSON for an answer."""
        return self._post(ending, posted, SCRIPT)

    def _post(self, ending: str, typed: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        forms = Forms()
        forms.feed(self.page.text)
        action, hidden = next(form for form in forms.found if form[0].endswith(ending))
        return self.http.post(self.page.url.join(action), data=hidden | typed, headers=headers)

    @property
    def user(self) -> str | None:
        found = re.search(r"Signed in as (\w+)", self.http.get("/").text)
        return found and found[1]


@dataclass(frozen=True)
class Example:
    url: str
    service: Service

    @contextmanager
    def browser(self) -> Iterator[Browser]:
        own = {"Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=self.url, headers=own, follow_redirects=True, trust_env=False) as http:
            yield Browser(http)

    def member(self) -> tuple[str, str]:
        """Somebody who has signed up, and their number."""
        name, number = next(names), next(numbers)
        with self.browser() as browser:
            self.sign_up(browser, name, number)
            browser.submit("check", code=self.service.code_for(number))
            assert browser.user == name
        return name, number

    def sign_up(self, browser: Browser, name: str, number: str) -> None:
        """Up to the code."""
        browser.submit("signup", name=name, password="correct horse")
        browser.submit("start", to=number)

    def log_in(self, browser: Browser, name: str) -> None:
        """Up to the second factor."""
        browser.submit("login", name=name, password="correct horse")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with command.started("dev", "--port", "0") as made:
        printed = made.wait_for(r"(?s).*Ctrl-C.*")[0]
        url, key = re.search(r"http://127\.0\.0\.1:\d+", printed), re.search(r"otp_live_\w+", printed)
        assert url
        assert key
        yield Service(url[0], key[0])


def python_program(name: str) -> list[str | Path]:
    for package in NEEDS[name]:
        if not find_spec(package):
            missing(f"{package} (pip install -e '.[ci]')")
    return [sys.executable, EXAMPLES / name / "app.py"]


def node_program(name: str) -> list[str | Path]:
    if not shutil.which("node"):
        missing("node")
    for built, how in BUILT[name].items():
        if not (NODE_EXAMPLES / built).exists():
            missing(f"what `{how}` makes")
    return ["node", NODE_EXAMPLES / name / "app.js"]


@pytest.fixture(scope="module", params=[*NEEDS, *BUILT])
def example(request: pytest.FixtureRequest, service: Service) -> Iterator[Example]:
    program = python_program(request.param) if request.param in NEEDS else node_program(request.param)
    port = command.free_port()
    environ = os.environ | {"OTP_URL": service.url, "OTP_API_KEY": service.key, "PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(program, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            command.wait_until(lambda: answers(url) or process.poll())
            assert process.poll() is None
            yield Example(url, service)
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_a_sign_up_ends_signed_in(example: Example) -> None:
    example.member()


def test_a_wrong_code_is_told_and_the_right_one_still_works(example: Example) -> None:
    name, number = next(names), next(numbers)
    with example.browser() as browser:
        example.sign_up(browser, name, number)
        code = example.service.code_for(number)

        assert "Wrong code. Attempts left: 4." in browser.submit("check", code=wrong(code)).text
        assert browser.user is None
        browser.submit("check", code=code)
        assert browser.user == name


def test_what_went_wrong_is_told_once(example: Example) -> None:
    number = next(numbers)
    with example.browser() as browser:
        example.sign_up(browser, next(names), number)
        asks = browser.page.url
        browser.submit("check", code=wrong(example.service.code_for(number)))

        assert "Wrong code" not in browser.http.get(asks).text


def test_what_is_no_number_is_told(example: Example) -> None:
    with example.browser() as browser:
        example.sign_up(browser, next(names), "12")

        assert "This is not a phone number." in browser.page.text


def test_a_password_alone_signs_nobody_in(example: Example) -> None:
    name, _ = example.member()
    with example.browser() as browser:
        example.log_in(browser, name)

        assert browser.user is None


def test_a_login_asks_the_number_on_file_whatever_the_browser_says(example: Example) -> None:
    name, number = example.member()
    with example.browser() as browser:
        example.log_in(browser, name)
        before = example.service.code_for(number)
        browser.submit("start", to=next(numbers))
        code = example.service.code_for(number)

        assert code != before
        browser.submit("check", code=code)
        assert browser.user == name


def test_another_sessions_verification_cannot_be_claimed(example: Example) -> None:
    number, service = next(numbers), example.service
    with Client(service.url, service.key) as client, example.browser() as thief:
        stolen = client.start(number, purpose="signup").id
        example.sign_up(thief, next(names), next(numbers))
        claim = {"id": stolen, "verification_id": stolen, "to": number}
        answer = thief.script("check", code=service.code_for(number), **claim)

        assert answer.json()["approved"] is False
        assert thief.user is None
        assert client.fetch(stolen).checks_left == 5


def test_ones_own_phone_does_not_open_anothers_account(example: Example) -> None:
    (mine, number), (theirs, _) = example.member(), example.member()
    with example.browser() as browser:
        home = browser.page
        example.log_in(browser, mine)
        asks_for_code = browser.submit("start")
        browser.page = home
        example.log_in(browser, theirs)
        browser.page = asks_for_code
        browser.submit("check", code=example.service.code_for(number))

        assert browser.user is None


def test_a_sign_up_left_open_cannot_replace_the_number_of_another(example: Example) -> None:
    name, first, second = next(names), next(numbers), next(numbers)
    with example.browser() as owner, example.browser() as thief:
        example.sign_up(owner, name, first)
        example.log_in(thief, name)
        thief.submit("start", to=second)
        owner.submit("check", code=example.service.code_for(first))
        thief.submit("check", code=example.service.code_for(second))

        assert owner.user == name
        assert thief.user is None


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("path", ["/signup", "/login", "/logout"])
def test_a_form_on_another_site_is_refused(example: Example, path: str, site: str) -> None:
    form = {"name": next(names), "password": "correct horse"}
    with example.browser() as browser:
        assert browser.http.post(path, data=form, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_a_link_on_another_site_leads_here(example: Example) -> None:
    with example.browser() as browser:
        assert browser.http.get("/", headers={"Sec-Fetch-Site": "cross-site"}).is_success


def test_the_address_of_a_step_opened_as_a_page_is_no_fault(example: Example) -> None:
    with example.browser() as browser:
        example.sign_up(browser, next(names), next(numbers))

        assert browser.http.get("/signup/phone/check").status_code in {200, 404, 405}


def test_the_component_asks_for_a_number_at_the_sign_up_only(example: Example) -> None:
    name, _ = example.member()
    with example.browser() as browser:
        browser.submit("signup", name=next(names), password="correct horse")
        signup = browser.page.text
        browser.page = browser.http.get("/")
        example.log_in(browser, name)
        login = browser.page.text
        asks_for_code = browser.submit("start").text

    assert [each.count("<otp-verify") for each in (signup, login, asks_for_code)] == [1, 1, 1]
    assert [each.count("number-known") for each in (signup, login, asks_for_code)] == [0, 1, 1]


def test_a_script_is_answered_as_the_component_expects(example: Example) -> None:
    name, number = next(names), next(numbers)
    with example.browser() as browser:
        browser.submit("signup", name=name, password="correct horse")
        started = browser.script("start", to=number)
        browser.page = browser.http.get(browser.page.url)
        again = browser.script("resend")
        code = example.service.code_for(number)
        missed = browser.script("check", code=wrong(code))
        found = browser.script("check", code=code)
        over = browser.script("check", code=code)

    assert (started.status_code, started.json()) == (
        201,
        {"status": "pending", "next_send_in": 30, "checks_left": 5, "sends_left": 4, "expires_in": 600},
    )
    assert (again.status_code, again.json()["code"]) == (429, "throttled")
    assert again.json()["retry_after"] == int(again.headers["Retry-After"])
    assert missed.json() == {"approved": False, "checks_left": 4, "status": "pending"}
    assert found.json() == {"approved": True, "checks_left": 3, "status": "approved"}
    assert not over.is_success or over.history


def test_the_sessions_cookie_goes_to_no_script_and_no_other_site(example: Example) -> None:
    with example.browser() as browser:
        [redirect] = browser.submit("signup", name=next(names), password="correct horse").history

    [cookie] = (each for each in redirect.headers.get_list("set-cookie") if each.startswith("session"))
    assert {"httponly", "samesite=lax"} <= {part.strip().lower() for part in cookie.split(";")}


def test_a_cookie_from_before_the_sign_in_opens_nothing(example: Example) -> None:
    name, number = next(names), next(numbers)
    with example.browser() as browser, example.browser() as planter:
        example.sign_up(browser, name, number)
        planter.http.cookies.update(browser.http.cookies)
        browser.submit("check", code=example.service.code_for(number))

        assert browser.user == name
        assert planter.user is None


def test_the_component_is_served(example: Example) -> None:
    component = PYTHON.parent / "web" / "otp-verify.js"
    if not component.exists():
        pytest.skip("clients/web holds no component")
    assert httpx.get(f"{example.url}/otp/otp-verify.js").content == component.read_bytes()


def test_the_wheel_runs_the_readmes_example_in_an_empty_environment(service: Service, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, PYTHON], check=True)
    [wheel] = tmp_path.glob("*.whl")
    assert "otp_client/py.typed" in zipfile.ZipFile(wheel).namelist()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    python = tmp_path / "empty" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-compile", wheel], check=True)

    example = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0]
    program = f"api_key = {service.key!r}\n" + example.replace("https://otp.example.com", service.url)
    with subprocess.Popen(
        [python, "-u", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.read(len("Code: ")) == "Code: "
        process.stdin.write(service.code_for("+37256789045") + "\n")
        process.stdin.flush()
        assert re.fullmatch(r"approved \w+\.\w+\.[\w-]+\n", process.stdout.read())


def wrong(code: str) -> str:
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def test_every_example_is_walked_through() -> None:
    assert {each.parent.name for each in EXAMPLES.glob("*/app.py")} == set(NEEDS)
    assert {each.parent.name for each in NODE_EXAMPLES.glob("*/app.js")} == set(BUILT)
