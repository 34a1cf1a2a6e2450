# ruff: noqa: INP001 - a program, not a package
"""Sign-up with a verified number, and login with a second factor, in FastAPI.

Run `otp-service dev`, then `OTP_API_KEY=otp_live_… python app.py`, and open http://127.0.0.1:8001.
"""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import uvicorn
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from otp_client import AsyncClient
from otp_client.fastapi import SessionVerification, session_verification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEB = Path(__file__).parents[3] / "web"
HASHER = PasswordHasher()
NOBODY = HASHER.hash(secrets.token_urlsafe())  # an unknown name takes as long as a wrong password

passwords: dict[str, str] = {}  # hashes by name; yours are in a database
numbers: dict[str, str] = {}  # an account is open once it has one
otp = AsyncClient(os.environ.get("OTP_URL", "http://127.0.0.1:8000"), os.environ["OTP_API_KEY"])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Closes the client's connections."""
    async with otp:
        yield


def from_here_only(request: Request, sec_fetch_site: Annotated[str, Header()] = "none") -> None:
    """Another site's form could log a visitor in as somebody else; a browser says where it comes from."""
    if request.method == "POST" and sec_fetch_site not in {"same-origin", "none"}:
        raise HTTPException(403)


app = FastAPI(lifespan=lifespan, dependencies=[Depends(from_here_only)])
app.add_middleware(SessionMiddleware, secret_key=secrets.token_urlsafe())  # https_only=True behind TLS
app.mount("/otp", StaticFiles(directory=WEB, check_dir=False))


def in_session(request: Request, name: str) -> str:
    """Whom the first step has left in the session."""
    if name not in request.session:
        raise HTTPException(303, headers={"Location": "/"})
    return str(request.session[name])


def signing_up(request: Request) -> str:
    """Who is on the second step of a sign-up."""
    return in_session(request, "signing_up")


def logging_in(request: Request) -> str:
    """Whose password was right."""
    return in_session(request, "logging_in")


def number_on_file(name: Annotated[str, Depends(logging_in)]) -> str:
    """The second factor is the account's number, whatever the browser says."""
    return numbers[name]


SignUp = Annotated[
    SessionVerification,
    Depends(session_verification(otp, purpose="signup", page="/signup/phone", done="/")),
]
Login = Annotated[
    SessionVerification,
    Depends(
        session_verification(otp, purpose="login", page="/login/phone", done="/", number=number_on_file),
    ),
]
SigningUp = Annotated[str, Depends(signing_up)]
LoggingIn = Annotated[str, Depends(logging_in)]


@app.get("/")
async def home(request: Request) -> HTMLResponse:
    """Who is here."""
    if name := request.session.get("user"):
        return page(f"<p>Signed in as {escape(name)}.</p>" + form("/logout", button="Log out"))
    credentials = (
        '<label>Name <input name="name" autocomplete="username" required></label>'
        '<label>Password <input name="password" type="password" required></label>'
    )
    return page(form("/signup", credentials, "Sign up") + form("/login", credentials, "Log in"))


@app.post("/logout")
async def logout(request: Request) -> Response:
    """Forgets who is here."""
    request.session.clear()
    return RedirectResponse("/", 303)


@app.post("/signup")
def sign_up(request: Request, name: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
    """Reserves the name; the account opens with its number."""
    hashed = HASHER.hash(password)
    if passwords.setdefault(name, hashed) != hashed:
        return page("<p role='alert'>This name is taken.</p>", 409)
    request.session.clear()
    request.session["signing_up"] = name
    return RedirectResponse("/signup/phone", 303)


@app.get("/signup/phone")
async def signup_phone(_: SigningUp, verification: SignUp) -> HTMLResponse:
    """Asks for the number, then for the code."""
    to = '<label>Phone number <input name="to" type="tel" autocomplete="tel" required></label>'
    return phone_page("/signup/phone", verification, to)


@app.post("/signup/phone/start")
async def signup_start(_: SigningUp, verification: SignUp) -> Response:
    """Sends a code to the number that was typed."""
    return await verification.start()


@app.post("/signup/phone/resend")
async def signup_resend(_: SigningUp, verification: SignUp) -> Response:
    """Sends another."""
    return await verification.resend()


@app.post("/signup/phone/check")
async def signup_check(request: Request, name: SigningUp, verification: SignUp) -> Response:
    """The first number that is proved becomes the account's; from then on only that one counts."""
    response = await verification.check()
    if response.number:
        if numbers.setdefault(name, response.number) != response.number:
            raise HTTPException(409)
        sign_in(request, name)
    return response


@app.post("/login")
def log_in(request: Request, name: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
    """The first factor; it opens nothing but the second."""
    try:
        HASHER.verify(passwords.get(name, NOBODY), password)
    except VerifyMismatchError:
        return page("<p role='alert'>Wrong name or password.</p>", 401)
    request.session.clear()
    request.session["logging_in" if name in numbers else "signing_up"] = name
    return RedirectResponse("/login/phone" if name in numbers else "/signup/phone", 303)


@app.get("/login/phone")
async def login_phone(_: LoggingIn, verification: Login) -> HTMLResponse:
    """Offers to send a code, then asks for it."""
    return phone_page("/login/phone", verification)


@app.post("/login/phone/start")
async def login_start(verification: Login) -> Response:
    """Sends a code to the number on file."""
    return await verification.start()


@app.post("/login/phone/resend")
async def login_resend(verification: Login) -> Response:
    """Sends another."""
    return await verification.resend()


@app.post("/login/phone/check")
async def login_check(request: Request, name: LoggingIn, verification: Login) -> Response:
    """Both factors are there: this person is signed in."""
    response = await verification.check()
    if response.number:
        sign_in(request, name)
    return response


def sign_in(request: Request, name: str) -> None:
    """Nothing that was there before stays in the session."""
    request.session.clear()
    request.session["user"] = name


def phone_page(at: str, verification: SessionVerification, to: str = "") -> HTMLResponse:
    """The step that is due, as plain forms; the component takes their place where scripts run."""
    code = '<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>'
    forms = form(f"{at}/start", to, "Send code")
    if verification.pending:
        again = form(f"{at}/resend", button="Send a new code")
        forms = form(f"{at}/check", code, "Verify") + again + (forms if to else "")
    notice = f"<p role='alert'>{escape(verification.notice())}</p>"
    known = "" if to else "number-known"
    step = "code" if verification.pending else "phone"
    urls = f'start-url="{at}/start" resend-url="{at}/resend" check-url="{at}/check" verified-url="/"'
    component = f'<otp-verify {known} {urls} step="{step}">{notice}{forms}</otp-verify>'
    return page(component + '<script type="module" src="/otp/otp-verify.js"></script>')


def form(action: str, fields: str = "", button: str = "") -> str:
    """A plain form."""
    return f'<form method="post" action="{action}">{fields}<button>{button}</button></form>'


def page(body: str, status: int = 200) -> HTMLResponse:
    """A page around it."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Acme</title>'
    return HTMLResponse(f'<!doctype html><html lang="en">{head}<h1>Acme</h1>{body}', status)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8001")))
