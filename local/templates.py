"""The templates that Compose renders with compose/render, rendered the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping

from local.errors import StackError

_PLACEHOLDER = re.compile(r"\$\{([A-Z0-9_]+)\}")


def render(template: str, values: Mapping[str, str], process: str | None = None) -> str:
    """Put values in the places of ${NAME}; a comment may name a place that does not exist.

    Raises StackError naming a placeholder that has no value.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        line = template[template.rfind("\n", 0, match.start()) + 1 : match.start()]
        if name not in values and not line.lstrip().startswith("#"):
            raise StackError(f"the template needs a value for ${{{name}}}", process=process)
        return values.get(name, match[0])

    return _PLACEHOLDER.sub(value, template)
