"""Three branches in containers: each sells, and what one does while it is cut off comes later."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from local.stack import Stack
from local.web import free_ports
from tests.docker.conftest import LEFT_OUT
from tests.docker.project import NAME, Project
from tests.figures import figure
from tests.shop import Account, Shop, wait_until

NAMES = ("matriz", "filial", "litoral")
NETWORK = f"{NAME}-branches"
# Who sends to other branches, and who answers them.
MEETING = ("gateway", "catalog", "catalog-background", "orders-background")

pytestmark = pytest.mark.skipif(
    os.environ.get("FEIRA_FULL") != "1",
    reason="three whole shops start, which takes minutes: FEIRA_FULL=1 make test-docker",
)


class Branch:
    """One of the branches, and its customer."""

    def __init__(self, project: Project, name: str, http: httpx.Client) -> None:
        self.name = name
        self._project = project
        stack = SimpleNamespace(secrets=project.secrets, settings=project.settings)
        self.shop = Shop(cast(Stack, stack), http)
        self.customer: Account = self.shop.new_user()

    def buy(self, sku: str, quantity: int = 1) -> int:
        """Order a product; the status of the answer."""
        cart = self.shop.new_cart()
        line = {"product_id": self.id_of(sku), "quantity": quantity}
        added = self.shop.http.post(f"/api/carts/{cart}/items", json=line)
        if added.status_code != 200:
            return added.status_code
        return self.shop.checkout(self.customer, cart).status_code

    def id_of(self, sku: str) -> int:
        """The product's id, which is of this branch only."""
        items = self._get("/api/products?sort=newest&limit=20")["items"]
        return int(next(each["id"] for each in items if each["sku"] == sku))

    def knows(self, sku: str) -> dict[str, int]:
        """Everybody's stock of a product, as this branch has it; empty if it knows no such one."""
        items = self._get("/api/products?sort=newest&limit=20")["items"]
        for each in items:
            if each["sku"] == sku:
                rows = self._get(f"/api/products/{each['id']}/stock")["branches"]
                return {row["branch"]: row["stock"] for row in rows if row["stock"]}
        return {}

    def pending(self) -> int | None:
        """Events that some peer has not had yet; None while one never took anything."""
        status = self._get("/status")
        peers = [each for of in ("catalog", "orders") for each in status[of]["peers"].values()]
        waiting = [each["pending"] for each in peers]
        return None if None in waiting else sum(waiting)

    def customers_elsewhere(self) -> set[str]:
        """Branches that this one has heard orders of."""
        found = self._get("/api/branch-orders", self.shop.operator.headers)["items"]
        return {order["branch"] for order in found}

    def state(self) -> dict[str, Any]:
        """What the catalog of this branch says of it and of the others."""
        said: dict[str, Any] = self._get("/status")["catalog"]["branches"]
        return said

    def make(self, *arguments: str) -> str:
        """Run make for this branch alone."""
        files = f".env,.feira/compose-branches/{self.name}.env"
        told = f"COMPOSE_PROJECT_NAME={NAME}-{self.name}", f"COMPOSE_ENV_FILES={files}"
        return self._project.run(
            "env", "--unset=PORT", "--unset=TLS_PORT", *told, "make", *arguments
        )

    def containers(self) -> list[tuple[str, list[str]]]:
        """Those that meet other branches, each with what it is called there."""
        project = f"label=com.docker.compose.project={NAME}-{self.name}"
        found = []
        for service in MEETING:
            label = f"label=com.docker.compose.service={service}"
            names = self._project.docker(
                "ps", "--filter", project, "--filter", label, "--format", "{{.Names}}"
            )
            alias = ["--alias", f"{self.name}.branches"] if service == "gateway" else []
            found += [(name, alias) for name in names.split()]
        return found

    def _get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        # Past the gateway's cache and the standby.
        latest = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
        answer = self.shop.http.get(path, headers=latest | (headers or {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Take this branch from the network where branches meet."""
        containers = self.containers()
        assert len(containers) == len(MEETING) + 1, "the catalog runs twice"
        for name, _ in containers:
            self._project.docker("network", "disconnect", NETWORK, name)
        try:
            yield
        finally:
            for name, alias in containers:
                self._project.docker("network", "connect", *alias, NETWORK, name)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three branches of a copy of this clone; at the end nothing of them may be left."""
    folder = tmp_path_factory.mktemp("branches") / "clone"
    shutil.copytree(Path(__file__).parent.parent.parent, folder, ignore=LEFT_OUT)
    found = Project(folder, free_ports())
    port = f"PORT={found.environment['PORT']}"
    try:
        printed = found.make("branches", "ON=compose", "N=3", port)
        for number in range(3):
            assert f"http://localhost:{found.port + 100 * number}" in printed
        yield found
    finally:
        found.make("branches", "ON=compose", "N=3", "DOWN=1", "VOLUMES=1")
    listings = (
        ("container", "ls", "--all", "--format", "{{.Names}}"),
        ("network", "ls", "--format", "{{.Name}}"),
        ("volume", "ls", "--format", "{{.Name}}"),
    )
    for listing in listings:
        # Of the project that the other tests share the name is the beginning.
        names = found.docker(*listing).split()
        assert [n for n in names if any(f"{NAME}-{branch}" in n for branch in NAMES)] == []


@pytest.fixture(scope="module")
def branches(project: Project) -> Iterator[dict[str, Branch]]:
    """Each with a client of its own."""
    with ExitStack() as clients:
        yield {
            name: Branch(
                project,
                name,
                clients.enter_context(
                    httpx.Client(
                        base_url=f"http://127.0.0.1:{project.port + 100 * number}",
                        timeout=30,
                        trust_env=False,
                    )
                ),
            )
            for number, name in enumerate(NAMES)
        }


def test_each_branch_sells_its_own_and_all_hear_of_it(branches: dict[str, Branch]) -> None:
    matriz, filial, litoral = branches.values()
    sku = str(matriz.shop.new_product(stock=30)["sku"])
    for name, quantity in (("filial", 10), ("litoral", 5)):
        body = {"sku": sku, "to": name, "quantity": quantity}
        operator = matriz.shop.operator.headers
        sent = matriz.shop.http.post("/api/stock-transfers", json=body, headers=operator)
        assert sent.status_code == 201, sent.text
    wanted = {"matriz": 15, "filial": 10, "litoral": 5}
    for branch in branches.values():
        wait_until(lambda at=branch: at.knows(sku) == wanted, 60)

    # Each takes from its own stock: the others are on the same network, under the same names.
    assert [branch.buy(sku, 2) for branch in branches.values()] == [201, 201, 201]

    after = {"matriz": 13, "filial": 8, "litoral": 3}
    for branch in branches.values():
        wait_until(lambda at=branch: at.knows(sku) == after, 60)
    assert litoral.buy(sku, 4) == 409
    for branch in branches.values():
        others = set(NAMES) - {branch.name}
        wait_until(lambda at=branch, them=others: at.customers_elsewhere() >= them, 60)
    assert filial.knows(sku)["filial"] == 8


def test_a_branch_that_is_cut_off_goes_on_and_comes_back(
    project: Project, branches: dict[str, Branch]
) -> None:
    matriz, filial, _ = branches.values()
    sku = str(matriz.shop.new_product(stock=20)["sku"])
    body = {"sku": sku, "to": "filial", "quantity": 8}
    operator = matriz.shop.operator.headers
    assert (
        matriz.shop.http.post("/api/stock-transfers", json=body, headers=operator).status_code
        == 201
    )
    for branch in branches.values():
        wait_until(lambda at=branch: at.knows(sku) == {"matriz": 12, "filial": 8}, 60)
    with filial.cut_off():
        # Six each, of twelve and of eight; then more than the branch has left.
        assert [filial.buy(sku) for _ in range(6)] == [201] * 6
        assert [matriz.buy(sku) for _ in range(6)] == [201] * 6
        assert filial.buy(sku, 3) == 409
        name = f"Editado na filial {uuid.uuid4().hex[:6]}"
        found = filial.shop.http.get(f"/api/products/{filial.id_of(sku)}")
        match = {"If-Match": found.headers["ETag"]}
        changed = filial.shop.http.patch(
            f"/api/products/{filial.id_of(sku)}",
            json={"name": name},
            headers=filial.shop.operator.headers | match,
        )
        assert changed.status_code == 200, changed.text
        waiting = (matriz.pending(), filial.pending())
        assert waiting[0] and waiting[1]
        assert matriz.knows(sku) == {"matriz": 6, "filial": 8}
        assert filial.knows(sku) == {"matriz": 12, "filial": 2}
    for branch in branches.values():
        wait_until(lambda at=branch: at.pending() == 0, 90)
        wait_until(lambda at=branch: at.knows(sku) == {"matriz": 6, "filial": 2}, 60)
    renamed = matriz.shop.http.get(f"/api/products/{matriz.id_of(sku)}").json()
    assert renamed["name"] == name
    printed = project.make("audit", "ON=compose", "ALL=1")
    assert printed.count("audit: all hold\n") == 3
    assert "audit: all hold between branches" in printed
    figure(
        "branches in containers",
        f"filial cut off: {waiting[0]} events waited at matriz and {waiting[1]} at filial,"
        " all delivered; the audit of all holds",
    )


def test_a_branch_from_a_backup_sells_nothing_until_its_peers_have_answered(
    project: Project, branches: dict[str, Branch]
) -> None:
    matriz, filial, _ = branches.values()
    sku = str(filial.shop.new_product(stock=10)["sku"])
    wait_until(lambda: matriz.knows(sku) == {"filial": 10}, 60)
    filial.make("backup", "ON=compose", "TO=backups")
    (folder,) = (project.folder / "backups").iterdir()
    # Sold and sent since: what the backup does not know.
    assert filial.buy(sku, 3) == 201
    body = {"sku": sku, "to": "litoral", "quantity": 2}
    operator = filial.shop.operator.headers
    sent = filial.shop.http.post("/api/stock-transfers", json=body, headers=operator)
    assert sent.status_code == 201, sent.text
    wanted = {"filial": 5, "litoral": 2}
    for branch in branches.values():
        wait_until(lambda at=branch: at.knows(sku) == wanted, 60)

    with matriz.cut_off():
        printed = filial.make("restore", "ON=compose", f"FROM=backups/{folder.name}", "FORCE=1")
        assert "closed until the other branches have said" in printed
        assert filial.state()["rejoining"] and filial.state()["units"].get("filial", 0) == 0
        assert filial.buy(sku) == 409

    wait_until(lambda: not filial.state()["rejoining"], 120)
    assert filial.state()["epoch"] == 3
    for branch in branches.values():
        wait_until(lambda at=branch: at.pending() == 0, 120)
        wait_until(lambda at=branch: at.knows(sku) == wanted, 60)
    assert filial.buy(sku, 6) == 409
    assert filial.buy(sku, 5) == 201
    printed = project.make("audit", "ON=compose", "ALL=1")
    assert "audit: all hold between branches" in printed
