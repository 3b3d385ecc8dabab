"""Generated typed dicts of Kubernetes' objects, a stub module per group and version.

They exist for the type checker alone: import them under `TYPE_CHECKING`. Nothing here can be
imported at run time, and nothing is written by hand.
"""
