# ruff: noqa: INP001 - a program, not a package
"""Sign-up with a verified number, and login with a second factor, in Django; one file instead of a project.

Run `otp-service dev`, then `OTP_API_KEY=otp_live_… python app.py`, and open http://127.0.0.1:8003.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST
from django.views.generic import View
from django.views.static import serve

from otp_client import Client
from otp_client.django import VerificationMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

HERE = Path(__file__).parent

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_urlsafe(),
    SESSION_ENGINE="django.contrib.sessions.backends.cache",  # SESSION_COOKIE_SECURE behind TLS
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}],
)
django.setup()

passwords: dict[str, str] = {}  # hashes by name; yours are models
numbers: dict[str, str] = {}  # an account is open once it has one
NOBODY = make_password(None)  # an unknown name takes as long as a wrong password


class PhoneView(VerificationMixin, View):
    """The second step of a sign-up or a login, for whom the first one has left in the session."""

    client = Client(os.environ.get("OTP_URL", "http://127.0.0.1:8000"), os.environ["OTP_API_KEY"])
    template_name = "phone.html"
    done_url = "home"

    @property
    def name(self) -> str:
        """Whose step this is; empty when it is nobody's."""
        return str(self.request.session.get(self.page_url, ""))

    def dispatch(self, request: HttpRequest, **kwargs: str) -> HttpResponseBase:
        """Nobody comes here first."""
        return super().dispatch(request, **kwargs) if self.name else redirect("home")

    def approved(self, number: str) -> None:
        """The first number that is proved becomes the account's; from then on only that one counts."""
        name = self.name
        if numbers.setdefault(name, number) != number:
            raise PermissionDenied
        self.request.session.flush()  # nothing that was there before stays, not even its id
        self.request.session["user"] = name


class SignUpPhone(PhoneView):
    """Verifies the number that the browser gives."""

    purpose = "signup"
    page_url = "signup_phone"


class LoginPhone(PhoneView):
    """The second factor is the account's number, whatever the browser says."""

    purpose = "login"
    page_url = "login_phone"

    def known_number(self) -> str:
        """The number on file."""
        return numbers[self.name]


def home(request: HttpRequest, error: str = "", status: int = 200) -> HttpResponse:
    """Who is here."""
    shown = {"user": request.session.get("user"), "error": error}
    return render(request, "home.html", shown, status=status)


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """Forgets who is here."""
    request.session.flush()
    return redirect("home")


@require_POST
def sign_up(request: HttpRequest) -> HttpResponse:
    """Reserves the name; the account opens with its number."""
    name = request.POST["name"]
    password = make_password(request.POST["password"])
    if passwords.setdefault(name, password) != password:
        return home(request, "This name is taken.", 409)
    return second_step(request, name)


@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    """The first factor; it opens nothing but the second."""
    name = request.POST["name"]
    if not check_password(request.POST["password"], passwords.get(name, NOBODY)):
        return home(request, "Wrong name or password.", 401)
    return second_step(request, name)


def second_step(request: HttpRequest, name: str) -> HttpResponse:
    """Leaves the name in a fresh session, for one page only."""
    page = "login_phone" if name in numbers else "signup_phone"
    request.session.flush()
    request.session[page] = name
    return redirect(page)


urlpatterns = [
    path("", home, name="home"),
    path("logout", logout, name="logout"),
    path("signup", sign_up, name="signup"),
    path("signup/phone/", SignUpPhone.as_view(), name="signup_phone"),
    path("signup/phone/<step>", SignUpPhone.as_view()),
    path("login", log_in, name="login"),
    path("login/phone/", LoginPhone.as_view(), name="login_phone"),
    path("login/phone/<step>", LoginPhone.as_view()),
    path("otp/<path:path>", serve, {"document_root": HERE.parents[2] / "web"}),
]

if __name__ == "__main__":
    call_command("runserver", os.environ.get("PORT", "8003"), use_reloader=False)
