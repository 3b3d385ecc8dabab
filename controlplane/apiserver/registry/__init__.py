"""The one pipeline that every write of every kind goes through, and its steps.

`registry` holds the order; `admission` adds rules over several objects, `write_hooks` takes what is
common stock, `object_meta`, `patching` and `deletion` decide purely. A rule of one kind belongs
into `strategies`, not here.
"""
