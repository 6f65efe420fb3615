"""What the cart is told by its environment."""

from __future__ import annotations

from pydantic import Field

from chassis.settings import ServiceSettings, Url, Urls


class Settings(ServiceSettings):
    """Settings of the cart's processes."""

    cart_redis_url: Url = Field(description="redis://… of the carts; its policy is noeviction.")
    cart_redis_wait_seconds: float = Field(
        2.0, gt=0, le=60, description="Longest silence of the carts' Redis before a 503."
    )
    cart_ttl_seconds: int = Field(
        86_400, ge=1, le=31_536_000, description="How long a cart is kept after its last use."
    )
    catalog_url: Urls = Field(description="Base URLs of the catalog, separated by commas.")
    catalog_wait_seconds: float = Field(
        1.0, gt=0, le=60, description="Deadline of a question to the catalog."
    )
    catalog_check_seconds: float = Field(
        2.0, ge=0, description="How long the catalog counts as there without being asked again."
    )
    product_view_seconds: int = Field(
        600, ge=1, le=86_400, description="How long a product is remembered after it was asked for."
    )
    breaker_failures: int = Field(
        5, ge=1, description="Failed calls in a row after which the catalog is left alone."
    )
    breaker_reset_seconds: float = Field(
        10.0, gt=0, description="How long it is left alone before one call tries it again."
    )
