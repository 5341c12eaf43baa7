"""Hook of mkdocs: links to files of `examples/`, which are for readers of `docs/` on disk, become plain names.

The site has the code itself in their place.
"""

import re
from typing import Any

_LINK = re.compile(r"\[(`[^`]+`)\]\(\.\./examples/[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 whatever mkdocs passes
    """Return a page's Markdown with its links to examples replaced by their texts."""
    return _LINK.sub(r"\1", markdown)
