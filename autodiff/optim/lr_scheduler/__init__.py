"""`autodiff.optim.lr_scheduler`: learning rates that change as training goes on."""

from autodiff.optim.lr_scheduler.base import LRScheduler as LRScheduler
from autodiff.optim.lr_scheduler.composed import *
from autodiff.optim.lr_scheduler.cycles import *
from autodiff.optim.lr_scheduler.plateau import *
from autodiff.optim.lr_scheduler.schedules import *
from autodiff.places import own_names

__all__ = own_names(globals())
_LRScheduler = LRScheduler  # the name that older schedulers of users' own are derived from
