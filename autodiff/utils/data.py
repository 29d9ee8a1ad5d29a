"""`autodiff.utils.data`: the names of `autodiff.data` where PyTorch has them."""

import sys

from autodiff import data
from autodiff.data import *  # noqa: F403
from autodiff.places import also_at

__all__ = data.__all__

also_at(__name__, "dataloader dataset distributed sampler _utils")
sys.modules[f"{__name__}._utils.collate"] = sys.modules["autodiff.data.collate"]
also_at(f"{__name__}._utils", "collate worker")
