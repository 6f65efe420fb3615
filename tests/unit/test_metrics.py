"""Metrics that several processes share, and those of a process that serves nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from chassis import exposed
from local.settings import REPOSITORY
from local.web import free_ports

COUNT = """
import os, signal, sys
from chassis import metrics
metrics.STOCK_CONFLICTS.inc(2)
metrics.POOL_IN_USE.labels("catalog", "primary").set(5)
if sys.argv[1] == "show":
    sys.stdout.buffer.write(metrics.exposition())
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def process(folder: Path, what: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY / "microservices"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }
    command = [sys.executable, "-c", COUNT, what]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True).stdout


def test_counts_outlive_a_process_that_was_killed_and_gauges_do_not(tmp_path: Path) -> None:
    assert process(tmp_path, "die") == ""
    shown = process(tmp_path, "show")
    assert "feira_stock_conflicts_total 4.0\n" in shown
    assert 'feira_pool_in_use{database="catalog",pool="primary"} 5.0\n' in shown


def test_a_process_without_a_port_of_its_own_shows_its_metrics_where_it_is_told_to() -> None:
    address = f"127.0.0.1:{free_ports()['port']}"
    exposed.expose(address)
    answer = httpx.get(f"http://{address}/metrics", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE feira_saga_steps_total counter" in answer.text
    with pytest.raises(SystemExit, match=f"METRICS_BIND: {address} cannot be had"):
        exposed.expose(address)
    exposed.expose(None)


ALERTS = yaml.safe_load((REPOSITORY / "compose/observability/alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TESTS = (REPOSITORY / "compose/observability/alerts_test.yml").read_text("utf-8")
PAGE = (REPOSITORY / "docs/observability.md").read_text("utf-8")


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    names = [rule["alert"] for rule in RULES]
    assert re.findall(r"(?m)^### (\w+)$", PAGE) == names
    assert set(re.findall(r"alertname: (\w+)", TESTS)) == set(names)
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == (
            f"docs/observability.md#{rule['alert'].lower()}"
        )


def test_alerts_and_dashboards_ask_for_metrics_that_there_are() -> None:
    known = set(re.findall(r"(?m)^\| `(feira_\w+)` \|", PAGE))
    boards = (REPOSITORY / "compose/observability/grafana/dashboards").glob("*.json")
    texts = [str(rule["expr"]) for rule in RULES] + [path.read_text("utf-8") for path in boards]
    asked = {name for text in texts for name in re.findall(r"feira_[a-z_]+", text)}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in asked} - known == set()


def test_prometheus_asks_every_process_of_the_containers() -> None:
    text = (REPOSITORY / "compose/observability/prometheus.yml").read_text("utf-8")
    asked = {
        job["job_name"]: (job["dns_sd_configs"][0]["names"], job["dns_sd_configs"][0]["port"])
        for job in yaml.safe_load(text)["scrape_configs"]
        if "dns_sd_configs" in job
    }
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))["services"]
    runs = {name: (each.get("command") or ["serve"])[0] for name, each in compose.items()}
    serving = {
        name: ([name], int(each["environment"]["BIND"].rpartition(":")[2]))
        for name, each in compose.items()
        if (each.get("command") or ["serve"])[0] == "serve"
        and "BIND" in each.get("environment", {})
    }
    beside = {
        name: ([name], int(each["environment"]["METRICS_BIND"].rpartition(":")[2]))
        for name, each in compose.items()
        if runs[name] in ("background", "worker")
    }
    assert asked == serving | beside
