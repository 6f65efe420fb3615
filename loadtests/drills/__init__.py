"""Faults on purpose, under a load of purchases, with figures: what `make drill` runs."""
