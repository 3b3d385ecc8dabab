"""The volumes of pods: which files they hold, where their objects come from, and writing them.

`volume_files` decides which files there should be (pure), `object_source` reads and watches
ConfigMaps and Secrets, `volumes` makes the disk equal.
"""
