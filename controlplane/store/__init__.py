"""The MVCC key-value store behind the etcd v3 API."""
