"""The parts of `make run` that can be seen without starting everything."""

from __future__ import annotations

import configparser
import json
import os
import re
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from local import gateway
from local.certificate import VALID_DAYS, ensure_certificate
from local.errors import StackError
from local.launch import PROCESS, STACK, launch
from local.logs import _Tail
from local.memory import family_bytes, pss_bytes
from local.postgres import Cluster
from local.process import Process, Stage
from local.secrets import load_secrets, secrets_file
from local.settings import PORTS, REPOSITORY, Settings, read_settings
from local.supervision import Supervisor
from local.templates import render
from local.web import check_ports, free_ports


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a stack in a folder whose name has all that a shell or a format could trip on."""
    home = tmp_path / "it's 100 %d"
    made = read_settings(feira_home=home, **free_ports())
    for folder in (home, made.data, made.logs, made.run):
        folder.mkdir()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    again = load_secrets(tmp_path)
    assert again == first
    assert mode(secrets_file(tmp_path)) == 0o600
    values = list(vars(first).values())
    assert len(set(values)) == len(values)
    assert re.fullmatch(r"[a-hj-km-np-z2-9]{4}(-[a-hj-km-np-z2-9]{4}){3}", first.demo_password)
    assert not any(value in repr(first) for value in values)


def test_a_secret_that_a_newer_version_needs_is_added_to_the_file(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    path = secrets_file(tmp_path)
    kept = [line for line in path.read_text().splitlines() if not line.startswith("PROBE_")]
    path.write_text("\n".join(kept) + "\n")
    second = load_secrets(tmp_path)
    assert second.probe_password != first.probe_password
    assert second.postgres_password == first.postgres_password


def test_the_admins_password_can_be_chosen_at_the_first_start_only(tmp_path: Path) -> None:
    assert load_secrets(tmp_path, {"admin_password": "first choice"}).admin_password == (
        "first choice"
    )
    assert load_secrets(tmp_path, {"admin_password": "second choice"}).admin_password == (
        "first choice"
    )


def test_lost_secrets_are_not_made_anew_over_data_that_needs_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres-1").mkdir(parents=True)
    with pytest.raises(StackError, match=r"secrets\.env is missing"):
        load_secrets(tmp_path)
    assert not secrets_file(tmp_path).exists()


def test_all_ports_move_with_port_except_those_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PORTS:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PORT", "9080")
    monkeypatch.setenv("CART_PORT", "7000")
    assert read_settings().ports == {
        **{name: port + 1000 for name, port in PORTS.items()},
        "cart_port": 7000,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "abc", "PORT: Input should be a valid integer"),
        ("PORT", "70000", "PORT: Input should be less than or equal to 65535"),
        ("CART_PORT", "5003", "CART_PORT and ORDERS_PORT are both 5003"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    for other in PORTS:
        monkeypatch.delenv(other.upper(), raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(StackError) as raised:
        read_settings()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_busy_port_is_named_with_what_wants_it_and_the_variable(settings: Settings) -> None:
    check_ports(settings)
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.postgres_2_port))
        other.listen()
        with pytest.raises(StackError) as raised:
            check_ports(settings)
    assert raised.value.process == "postgres-2"
    text = str(raised.value)
    assert f"port {settings.postgres_2_port} on 127.0.0.1 is busy" in text
    assert f"process {os.getpid()}" in text
    assert "set POSTGRES_2_PORT" in text
    assert "\n" not in text


def test_the_certificate_is_for_this_machine_and_is_kept(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    ensure_certificate(certificate, key)
    first = certificate.read_bytes()
    ensure_certificate(certificate, key)
    assert certificate.read_bytes() == first
    assert mode(key) == 0o600
    loaded = x509.load_pem_x509_certificate(first)
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ip_address("127.0.0.1"),
        ip_address("::1"),
    ]
    lasts = loaded.not_valid_after_utc - loaded.not_valid_before_utc
    assert lasts == timedelta(days=VALID_DAYS)
    assert loaded.not_valid_before_utc < datetime.now(UTC)


def test_a_broken_certificate_is_replaced(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    ensure_certificate(certificate, key)
    certificate.write_text("nonsense")
    ensure_certificate(certificate, key)
    x509.load_pem_x509_certificate(certificate.read_bytes())


def test_every_placeholder_of_the_gateway_has_a_value(settings: Settings) -> None:
    template = (REPOSITORY / "nginx" / "nginx.conf.template").read_text()
    values = gateway.placeholders(settings)
    rendered = render(template, values)
    lines = [line for line in rendered.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(r"\$\{[A-Z_]+\}", "\n".join(lines))
    assert f"listen 127.0.0.1:{settings.port};" in rendered
    assert set(re.findall(r"^[^#]*?\$\{([A-Z_]+)\}", template, re.MULTILINE)) <= set(values)


def test_a_placeholder_without_a_value_is_named() -> None:
    with pytest.raises(StackError, match=r"\$\{MISSING\}"):
        render("# ${SAID}\nlisten ${PORT};\n${MISSING}\n", {"PORT": "1"})


def test_no_secret_stands_on_a_command_line_or_in_a_file_others_can_read(
    settings: Settings,
) -> None:
    secret = "a\"b'c %(x)s ; # {}"
    process = Process("orders", ["true"], Stage.SERVICES, settings.run, environment={"KEY": secret})
    Supervisor(settings, "control-password").configure([process])
    path = settings.run / "supervisord.conf"
    assert mode(path) == 0o600
    assert secret not in path.read_text()
    parsed = configparser.RawConfigParser()
    parsed.read(path)
    program = parsed["program:orders"]
    assert (program["autorestart"], program["stopsignal"]) == ("true", "TERM")
    spec = settings.run / "orders.json"
    assert mode(spec) == 0o600
    environment = json.loads(spec.read_text())["environment"]
    assert environment == {"KEY": secret, STACK: str(settings.feira_home), PROCESS: "orders"}


def test_a_node_is_configured_in_a_file_that_only_its_owner_can_read(settings: Settings) -> None:
    secrets = load_secrets(settings.feira_home)
    for process in Cluster(settings, secrets).processes():
        path = settings.run / process.name / "patroni.yml"
        assert mode(path) == 0o600
        read = yaml.safe_load(path.read_text())
        assert read["name"] == process.name
        assert read["postgresql"]["data_dir"] == str(settings.data / process.name)
        assert read["postgresql"]["pgpass"] == str(settings.run / process.name / "pgpass")
        assert read["etcd3"]["key"] == str(settings.feira_home / "etcd.key")
        assert read["postgresql"]["authentication"]["superuser"] == {
            "username": "postgres",
            "password": secrets.postgres_password,
        }
        assert not any(value in " ".join(process.command) for value in vars(secrets).values())


def test_the_data_of_a_version_without_patroni_is_taken_over(settings: Settings) -> None:
    secrets = load_secrets(settings.feira_home)
    for name in ("postgres-primary", "postgres-standby"):
        (settings.data / name).mkdir()
        (settings.data / name / "postgresql.conf").write_text("port = 1")
    Cluster(settings, secrets).processes()
    assert sorted(path.name for path in settings.data.iterdir()) == ["postgres-1"]
    assert (settings.data / "postgres-1" / "postgresql.conf").read_text() == ""


def test_a_launched_process_gets_its_environment_and_folder(settings: Settings) -> None:
    code = "import os; print(os.getcwd(), os.environ['KEY'])"
    marks = {STACK: str(settings.feira_home), PROCESS: "printer"}
    spec = settings.run / "printer.json"
    described = {
        "command": [sys.executable, "-c", code],
        "directory": str(settings.data),
        "environment": {"KEY": "ação", **marks},
    }
    spec.write_text(json.dumps(described))
    done = subprocess.run(launch(str(spec)), capture_output=True, text=True, check=True)
    assert done.stdout == f"{settings.data} ação\n"


def test_the_memory_of_this_process_is_between_its_bounds() -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 2**20 < pss_bytes(os.getpid()) <= resident * 1.1
    assert family_bytes(os.getpid()) >= pss_bytes(os.getpid()) * 0.9
    assert pss_bytes(2**22 + 1) == 0


def test_a_followed_log_survives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "orders.log"
    path.write_text("one\ntw")
    tail = _Tail(path)
    assert tail.new_lines() == ["one"]
    with path.open("a") as log:
        log.write("o\n")
    assert tail.new_lines() == ["two"]
    path.rename(tmp_path / "orders.log.1")
    assert tail.new_lines() == []
    path.write_text("three\n")
    assert tail.new_lines() == ["three"]
