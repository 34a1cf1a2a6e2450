# ruff: noqa: INP001 - a program, not a package
"""Sign-up with a verified number, and login with a second factor, in Flask.

Run `otp-service dev`, then `OTP_API_KEY=otp_live_… python app.py`, and open http://127.0.0.1:8002.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, abort, redirect, render_template, request, send_from_directory, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from otp_client import Client
from otp_client.flask import VerificationBlueprint

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

WEB = Path(__file__).parents[3] / "web"
OWN_SITE = {"same-origin", "none"}

passwords: dict[str, str] = {}  # hashes by name; yours are in a database
numbers: dict[str, str] = {}  # an account is open once it has one
otp = Client(os.environ.get("OTP_URL", "http://127.0.0.1:8000"), os.environ["OTP_API_KEY"])

app = Flask(__name__)
app.secret_key = secrets.token_bytes()
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"  # and SESSION_COOKIE_SECURE behind TLS


def signing_up() -> str:
    """Who is on the second step of a sign-up."""
    return in_session("signing_up")


def number_on_file() -> str:
    """The second factor is the account's number, whatever the browser says."""
    return numbers[in_session("logging_in")]


def in_session(name: str) -> str:
    """Whom the first step has left in the session."""
    return str(session[name]) if name in session else abort(redirect(url_for("home"), 303))


def open_account(number: str) -> None:
    """The first number that is proved becomes the account's; from then on only that one counts."""
    name = signing_up()
    if numbers.setdefault(name, number) != number:
        abort(409)
    sign_in(name)


def sign_in(name: str) -> None:
    """Nothing that was there before stays in the session."""
    session.clear()
    session["user"] = name


signup = VerificationBlueprint("signup", otp, page="signup_phone", done="home", approved=open_account)
login = VerificationBlueprint(
    "login",
    otp,
    page="login_phone",
    done="home",
    number=number_on_file,
    approved=lambda _: sign_in(in_session("logging_in")),
)


@signup.before_request
def second_step_only() -> None:
    """Nobody comes here first."""
    signing_up()


app.register_blueprint(signup, url_prefix="/signup/phone")
app.register_blueprint(login, url_prefix="/login/phone")


@app.before_request
def from_here_only() -> None:
    """Another site's form could log a visitor in as somebody else; a browser says where it comes from."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITE:
        abort(403)


@app.get("/")
def home() -> str:
    """Who is here."""
    return render_template("home.html", user=session.get("user"))


@app.post("/logout")
def logout() -> ResponseReturnValue:
    """Forgets who is here."""
    session.clear()
    return redirect(url_for("home"), 303)


@app.post("/signup")
def sign_up() -> ResponseReturnValue:
    """Reserves the name; the account opens with its number."""
    name = request.form["name"]
    password = generate_password_hash(request.form["password"])
    if passwords.setdefault(name, password) != password:
        return render_template("home.html", error="This name is taken."), 409
    session.clear()
    session["signing_up"] = name
    return redirect(url_for("signup_phone"), 303)


@app.get("/signup/phone")
def signup_phone() -> str:
    """Asks for the number, then for the code."""
    signing_up()
    return render_template("phone.html", at="signup", pending=signup.pending, asks_number=True)


@app.post("/login")
def log_in() -> ResponseReturnValue:
    """The first factor; it opens nothing but the second."""
    name = request.form["name"]
    if name not in passwords or not check_password_hash(passwords[name], request.form["password"]):
        return render_template("home.html", error="Wrong name or password."), 401
    session.clear()
    session["logging_in" if name in numbers else "signing_up"] = name
    return redirect(url_for("login_phone" if name in numbers else "signup_phone"), 303)


@app.get("/login/phone")
def login_phone() -> str:
    """Offers to send a code, then asks for it."""
    number_on_file()
    return render_template("phone.html", at="login", pending=login.pending)


@app.get("/otp/<path:name>")
def component(name: str) -> ResponseReturnValue:
    """The web component."""
    return send_from_directory(WEB, name)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8002")))
