"""`autodiff.data`: data sets, samplers and loaders; also found as `autodiff.utils.data`."""

from autodiff.data.collate import *
from autodiff.data.dataset import *
from autodiff.data.loader import *
from autodiff.data.sampler import *
from autodiff.data.worker import get_worker_info as get_worker_info
from autodiff.places import own_names

__all__ = own_names(globals())
