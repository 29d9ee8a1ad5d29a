"""autodiff: a small deep-learning engine with PyTorch's names and behaviour."""

from autodiff import autograd
from autodiff._format import get_printoptions, set_printoptions
from autodiff._version import __version__
from autodiff.dtypes import (
    bool,  # noqa: A004 - PyTorch's name
    dtype,
    float32,
    float64,
    get_default_dtype,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from autodiff.functions import *  # noqa: F403 - one table lists them
from autodiff.gradcheck import gradcheck, gradgradcheck
from autodiff.graph import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from autodiff.native import get_num_threads, set_num_threads
from autodiff.ops.pointwise import pointwise
from autodiff.ops.random import Generator, default_generator
from autodiff.shapes import Size
from autodiff.tensor import Tensor

double = float64
float = float32  # noqa: A001 - PyTorch's name
long = int64
int = int32  # noqa: A001 - PyTorch's name

