"""The configuration files of both PostgreSQL servers."""

from __future__ import annotations

from pathlib import Path

HOST = "127.0.0.1"

_SERVER = """\
# Written anew at every start.
listen_addresses = '{host}'
port = {port}
# A path in a deep folder would be too long for a socket.
unix_socket_directories = ''
hba_file = '{hba_file}'
password_encryption = scram-sha-256
# A standby must allow at least as many as its primary.
max_connections = 150
shared_buffers = {shared_buffers}
max_parallel_workers_per_gather = 0
jit = off
wal_level = replica
wal_log_hints = on
max_wal_senders = 6
max_replication_slots = 6
# A standby that stays away must not fill the disk: it is cloned anew instead.
max_slot_wal_keep_size = 512MB
max_wal_size = 512MB
hot_standby = on
hot_standby_feedback = on
synchronous_commit = on
synchronous_standby_names = ''
# Both sides notice a dead peer, and the standby comes back, within seconds.
wal_sender_timeout = 10s
wal_receiver_timeout = 10s
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 1s
client_connection_check_interval = 2s
cluster_name = '{name}'
log_line_prefix = '%m [%p] %u@%d '
log_min_duration_statement = 1s
log_timezone = 'UTC'
timezone = 'UTC'
"""

ACCESS = f"""\
# Passwords only, loopback only.
host all         all        {HOST}/32 scram-sha-256
host replication replicator {HOST}/32 scram-sha-256
"""


def configuration(name: str, port: int, hba_file: Path, shared_buffers: str) -> str:
    """The text of postgresql.conf, the same for both servers but for these values."""
    return _SERVER.format(
        host=HOST,
        port=port,
        name=name,
        hba_file=_quoted(str(hba_file)),
        shared_buffers=shared_buffers,
    )


def following(conninfo: str, slot: str) -> str:
    """What a standby's configuration says besides."""
    return f"primary_conninfo = '{_quoted(conninfo)}'\nprimary_slot_name = '{slot}'\n"


def _quoted(value: str) -> str:
    return value.replace("'", "''")
