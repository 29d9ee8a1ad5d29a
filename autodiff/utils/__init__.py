"""`autodiff.utils`: memory for time (`checkpoint`), and where users look for `data`."""

import sys

from autodiff import hooks as hooks
from autodiff.utils import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]

sys.modules[f"{__name__}.hooks"] = hooks
