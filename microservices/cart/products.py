"""What the cart knows of products: views in Redis, and the catalog behind a breaker.

The catalog's events keep the views that are there up to date; a view that is not there is asked
for. When the catalog cannot be asked, what is known is shown and called unverified. While the
background process says that the catalog is there (see `refreshing`), reading a cart asks nobody.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from cart.settings import Settings
from cart.store import Scripts
from chassis.breaker import Breaker
from chassis.consistency import TOKEN_HEADER
from chassis.events import Event
from chassis.http_client import ServiceClient
from chassis.problems import Unavailable

TOKEN = re.compile(r"[a-z]{1,20}:[0-9A-F/]{1,20}(,[a-z]{1,20}:[0-9A-F/]{1,20}){0,3}")
PLACE_MILLISECONDS = 5000
# There while the catalog answers the background process.
HEARD = "catalog:heard"

log = structlog.get_logger()


@dataclass(frozen=True)
class View:
    """A product as the cart needs it, with the versions that order what is said of it."""

    name: str
    price_cents: int
    active: bool
    version: int
    available: int
    stock_version: int


@dataclass(frozen=True)
class Remembered:
    """What Redis has of some products.

    Attributes:
        views: by product id.
        heard: whether the catalog was there moments ago.
    """

    views: dict[int, View]
    heard: bool


@dataclass(frozen=True)
class Knowledge:
    """What is known of some products at one moment.

    Attributes:
        views: by product id.
        asked: products that the catalog itself was asked for just now; one of these without a
            view does not exist.
        reachable: whether the catalog answered, now or moments ago.
    """

    views: dict[int, View]
    asked: frozenset[int]
    reachable: bool

    def verified(self, product_id: int) -> bool:
        """Whether the catalog stands behind what is known of this product."""
        return self.reachable and (product_id in self.views or product_id in self.asked)


class Products:
    """The views of one process's Redis, and the catalog that they come from."""

    def __init__(
        self, settings: Settings, redis: Redis, scripts: Scripts, catalog: ServiceClient
    ) -> None:
        """Nothing connects before the first use."""
        self._settings = settings
        self._redis = redis
        self._scripts = scripts
        self._catalog = catalog
        self._heard = float("-inf")
        self.breaker = Breaker(
            catalog.name,
            failures=settings.breaker_failures,
            reset_seconds=settings.breaker_reset_seconds,
        )

    def look(
        self,
        ids: Iterable[int],
        token: str | None,
        *,
        remembered: Remembered | None = None,
        anew: frozenset[int] = frozenset(),
    ) -> Knowledge:
        """What is known of these products, asking the catalog at most once.

        A catalog not heard of for `catalog_check_seconds` is asked even when every view is
        there: only so can a cart say that it could not be verified.

        Args:
            ids: at most 100.
            token: the shopper's consistency token, passed on to the catalog.
            remembered: what Redis has of them, if it was read already.
            anew: those to ask the catalog for whatever the views say.

        Raises:
            RedisError: the views could not be read.
        """
        wanted = sorted(set(ids))
        if not wanted:
            return Knowledge({}, frozenset(), True)
        found = remembered or self._remembered(wanted)
        views, since = found.views, time.monotonic() - self._heard
        silent = not found.heard and since > self._settings.catalog_check_seconds
        unsure = [i for i in wanted if silent or i in anew or i not in views]
        if not unsure:
            return Knowledge(views, frozenset(), True)
        try:
            fetched = self._fetch(unsure, token)
        except Unavailable as error:
            log.info("catalog_not_asked", reason=error.detail)
            return Knowledge(views, frozenset(), False)
        return Knowledge(views | fetched, frozenset(unsure), True)

    def on_catalog_event(self, event: Event) -> None:
        """Bring the view of the event's product up to date, if there is one."""
        if event.type == "product.updated":
            product_id, said = event.data["id"], _described(event.data)
        elif event.type == "stock.updated":
            product_id, said = event.data["product_id"], _described(event.data["product"])
            if event.data["branch"] == self._settings.node_name:
                said["available"] = event.data["available"]
                said["stock_version"] = event.data["version"]
        else:
            return
        self._scripts.learn([key_of(product_id)], [json.dumps(said), ""])

    def learn_anew(self, ids: Sequence[int], *, forget: bool) -> int:
        """Ask the catalog for these products and keep what it says; how many it has.

        Args:
            ids: at most 100.
            forget: take what it says even where something newer seems to be known.

        Raises:
            Unavailable: the catalog did not answer.
            RedisError: the views could not be changed.
        """
        if forget:
            self._redis.delete(*map(key_of, ids))
        self._hold_places(ids)
        return len(self._remember(self._ask(ids, None)))

    def _remembered(self, ids: Sequence[int]) -> Remembered:
        *texts, heard = self._redis.mget([*map(key_of, ids), HEARD])
        return remembered(ids, texts, heard is not None)

    def _fetch(self, ids: Sequence[int], token: str | None) -> dict[int, View]:
        self._hold_places(ids)
        fetched = self.breaker.call(lambda: self._ask(ids, token))
        self._heard = time.monotonic()
        return self._remember(fetched) if fetched else fetched

    def _hold_places(self, ids: Sequence[int]) -> None:
        # Events only change views that exist. Without a place for it, one that arrives while
        # the catalog is being asked would be lost, and the older answer kept for minutes.
        pipeline = self._redis.pipeline(transaction=False)
        for product_id in ids:
            pipeline.set(key_of(product_id), "{}", px=PLACE_MILLISECONDS, nx=True)
        try:
            pipeline.execute()
        except RedisError as error:
            log.info("view_not_kept", error=type(error).__name__)

    def _ask(self, ids: Sequence[int], token: str | None) -> dict[int, View]:
        passed_on = {TOKEN_HEADER: token} if token and TOKEN.fullmatch(token) else None
        answer = self._catalog.call(
            "GET",
            f"/internal/products?ids={','.join(map(str, ids))}",
            seconds=self._settings.catalog_wait_seconds,
            headers=passed_on,
            repeatable=True,
        )
        try:
            return {
                item["id"]: View(
                    **_described(item),
                    available=item["stock"],
                    stock_version=item["stock_version"],
                )
                for item in answer.body["items"]
            }
        except (KeyError, TypeError) as error:
            raise Unavailable(f"The catalog answered {answer.status}, not products.") from error

    def _remember(self, fetched: dict[int, View]) -> dict[int, View]:
        """Keep the views and answer the newest that is known; full memory keeps none."""
        pipeline = self._redis.pipeline(transaction=False)
        lifetime = self._settings.product_view_seconds * 1000
        for product_id, view in fetched.items():
            self._scripts.learn(
                [key_of(product_id)], [json.dumps(asdict(view)), lifetime], pipeline
            )
        try:
            answers = pipeline.execute(raise_on_error=False)
        except RedisError:
            return fetched
        newest = dict(fetched)
        for product_id, answer in zip(fetched, answers, strict=True):
            kept = _view(answer) if isinstance(answer, str) else None
            newest[product_id] = kept or fetched[product_id]
        return newest


def remembered(ids: Iterable[int], texts: Iterable[str | bytes | None], heard: bool) -> Remembered:
    """What Redis has of some products, from the texts of their views."""
    found = {i: _view(text) for i, text in zip(ids, texts, strict=True) if text}
    return Remembered({i: view for i, view in found.items() if view is not None}, heard)


def key_of(product_id: int) -> str:
    """Where the view of a product is."""
    return f"product:{int(product_id)}"


def _described(product: dict[str, Any]) -> dict[str, Any]:
    return {name: product[name] for name in ("name", "price_cents", "active", "version")}


def _view(text: str | bytes) -> View | None:
    members = json.loads(text)
    # A place held, or one that so far only heard of half the product.
    return View(**members) if len(members) == len(View.__dataclass_fields__) else None
