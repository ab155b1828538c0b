"""What theory says of a case before it runs, as figures that a record holds beside measured ones.

What a rank should hold and send is linear in what one device holds. So it is stated for one byte,
and whoever has measured one device can tell the bytes.
"""

from hpml_models.cases import registry
from hpml_models.cases.training import TrainingCase
from hpml_models.types import ModelBytes

PARAMETER = ModelBytes(parameter_bytes=1, optimizer_bytes=0)
OPTIMIZER = ModelBytes(parameter_bytes=0, optimizer_bytes=1)


def theory_of(case: TrainingCase) -> dict[str, float]:
    """Return the bytes that a rank holds and sends for each byte that one device holds."""
    strategy = registry.strategies()[case.strategy]
    figures = {
        "held_per_parameter_byte": strategy.model_bytes_in_theory(case, PARAMETER),
        "held_per_optimizer_byte": strategy.model_bytes_in_theory(case, OPTIMIZER),
        "sent_per_parameter_byte": strategy.traffic_in_theory(case, PARAMETER),
    }
    return {name: value for name, value in figures.items() if value is not None}
