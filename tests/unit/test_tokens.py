"""Promise 27: a forged, foreign or stale access token is worth nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.auth import Identity, TokenVerifier
from chassis.problems import Unauthenticated
from chassis.trust import public_key
from orders.tokens import LocalKeys, TokenIssuer

SEED = bytes(range(32))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
USER, SESSION = "01JZZZZZZZZZZZZZZZZZZZZZZ1", "01JZZZZZZZZZZZZZZZZZZZZZZ2"
CLAIMS = ["iss", "aud", "sub", "role", "sid", "gen", "iat", "nbf", "exp"]


class MovedClock:
    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment


class Revoked:
    def __init__(self) -> None:
        self.sessions: set[str] = set()

    def revoked(self, identity: Identity) -> bool:
        return identity.session_id in self.sessions


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def issuer(clock: MovedClock) -> TokenIssuer:
    return TokenIssuer(SEED, "feira", "feira", 900, clock)


@pytest.fixture
def revoked() -> Revoked:
    return Revoked()


@pytest.fixture
def verifier(issuer: TokenIssuer, revoked: Revoked, clock: MovedClock) -> TokenVerifier:
    return TokenVerifier(LocalKeys(issuer), revoked, "feira", "feira", clock)


@pytest.fixture
def good(issuer: TokenIssuer) -> str:
    return issuer.issue(USER, "customer", SESSION, 3)


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], seed: bytes = SEED) -> str:
    """A token made by hand, so that it may be as wrong as it likes."""
    signing_input = f"{encode(dict(header))}.{encode(dict(claims))}"
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return f"{signing_input}.{encode(key.sign(signing_input.encode()))}"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, claims, signature = token.split(".")
    return decode(header), decode(claims), signature


def test_a_good_token_names_its_user(verifier: TokenVerifier, good: str) -> None:
    expected = Identity(USER, "customer", SESSION, 3, int(NOON.timestamp()) + 900)
    assert verifier.verify(good) == expected
    assert verifier.verify(good) == expected, "also from the cache"


def test_a_token_signed_by_hand_as_the_issuer_does_is_accepted(
    verifier: TokenVerifier, good: str
) -> None:
    header, claims, _ = parts(good)
    assert verifier.verify(signed(header, claims)).user_id == USER


def test_the_key_is_published_with_its_thumbprint(issuer: TokenIssuer, good: str) -> None:
    (key,) = issuer.jwks()["keys"]
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{key["x"]}"}}'
    assert key["kid"] == encode(hashlib.sha256(canonical.encode()).digest())
    assert parts(good)[0] == {"alg": "EdDSA", "kid": key["kid"], "typ": "JWT"}
    assert public_key(key) == issuer.public_key
    assert "d" not in key


def test_rfc_8037_thumbprint() -> None:
    # The key and its thumbprint as printed in RFC 8037, appendices A.1 and A.3.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    issuer = TokenIssuer(seed, "feira", "feira", 900, MovedClock())
    assert issuer.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_every_token_is_another(issuer: TokenIssuer, good: str) -> None:
    assert issuer.issue(USER, "customer", SESSION, 3) != good


@pytest.mark.promise(27)
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None])
@pytest.mark.parametrize("signature", ["", "kept"])
def test_alg_none_is_refused(
    verifier: TokenVerifier, good: str, alg: str | None, signature: str
) -> None:
    header, claims, kept = parts(good)
    forged = f"{encode(header | {'alg': alg})}.{encode(claims)}.{kept if signature else ''}"
    with pytest.raises(Unauthenticated):
        verifier.verify(forged)


@pytest.mark.promise(27)
@pytest.mark.parametrize("form", ["raw", "pem", "jwk"])
@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
def test_the_public_key_as_hmac_secret_is_refused(
    verifier: TokenVerifier, issuer: TokenIssuer, good: str, form: str, alg: str
) -> None:
    header, claims, _ = parts(good)
    key = issuer.public_key
    secret = {
        "raw": key.public_bytes_raw(),
        "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(issuer.jwks()["keys"][0]).encode(),
    }[form]
    signing_input = f"{encode(header | {'alg': alg})}.{encode(claims)}"
    mac = hmac.digest(secret, signing_input.encode(), "sha256")
    with pytest.raises(Unauthenticated):
        verifier.verify(f"{signing_input}.{encode(mac)}")


@pytest.mark.promise(27)
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_missing_claim_is_refused(verifier: TokenVerifier, good: str, claim: str) -> None:
    header, claims, _ = parts(good)
    del claims[claim]
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(header, claims))


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "another-shop"),
        ("aud", []),
        ("aud", None),
        *(("iss", issuer) for issuer in ("another-issuer", ["feira"])),
        *((time, int(NOON.timestamp()) + 60) for time in ("nbf", "iat")),
        *(("exp", time) for time in (int(NOON.timestamp()) - 60, "9999999999", 9e99, True, None)),
        ("nbf", None),
        ("iat", "0"),
        *(("gen", generation) for generation in ("3", True)),
        *(("role", role) for role in ("root", ["admin"], None)),
        ("sub", 7),
    ],
)
def test_a_wrong_claim_is_refused_although_the_signature_is_right(
    verifier: TokenVerifier, good: str, claim: str, value: Any
) -> None:
    header, claims, _ = parts(good)
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(header, claims | {claim: value}))


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/proc/self/environ",
        "' OR '1'='1",
        "x' UNION SELECT 'AAAA'; --",
        "http://attacker.example/jwks.json",
        "| /bin/sleep 10",
        "\x00",
        "",
        "k" * 3000,
        7,
        None,
        True,
        ["1"],
        {"$ne": None},
    ],
    ids=lambda kid: repr(kid)[:20],
)
def test_a_hostile_kid_finds_no_key(verifier: TokenVerifier, good: str, kid: Any) -> None:
    header, claims, _ = parts(good)
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(header | {"kid": kid}, claims))


def test_no_kid_finds_no_key(verifier: TokenVerifier, good: str) -> None:
    header, claims, _ = parts(good)
    del header["kid"]
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(header, claims))


@pytest.mark.promise(27)
@pytest.mark.parametrize("known_kid", [True, False])
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_the_token_brings_is_not_used(
    verifier: TokenVerifier, good: str, member: str, known_kid: bool
) -> None:
    header, claims, _ = parts(good)
    attacker = TokenIssuer(b"\x07" * 32, "feira", "feira", 900, MovedClock())
    brought = {
        "jwk": attacker.jwks()["keys"][0],
        "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/cert.pem",
        "x5c": [encode(attacker.public_key.public_bytes_raw())],
    }[member]
    header |= {member: brought, "kid": header["kid"] if known_kid else attacker.kid}
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(header, claims | {"role": "admin"}, seed=b"\x07" * 32))


@pytest.mark.promise(27)
def test_an_edited_role_breaks_the_signature(verifier: TokenVerifier, good: str) -> None:
    header, claims, signature = parts(good)
    edited = f"{encode(header)}.{encode(claims | {'role': 'admin'})}.{signature}"
    with pytest.raises(Unauthenticated):
        verifier.verify(edited)


def test_a_token_of_another_key_is_refused(verifier: TokenVerifier) -> None:
    other = TokenIssuer(b"\x07" * 32, "feira", "feira", 900, MovedClock())
    with pytest.raises(Unauthenticated):
        verifier.verify(other.issue(USER, "admin", SESSION, 1))


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_token_expires(
    verifier: TokenVerifier, clock: MovedClock, good: str, seen_before: bool
) -> None:
    if seen_before:
        verifier.verify(good)
    clock.moment = NOON + timedelta(seconds=899)
    verifier.verify(good)
    clock.moment = NOON + timedelta(seconds=911)
    with pytest.raises(Unauthenticated):
        verifier.verify(good)


def test_a_revoked_session_ends_a_token_seen_before(
    verifier: TokenVerifier, revoked: Revoked, good: str
) -> None:
    verifier.verify(good)
    revoked.sessions.add(SESSION)
    with pytest.raises(Unauthenticated):
        verifier.verify(good)


@pytest.mark.parametrize(
    "garbage",
    [
        *("", ".", "..", "...", "a.b.c", "null", "e30.e30.", "W10.W10.W10", "{}.{}.{}"),
        *("\x00\x00.\x00.\x00", "ção.ção.ção", "A" * 4096, "Bearer x"),
    ],
    ids=lambda garbage: repr(garbage)[:20],
)
def test_garbage_is_refused(verifier: TokenVerifier, garbage: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(garbage)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_damaged_part_is_refused(verifier: TokenVerifier, good: str, which: int) -> None:
    pieces = good.split(".")
    pieces[which] = pieces[which][:-4] + ("AAAA" if pieces[which][-4:] != "AAAA" else "BBBB")
    with pytest.raises(Unauthenticated):
        verifier.verify(".".join(pieces))


@pytest.mark.parametrize("claims", [[], "text", 7, None], ids=repr)
def test_claims_that_are_no_object_are_refused(
    verifier: TokenVerifier, good: str, claims: Any
) -> None:
    header, _, _ = parts(good)
    signing_input = f"{encode(header)}.{encode(claims)}"
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    with pytest.raises(Unauthenticated):
        verifier.verify(f"{signing_input}.{encode(key.sign(signing_input.encode()))}")
