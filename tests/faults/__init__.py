"""Members of the store as real processes, broken in every way that a machine has.

`rig` starts them, puts load on them and judges what was seen; a test breaks something in between.
"""
