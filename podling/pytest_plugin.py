"""The pytest plugin: a cluster as a fixture."""
