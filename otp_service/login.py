"""The login page of `otp-service dev`: the web component, the inbox beside it, and an app's own back end.

The back end calls the service as any app does, over its HTTP contract and with a key. The browser sees
neither the key nor the verification's id: all that it holds is the cookie of a session.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import httpx
import jwt
from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse

from otp_service import inbox
from otp_service.errors import Forbidden, NotFound
from otp_service.http import body
from otp_service.phone import mask

if TYPE_CHECKING:
    from fastapi import FastAPI

    from otp_service.delivery.providers.console import Console

COOKIE: Final = "login"
PURPOSE: Final = "login"
SHOWN: Final = 5
"""Messages beside the form."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_SHOWN_ERRORS: Final = ("code", "detail", "retry_after", "verification_status")

# The forms inside <otp-verify> are what works without JavaScript.
_PHONE: Final = Template("""\
<otp-verify lang="$lang"
  start-url="/login/start" check-url="/login/check" resend-url="/login/resend" verified-url="/login">
<form action="/login/start" method="post">
<label>Phone number
<input type="tel" name="to" autocomplete="tel" placeholder="+372 5678 9045" required></label>
<p role="alert">$fault</p>
<button>Send code</button>
</form>
</otp-verify>""")
_CODE: Final = Template("""\
<otp-verify lang="$lang" step="code" to="$to" next-send-in="$next_send_in"
  start-url="/login/start" check-url="/login/check" resend-url="/login/resend" verified-url="/login">
<p>Code sent to $to.</p>
<form action="/login/check" method="post">
<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>
<p role="alert">$fault</p>
<button>Verify</button>
</form>
<form action="/login/resend" method="post"><button>Send a new code</button></form>
<form action="/login/leave" method="post"><button>Change number</button></form>
</otp-verify>""")
_DONE: Final = Template("""\
<p>Signed in as <b>$to</b>.</p>
<p>The service signed a proof of it, which any back end can verify without a call:</p>
<dl>$claims</dl>
<form action="/login/leave" method="post"><button>Sign out</button></form>""")
_CLAIM: Final = Template("<dt>$name</dt><dd>$value</dd>")
_MESSAGE: Final = Template('<li><p class="meta">To $to</p><p class="text">$text</p></li>')


@dataclass(slots=True)
class Session:
    """What the back end knows of a browser."""

    verification: str | None = None
    claims: dict[str, Any] | None = field(default=None, repr=False)
    fault: str = ""
    """To show once, where no script shows it."""


class Login:
    """The back end of an app, as small as one can be.

    Args:
        service: The service, called in this process.
        url: Its public URL.
        app: The app that this is.
        key: One of its API keys.
        console: Whose messages stand beside the form.
    """

    def __init__(self, service: FastAPI, url: str, app: str, key: str, console: Console) -> None:
        self._otp = httpx.AsyncClient(
            transport=httpx.ASGITransport(service, raise_app_exceptions=False),
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
        )
        self._url = url
        self._app = app
        self._console = console
        self._sessions: dict[str, Session] = {}
        self._page = files("otp_service").joinpath("login.html").read_text("utf-8")
        self._policy = (
            inbox.policy(self._page)
            .replace("script-src", "script-src 'self'")
            .replace("form-action 'none'", "form-action 'self'")
        )
        web = _component()
        self._scripts = {
            path.relative_to(web).as_posix(): path
            for path in (web / "otp-verify.js", *web.glob("languages/*.js"))
        }

    def router(self) -> APIRouter:
        """``/login``, the files of the component, and what its forms post to."""
        routes = APIRouter(prefix="/login", dependencies=[Depends(_from_this_site)], include_in_schema=False)
        routes.add_api_route("", self.page, response_class=HTMLResponse)
        routes.add_api_route("/{script:path}", self.script, response_class=FileResponse)
        for verb in (self.start, self.resend, self.check, self.leave):
            routes.add_api_route(f"/{verb.__name__}", verb, methods=["POST"])
        return routes

    async def page(self, request: Request, lang: str = "en") -> Response:
        """The step that the session is at; ``?lang=ar`` shows the component in another language."""
        session = self._session(request)
        newest = list(reversed(self._console.inbox))[:SHOWN]
        messages = (_MESSAGE.substitute(to=escape(each.to), text=escape(each.text)) for each in newest)
        panel = await self._panel(session, escape(lang))
        text = Template(self._page).substitute(panel=panel, messages="".join(messages))
        session.fault = ""
        return HTMLResponse(text, headers=_HEADERS | {"Content-Security-Policy": self._policy})

    async def script(self, script: str) -> Response:
        """A file of the component."""
        if script not in self._scripts:
            raise NotFound("The component has no such file.")
        return FileResponse(self._scripts[script], media_type="text/javascript", headers=_HEADERS)

    async def start(self, request: Request) -> Response:
        """Ask for a code, and open a session that alone can use it."""
        form = await _form(request)
        session = Session()
        token = secrets.token_urlsafe()
        wish = {name: form[name] for name in ("to", "region", "locale") if form.get(name)}
        answer = await self._otp.post(
            "/v1/verifications/start", json=wish | {"purpose": PURPOSE, "client": {"session": token}}
        )
        if answer.is_success:
            session.verification = answer.json()["id"]
        return self._sent(request, session, answer, token)

    async def resend(self, request: Request) -> Response:
        """Ask for another code."""
        session = self._session(request)
        answer = await self._otp.post(f"/v1/verifications/{session.verification}/resend")
        return self._sent(request, session, answer)

    async def check(self, request: Request) -> Response:
        """Sign in with a code.

        Who is signed in gets a new cookie: one planted before (session fixation) opens nothing.
        """
        session = self._session(request)
        code = (await _form(request)).get("code", "")
        answer = await self._otp.post(
            f"/v1/verifications/{session.verification}/check", json={"code": code, "purpose": PURPOSE}
        )
        told = answer.json()
        if not answer.is_success:
            return self._refused(request, session, answer)
        if not told["approved"]:
            session.fault = f"Wrong code. Attempts left: {told['checks_left']}."
            return self._answer(request, session, {name: told[name] for name in ("status", "checks_left")})
        signed_in = Session(claims=await self._verified(told["proof"]))
        return self._answer(request, signed_in, {"status": told["status"]}, token=secrets.token_urlsafe())

    async def leave(self, request: Request) -> Response:
        """Forget the session: to change the number, and to sign out."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        return RedirectResponse("/login", 303, _HEADERS)

    async def _panel(self, session: Session, lang: str) -> str:
        if session.claims:
            shown = session.claims | {"sub": mask(session.claims["sub"])}
            claims = [_CLAIM.substitute(name=name, value=escape(str(value))) for name, value in shown.items()]
            return _DONE.substitute(to=shown["sub"], claims="".join(claims))
        fault = escape(session.fault)
        # A session without one asks for none, and gets the 404 of an unknown id.
        found = (await self._otp.get(f"/v1/verifications/{session.verification}")).json()
        if found["status"] != "pending":
            return _PHONE.substitute(lang=lang, fault=fault)
        left = found["next_send_in"]
        return _CODE.substitute(lang=lang, fault=fault, to=mask(found["to"]), next_send_in=left)

    async def _verified(self, proof: str) -> dict[str, Any]:
        """The claims of a proof, as a back end far from the service would verify it."""
        keys = jwt.PyJWKSet.from_dict((await self._otp.get("/.well-known/jwks.json")).json())
        key = keys[jwt.get_unverified_header(proof)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            proof, key, algorithms=["EdDSA"], issuer=self._url, audience=self._app
        )
        return claims

    def _session(self, request: Request) -> Session:
        return self._sessions.get(request.cookies.get(COOKIE, ""), Session())

    def _sent(
        self, request: Request, session: Session, answer: httpx.Response, token: str | None = None
    ) -> Response:
        if not answer.is_success:
            return self._refused(request, session, answer, token)
        told = answer.json()
        shown = {name: told[name] for name in ("status", "next_send_in", "checks_left", "sends_left")}
        return self._answer(request, session, shown | {"to_masked": mask(told["to"])}, token=token)

    def _refused(
        self, request: Request, session: Session, answer: httpx.Response, token: str | None = None
    ) -> Response:
        told = answer.json()
        session.fault = told["detail"]
        shown = {name: told[name] for name in _SHOWN_ERRORS if name in told}
        return self._answer(request, session, shown, answer.status_code, token)

    def _answer(
        self,
        request: Request,
        session: Session,
        told: dict[str, Any],
        status: int = 200,
        token: str | None = None,
    ) -> Response:
        """JSON for the component, and the page again for a plain form."""
        if "application/json" in request.headers.get("accept", ""):
            session.fault = ""
            answer: Response = JSONResponse(told, status, _HEADERS)
        else:
            answer = RedirectResponse("/login", 303, _HEADERS)
        if token:
            self._sessions.pop(request.cookies.get(COOKIE, ""), None)
            self._sessions[token] = session
            answer.set_cookie(COOKIE, token, path="/login", httponly=True, samesite="strict")
        return answer


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await body.read(request)).decode(errors="replace")))


def _from_this_site(request: Request) -> None:
    """Refuse what another site's page sends; a browser says so itself (W3C Fetch Metadata).

    Raises:
        Forbidden: It comes from elsewhere.
    """
    if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("The login page takes what it sent itself.")


def _component() -> Path:
    """The web component: a wheel has it beside this file, a checkout where it is developed."""
    here = Path(__file__).parent
    installed = here / "web"
    return installed if installed.is_dir() else here.parent / "clients" / "web"
