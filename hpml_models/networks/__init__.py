"""Networks of our own, where no library has them. They import torch: models import them late."""
