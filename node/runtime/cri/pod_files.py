"""The text of the files that every pod sees as its own. Pure."""

from collections.abc import Sequence

RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"


def resolv_conf(servers: Sequence[str], searches: Sequence[str], options: Sequence[str]) -> str:
    """resolv.conf(5), in the order that CRI runtimes write it."""
    lines = []
    if searches:
        lines.append("search " + " ".join(searches))
    lines += [f"nameserver {server}" for server in servers]
    if options:
        lines.append("options " + " ".join(options))
    return "".join(line + "\n" for line in lines)


def hosts(hostname: str, addresses: Sequence[str]) -> str:
    """hosts(5) of a pod with a network of its own."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if hostname:
        lines += [f"{address}\t{hostname}" for address in addresses]
    return "".join(line + "\n" for line in lines)
