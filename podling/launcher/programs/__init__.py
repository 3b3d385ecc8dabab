"""What the processes of a cluster consist of: a replica, a node."""
