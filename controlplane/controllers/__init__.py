"""The control loops: level-triggered, key in, plan, act, status."""
