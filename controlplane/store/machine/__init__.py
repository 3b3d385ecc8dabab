"""What the members replicate: keys with their history, leases, and the commands that change them.

Pure: it is told the time, and waits for nothing.
"""
