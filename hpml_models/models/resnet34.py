"""ResNet-34: see :mod:`hpml_models.networks.resnet`."""

from hpml_models.networks import resnet

SPEC = resnet.spec("resnet34", stages=(3, 4, 6, 3), parameter_count=21_797_672)
