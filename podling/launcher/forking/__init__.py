"""The processes of a cluster: how they are forked, what they inherit and hold."""
