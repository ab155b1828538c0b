"""What the plugin keeps of a run with pytest's configuration. Light: no session is started here."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hpml_gate.run.launched import Invocation
    from hpml_gate.run.progress import Progress
    from hpml_gate.run.session import GateSession

GATE: pytest.StashKey["GateSession"] = pytest.StashKey()  # only where something is gated
PROGRESS: pytest.StashKey["Progress"] = pytest.StashKey()
DESELECTED = pytest.StashKey[set[str]]()
NOT_JUDGED = ("gate", "not judged")  # a user property of a test that ran untimed
UNCOLLECTED = pytest.StashKey[dict[str, str]]()  # why, by the node id of a file or folder
INVOCATION: pytest.StashKey["Invocation"] = pytest.StashKey()
