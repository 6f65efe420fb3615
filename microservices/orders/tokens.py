"""Access tokens: short-lived Ed25519 JWTs, and the public key that checks them."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chassis.auth import Role
from chassis.clock import Clock
from chassis.ids import new_id
from orders.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


class TokenIssuer:
    """Signs access tokens with one Ed25519 key, which is made when it is first needed: workers and
    background processes never need it, and what it is made with takes 4 MB.

    Attributes:
        seconds: the life of a token.
    """

    def __init__(self, seed: bytes, issuer: str, audience: str, seconds: int, clock: Clock) -> None:
        """`seed` is the private key, 32 bytes; the other arguments become claims."""
        self._seed = seed
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self.seconds = seconds

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def public_key(self) -> Ed25519PublicKey:
        """What verifies the tokens."""
        return self._key.public_key()

    @cached_property
    def _jwk(self) -> dict[str, str]:
        return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(self.public_key.public_bytes_raw())}

    @cached_property
    def kid(self) -> str:
        """The key's id, its thumbprint by RFC 7638."""
        # The required members only, in the order of their names, without spaces.
        canonical = json.dumps(self._jwk, separators=(",", ":"), sort_keys=True)
        return _base64url(hashlib.sha256(canonical.encode()).digest())

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> TokenIssuer:
        """The issuer that the environment describes."""
        key = settings.jwt_private_key
        return cls(
            base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)),
            settings.jwt_issuer,
            settings.jwt_audience,
            settings.access_token_seconds,
            clock,
        )

    def issue(self, user_id: str, role: Role, session_id: str, generation: int) -> str:
        """A token for a user, valid from now on."""
        import jwt

        now = int(self._clock.now().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "role": role,
            "sid": session_id,
            "gen": generation,
            "iat": now,
            "nbf": now,
            "exp": now + self.seconds,
            "jti": new_id(),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.kid})

    def jwks(self) -> dict[str, Any]:
        """The public key as a JWK set (RFC 7517, RFC 8037)."""
        return {"keys": [self._jwk | {"kid": self.kid, "use": "sig", "alg": "EdDSA"}]}


class LocalKeys:
    """The issuer's own key, for verifying in the process that signs."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer

    def find(self, kid: str) -> Ed25519PublicKey | None:
        """The public key if this is its id."""
        return self._issuer.public_key if kid == self._issuer.kid else None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
