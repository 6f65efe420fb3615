"""Feira's own processes: which there are, how each is run, what each is told."""

from __future__ import annotations

import shutil
import sys

from local import redis
from local.postgres import Cluster, primary_url
from local.process import Process, Stage
from local.secrets import Secrets
from local.settings import REPOSITORY, Settings

MICROSERVICES = REPOSITORY / "microservices"
SERVICES = ("catalog", "cart", "orders")
# Those with tables: they are migrated and seeded before they serve.
WITH_DATABASE = ("catalog", "orders")
# Processes without a port of their own: whose /metrics shows theirs too.
SHOWN_BY = {
    "catalog-background": "catalog-1",
    "cart-background": "cart",
    "orders-background": "orders",
    "orders-worker": "orders",
}


class Services:
    """Knows every address and secret that one service needs, and gives it no other."""

    def __init__(self, settings: Settings, secrets: Secrets, cluster: Cluster) -> None:
        self._settings = settings
        self._secrets = secrets
        self._cluster = cluster
        self._metrics = settings.run / "metrics"
        self.ports: dict[str, int] = {
            "catalog-1": settings.catalog_1_port,
            "catalog-2": settings.catalog_2_port,
            "cart": settings.cart_port,
            "orders": settings.orders_port,
        }

    def url(self, name: str) -> str:
        """Address of one instance."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def prepare(self) -> None:
        """Make the folders in which processes share their metrics, which begin at nothing."""
        shutil.rmtree(self._metrics, ignore_errors=True)
        for name in self.ports:
            (self._metrics / name).mkdir(parents=True)

    def processes(self) -> list[Process]:
        """Every instance and every background process."""
        instances = [self._instance(name) for name in self.ports]
        return instances + [self._background(service) for service in SERVICES] + [self._worker()]

    def _instance(self, name: str) -> Process:
        service = name.partition("-")[0]
        configuration = str(MICROSERVICES / "gunicorn.conf.py")
        bind = {"BIND": f"127.0.0.1:{self.ports[name]}"}
        return Process(
            name=name,
            command=_python("gunicorn", "-c", configuration, f"{service}.app:create_app()"),
            stage=Stage.SERVICES,
            directory=REPOSITORY,
            environment=self.environment(service, name) | bind,
            stop_seconds=25,
            ready_url=f"{self.url(name)}/ready",
        )

    def _background(self, service: str) -> Process:
        name = f"{service}-background"
        return Process(
            name=name,
            command=self.flask_command(service, "background"),
            stage=Stage.SERVICES,
            directory=REPOSITORY,
            environment=self.environment(service, name),
            stop_seconds=15,
        )

    def _worker(self) -> Process:
        name = "orders-worker"
        return Process(
            name=name,
            command=_python("orders.worker"),
            stage=Stage.SERVICES,
            directory=REPOSITORY,
            environment=self.environment("orders", name),
            # It takes no more tasks, and ends those that it has.
            stop_seconds=25,
        )

    def flask_command(self, service: str, *arguments: str) -> list[str]:
        """A command of the service's own, such as `migrate`."""
        return _python("flask", "--app", f"{service}.app", *arguments)

    def environment(self, service: str, instance: str) -> dict[str, str]:
        """What one process of a service is told, on top of what `make run` was told."""
        common = {
            "PYTHONPATH": str(MICROSERVICES),
            "PYTHONUNBUFFERED": "1",
            # A .env file in the clone is for Compose.
            "FLASK_SKIP_DOTENV": "1",
            # Sixteen threads would otherwise each get a heap of their own.
            "MALLOC_ARENA_MAX": "2",
            "NODE_NAME": self._settings.node_name,
            "INSTANCE": instance,
            "LOG_LEVEL": self._settings.log_level,
            "SEED_DEMO": "1" if self._settings.seed_demo else "0",
            "SERVICE_TOKEN": self._secrets.service_token,
            "EVENT_BUS_URL": redis.streams_url(self._settings, self._secrets),
        }
        shown_by = SHOWN_BY.get(instance, instance)
        if shown_by in self.ports:
            common["PROMETHEUS_MULTIPROC_DIR"] = str(self._metrics / shown_by)
        own = {"catalog": self._catalog, "cart": self._cart, "orders": self._orders}[service]()
        branches = self._branches() if service in WITH_DATABASE else {}
        return common | branches | own | self._settings.service_environment

    def _branches(self) -> dict[str, str]:
        return {
            "PEERS": self._settings.peers,
            "REPLICA_TOKEN": self._settings.replica_token.get_secret_value(),
            "REPLICA_TOKENS": self._settings.replica_tokens.get_secret_value(),
        }

    def _catalog(self) -> dict[str, str]:
        secrets = self._secrets
        return {
            "CATALOG_DATABASE_URL": self._cluster.url(
                "catalog", secrets.catalog_password, "catalog"
            ),
            "CATALOG_MIGRATION_URL": primary_url(
                self._cluster.url("catalog_owner", secrets.catalog_owner_password, "catalog")
            ),
            "ORDERS_URL": self.url("orders"),
        }

    def _cart(self) -> dict[str, str]:
        return {
            "CART_REDIS_URL": redis.carts_url(self._settings, self._secrets),
            "CATALOG_URL": self._catalog_urls(),
        }

    def _orders(self) -> dict[str, str]:
        secrets = self._secrets
        return {
            "ORDERS_DATABASE_URL": self._cluster.url("orders", secrets.orders_password, "orders"),
            "ORDERS_MIGRATION_URL": primary_url(
                self._cluster.url("orders_owner", secrets.orders_owner_password, "orders")
            ),
            "CATALOG_URL": self._catalog_urls(),
            "CART_URL": self.url("cart"),
            "MAIL_FOLDER": str(self._settings.feira_home / "mail"),
            "JWT_PRIVATE_KEY": secrets.jwt_private_key,
            "ADMIN_EMAIL": self._settings.admin_email,
            "ADMIN_PASSWORD": secrets.admin_password,
            "DEMO_PASSWORD": secrets.demo_password,
            "PROBE_PASSWORD": secrets.probe_password,
        }

    def _catalog_urls(self) -> str:
        return ",".join(self.url(name) for name in ("catalog-1", "catalog-2"))


def _python(module: str, *arguments: str) -> list[str]:
    # Not the scripts in .venv/bin: they hold the path at which the environment was made.
    return [sys.executable, "-m", module, *arguments]
