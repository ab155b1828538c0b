"""Any text as Markdown that shows it as it is: code for names, prose for reasons."""

import re


def code(text: str) -> str:
    """Return any text as Markdown's code, fit for a cell of a table."""
    line = " ".join(text.split()) or "(no name)"
    fence = "`" * (1 + max(map(len, re.findall(r"`+", line)), default=0))
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def prose(text: str) -> str:
    """Return any text so that Markdown shows it as it is: no markup, no mention, one line."""
    escaped = re.sub(r"([\\`*_\[\]<>|#~!])", r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("@", "@\N{ZERO WIDTH SPACE}")
