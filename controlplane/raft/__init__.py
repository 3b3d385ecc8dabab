"""Raft consensus as a machine without I/O.

It is told of ticks, messages and proposals, and says what to persist, send and apply.
"""
