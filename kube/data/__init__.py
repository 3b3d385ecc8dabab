"""Generated tables: the structure of Kubernetes' types, and their protobuf field numbers.

Only JSON files that `scripts/generate_kube.py` writes may live here; `kube/schema_table.py` and
`kube/protobuf_table.py` read them, on first use.
"""
