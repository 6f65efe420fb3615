"""The refresh token as a cookie, for a page in a browser: no script can read it.

A login asks for it (`"refresh_token_in": "cookie"`). It is HttpOnly, so a script that got into the
page cannot take it away; SameSite=Strict, so no other site's page sends it; and goes to `/auth`
only. A page of the same site but another origin (another port of this host) is kept off by the
body, which has to be `application/json` and therefore needs a permission (CORS) that nothing here
gives, and by `Sec-Fetch-Site` where the browser says it.
"""

from __future__ import annotations

from flask import Response, after_this_request, request

from chassis.problems import Forbidden, Unauthenticated

PATH = "/auth"


def presented(in_body: str) -> str:
    """The refresh token of this request: the body's, or the cookie's if that has none.

    Raises:
        Unauthenticated: there is neither.
        Forbidden: the cookie came with a request of another origin's page.
    """
    if in_body:
        return in_body
    token = request.cookies.get(_name())
    if token is None:
        raise Unauthenticated("There is no refresh token, neither in the body nor as the cookie.")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Forbidden("The cookie is for pages of this shop only.")
    # Whatever is wrong with it, a browser should not present it again.
    after_this_request(_forget_if_refused)
    return token


def put(response: Response, token: str, seconds: int) -> Response:
    """Hand the token over in the cookie."""
    response.set_cookie(
        _name(),
        token,
        max_age=seconds,
        path=PATH,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


def forget(response: Response) -> Response:
    """Take the cookie back, if the request had one."""
    if _name() in request.cookies:
        response.delete_cookie(
            _name(), path=PATH, secure=request.is_secure, httponly=True, samesite="Strict"
        )
    return response


def _forget_if_refused(response: Response) -> Response:
    return forget(response) if response.status_code == Unauthenticated.status else response


def _name() -> str:
    # A browser takes a name with this prefix over TLS only, so no plain answer can replace it.
    return "__Secure-feira-refresh" if request.is_secure else "feira-refresh"
