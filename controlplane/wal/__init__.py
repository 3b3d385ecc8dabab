"""The write-ahead log and snapshot files: bytes on disk.

    DIR/lock                                     held while a process uses DIR
    DIR/member.json                              format version, cluster and member id
    DIR/wal/0000000000000003-0000000000002711.wal    segment 3, whose first entry is 0x2711 or later
    DIR/snapshots/0000000000002710-0000000000000004.snap   state at entry 0x2710, of term 4
    DIR/snapshots/….part                         one being written; removed at start
    DIR/snapshots/….snap.damaged                 one that was passed over for an older one

Log and snapshots are sequences of records (`records`): each carries a version and a checksum that
covers the checksum of the record before, so that nothing can be lost, repeated or swapped unseen.

Promises: what `LogWriter` was given is on disk when its job is done, all of a batch or nothing. A
batch that a crash left half written is cut off at the next start, and said; damage anywhere else is
refused with file, offset and what to do, since entries that were acknowledged may be in it.

Imports `raft` for the shapes of entries and states, and nothing else of Podling.
"""
