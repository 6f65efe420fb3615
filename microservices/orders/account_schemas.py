"""Request and response shapes of accounts."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from chassis.auth import Role
from chassis.ids import ULID_PATTERN
from chassis.schemas import Body, Changes, Parameters, Shown, example, line
from orders.passwords import LEAST_CHARACTERS, MOST_BYTES

# The pattern of HTML's <input type=email>, with a dot in the domain.
EMAIL = (
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
)


def normal_password(password: str) -> str:
    """The password in the one form that is hashed (NFC, as RFC 8265 has it).

    Raises:
        ValueError: it is longer than bcrypt can see. The message does not hold it.
    """
    normal = unicodedata.normalize("NFC", password)
    if len(normal.encode()) > MOST_BYTES:
        raise ValueError(f"must not be longer than {MOST_BYTES} bytes in UTF-8")
    return normal


def _email(text: str) -> str:
    # Not a constraint of the type: people should not be shown a pattern.
    if not re.fullmatch(EMAIL, text):
        raise ValueError("must be an e-mail address")
    return text


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, max_length=254),
    AfterValidator(_email),
    Field(json_schema_extra={"pattern": EMAIL}),
]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_BYTES),
    AfterValidator(normal_password),
    Field(description=f"At most {MOST_BYTES} bytes in UTF-8."),
]
NewPassword = Annotated[Password, StringConstraints(min_length=LEAST_CHARACTERS)]
Name = Annotated[str, line(120)]
OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _without_default(field: dict[str, Any]) -> None:
    del field["default"]


class Registration(Body):
    model_config = example(
        {"email": "ana@example.com", "password": "uma-senha-bem-comprida", "name": "Ana Souza"}
    )

    email: Email
    password: NewPassword
    name: Name


class Credentials(Body):
    model_config = example({"email": "ana@example.com", "password": "uma-senha-bem-comprida"})

    email: Email
    password: Password
    refresh_token_in: Literal["body", "cookie"] = Field(
        "body",
        description="`cookie`: in an HttpOnly cookie for `/auth` instead of the body, for a page.",
    )


class Refresh(Body):
    # Empty when it is absent: null and "" are refused like anything else that is no token.
    refresh_token: OpaqueToken = Field(
        "",
        description="Absent when the cookie of the login has it.",
        json_schema_extra=_without_default,
    )


class NewUser(Registration):
    model_config = example(
        {
            "email": "bia@example.com",
            "password": "uma-senha-bem-comprida",
            "name": "Bia Lima",
            "role": "operator",
        }
    )

    role: Role


class UserChanges(Changes):
    """At least one of the fields; what is absent stays as it is."""

    role: Role | None = None
    active: bool | None = None
    name: Name | None = None


class UserPath(Parameters):
    user_id: str = Field(pattern=ULID_PATTERN)


class AccountShown(Shown):
    id: str
    email: str
    name: str
    role: Role


class UserShown(AccountShown):
    active: bool
    created_at: str


class UserList(Shown):
    items: list[UserShown]
    next_cursor: str | None


class TokensShown(Shown):
    access_token: str
    refresh_token: str = Field(default="", description="Absent when it is in the cookie.")
    token_type: str
    expires_in: int


class JwkShown(Shown):
    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JwksShown(Shown):
    keys: list[JwkShown]


class RevocationsShown(Shown):
    sessions: list[str]
    users: dict[str, int]
