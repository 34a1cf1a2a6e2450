"""A view mixin and forms for Django: the verification of the session. Needs ``otp-client[django]``."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.generic.base import ContextMixin, TemplateResponseMixin

from ._errors import OtpError
from ._session import Held, Step, wants_json

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from django.http import HttpRequest

    from ._clients import Client
    from ._verbs import Autofill

__all__ = ["CodeForm", "PhoneForm", "VerificationMixin"]


class PhoneForm(forms.Form):
    """Asks for the number."""

    to = forms.CharField(
        label=_("Phone number"), widget=forms.TextInput({"type": "tel", "autocomplete": "tel", "dir": "ltr"})
    )


class CodeForm(forms.Form):
    """Asks for the code. No maxlength: it would cut a pasted "123 456"."""

    code = forms.CharField(
        label=_("Code"),
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "one-time-code", "dir": "ltr"}),
    )


class VerificationMixin(TemplateResponseMixin, ContextMixin):
    """Makes a ``View`` show the form that is due, and take what is posted to ``<step>`` below it.

    Two paths lead to it: the page's, and one with ``<step>`` below. A script is answered with JSON, a plain
    form with a redirect, or with the page and the error in its form. Templates see ``form`` and ``pending``.

    Attributes:
        client: One for the whole process.
        purpose: What the code is for; one session can hold one verification of each.
        page_url: The page's path, or the name of its pattern.
        done_url: Likewise, of where an approval leads.
        autofill: What lets the phone fill in the code.
    """

    client: ClassVar[Client]
    purpose: ClassVar[str]
    page_url: ClassVar[str]
    done_url: ClassVar[str]
    autofill: ClassVar[Autofill | None] = None
    request: HttpRequest

    def known_number(self) -> str | None:
        """The E.164 number to ask, where the app knows the person, as at a login; None: the browser says."""
        return None

    def approved(self, number: str) -> None:
        """The person holds this number, E.164: log in, or save it."""
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - Django's
        """Adds the form that is due, and whether a code was sent."""
        pending = self._held.pending
        return super().get_context_data(**{"form": self._form(), "pending": pending} | kwargs)

    def get(self, request: HttpRequest, step: str = "") -> HttpResponse:  # noqa: ARG002 - Django's
        """The page; a step's own address leads to it, as it shows in a browser after an error."""
        return redirect(self.page_url) if step else self.render_to_response(self.get_context_data())

    def post(self, request: HttpRequest, step: str = "") -> HttpResponse:
        """A step: ``start``, ``resend`` or ``check``."""
        try:
            wanted = Step(step)
        except ValueError:
            raise Http404 from None
        try:
            answer = self._held.told(wanted, self._held.ask(self.client, wanted, _posted(request)))
        except OtpError as error:
            answer = self._held.refused(error)
        if answer.number:
            self.approved(answer.number)
        if wants_json(request.content_type, request.headers.get("Accept")):
            return JsonResponse(answer.body, status=answer.status, headers=answer.headers)
        if not answer.notice:
            return redirect(self.done_url if answer.number else self.page_url)
        form = self._form(request.POST)
        form.add_error(None, answer.notice)
        return self.render_to_response(self.get_context_data(form=form), status=answer.status)

    @cached_property
    def _held(self) -> Held:
        session = cast("MutableMapping[str, Any]", self.request.session)
        address = self.request.META.get("REMOTE_ADDR")
        return Held(session, self.purpose, self.known_number(), address, self.autofill)

    def _form(self, posted: Mapping[str, Any] | None = None) -> forms.Form:
        """Nothing is asked of a person whose number is known until the code is there."""
        asked = PhoneForm if self._held.number is None else forms.Form
        return (CodeForm if self._held.pending else asked)(posted)


def _posted(request: HttpRequest) -> Mapping[str, object]:
    if request.content_type != "application/json":
        return request.POST.dict()
    try:
        posted: object = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return posted if isinstance(posted, dict) else {}
