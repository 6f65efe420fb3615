"""Which access tokens are worth nothing although they have not expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chassis.clock import Clock
from chassis.db import Database
from orders.account_models import LoginSession, User

# Leeway of the verifiers, requests in flight while a session ended, and clocks that differ.
MARGIN_SECONDS = 60


def load(database: Database, clock: Clock, access_token_seconds: int) -> dict[str, Any]:
    """What ended or was called back within the life of an access token.

    Read on the primary: a standby that lags would let a logged-out user in.

    Returns:
        `{"sessions": [id…], "users": {id: least generation that still counts}}`.
    """
    since = clock.now() - timedelta(seconds=access_token_seconds + MARGIN_SECONDS)

    def look(session: Session) -> dict[str, Any]:
        ended = select(LoginSession.id).where(LoginSession.ended_at >= since)
        called_back = select(User.id, User.generation).where(User.generation_at >= since)
        return {
            "sessions": list(session.scalars(ended)),
            "users": {row.id: row.generation for row in session.execute(called_back)},
        }

    return database.read_primary(look)
