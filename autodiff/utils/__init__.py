"""`autodiff.utils`: memory for time (`checkpoint`), and where users look for `data`."""

import sys

from autodiff import hooks as hooks
from autodiff.utils import checkpoint, data, dlpack
from autodiff.utils._swap import swap_tensors

__all__ = ["checkpoint", "data", "dlpack", "swap_tensors"]

sys.modules[f"{__name__}.hooks"] = hooks
