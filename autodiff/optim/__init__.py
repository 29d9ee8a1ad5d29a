"""`autodiff.optim`: what moves parameters along their gradients."""

from autodiff.optim import lr_scheduler, swa_utils
from autodiff.optim.adadelta import Adadelta
from autodiff.optim.adafactor import Adafactor
from autodiff.optim.adagrad import Adagrad
from autodiff.optim.adam import Adam, AdamW
from autodiff.optim.adamax import Adamax
from autodiff.optim.asgd import ASGD
from autodiff.optim.lbfgs import LBFGS
from autodiff.optim.muon import Muon
from autodiff.optim.nadam import NAdam, RAdam
from autodiff.optim.optimizer import Optimizer
from autodiff.optim.rmsprop import RMSprop
from autodiff.optim.rprop import Rprop
from autodiff.optim.sgd import SGD
from autodiff.places import also_at

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon",
    "NAdam", "Optimizer", "RAdam", "RMSprop", "Rprop", "lr_scheduler", "swa_utils",
]  # fmt: skip

also_at(__name__, "adamw radam")
