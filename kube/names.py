"""The rules for names and labels. Each function returns what is wrong, in upstream's words.

An empty list means the value is good. Sources: RFC 1123, RFC 1035 and the Kubernetes pages
"Object names and IDs" and "Labels and selectors"; message texts as kube-apiserver 1.37 sends them.
"""

import re

DNS_LABEL_MAX = 63
DNS_SUBDOMAIN_MAX = 253
LABEL_VALUE_MAX = 63

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PORT_NAME = "[-a-z0-9]+"

_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_LABEL_1035_RE = re.compile(_LABEL_1035)
_QUALIFIED_RE = re.compile(_QUALIFIED)
_LABEL_VALUE_RE = re.compile(f"({_QUALIFIED})?")
_CONFIG_KEY_RE = re.compile(_CONFIG_KEY)
_PORT_NAME_RE = re.compile(_PORT_NAME)


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _regex_error(text: str, pattern: str, *examples: str) -> str:
    """Upstream's form, its doubled blank before `or` included."""
    hint = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {hint}regex used for validation is '{pattern}')"


_LABEL_TEXT = _regex_error(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    _LABEL, "my-name", "123-abc",
)  # fmt: skip
_SUBDOMAIN_TEXT = _regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    "'-' or '.', and must start and end with an alphanumeric character",
    _SUBDOMAIN, "example.com",
)  # fmt: skip
_LABEL_1035_TEXT = _regex_error(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
    "an alphabetic character, and end with an alphanumeric character",
    _LABEL_1035, "my-name", "abc-123",
)  # fmt: skip
_QUALIFIED_TEXT = _regex_error(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character",
    _QUALIFIED, "MyName", "my.name", "123-abc",
)  # fmt: skip
_LABEL_VALUE_TEXT = _regex_error(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
    "or '.', and must start and end with an alphanumeric character",
    f"({_QUALIFIED})?", "MyValue", "my_value", "12345",
)  # fmt: skip
_CONFIG_KEY_TEXT = _regex_error(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY, "key.name", "KEY_NAME", "key-name",
)  # fmt: skip


def dns_label_errors(value: str) -> list[str]:
    """RFC 1123 label: namespaces, containers, volumes."""
    return _check(value, _LABEL_RE, DNS_LABEL_MAX, _LABEL_TEXT)


def dns_subdomain_errors(value: str) -> list[str]:
    """RFC 1123 subdomain: what most objects may be called."""
    return _check(value, _SUBDOMAIN_RE, DNS_SUBDOMAIN_MAX, _SUBDOMAIN_TEXT)


def rfc1035_label_errors(value: str) -> list[str]:
    """RFC 1035 label: Services, because they become DNS names that may not begin with a digit."""
    return _check(value, _LABEL_1035_RE, DNS_LABEL_MAX, _LABEL_1035_TEXT)


def label_value_errors(value: str) -> list[str]:
    return _check(value, _LABEL_VALUE_RE, LABEL_VALUE_MAX, _LABEL_VALUE_TEXT)


def _check(value: str, pattern: re.Pattern[str], limit: int, text: str) -> list[str]:
    errors = [_too_long(limit)] if len(value.encode("utf-8", "replace")) > limit else []
    if pattern.fullmatch(value) is None:
        errors.append(text)
    return errors


def qualified_name_errors(value: str) -> list[str]:
    """`name` or `prefix/name`: keys of labels, annotations, resources and condition types."""
    prefix, slash, name = value.rpartition("/")
    errors: list[str] = []
    if "/" in prefix:
        return [
            f"a qualified name {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors += [f"prefix part {text}" for text in dns_subdomain_errors(prefix)]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode("utf-8", "replace")) > LABEL_VALUE_MAX:
        errors.append(f"name part {_too_long(LABEL_VALUE_MAX)}")
    if _QUALIFIED_RE.fullmatch(name) is None:
        errors.append(f"name part {_QUALIFIED_TEXT}")
    return errors


def config_key_errors(value: str) -> list[str]:
    """A key of a ConfigMap or Secret, which may become a file name."""
    errors = _check(value, _CONFIG_KEY_RE, DNS_SUBDOMAIN_MAX, _CONFIG_KEY_TEXT)
    if value == ".":
        errors.append("must not be '.'")
    elif value == "..":
        errors.append("must not be '..'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def environment_name_errors(value: str) -> list[str]:
    """Name of an environment variable: printable ASCII without `=`, since 1.34."""
    if not value:
        return ["environment variable name must be non-empty"]
    if all(" " <= character <= "~" and character != "=" for character in value):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters "
        "other than '='"
    ]


def port_name_errors(value: str) -> list[str]:
    """An IANA service name: container and service ports may be called so."""
    errors: list[str] = []
    if len(value) > 15:
        errors.append(_too_long(15))
    if _PORT_NAME_RE.fullmatch(value) is None:
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= character <= "z" for character in value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number_errors(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def path_segment_errors(value: str) -> list[str]:
    """Names that need only fit into a URL path, such as those of RBAC roles."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in value]
