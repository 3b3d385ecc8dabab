"""Container logs: the lines of CRI's log files, read whole, from their end, or as they grow.

`log_lines` knows the format and decides which lines were asked for (pure). Writing and rotating the
files is the runtime's work.
"""
