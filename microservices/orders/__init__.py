"""Accounts, checkout and orders."""

# Before any library: it says what not to load with them.
import chassis  # noqa: F401
