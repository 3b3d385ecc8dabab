"""Starts a cluster on this machine: fork server, processes, certificates and files."""
