"""ResNet-50: see :mod:`hpml_models.networks.resnet`."""

from hpml_models.networks import resnet

SPEC = resnet.spec("resnet50", blocks=16, parameter_count=25_557_032)
