"""Snapshots of one replica: when one is due, how it is made, how one is received."""
