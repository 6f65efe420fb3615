"""What stock does when one call comes after the other, in plain Python."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.race.rig import Ledger

# Units of the products at the start; a product is its position here.
SHELVES = (6, 3, 9)
Items = dict[int, int]


@dataclass
class Model:
    """Products and reservations, each known by a small number."""

    available: list[int] = field(default_factory=lambda: list(SHELVES))
    brought: list[int] = field(default_factory=lambda: list(SHELVES))
    active: list[bool] = field(default_factory=lambda: [True] * len(SHELVES))
    reservations: dict[int, tuple[str, Items]] = field(default_factory=dict)

    def reserve(self, number: int, items: Items) -> Any:
        """The answer to a reserve: a state, what falls short, or the name of a refusal."""
        state, held = self.reservations.get(number, ("none", {}))
        if state == "released":
            return "ReservationReleased"
        if state != "none":
            return state if held == items else "ReservationMismatch"
        short = {each: on_sale for each in items if (on_sale := self._on_sale(each)) < items[each]}
        if short:
            return short
        self._move(items, -1)
        self.reservations[number] = ("held", items)
        return "held"

    def _on_sale(self, product: int) -> int:
        return self.available[product] if product >= 0 and self.active[product] else 0

    def commit(self, number: int) -> str:
        """The state after a commit, or the name of its refusal."""
        state, items = self.reservations.get(number, ("none", {}))
        if state in ("none", "released"):
            return {"none": "ReservationNotFound", "released": "ReservationReleased"}[state]
        self.reservations[number] = ("committed", items)
        return "committed"

    def release(self, number: int, only_held: bool) -> str:
        """The state that a release finds."""
        state, items = self.reservations.get(number, ("none", {}))
        if state == "held" or (state == "committed" and not only_held):
            self._move(items, +1)
        if state != "committed" or not only_held:
            self.reservations[number] = ("released", items)
        return state

    def adjust(self, product: int, delta: int) -> bool:
        """Whether an adjustment is taken."""
        if self.available[product] + delta < 0:
            return False
        self.available[product] += delta
        self.brought[product] += delta
        return True

    def _move(self, items: Items, sign: int) -> None:
        for product, quantity in items.items():
            self.available[product] += sign * quantity

    def ledger(self, product: int) -> Ledger:
        """Where this product's units should be."""
        there = self.available[product]
        kept = {"held": 0, "committed": 0, "released": 0}
        for state, items in self.reservations.values():
            kept[state] += items.get(product, 0)
        return Ledger(there, there, self.brought[product], kept["held"], kept["committed"])

    def copy(self) -> Model:
        """A model to try something on."""
        return deepcopy(self)
