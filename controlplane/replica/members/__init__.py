"""Who the members are, and how that changes."""
