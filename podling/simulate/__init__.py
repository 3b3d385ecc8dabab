"""The simulated world: what components are handed instead of disks, sockets and processes.

Everything here stands behind an interface that a real thing has too, and passes the same contract
suite. It ships, because users simulate as well; nothing outside tests and simulations imports it.
"""
