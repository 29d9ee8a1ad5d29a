"""`autodiff.optim`: what moves parameters along their gradients."""

from autodiff.optim.optimizer import Optimizer
from autodiff.optim.sgd import SGD

__all__ = ["SGD", "Optimizer"]
