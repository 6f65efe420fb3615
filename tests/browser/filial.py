"""Another branch, played by the tests: it takes what it is told, and says what it has received."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from chassis.ids import new_id
from tests.shop import Shop
from tests.stand_in import Answer, Arrival, HangUp, StandIn

NAME = "filial"


class Filial:
    """The branch `filial` as its peer meets it at its door.

    Attributes:
        away: whether it hangs up on everybody.
        told: the events that it was told, oldest first.
    """

    def __init__(self) -> None:
        self.away = False
        self.told: list[dict[str, Any]] = []
        self.token = secrets.token_urlsafe(32)
        self._door = StandIn(self._answer)
        self.url = f"http://127.0.0.1:{self._door.port}"

    def _answer(self, arrival: Arrival) -> Answer | HangUp:
        if self.away:
            return HangUp()
        body = json.loads(arrival.body)
        batch = body if isinstance(body, list) else [body]
        self.told += batch
        known = {"epoch": 1, "start": None, "position": 0}
        services = {each["source"].rpartition("/")[2] for each in batch}
        document = {
            "branch": NAME,
            "services": {name: {"epoch": 1, "known": known} for name in services},
            "results": [{"id": each["id"], "outcome": "applied"} for each in batch],
        }
        return Answer(body=json.dumps(document).encode())

    def was_sent(self, transfer_id: str) -> bool:
        """Whether it was told of these units."""
        transfers = [each["data"] for each in self.told if each["type"] == "stock.transferred"]
        return any(each["id"] == transfer_id for each in transfers)

    def receive(self, shop: Shop, transfer: dict[str, Any]) -> None:
        """Say that the units have arrived."""
        event = {
            "specversion": "1.0",
            "id": new_id(),
            "source": f"/{NAME}/catalog",
            "type": "stock.transferred",
            "subject": transfer["sku"],
            "time": datetime.now(UTC).isoformat(),
            "lamport": 1,
            "datacontenttype": "application/json",
            "data": transfer | {"state": "received"},
        }
        answer = shop.http.post(
            "/replica/event", json=event, headers={"X-Replica-Token": self.token}
        )
        assert answer.json()["results"][0]["outcome"] == "applied", answer.text

    def close(self) -> None:
        """Be gone."""
        self._door.stop()
