"""Every error that NebuloViz raises on purpose.

    NebuloVizError
    ├── ConfigurationError                a setting is missing, weak or contradicts another (the program does not start)
    ├── NotSignedIn                 401   nobody is signed in, or the token is not valid
    │   ├── SecondFactorRequired    401   the password is right, and a code of the second factor is due
    │   ├── TokenReused             401   a refresh token came twice; its family is revoked, and that is committed
    │   └── WrongCode               401   it is no code of the second factor, or was used before
    ├── PermissionDenied            403   somebody is, but may not do this
    │   ├── CrossOrigin             403   another site made the browser ask
    │   ├── FormExpired             403   the form does not belong to this browser's session
    │   ├── ViewOnly                403   not while looking through somebody else's eyes
    │   ├── PasswordChangeRequired  403   not before a password of one's own is chosen
    │   └── SecondFactorDue         403   not before a second factor is set up, which the installation asks of everybody
    ├── NotFound                    404
    ├── Conflict                    409   it exists already, or cannot be done as things stand
    │   └── StaleVersion            412   somebody else has changed the thing meanwhile
    ├── TooSlow                     408   the client does not send what it has announced
    ├── PayloadTooLarge             413
    ├── InvalidInput                422   the request is understood and cannot be carried out as it stands
    │   ├── InvalidQuery            422
    │   ├── InvalidSettings         422   tells for each setting what is wrong with it
    │   ├── MalformedRequest        400   it cannot even be read
    │   └── UnsupportedMediaType    415
    ├── TooManyRequests             429
    └── Unavailable                 503   a server that we need does not answer
        └── NotSent                 503   a message was not taken where it was to go

Messages are written for the reader who caused them: what is wrong, and what to do. They never carry secrets.
"""

from __future__ import annotations

from collections.abc import Mapping


class NebuloVizError(Exception):
    """The root: an HTTP `status`, a stable machine-readable `code` and a message for people."""

    status = 500
    code = "internal_error"
    #: Whether what the transaction did before this was raised is committed all the same.
    keeps_changes = False

    def __init__(self, message: str, *, field: str = "") -> None:
        """`field`: what of a form, or of a body, the message is about; '' of nothing in particular."""
        super().__init__(message)
        self.message = message
        self.field = field


class ConfigurationError(NebuloVizError):
    code = "configuration_error"


class NotSignedIn(NebuloVizError):
    status = 401
    code = "not_signed_in"


class SecondFactorRequired(NotSignedIn):
    code = "second_factor_required"


class TokenReused(NotSignedIn):
    code = "token_reused"
    keeps_changes = True


class WrongCode(NotSignedIn):
    code = "wrong_code"
    keeps_changes = True  # that it was refused stands in the audit log


class PermissionDenied(NebuloVizError):
    status = 403
    code = "permission_denied"


class CrossOrigin(PermissionDenied):
    code = "cross_origin"


class FormExpired(PermissionDenied):
    code = "form_expired"


class PasswordChangeRequired(PermissionDenied):
    code = "password_change_required"


class ViewOnly(PermissionDenied):
    code = "view_only"


class SecondFactorDue(PermissionDenied):
    code = "second_factor_due"


class NotFound(NebuloVizError):
    status = 404
    code = "not_found"


class Conflict(NebuloVizError):
    status = 409
    code = "conflict"


class StaleVersion(Conflict):
    status = 412
    code = "stale_version"


class TooSlow(NebuloVizError):
    status = 408
    code = "too_slow"


class PayloadTooLarge(NebuloVizError):
    status = 413
    code = "payload_too_large"


class InvalidInput(NebuloVizError):
    status = 422
    code = "invalid_input"


class InvalidQuery(InvalidInput):
    code = "invalid_query"


class InvalidSettings(InvalidInput):
    """`problems` has for each setting that does not fit why it does not."""

    code = "invalid_settings"

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {problem}" for name, problem in problems.items()))
        self.problems = problems


class MalformedRequest(InvalidInput):
    status = 400
    code = "malformed_request"


class UnsupportedMediaType(InvalidInput):
    status = 415
    code = "unsupported_media_type"


class TooManyRequests(NebuloVizError):
    """Raised by the limiters; `retry_after_seconds` goes into the Retry-After header."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(NebuloVizError):
    status = 503
    code = "unavailable"


class NotSent(Unavailable):
    """`reason` is a slug for the log, `answer` what a webhook answered (0: nothing), `again` whether another try may help."""

    code = "not_sent"

    def __init__(self, message: str, reason: str, answer: int = 0, *, again: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.answer = answer
        self.again = again
