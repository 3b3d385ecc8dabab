"""Drives raft, its log on disk and the streams to its peers.

The only place where the three meet.
"""
