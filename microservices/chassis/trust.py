"""How a service other than the issuer learns keys and revocations: it asks, and remembers.

Keys are public and change rarely. Revocations are asked for every few seconds; when they cannot
be had for `GRACE_SECONDS`, tokens are refused with 503: a logged-out operator must not stay in
because a service was cut off.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chassis import deadline
from chassis.auth import Identity
from chassis.http_client import ServiceClient
from chassis.problems import Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

REFRESH_SECONDS = 5.0
GRACE_SECONDS = 45.0
CALL_SECONDS = 1.5


class RemoteKeys:
    """Public keys from the issuer's JWKS (RFC 7517), fetched when an unknown `kid` shows up."""

    def __init__(self, issuer: ServiceClient) -> None:
        self._issuer = issuer
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def find(self, kid: str) -> Ed25519PublicKey | None:
        """The key of this id; an unknown id is asked for at most once a second in all."""
        if kid not in self._keys:
            with self._lock:
                if kid not in self._keys and time.monotonic() - self._asked_at > 1.0:
                    self._fetch()
        if not self._keys:
            raise Unavailable("The keys of the access tokens could not be fetched.")
        return self._keys.get(kid)

    def _fetch(self) -> None:
        answer = self._issuer.call(
            "GET",
            "/.well-known/jwks.json",
            seconds=CALL_SECONDS,
            repeatable=True,
        )
        self._asked_at = time.monotonic()
        try:
            self._keys = {key["kid"]: public_key(key) for key in answer.body["keys"]}
        except (KeyError, TypeError, ValueError) as error:
            # Whatever answered is no issuer of ours; the token may be good all the same.
            raise Unavailable("The keys of the access tokens could not be fetched.") from error


def public_key(key: dict[str, Any]) -> Ed25519PublicKey:
    """The Ed25519 key of a JWK (RFC 8037)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    encoded = key["x"]
    raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    return Ed25519PublicKey.from_public_bytes(raw)


class RevocationList:
    """Sessions that ended and users whose older tokens no longer count.

    `load` returns `{"sessions": [id…], "users": {id: least generation}}` for every token that
    could still be unexpired.
    """

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._sessions: frozenset[str] = frozenset()
        self._users: dict[str, int] = {}
        self._fresh_at = -GRACE_SECONDS
        self._tried_at = -REFRESH_SECONDS
        self._lock = threading.Lock()

    def revoked(self, identity: Identity) -> bool:
        """Whether this token's session ended or its user's tokens were called back.

        Raises:
            Unavailable: the list is older than `GRACE_SECONDS` and could not be refreshed.
        """
        if time.monotonic() - self._tried_at >= REFRESH_SECONDS:
            self._refresh_in_turn()
        if self._stale():
            raise Unavailable("Whether the access token was revoked could not be asked.")
        return (
            identity.session_id in self._sessions
            or self._users.get(identity.user_id, 0) > identity.generation
        )

    def _refresh_in_turn(self) -> None:
        # One asks. The others go on with the list they have, and wait only when it is too old.
        if self._lock.acquire(blocking=self._stale()):
            try:
                if time.monotonic() - self._tried_at >= REFRESH_SECONDS:
                    self.refresh()
            finally:
                self._lock.release()

    def _stale(self) -> bool:
        return time.monotonic() - self._fresh_at > GRACE_SECONDS

    def refresh(self) -> None:
        """Ask for the list now; keep the old one when that fails."""
        try:
            # Whoever happens to refresh it came for something else.
            with deadline.within(CALL_SECONDS):
                document = self._load()
        except Exception:  # whatever is wrong there, the age of the list decides
            self._tried_at = time.monotonic()
            return
        self._sessions = frozenset(document["sessions"])
        self._users = dict(document["users"])
        self._fresh_at = self._tried_at = time.monotonic()


def remote_revocations(issuer: ServiceClient) -> RevocationList:
    """The issuer's list, over its internal route."""

    def load() -> dict[str, Any]:
        answer = issuer.call(
            "GET",
            "/internal/revocations",
            seconds=CALL_SECONDS,
            repeatable=True,
        )
        if answer.status != 200:
            raise Unavailable("The list of revocations was refused.")
        document: dict[str, Any] = answer.body
        return document

    return RevocationList(load)
