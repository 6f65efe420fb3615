"""HTTP of registration, login and tokens: parse, call, status."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from chassis.auth import allow, identity
from chassis.consistency import TOKEN_HEADER
from chassis.problems import Unauthenticated
from chassis.schemas import json_response, no_content
from orders import accounts, login_limit, refresh_cookie, revocation, sessions
from orders.account_models import User
from orders.account_schemas import (
    AccountShown,
    Credentials,
    JwksShown,
    Refresh,
    Registration,
    RevocationsShown,
    TokensShown,
)
from orders.ports import Ports, ports

KEYS_SECONDS = 300

api = APIBlueprint("auth", __name__, abp_tags=[Tag(name="Accounts and tokens")])
internal = APIBlueprint("revocations", __name__, abp_tags=[Tag(name="For services only")])


@api.after_request
@internal.after_request
def keep_private(response: Response) -> Response:
    """Nothing of an account belongs in a cache, errors included."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@api.post("/auth/register", responses={201: AccountShown}, summary="Make an account")
@allow("public")
def register(body: Registration) -> Response:
    user = accounts.create(ports(), accounts.NewAccount(body.email, body.password, body.name))
    return json_response(
        accounts.account_document(user), 201, X_Consistency_Token=ports().database.token()
    )


@api.post("/auth/login", responses={200: TokensShown}, summary="Log in")
@allow("public")
def login(body: Credentials) -> Response:
    attempt = login_limit.current().attempt(body.email, request.remote_addr)
    tokens = sessions.log_in(ports(), attempt, body.email, body.password)
    return _granted(tokens, body.refresh_token_in == "cookie")


@api.post("/auth/refresh", responses={200: TokensShown}, summary="Get the next pair of tokens")
@allow("public")
def refresh(body: Refresh) -> Response:
    token = refresh_cookie.presented(body.refresh_token)
    return _granted(sessions.refresh(ports(), token), not body.refresh_token)


@api.post("/auth/logout", responses={204: None}, summary="End the session")
@allow("public")
def logout(body: Refresh) -> Response:
    sessions.log_out(ports(), refresh_cookie.presented(body.refresh_token))
    return refresh_cookie.forget(no_content())


@api.get("/auth/me", responses={200: AccountShown}, summary="The account of this token")
@allow("customer")
def me() -> Response:
    return json_response(accounts.account_document(_caller(ports())))


@api.get("/.well-known/jwks.json", responses={200: JwksShown}, summary="Keys of the access tokens")
@allow("public")
def jwks() -> Response:
    return json_response(ports().issuer.jwks(), Cache_Control=f"public, max-age={KEYS_SECONDS}")


@internal.get(
    "/internal/revocations",
    responses={200: RevocationsShown},
    summary="Unexpired tokens that are worth nothing",
)
@allow("service")
def list_revocations() -> dict[str, Any]:
    at = ports()
    return revocation.load(at.database, at.clock, at.settings.access_token_seconds)


def _granted(tokens: sessions.Tokens, in_cookie: bool) -> Response:
    if not in_cookie:
        return json_response(tokens.document())
    shown = tokens.document()
    token = shown.pop("refresh_token")
    return refresh_cookie.put(json_response(shown), token, ports().settings.refresh_token_seconds)


def _caller(at: Ports) -> User:
    def look(session: Any) -> User | None:
        return accounts.find(session, identity().user_id)

    token = request.headers.get(TOKEN_HEADER)
    user = at.database.read(look, token) or at.database.read_primary(look)
    if user is None:
        raise Unauthenticated("The account of this token does not exist.")
    return user
