"""The simulated world: virtual time, in-memory network and disk, one seed."""
