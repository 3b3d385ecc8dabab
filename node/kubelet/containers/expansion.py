"""`$(NAME)` references in commands, arguments and environment values. Pure.

    $(NAME)    the value of NAME; left as written if NAME is unknown
    $$         one dollar sign, so that $$(NAME) is the text $(NAME)
    $x         left as written

Source: Kubernetes documentation, "Define Dependent Environment Variables".
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with its references replaced; replaced values are not looked at again.

    >>> expand("$(GREETING) $$(GREETING) $(NOBODY)", {"GREETING": "hello"})
    'hello $(GREETING) $(NOBODY)'
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else values.get(name, match.group(0))

    return _REFERENCE.sub(replace, text)
