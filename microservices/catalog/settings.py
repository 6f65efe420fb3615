"""What the catalog is told by its environment."""

from __future__ import annotations

from pydantic import Field

from chassis.settings import BranchSettings, Url, Urls


class Settings(BranchSettings):
    """Settings of the catalog's processes."""

    catalog_database_url: Url = Field(
        description="libpq URI of the catalog's database, with every host of the cluster."
    )
    catalog_migration_url: Url | None = Field(
        None, description="The same for the owner of the tables; only `migrate` needs it."
    )
    catalog_pool_size: int = Field(8, ge=1, description="Connections per pool and process.")
    orders_url: Urls = Field(description="Base URLs of orders, separated by commas.")
    reservation_ttl_seconds: int = Field(
        900, ge=1, le=86_400, description="How long stock is held when the caller does not say."
    )
    sweep_seconds: float = Field(
        15.0, gt=0, description="How often expired reservations are looked for."
    )
    stock_rebalance: bool = Field(
        False, description="Whether a branch that runs short asks its peers for units."
    )
    seed_demo: bool = Field(False, description="Whether `seed` loads the demo shop.")
