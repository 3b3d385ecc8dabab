"""The write-ahead log and snapshot files: bytes on disk."""
