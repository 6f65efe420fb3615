"""Accounts, checkout and orders."""
