"""The one line that says, while a run goes on, what is being measured."""

from typing import Any

import pytest

from hpml_gate.clocks import REAL

QUIET_S = 10.0  # where lines cannot be rewritten (a log), one line per this many seconds is enough


class Progress:
    """One line that says what is being measured now."""

    def __init__(self, config: pytest.Config) -> None:
        """Write to pytest's own terminal reporter, if it is there."""
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._last_s = REAL.monotonic_s()
        self._shown = False

    def __call__(self, text: str) -> None:
        """Show ``text`` in place of the line before it (in a log: below it, now and then)."""
        if self._reporter is None:
            return
        if self._reporter.isatty:
            self._write(f"\r\x1b[2K{text}")
        elif REAL.monotonic_s() - self._last_s >= QUIET_S:
            self._write(f"\n{text} ")
        else:
            return
        self._shown, self._last_s = True, REAL.monotonic_s()

    def clear(self) -> None:
        """Take the line away again."""
        if self._shown and self._reporter is not None and self._reporter.isatty:
            self._write("\r\x1b[2K")
        self._shown = False

    def _write(self, text: str) -> None:
        if self._capture is None:
            self._reporter.write(text, flush=True)
            return
        with self._capture.global_and_fixture_disabled():
            self._reporter.write(text, flush=True)
