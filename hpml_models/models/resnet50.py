"""ResNet-50: see :mod:`hpml_models.networks.resnet`."""

from hpml_models.networks import resnet

SPEC = resnet.spec(
    "resnet50", stages=(3, 4, 6, 3), has_bottlenecks=True, parameter_count=25_557_032
)
