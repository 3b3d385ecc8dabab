"""The CRI runtime: pods as processes."""
