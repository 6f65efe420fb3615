"""The demo shop: a Brazilian confectionery with its products, their prices and their pictures."""

from dataclasses import dataclass

from catalog.demo.palette import Picture


@dataclass(frozen=True, slots=True)
class DemoCategory:
    """A shelf of the shop."""

    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """A product as the seed loads it; the price is in cents of BRL."""

    sku: str
    name: str
    description: str
    category_slug: str
    price_cents: int
    stock: int
    picture: Picture
