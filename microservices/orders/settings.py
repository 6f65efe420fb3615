"""What orders is told by its environment."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from chassis.settings import BranchSettings, Url, Urls


def _seed(value: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise ValueError("must be 32 bytes in base64url")
    return value


MailServer = Annotated[
    str, StringConstraints(pattern=r"^(smtp|smtp\+starttls|smtps)://([^@/\s]+@)?[^@/:\s]+(:\d+)?$")
]
Password = Annotated[str, StringConstraints(min_length=12, max_length=72)]


class Settings(BranchSettings):
    """Settings of orders' processes."""

    orders_database_url: Url = Field(
        description="libpq URI of orders' database, with every host of the cluster."
    )
    orders_migration_url: Url | None = Field(
        None, description="The same for the owner of the tables; only `migrate` needs it."
    )
    orders_pool_size: int = Field(8, ge=1, description="Connections per pool and process.")
    catalog_url: Urls = Field(description="Base URLs of the catalog's instances.")
    cart_url: Urls = Field(description="Base URLs of the cart's instances.")

    redis_url: Annotated[str, StringConstraints(pattern=r"^rediss?://[^/\s]+(/\d*)?$")] = Field(
        description="redis://… of tasks and login counts; without it EVENT_BUS_URL, if it is Redis."
    )

    jwt_private_key: Annotated[str, AfterValidator(_seed)] = Field(
        description="Seed of the Ed25519 key that signs access tokens: 32 bytes in base64url."
    )
    access_token_seconds: int = Field(900, ge=30, description="Life of an access token.")
    refresh_token_seconds: int = Field(
        30 * 86_400, ge=60, description="Life of a refresh token that is not used."
    )
    bcrypt_rounds: int = Field(12, ge=4, le=16, description="Cost of a password's hash.")
    login_failures_per_account: int = Field(
        10, ge=1, description="Failed logins a minute per account and address."
    )
    login_failures_per_address: int = Field(
        100, ge=1, description="Failed logins a minute per address."
    )

    admin_email: str = Field("admin@feira.local", description="The first admin.")
    admin_password: Password | None = Field(None, description="Its password; only `seed` needs it.")
    demo_password: Password | None = Field(
        None, description="Password of the demo accounts, when SEED_DEMO=1."
    )
    probe_password: Password | None = Field(
        None, description="Password of the account that the ready check buys with."
    )
    seed_demo: bool = Field(False, description="Whether `seed` makes the demo accounts.")

    worker_concurrency: int = Field(
        2, ge=1, le=64, description="Asynchronous orders that one worker checks out at once."
    )
    task_patience_seconds: float = Field(
        60.0,
        gt=0,
        description="How long an asynchronous order may wait before its task is looked for.",
    )
    smtp_url: MailServer | None = Field(
        None,
        description="smtp://, smtp+starttls:// or smtps://[user:password@]host[:port] for mail.",
    )
    mail_folder: Path | None = Field(
        None, description="Folder that mails are written to when SMTP_URL is not set."
    )
    mail_from: str = Field(
        "Feira <pedidos@feira.local>", description="Sender of the mails to customers."
    )
    stream_seconds: float = Field(
        20.0, gt=0, description="Longest life of one event stream; clients take it up again."
    )

    checkout_deadline_seconds: float = Field(
        8.0, gt=0, description="Longest time a checkout may take before it answers 503."
    )
    cart_wait_seconds: float = Field(
        3.0, gt=0, description="Longest wait for the cart, which waits 2 s for its store."
    )
    reserve_wait_seconds: float = Field(
        1.6,
        gt=0,
        description="Longest silence of the catalog before a checkout that needs it is 503.",
    )
    reserve_breaker_failures: int = Field(
        5, ge=1, description="Failed calls in a row after which the catalog is left alone."
    )
    reserve_breaker_seconds: float = Field(
        2.0, gt=0, description="How long it is left alone before one call tries it again."
    )
    payment_timeout_seconds: float = Field(
        2.0, gt=0, description="Longest wait for the payment provider."
    )
    payment_attempts: int = Field(
        3, ge=1, description="How often a failing or silent payment is tried."
    )
    reservation_ttl_seconds: int = Field(900, ge=30, description="How long stock is held.")
    recovery_seconds: float = Field(
        2.0, gt=0, description="How often unfinished checkouts are looked for."
    )
    recovery_forward_seconds: int = Field(
        300,
        ge=1,
        description="An unfinished checkout older than this is undone instead of finished.",
    )
    idempotency_hours: int = Field(24, ge=1, description="How long a key is remembered.")

    @property
    def task_queue_url(self) -> str:
        """The database of that Redis after the one that REDIS_URL names: tasks and locks."""
        url = urlsplit(self.redis_url)
        return urlunsplit(url._replace(path=f"/{int(url.path.strip('/') or 0) + 1}"))

    @model_validator(mode="before")
    @classmethod
    def _one_redis_for_both(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Tasks and counts go to the bus's Redis when nobody says otherwise and it is one."""
        bus = str(values.get("event_bus_url", ""))
        if not values.get("redis_url") and bus.startswith("redis"):
            return values | {"redis_url": bus}
        return values
