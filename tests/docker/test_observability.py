"""Prometheus beside the running shop: what it finds, what its alerts do, what dashboards show."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx

from local.settings import REPOSITORY
from tests.async_orders.rig import ended, take
from tests.docker.project import Project
from tests.load import report
from tests.shop import Account, Shop, wait_until

DASHBOARDS = sorted((REPOSITORY / "compose/observability/grafana/dashboards").glob("*.json"))
JOBS = {"prometheus", "catalog", "cart", "orders", "orders-worker"} | {
    f"{service}-background" for service in ("catalog", "cart", "orders")
}
PROMTOOL = ("docker", "compose", "exec", "-T", "--workdir", "/etc/prometheus", "prometheus")


def ask(stack: Project, expression: str) -> list[dict[str, Any]]:
    """The answer of Prometheus to a query: a list of {metric, value}."""
    answer = httpx.get(
        f"{stack.prometheus_url}/api/v1/query", params={"query": expression}, trust_env=False
    )
    document = answer.json()
    assert document["status"] == "success", (expression, document)
    result: list[dict[str, Any]] = document["data"]["result"]
    return result


def queries() -> list[tuple[str, str]]:
    """(panel, query) of every dashboard; Grafana's own variables as it would fill them in."""
    return [
        (f"{path.stem}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m"))
        for path in DASHBOARDS
        for panel in json.loads(path.read_text("utf-8"))["panels"]
        for target in panel["targets"]
    ]


def has_data(stack: Project, expression: str) -> bool:
    """Whether a query is answered with a number."""
    return any(not math.isnan(float(each["value"][1])) for each in ask(stack, expression))


def test_the_configuration_and_the_alerts_are_what_promtool_accepts(stack: Project) -> None:
    for arguments in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")):
        done = stack.attempt(*PROMTOOL, "promtool", *arguments)
        assert done.returncode == 0, done.stdout


def test_an_alert_that_is_wrong_fails_its_test(stack: Project) -> None:
    script = (
        "set -e; cp alerts_test.yml /tmp; sed 's/> 300/> 3000/' alerts.yml >/tmp/alerts.yml;"
        " cd /tmp; promtool test rules alerts_test.yml"
    )
    done = stack.attempt(*PROMTOOL, "sh", "-c", script)
    assert done.returncode != 0 and "OrdersDoNotEnd" in done.stdout, done.stdout


def test_every_process_is_found_and_no_alert_is_given(stack: Project) -> None:
    def found() -> dict[str, int]:
        return {
            each["metric"]["job"]: int(each["value"][1]) for each in ask(stack, "sum by (job) (up)")
        }

    wait_until(lambda: found() == dict.fromkeys(JOBS, 1) | {"catalog": 2}, seconds=30)
    rules = httpx.get(f"{stack.prometheus_url}/api/v1/rules", trust_env=False).json()
    (group,) = rules["data"]["groups"]
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    assert ask(stack, 'ALERTS{alertname="NothingServes", alertstate="firing"}') == []


def test_every_query_of_a_dashboard_returns_data(stack: Project, shop: Shop) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=1000)["id"]
    asked = queries()
    assert len(asked) >= 20 and all("feira_" in query or "up" in query for _, query in asked)

    def none_is_empty() -> bool:
        # Something has to happen between two looks of Prometheus for a rate to be there.
        both_ways(shop, user, product)
        return not empty(stack, asked)

    try:
        wait_until(none_is_empty, seconds=45)
    finally:
        lacking = empty(stack, asked)
        report(f"{len(asked)} queries of {len(DASHBOARDS)} dashboards, without data: {lacking}")
    assert lacking == []


def both_ways(shop: Shop, user: Account, product: int) -> None:
    """Buy synchronously and asynchronously."""
    shop.buy(user, (product, 1))
    ended(shop, user, take(shop, user, shop.new_cart((product, 1))).json()["id"])


def empty(stack: Project, asked: list[tuple[str, str]]) -> list[str]:
    """Panels with a query that is answered with nothing."""
    return sorted({panel for panel, query in asked if not has_data(stack, query)})


def test_a_scaled_service_is_found_by_itself(stack: Project) -> None:
    workers = 'sum(up{job="orders-worker"})'
    scale(stack, 2)
    try:
        wait_until(lambda: ask(stack, workers)[0]["value"][1] == "2", seconds=30)
    finally:
        scale(stack, 1)


def scale(stack: Project, count: int) -> None:
    """Have so many workers, and nothing else changed."""
    unchanged = ("--detach", "--no-build", "--no-deps", "--no-recreate")
    stack.compose("up", *unchanged, f"--scale=orders-worker={count}", "orders-worker")


def test_the_pages_are_open_on_this_machine_only(stack: Project) -> None:
    (published,) = stack.inspect()["prometheus"]["HostConfig"]["PortBindings"].values()
    assert [each["HostIp"] for each in published] == ["127.0.0.1"]


def test_the_image_of_grafana_holds_the_dashboards(stack: Project) -> None:
    """On another base: the official one cannot be had everywhere, and is not started here."""
    image, base = "feira-test-grafana", "debian:bookworm-slim"
    folder = str(stack.folder / "compose/observability")
    build = ("build", "-q", "-t", image, "--target", "grafana", "--build-arg")
    try:
        stack.docker(*build, f"GRAFANA_IMAGE={base}", folder)
        listed = stack.docker("run", "--rm", image, "find", "/etc/grafana", "-type", "f").split()
    finally:
        stack.attempt("docker", "rmi", "-f", image)
    assert {f"/etc/grafana/dashboards/{path.name}" for path in DASHBOARDS} < set(listed)
    assert "/etc/grafana/provisioning/datasources/prometheus.yml" in listed
    assert "/etc/grafana/provisioning/dashboards/feira.yml" in listed
