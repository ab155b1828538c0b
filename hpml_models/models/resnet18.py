"""ResNet-18: see :mod:`hpml_models.networks.resnet`."""

from hpml_models.networks import resnet

SPEC = resnet.spec("resnet18", stages=(2, 2, 2, 2), parameter_count=11_689_512)
