"""ResNet-50: see :mod:`hpml_models.resnet`."""

from hpml_models import resnet

SPEC = resnet.spec("resnet50", parameter_count=25_557_032)
