"""Writing files that are complete or not there at all."""

from pathlib import Path


def write_whole(target: Path, content: str | bytes) -> None:
    """Write beside the target, then put it in its place."""
    part = target.with_name(f"{target.name}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
