"""Carts of guests and customers, in Redis."""

# Before any library: it says what not to load with them.
import chassis  # noqa: F401
