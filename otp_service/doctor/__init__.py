"""What is wrong with a deployment, and how to mend it: ``otp-service doctor``."""

from __future__ import annotations

from otp_service.doctor.examination import examine
from otp_service.doctor.finding import Finding, Level
from otp_service.doctor.sending import send

__all__ = ["Finding", "Level", "examine", "send"]
