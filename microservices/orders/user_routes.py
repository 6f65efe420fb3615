"""HTTP of the accounts for admins: parse, call, status."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from chassis.auth import allow
from chassis.consistency import TOKEN_HEADER
from chassis.problems import Unprocessable
from chassis.schemas import Page, json_response
from orders import accounts
from orders.account_models import User
from orders.account_schemas import NewUser, UserChanges, UserList, UserPath, UserShown
from orders.ports import ports

api = APIBlueprint("users", __name__, url_prefix="/api", abp_tags=[Tag(name="Users (admin)")])


@api.after_request
def keep_private(response: Response) -> Response:
    """Nothing of an account belongs in a cache, errors included."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@api.get("/users", responses={200: UserList}, summary="List users, oldest first")
@allow("admin")
def list_users(query: Page) -> Response:
    found, cursor = ports().database.read(
        lambda session: accounts.page(session, query.limit, query.cursor),
        request.headers.get(TOKEN_HEADER),
    )
    return json_response(
        {"items": [accounts.user_document(user) for user in found], "next_cursor": cursor}
    )


@api.post("/users", responses={201: UserShown}, summary="Make an account of any role")
@allow("admin")
def create_user(body: NewUser) -> Response:
    user = accounts.create(
        ports(), accounts.NewAccount(body.email, body.password, body.name, body.role)
    )
    return _written(user, 201)


@api.patch("/users/<user_id>", responses={200: UserShown}, summary="Change role, name or active")
@allow("admin")
def change_user(path: UserPath, body: UserChanges) -> Response:
    fields = body.model_dump(exclude_unset=True)
    if not fields or None in fields.values():
        raise Unprocessable.field("body", "name at least one field, and no null")
    user = ports().database.write(
        lambda session: accounts.change(session, ports(), path.user_id, fields)
    )
    ports().revocations.refresh()
    return _written(user)


def _written(user: User, status: int = 200) -> Response:
    return json_response(
        accounts.user_document(user), status, X_Consistency_Token=ports().database.token()
    )
