"""Carts of guests and customers, in Redis."""
