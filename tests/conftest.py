"""For all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does. The examples are the same in
# every run, so that what is said of a change depends on nothing but the change; to look for others,
# run with `--hypothesis-profile=search`.
for name, same in (("podling", True), ("search", False)):
    settings.register_profile(
        name, deadline=None, derandomize=same, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("podling")
