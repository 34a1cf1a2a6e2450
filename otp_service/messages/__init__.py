"""What the person reads: an app's templates, the language to choose, the line that autofill looks for."""

from __future__ import annotations

from otp_service.messages.languages import LANGUAGES, Language
from otp_service.messages.templates import LONGEST_CODE, Templates, template_faults
from otp_service.messages.transactions import read_transaction

__all__ = [
    "LANGUAGES",
    "LONGEST_CODE",
    "Language",
    "Templates",
    "read_transaction",
    "template_faults",
]
