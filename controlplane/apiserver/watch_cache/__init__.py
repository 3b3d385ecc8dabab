"""Everything that is read: lists and watches, answered from memory.

One watch of the store feeds `watch_cache`, which keeps a `kind_cache` and the `watchers` of each
kind; `object_lists` and `watch_streams` answer from there. Objects stay bytes, encoded once for all
who watch. What is decided about an object on its way into the store belongs into `registry`.
"""
