"""Who calls a method, as far as the transport can tell. Free of the gRPC library."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """What came with a call beside its message."""

    token: str = field(default="", repr=False)
    """What Auth.Authenticate gave out (metadata `token` or `authorization`); empty without one."""
    certificate_name: str = ""
    """Common name of the client's certificate, which the transport has checked; empty without."""
    requires_leader: bool = False
    """Whether to refuse rather than serve without a leader (metadata `hasleader`)."""


#: A caller of whom nothing is known.
ANYBODY = Caller()
