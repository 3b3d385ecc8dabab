"""Podling: a Kubernetes that you pip install.

The repository's top-level folders are the floors of the house; committed links beside this file
make them one package, so `podling.controlplane.raft` is `controlplane/raft/` in the checkout.
`docs/ARCHITECTURE.md` has the picture.
"""

__version__ = "0.1.0"
