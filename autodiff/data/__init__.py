"""`autodiff.data`: data sets, samplers and loaders; also found as `autodiff.utils.data`."""

from autodiff.data.collate import *  # noqa: F403 - each lists what is public
from autodiff.data.dataset import *  # noqa: F403
from autodiff.data.loader import *  # noqa: F403
from autodiff.data.sampler import *  # noqa: F403
from autodiff.data.worker import get_worker_info as get_worker_info
from autodiff.places import own_names

__all__ = own_names(globals())
