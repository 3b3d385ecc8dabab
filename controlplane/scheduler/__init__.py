"""Assigns pods to nodes."""
