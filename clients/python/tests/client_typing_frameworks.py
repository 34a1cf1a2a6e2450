# pyright: strict
# ruff: noqa: TC002 - as a user writes it
"""What a type checker must see of the modules for frameworks; likewise."""

from __future__ import annotations

from typing import Annotated, assert_type

from celery import Celery
from celery.result import AsyncResult
from django.forms import Form
from django.http import HttpResponse
from django.urls import path
from django.views.generic import View
from fastapi import Depends, FastAPI, Response
from flask import Flask

from otp_client import AsyncClient, Client
from otp_client.celery import start_task
from otp_client.django import CodeForm, PhoneForm, VerificationMixin
from otp_client.fastapi import SessionVerification, StepResponse, session_verification
from otp_client.flask import VerificationBlueprint

client = Client("https://otp.example.com", "key")
async_client = AsyncClient("https://otp.example.com", "key")


def number_on_file() -> str:
    return "+37256789045"


SignUp = Annotated[
    SessionVerification,
    Depends(session_verification(async_client, purpose="signup", page="/", done="/", number=number_on_file)),
]
app = FastAPI()


@app.post("/check")
async def check(verification: SignUp) -> Response:
    assert_type(verification.pending, bool)
    assert_type(verification.notice(), str)
    assert_type(await verification.start(), StepResponse)
    assert_type(await verification.resend(), StepResponse)
    response = await verification.check()
    assert_type(response.number, str | None)
    return response


saved: list[str] = []
blueprint = VerificationBlueprint(
    "signup",
    client,
    page="page",
    done="done",
    approved=saved.append,
    number=number_on_file,
    autofill={"web": "x"},
)
Flask(__name__).register_blueprint(blueprint)
assert_type(blueprint.pending, bool)


class SignUpView(VerificationMixin, View):
    client = client
    purpose = "signup"
    page_url = "page"
    done_url = "done"

    def known_number(self) -> str | None:
        return None

    def approved(self, number: str) -> None:
        saved.append(number)

    def form_valid(self) -> HttpResponse:
        return self.render_to_response(self.get_context_data())


forms: list[Form] = [CodeForm(), PhoneForm()]
urlpatterns = [path("<step>", SignUpView.as_view())]

task = start_task(Celery(), client)
assert_type(task.delay("+37256789045", purpose="invite"), AsyncResult[str])
