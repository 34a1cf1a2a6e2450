"""The modules for FastAPI, Flask and Django: one small app in each, of which the same is true."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_client import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = "+37256789045"
NEEDS = {"fastapi": ("itsdangerous", "python_multipart"), "flask": ("flask",), "django": ("django",)}
SCRIPT = {"Accept": "application/json"}
CLAIMS = base64.urlsafe_b64encode(json.dumps({"sub": NUMBER}).encode()).decode()
PENDING = {
    "id": "vrf_7",
    "status": "pending",
    "to": NUMBER,
    "channel": "sms",
    "purpose": "signup",
    "created_at": "2026-11-20T10:00:00Z",
    "expires_at": "2026-11-20T10:10:00Z",
    "expires_in": 600,
}


@dataclass
class Service:
    """Knows one code, and says what else it is told to."""

    approved: list[str] = field(default_factory=list)
    throttled: bool = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.throttled:
            return httpx.Response(429, json={"code": "throttled", "retry_after": 30})
        if request.url.path.endswith("/start"):
            return httpx.Response(201, json=PENDING)
        right = json.loads(request.content)["code"] == "123456"
        body = {
            "id": "vrf_7",
            "status": "approved" if right else "pending",
            "approved": right,
            "checks_left": 4,
        }
        return httpx.Response(200, json=body | {"proof": f"e30.{CLAIMS}.c2ln"} if right else body)

    def client(self) -> Client:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return Client("https://otp.example.com", "otp_test_k1_secret", http_client=http)

    def async_client(self) -> AsyncClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return AsyncClient("https://otp.example.com", "otp_test_k1_secret", http_client=http)


def fastapi_app(service: Service) -> Any:
    from fastapi import Depends, FastAPI, Response  # noqa: PLC0415 - where it is installed
    from starlette.middleware.sessions import SessionMiddleware  # noqa: PLC0415 - likewise

    from otp_client.fastapi import session_verification  # noqa: PLC0415 - likewise

    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=secrets.token_urlsafe())
    made = session_verification(service.async_client(), purpose="signup", page="/page", done="/done")

    @app.get("/page")
    async def page(verification: Any = Depends(made)) -> Any:  # noqa: B008, FAST002 - FastAPI's
        return Response(f"{verification.pending} {verification.notice()}")

    @app.post("/start")
    async def start(verification: Any = Depends(made)) -> Any:  # noqa: B008, FAST002 - likewise
        return await verification.start()

    @app.post("/check")
    async def check(verification: Any = Depends(made)) -> Any:  # noqa: B008, FAST002 - likewise
        response = await verification.check()
        if response.number:
            service.approved.append(response.number)
        return response

    return app


def flask_app(service: Service) -> Any:
    from flask import Flask, get_flashed_messages  # noqa: PLC0415 - where it is installed

    from otp_client.flask import VerificationBlueprint  # noqa: PLC0415 - likewise

    signup = VerificationBlueprint(
        "signup", service.client(), page="page", done="done", approved=service.approved.append
    )
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes()
    app.add_url_rule("/page", "page", lambda: f"{signup.pending} {get_flashed_messages()}")
    app.add_url_rule("/done", "done", lambda: "")
    app.register_blueprint(signup)
    return app


def django_app(service: Service) -> Any:
    from django import setup  # noqa: PLC0415 - where it is installed
    from django.conf import settings  # noqa: PLC0415 - likewise

    if not settings.configured:
        loader = ("django.template.loaders.locmem.Loader", {"page.html": "{{ pending }} {{ form.as_p }}"})
        settings.configure(
            ALLOWED_HOSTS=["*"],
            SECRET_KEY=secrets.token_urlsafe(),
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
            TEMPLATES=[
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "OPTIONS": {"loaders": [loader]},
                }
            ],
        )
        setup()

    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415 - likewise
    from django.urls import path  # noqa: PLC0415 - likewise
    from django.views.generic import View  # noqa: PLC0415 - likewise

    from otp_client.django import VerificationMixin  # noqa: PLC0415 - likewise

    class SignUp(VerificationMixin, View):
        client = service.client()
        purpose = "signup"
        template_name = "page.html"
        page_url = "/page"
        done_url = "/done"

        def approved(self, number: str) -> None:
            service.approved.append(number)

    class Urls:
        urlpatterns = (path("page", SignUp.as_view()), path("<step>", SignUp.as_view()))

    settings.ROOT_URLCONF = Urls
    return WSGIHandler()


@dataclass
class Browser:
    """Calls an app of either kind, with a session of its own."""

    app: Any
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    async def __call__(self, method: str, path: str, **given: Any) -> httpx.Response:
        request = httpx.Request(method, f"http://app{path}", cookies=self.cookies, **given)
        answer = await self._answer(request)
        self.cookies.extract_cookies(answer)
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if type(self.app).__name__ != "FastAPI":
            answer = httpx.WSGITransport(self.app).handle_request(request)
            answer.read()
        else:
            answer = await httpx.ASGITransport(self.app).handle_async_request(request)
            await answer.aread()
        answer.request = request
        return answer


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(params=NEEDS)
def app(request: pytest.FixtureRequest, service: Service) -> Any:
    for package in NEEDS[request.param]:
        if not find_spec(package):
            pytest.skip(f"{package} is not installed: pip install -e '.[ci]'")
    make: Callable[[Service], Any] = globals()[f"{request.param}_app"]
    return make(service)


@pytest.fixture
async def browser(app: Any) -> Browser:
    return Browser(app)


async def test_a_script_is_answered_with_json(browser: Browser, service: Service) -> None:
    started = await browser("POST", "/start", data={"to": NUMBER}, headers=SCRIPT)
    missed = await browser("POST", "/check", data={"code": "654321"}, headers=SCRIPT)
    found = await browser("POST", "/check", data={"code": "123456"}, headers=SCRIPT)
    assert (started.status_code, started.json()["status"], "id" in started.json()) == (201, "pending", False)
    assert missed.json() == {"approved": False, "checks_left": 4, "status": "pending"}
    assert found.json() == {"approved": True, "checks_left": 4, "status": "approved"}
    assert service.approved == [NUMBER]


async def test_json_may_be_posted_too(browser: Browser, service: Service) -> None:
    started = await browser("POST", "/start", json={"to": NUMBER})
    found = await browser("POST", "/check", json={"code": "123456"})
    assert (started.status_code, found.json()["approved"], service.approved) == (201, True, [NUMBER])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"to": 5}'])
async def test_json_without_a_number_is_422(browser: Browser, body: bytes) -> None:
    answer = await browser("POST", "/start", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_number")


async def test_a_script_is_told_when_to_come_back(browser: Browser, service: Service) -> None:
    service.throttled = True
    answer = await browser("POST", "/start", data={"to": NUMBER}, headers=SCRIPT)
    assert (answer.status_code, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (
        429,
        "30",
        "no-store",
    )
    assert answer.json() == {
        "code": "throttled",
        "detail": "Not yet. Try again in 30 seconds.",
        "retry_after": 30,
    }


async def test_a_plain_form_leads_on(browser: Browser, service: Service) -> None:
    assert "True" not in (await browser("GET", "/page")).text
    started = await browser("POST", "/start", data={"to": NUMBER})
    assert (started.is_redirect, started.headers["Location"]) == (True, "/page")
    assert "True" in (await browser("GET", "/page")).text
    found = await browser("POST", "/check", data={"code": "123456"})
    assert (found.is_redirect, found.headers["Location"]) == (True, "/done")
    assert service.approved == [NUMBER]


async def test_a_plain_form_that_fails_says_so_on_the_page_once(browser: Browser) -> None:
    await browser("POST", "/start", data={"to": NUMBER})
    answer = await browser("POST", "/check", data={"code": "654321"})
    shown = await browser("GET", "/page") if answer.is_redirect else answer
    assert "Wrong code. Attempts left: 4." in shown.text
    assert "Wrong code" not in (await browser("GET", "/page")).text


async def test_another_browser_has_no_verification(browser: Browser, app: Any, service: Service) -> None:
    await browser("POST", "/start", data={"to": NUMBER})
    answer = await Browser(app)("POST", "/check", json={"code": "123456", "id": "vrf_7"})
    assert (answer.status_code, answer.json()["code"]) == (404, "verification_not_found")
    assert service.approved == []


async def test_there_are_no_other_steps(browser: Browser) -> None:
    assert (await browser("POST", "/approve", json={})).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "/check"), ("POST", "/page")])
async def test_an_address_used_the_other_way_is_no_fault(browser: Browser, method: str, path: str) -> None:
    assert (await browser(method, path)).status_code in {302, 404, 405}
