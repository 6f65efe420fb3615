"""The tables of accounts: users, their sessions, and the refresh tokens of those."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from chassis.auth import Role
from orders.models import Base, Timestamp


class User(Base):
    """An account. Access tokens of an older `generation` than this are worth nothing."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email", name="users_email_key"),
        CheckConstraint("email = lower(email)", name="users_email_lower_case"),
        CheckConstraint("role IN ('customer', 'operator', 'admin')", name="users_role"),
        CheckConstraint("generation >= 1", name="users_generation_positive"),
        Index(
            "users_by_generation_change",
            "generation_at",
            postgresql_where="generation_at IS NOT NULL",
        ),
        Index("users_admins", "id", postgresql_where="role = 'admin' AND active"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default="true")
    generation: Mapped[int] = mapped_column(BigInteger, server_default="1")
    generation_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class LoginSession(Base):
    """What one login began: the family of refresh tokens that follow each other."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint(
            "ended_reason IN ('logout', 'reuse', 'deactivated', 'password')",
            name="sessions_ended_reason",
        ),
        CheckConstraint(
            "(ended_at IS NULL) = (ended_reason IS NULL)", name="sessions_ended_for_a_reason"
        ),
        Index("sessions_open_of_user", "user_id", postgresql_where="ended_at IS NULL"),
        Index("sessions_by_end", "ended_at", postgresql_where="ended_at IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", name="sessions_user_fkey"))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    ended_reason: Mapped[str | None] = mapped_column(Text)


class RefreshToken(Base):
    """A refresh token by its SHA-256; one that was used is kept to notice its reuse."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("refresh_tokens_of_session", "session_id"),
        Index("refresh_tokens_by_expiry", "expires_at"),
    )

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[str] = mapped_column(
        ForeignKey("sessions.id", name="refresh_tokens_session_fkey")
    )
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    used_at: Mapped[datetime | None] = mapped_column(Timestamp)
