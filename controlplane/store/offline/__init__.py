"""The files of a member, without the member: read, saved, restored, recovered.

What may live here: functions on data directories and saved snapshots that return values or raise
`OfflineError` and `DataDirectoryError`; and the texts of those values. No process, no network, no
printing. Reading changes nothing and takes no lock, so a running member's directory can be read.

* `inspection`, `log_inspection`, `snapshot_inspection`: what a directory holds, damaged or not.
* `entry_text`, `inspection_text`: the same in words, and as JSON.
* `saved_snapshot`: the file that `snapshot save` writes, as etcd's: the state, then its SHA-256.
* `restore`: a new directory of a new cluster, from such a file.
* `force_new_cluster`: a cluster of one, where the majority is lost.
"""
