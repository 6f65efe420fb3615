"""What holds of the PostgreSQL nodes and of etcd while nothing is lost."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest
from sqlalchemy.exc import OperationalError

from chassis.db import Database
from local import locks
from local.stack import Stack
from tests.outage.nodes import wait_whole
from tests.race.rig import frozen, kill, standby, wait_back
from tests.shop import wait_until


def test_a_patroni_that_was_killed_takes_over_the_postgresql_that_runs(stack: Stack) -> None:
    wait_whole(stack, 30)
    primary = stack.cluster.primary()
    before = {name: stack.cluster.postmaster(name) for name in stack.cluster.nodes}
    for name in stack.cluster.nodes:
        wait_back(stack, name, kill(stack, name))
    assert {name: stack.cluster.postmaster(name) for name in stack.cluster.nodes} == before
    wait_whole(stack, 30)
    assert stack.cluster.primary() == primary


def test_what_is_acknowledged_is_on_the_standby(stack: Stack) -> None:
    wait_whole(stack, 30)
    found = stack.cluster.query("SELECT application_name, sync_state FROM pg_stat_replication")
    assert found == [(standby(stack), "sync")]


def test_a_commit_that_was_kept_from_waiting_for_the_standby_is_not_acknowledged(
    stack: Stack,
) -> None:
    wait_whole(stack, 30)
    victim = "cancelled-commit"
    writing = "SELECT CAST(pg_logical_emit_message(true, 'test', '') AS text)"
    dsn = stack.dsn("orders", "orders")
    database = Database("orders", dsn, pool_size=1, wait_seconds=20, application_name=victim)
    database.call(writing, {}, repeatable=False)
    # Given a commit that waits for a standby that is frozen
    with closing(psycopg2.connect(stack.cluster.superuser_url())) as operator:
        operator.autocommit = True
        with frozen(stack, standby(stack)), ThreadPoolExecutor(1) as pool:
            acknowledged = pool.submit(database.call, writing, {}, repeatable=False)
            waits = f"application_name = '{victim}' AND wait_event = 'SyncRep'"
            # When somebody cancels its wait, and PostgreSQL calls that a success
            cancel = f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {waits}"
            with operator.cursor() as cursor:
                wait_until(lambda: (cursor.execute(cancel), cursor.fetchall())[1])
            # Then it counts as one of which nobody knows if it lasts
            with pytest.raises(OperationalError, match="may not be on the standby"):
                acknowledged.result(timeout=10)
    database.dispose()
    wait_whole(stack, 30)


def test_etcd_answers_nobody_without_its_certificate(stack: Stack) -> None:
    certificate, _ = locks.certificate_files(stack.settings)
    for node in stack.cluster.nodes.values():
        url = f"https://127.0.0.1:{node.dcs_port}/v3/kv/range"
        context = ssl.create_default_context(cafile=certificate)
        with pytest.raises(httpx.HTTPError):
            httpx.post(url, json={"key": "AA=="}, verify=context, trust_env=False, timeout=5)


def test_patroni_changes_nothing_without_its_password(stack: Stack) -> None:
    for node in stack.cluster.nodes.values():
        answer = httpx.post(f"{node.rest_url}/restart", json={}, trust_env=False, timeout=5)
        assert answer.status_code == 401


def test_only_loopback_reaches_the_nodes_and_etcd(stack: Stack) -> None:
    ports = {
        port
        for name, port in stack.settings.ports.items()
        if name.startswith(("postgres_", "patroni_", "etcd_"))
    }
    listening = {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port in ports
    }
    assert listening == {("127.0.0.1", port) for port in ports}


def test_an_operator_can_ask_with_patronictl(stack: Stack) -> None:
    configuration = stack.settings.run / "postgres-1" / "patroni.yml"
    assert configuration.stat().st_mode & 0o777 == 0o600

    def roles() -> list[str]:
        program = Path(sys.executable).with_name("patronictl")
        command = [str(program), "-c", str(configuration), "list", "-f", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return sorted(each["Role"] for each in json.loads(done.stdout))

    wait_until(lambda: roles() == ["Leader", "Sync Standby"])
