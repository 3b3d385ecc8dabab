"""The command line: a file for each group of commands.

May live here: options, and what is printed. What a command does lives in `podling.launcher`, so
that tests and the pytest plugin do the same without a terminal.
"""
