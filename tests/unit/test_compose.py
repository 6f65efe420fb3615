"""docker-compose.yml, .env.example and the settings say the same; and how secrets are made."""

from __future__ import annotations

import os
import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import compose_overlays, compose_reference, compose_secrets
from local.errors import StackError
from local.settings import REPOSITORY, GatewaySettings
from local.templates import render as render_here

TEXT = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
KAFKA_TEXT = (REPOSITORY / "compose/kafka.yml").read_text("utf-8")
OBSERVED_TEXT = (REPOSITORY / "compose/observability.yml").read_text("utf-8")
MAIL_TEXT = (REPOSITORY / "compose/mail.yml").read_text("utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
EXAMPLE = (REPOSITORY / ".env.example").read_text("utf-8")
# Given to the one job that needs them.
JOBS = {
    "catalog_migration_url": "catalog-migrate",
    "orders_migration_url": "orders-migrate",
    "admin_password": "orders-seed",
    "demo_password": "orders-seed",
    "probe_password": "orders-seed",
}


# The folder is the embedded stack's, and the mail server is in compose/mail.yml.
NOT_IN_CONTAINERS = {"mail_folder", "smtp_url"}


def settings_of(service: str) -> Any:
    return import_module(f"{service}.settings").Settings


def test_the_example_is_up_to_date() -> None:
    assert compose_reference.render() == EXAMPLE, (
        "renew it: .venv/bin/python -m local.compose_reference > .env.example"
    )


def test_every_variable_is_in_the_example_with_its_default_and_no_other_is() -> None:
    without_comments = re.sub(r"(?m)^\s*#.*$", "", TEXT + KAFKA_TEXT + OBSERVED_TEXT)
    optional = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", without_comments))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", without_comments))
    every = set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", without_comments))
    assert every == optional.keys() | required
    with_mail = dict.fromkeys(re.findall(r"\$\{([A-Z_]+):\?", MAIL_TEXT), "")
    assert with_mail == {"SMTP_URL": ""}
    assert dict(re.findall(r"(?m)^#([A-Z_]+)=(.*)$", EXAMPLE)) == optional | with_mail
    assert set(re.findall(r"(?m)^([A-Z_]+)=$", EXAMPLE)) == required == set(compose_secrets.MAKERS)


@pytest.mark.parametrize("service", ["catalog", "cart", "orders"])
def test_every_setting_reaches_its_service(service: str) -> None:
    for name in settings_of(service).model_fields.keys() - NOT_IN_CONTAINERS:
        container = JOBS.get(name, service)
        # The entry script names each instance after its container.
        assert name == "instance" or name.upper() in SERVICES[container]["environment"], name


def test_the_secrets_of_a_job_reach_nobody_else() -> None:
    for name, job in JOBS.items():
        holders = {
            service
            for service, definition in SERVICES.items()
            if name.upper() in definition.get("environment", {})
        }
        assert holders == {job}


def test_every_limit_reaches_the_gateway() -> None:
    names = {name.upper() for name in GatewaySettings.model_fields} - {"LISTEN_ADDRESS"}
    assert names <= SERVICES["gateway"]["environment"].keys()


def test_only_the_gateway_publishes_ports_or_is_on_a_network_that_leads_out() -> None:
    networks: dict[str, Any] = yaml.safe_load(TEXT)["networks"]
    leading_out = {name for name, network in networks.items() if not network.get("internal")}
    assert leading_out == {"edge"}
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["gateway"]
    assert [name for name in SERVICES if "edge" in SERVICES[name].get("networks", [])] == [
        "gateway"
    ]


def test_everything_that_stays_has_a_health_check() -> None:
    staying = {name for name, each in SERVICES.items() if each["restart"] == "unless-stopped"}
    assert {"gateway", "catalog", "cart-background", "etcd"} <= staying
    assert [name for name in staying if "healthcheck" not in SERVICES[name]] == []


def test_a_first_start_makes_every_secret_and_the_second_changes_nothing() -> None:
    made = compose_secrets.completed("")
    values = dict(re.findall(r"(?m)^([A-Z_]+)=(.+)$", made))
    assert set(compose_secrets.MAKERS) <= values.keys()
    secrets = [values[name] for name in compose_secrets.MAKERS]
    assert len(set(secrets)) == len(secrets)
    assert compose_secrets.completed(made) == made


def test_what_a_person_wrote_stays_and_what_is_empty_is_filled_in() -> None:
    written = "# mine\nADMIN_PASSWORD=escolhida-por-mim\nSERVICE_TOKEN=\nPORT=9080\n"
    lines = compose_secrets.completed(written).splitlines()
    assert lines[:2] == ["# mine", "ADMIN_PASSWORD=escolhida-por-mim"]
    assert re.fullmatch(r"SERVICE_TOKEN=[0-9a-f]{48}", lines[2])
    assert lines[3] == "PORT=9080"
    assert sum(line.startswith("SERVICE_TOKEN=") for line in lines) == 1
    assert "SEED_DEMO" not in "".join(lines)


def test_a_secret_that_would_mean_something_else_in_a_uri_is_refused() -> None:
    with pytest.raises(StackError, match="CATALOG_PASSWORD"):
        compose_secrets.completed("CATALOG_PASSWORD=a@b:c\n")


def render(template: str, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The containers' own way of rendering a template."""
    command = ["sh", str(REPOSITORY / "compose/render"), str(REPOSITORY / template)]
    environment = {"PATH": os.environ["PATH"], **values}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_containers_and_the_embedded_stack_render_the_gateway_alike() -> None:
    template = (REPOSITORY / "nginx/nginx.conf.template").read_text("utf-8")
    names = set(re.findall(r"\$\{([A-Z_]+)\}", template)) - {"NAME"}
    values = {name: f"a\\1 & {name.lower()}; /x" for name in names}
    assert render("nginx/nginx.conf.template", values).stdout == render_here(template, values)


def test_a_template_without_one_of_its_values_is_refused() -> None:
    done = render("postgres/patroni.yml.template", {})
    assert done.returncode == 1
    assert "needs a value for" in done.stderr


def test_the_bus_is_noted_once_and_can_be_changed_back(tmp_path: Path) -> None:
    environment = tmp_path / ".env"
    environment.write_text("PORT=1\n")
    for _ in range(2):
        compose_overlays.choose(environment, bus="kafka")
        overlay = "COMPOSE_FILE=docker-compose.yml:compose/kafka.yml\n"
        assert environment.read_text() == "PORT=1\n" + overlay
    compose_overlays.choose(environment, bus="redis")
    assert environment.read_text() == "PORT=1\n"


def test_observers_and_the_bus_are_noted_beside_each_other(tmp_path: Path) -> None:
    environment = tmp_path / ".env"
    environment.write_text("PORT=1\nCOMPOSE_PROFILES=mine\n")
    both = "docker-compose.yml:compose/kafka.yml:compose/observability.yml"
    compose_overlays.choose(environment, observe="1")
    compose_overlays.choose(environment, bus="kafka")
    noted = {"PORT=1", f"COMPOSE_FILE={both}", "COMPOSE_PROFILES=grafana,mine"}
    assert set(environment.read_text().splitlines()) == noted
    compose_overlays.choose(environment, observe="prometheus")
    noted = {"PORT=1", f"COMPOSE_FILE={both}", "COMPOSE_PROFILES=mine"}
    assert set(environment.read_text().splitlines()) == noted
    compose_overlays.choose(environment, bus="redis", observe="0")
    assert set(environment.read_text().splitlines()) == {"PORT=1", "COMPOSE_PROFILES=mine"}


def test_mail_and_files_of_the_operators_own_stay_whatever_is_chosen(tmp_path: Path) -> None:
    environment = tmp_path / ".env"
    own = "compose/mail.yml:mine.yml"
    environment.write_text(f"COMPOSE_FILE=docker-compose.yml:{own}\n")
    compose_overlays.choose(environment, bus="kafka", observe="prometheus")
    every = f"docker-compose.yml:compose/observability.yml:compose/kafka.yml:{own}"
    assert environment.read_text() == f"COMPOSE_FILE={every}\n"
    compose_overlays.choose(environment, bus="redis", observe="0")
    assert environment.read_text() == f"COMPOSE_FILE=docker-compose.yml:{own}\n"


def test_a_compose_file_that_begins_with_another_is_left_alone(tmp_path: Path) -> None:
    environment = tmp_path / ".env"
    environment.write_text("COMPOSE_FILE=mine.yml:docker-compose.yml\n")
    with pytest.raises(StackError, match="is your own"):
        compose_overlays.choose(environment, bus="kafka")
    assert environment.read_text() == "COMPOSE_FILE=mine.yml:docker-compose.yml\n"


def test_kafka_may_do_no_more_than_the_others() -> None:
    kafka = yaml.safe_load(KAFKA_TEXT)["services"]["kafka"]
    assert kafka["read_only"] and kafka["cap_drop"] == ["ALL"] and "ports" not in kafka
    assert kafka["security_opt"] == ["no-new-privileges:true"] and kafka["user"] == "1000:1000"
    assert "mem_limit" in kafka and "pids_limit" in kafka and kafka["networks"] == ["kafka-store"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_observers_may_do_no_more_than_the_others(name: str) -> None:
    observer = yaml.safe_load(OBSERVED_TEXT)["services"][name]
    assert observer["read_only"] and observer["cap_drop"] == ["ALL"]
    assert observer["security_opt"] == ["no-new-privileges:true"] and observer["user"] != "0:0"
    assert "mem_limit" in observer and "pids_limit" in observer
    assert all(port.startswith("${OBSERVE_ADDRESS:-127.0.0.1}:") for port in observer["ports"])
    assert not any(volume.startswith((".", "/")) for volume in observer.get("volumes", []))
