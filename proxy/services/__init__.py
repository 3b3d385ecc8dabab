"""Balances connections to Services over their ready endpoints."""
