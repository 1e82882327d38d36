"""What the integration tests share."""

from tests.twilio_centre import twilio

__all__ = ["twilio"]
