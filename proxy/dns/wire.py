"""DNS messages as bytes (RFC 1035), by way of dnspython. Pure."""

from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from podling.proxy.dns.answers import Answer, Record

TTL = 5
"""Seconds, as CoreDNS has it: long enough to help, short enough to follow a rollout."""
HEADER = 12
"""Bytes of a message's header."""
UDP_MAX = 512
"""Bytes of a UDP answer to a client that does not offer more (RFC 1035, 2.3.4)."""
STREAM_MAX = 65535


@dataclass(frozen=True, slots=True)
class Query:
    """A message with one question."""

    message: dns.message.Message
    name: str
    """In lower case, with its final dot."""
    type: str


class NotAQuery(Exception):
    """Nothing that could be answered, not even by an error: to be dropped."""


def decode(data: bytes) -> Query | bytes:
    """The query in `data`, or the error message to answer at once; raises NotAQuery."""
    if len(data) < HEADER or data[2] & 0x80:  # an answer: never answered, lest two servers loop
        raise NotAQuery
    if (data[2] >> 3) & 0x0F != dns.opcode.QUERY:
        return refusal(data, dns.rcode.NOTIMP)
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
    except dns.exception.DNSException:
        return refusal(data, dns.rcode.FORMERR)
    if len(message.question) != 1:
        return refusal(data, dns.rcode.FORMERR)
    question = message.question[0]
    name = question.name.to_text().lower()
    return Query(message, name, dns.rdatatype.to_text(question.rdtype))


def refusal(query: bytes, code: dns.rcode.Rcode) -> bytes:
    """A bare error: the query's id, opcode and recursion-desired bit, and `code`."""
    flags = 0x8000 | (int.from_bytes(query[2:4]) & 0x7900) | int(code)
    return query[:2] + flags.to_bytes(2) + bytes(8)


def encode(query: Query, answer: Answer, domain: str, size_max: int) -> bytes:
    """The answer as bytes; truncated, and marked so, where it does not fit into `size_max`."""
    response = dns.message.make_response(query.message, recursion_available=True)
    response.flags |= dns.flags.AA
    if not answer.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    for record in answer.records:
        _add(response.answer, record)
    for record in answer.additional:
        _add(response.additional, record)
    if not answer.records:
        # How long the absence may be remembered (RFC 2308, section 3).
        soa = f"ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 {TTL}"
        _add(response.authority, Record(f"{domain}.", "SOA", soa))
    try:
        return response.to_wire(max_size=size_max)
    except dns.exception.TooBig:
        short = dns.message.make_response(query.message, recursion_available=True)
        short.flags |= dns.flags.AA | dns.flags.TC
        return short.to_wire()


def udp_size(query: Query) -> int:
    """How large a UDP answer this client takes."""
    return max(UDP_MAX, query.message.payload)


def _add(section: list[dns.rrset.RRset], record: Record) -> None:
    section.append(dns.rrset.from_text(record.name, TTL, "IN", record.type, record.data))
