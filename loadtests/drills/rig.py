"""What a drill asks of the system it is done on; containers and the embedded stack answer it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Rig(Protocol):
    """A running Feira, and how to break it.

    Every method that breaks something returns when it is broken; each raises StackError, said in
    one line, when it cannot be done. What is named is a node of the cluster or another part.
    """

    # The gateway's address.
    url: str
    # E-mail and password of an account that may make products.
    admin: tuple[str, str]
    # Both nodes of the cluster that holds the catalog.
    nodes: tuple[str, ...]
    # The store of locks, and the two stores of carts and events.
    dcs: str
    carts: str
    streams: str

    def why_not(self, kind: str) -> str | None:
        """Why this kind of drill cannot be done here, if it cannot."""
        ...

    def catalog_instances(self) -> list[str]:
        """The names of the catalog's instances that run, as `kill` takes them."""
        ...

    def address(self, instance: str) -> str:
        """Where the gateway sends the requests of an instance: host:port, as its log says it."""
        ...

    def writers(self) -> set[str]:
        """The names, as logs give them, of the instances that write to the drilled cluster."""
        ...

    def watch_command(self, node: str) -> list[str]:
        """A command that prints what `look` does for this node's Patroni."""
        ...

    def kill(self, part: str) -> None:
        """Kill all processes of a part at once (SIGKILL); nothing starts them again."""
        ...

    def crash_postmaster(self, node: str) -> None:
        """Kill the postmaster of a node and nothing else."""
        ...

    def freeze(self, node: str) -> None:
        """Stop every process of a node without ending it."""
        ...

    def cut(self, node: str) -> None:
        """Cut a node off from all others, from the store of locks and from its clients."""
        ...

    def mend(self) -> None:
        """Undo all of that, whoever did it: start, thaw and join every part again."""
        ...

    def acknowledges(self, node: str, seconds: float) -> bool | None:
        """Whether a node commits a transaction that changes no table, asked past all services.

        None when it could not be asked, because the node is frozen or gone.
        """
        ...

    def service_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """What the services and background processes logged since a Unix time."""
        ...

    def gateway_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """What the gateway logged since a Unix time, request by request."""
        ...

    def audit(self) -> tuple[bool, str]:
        """Whether the invariants hold, and the audit's report."""
        ...
