"""Who is calling: access tokens (Ed25519), roles, the services' own token, revocation.

Every route says who may call it with `@allow(...)`; a route that says nothing stops the start.
Rules of RFC 8725 (JSON Web Token best current practices) are followed: one algorithm, key by
known `kid` only, issuer and audience checked, all times required.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import structlog
from flask import Flask, current_app, g, request

from chassis.branches import Peer
from chassis.clock import Clock
from chassis.problems import Forbidden, NotFound, Unauthenticated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Role = Literal["customer", "operator", "admin"]
Access = Literal["public", "customer", "operator", "admin", "service", "replica"]
RANK: dict[str, int] = {"customer": 1, "operator": 2, "admin": 3}
LEEWAY_SECONDS = 10
CACHED_TOKENS = 10_000

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Identity:
    """The user behind a verified access token."""

    user_id: str
    role: Role
    session_id: str
    generation: int
    expires_at: int

    def may(self, role: str) -> bool:
        """An admin may do what an operator may, an operator what a customer may."""
        return RANK[self.role] >= RANK[role]


class Keys(Protocol):
    """Finds the public key that a token names."""

    def find(self, kid: str) -> Ed25519PublicKey | None:
        """The key of this id, or None. Raises `Unavailable` when it cannot be asked for."""


class Revocations(Protocol):
    """Knows which unexpired tokens are no longer worth anything."""

    def revoked(self, identity: Identity) -> bool:
        """Whether the token is revoked. Raises `Unavailable` when that cannot be known."""


class TokenVerifier:
    """Turns an access token into an `Identity`, remembering those it has verified."""

    def __init__(
        self, keys: Keys, revocations: Revocations, issuer: str, audience: str, clock: Clock
    ) -> None:
        self._keys = keys
        self._revocations = revocations
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._verified: dict[str, Identity] = {}

    def verify(self, token: str) -> Identity:
        """The identity in a token.

        Raises:
            Unauthenticated: the token is forged, malformed, expired or revoked.
            Unavailable: its key or its revocation could not be asked for.
        """
        now = int(self._clock.now().timestamp())
        identity = self._verified.get(token)
        if identity is None:
            identity = self._decode(token, now)
            if len(self._verified) >= CACHED_TOKENS:
                self._verified.clear()
            self._verified[token] = identity
        if now > identity.expires_at + LEEWAY_SECONDS:
            raise Unauthenticated("The access token has expired.")
        if self._revocations.revoked(identity):
            raise Unauthenticated("The access token was revoked.")
        return identity

    def _decode(self, token: str, now: int) -> Identity:
        # Most processes never see a token, and this takes 4 MB in each that loads it.
        import jwt

        key = self._key(token)
        try:
            # Times are checked below against the injected clock.
            claims = jwt.decode(
                token,
                key=key,
                algorithms=["EdDSA"],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["exp", "iat", "nbf", "aud", "iss", "sub", "sid", "role", "gen"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("The access token is not valid.") from error
        return _identity(claims, now)

    def _key(self, token: str) -> Ed25519PublicKey:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("The access token is not valid.") from error
        kid = header.get("kid")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None or header.get("alg") != "EdDSA":
            raise Unauthenticated("The access token is not valid.")
        return key


def _identity(claims: dict[str, Any], now: int) -> Identity:
    times = [claims["exp"], claims["iat"], claims["nbf"], claims["gen"]]
    role = claims["role"]
    if not all(type(value) is int for value in times) or not isinstance(role, str):
        raise Unauthenticated("The access token is not valid.")
    if role not in RANK:
        raise Unauthenticated("The access token is not valid.")
    if max(claims["nbf"], claims["iat"]) > now + LEEWAY_SECONDS:
        raise Unauthenticated("The access token is not valid yet.")
    return Identity(
        user_id=str(claims["sub"]),
        role=claims["role"],
        session_id=str(claims["sid"]),
        generation=claims["gen"],
        expires_at=claims["exp"],
    )


def allow(access: Access) -> Callable[[View], View]:
    """Say who may call a view: anyone, a role and those above it, a service, another branch."""

    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


def guard(
    app: Flask, verifier: TokenVerifier | None, service_token: str, peers: Sequence[Peer] = ()
) -> None:
    """Check `@allow` before anything else of a request is looked at."""

    def check() -> None:
        if request.url_rule is None:
            return
        view: Any = current_app.view_functions[request.url_rule.endpoint]
        access: Access = view.access
        if access == "public":
            return
        if access == "service":
            _check_service_token(service_token)
            return
        if access == "replica":
            g.peer = _peer_of_token(peers)
            return
        if verifier is None:
            raise Forbidden
        g.identity = verifier.verify(_bearer_token())
        if not g.identity.may(access):
            raise Forbidden(f"This needs the role {access}.")

    app.before_request(check)


def identity() -> Identity:
    """The caller of this request, on a route that needs one."""
    caller: Identity = g.identity
    return caller


def peer() -> str:
    """The branch that sent this request, on a route for branches."""
    name: str = g.peer
    return name


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 4096:
        raise Unauthenticated("Send an access token as Authorization: Bearer.")
    return token.strip()


def _check_service_token(expected: str) -> None:
    presented = request.headers.get("X-Service-Token", "")
    if not hmac.compare_digest(presented.encode(), expected.encode()):
        raise Unauthenticated("This route is for the services of Feira.")


def _peer_of_token(peers: Sequence[Peer]) -> str:
    """The peer whose token was presented. A shop without peers has no such route."""
    if not peers:
        raise NotFound("This shop has no other branches.")
    presented = request.headers.get("X-Replica-Token", "").encode()
    # All are compared, so that the time says nothing of which one it is.
    known = [each for each in peers if hmac.compare_digest(presented, each.token.encode())]
    if not known:
        log.warning(
            "replica_refused",
            address=request.remote_addr,
            token="wrong" if presented else "missing",
            bearer="Authorization" in request.headers,
        )
        raise Unauthenticated("This route is for other branches, which send X-Replica-Token.")
    return known[0].name
