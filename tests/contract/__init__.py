"""Suites that every implementation of an interface passes, the real one and the simulated alike.

A suite is a base class whose name does not start with `Test`; a test file elsewhere derives from it
and supplies the fixture that makes the thing under test.
"""
