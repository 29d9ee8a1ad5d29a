"""What PyTorch has at the top, too. Written by `python -m autodiff._stubs`."""

import builtins
from collections.abc import Sequence
from typing import Any

from autodiff.nn.functional import adaptive_avg_pool1d as adaptive_avg_pool1d
from autodiff.nn.functional import avg_pool1d as avg_pool1d
from autodiff.nn.functional import bilinear as bilinear
from autodiff.nn.functional import celu as celu
from autodiff.nn.functional import celu_ as celu_
from autodiff.nn.functional import channel_shuffle as channel_shuffle
from autodiff.nn.functional import conv1d as conv1d
from autodiff.nn.functional import conv2d as conv2d
from autodiff.nn.functional import conv3d as conv3d
from autodiff.nn.functional import conv_transpose1d as conv_transpose1d
from autodiff.nn.functional import conv_transpose2d as conv_transpose2d
from autodiff.nn.functional import conv_transpose3d as conv_transpose3d
from autodiff.nn.functional import cosine_similarity as cosine_similarity
from autodiff.nn.functional import hardshrink as hardshrink
from autodiff.nn.functional import max_pool1d as max_pool1d
from autodiff.nn.functional import max_pool1d_with_indices as max_pool1d_with_indices
from autodiff.nn.functional import max_pool2d as max_pool2d
from autodiff.nn.functional import max_pool3d as max_pool3d
from autodiff.nn.functional import pairwise_distance as pairwise_distance
from autodiff.nn.functional import pixel_shuffle as pixel_shuffle
from autodiff.nn.functional import pixel_unshuffle as pixel_unshuffle
from autodiff.nn.functional import prelu as prelu
from autodiff.nn.functional import rms_norm as rms_norm
from autodiff.nn.functional import rrelu as rrelu
from autodiff.nn.functional import rrelu_ as rrelu_
from autodiff.nn.functional import selu as selu
from autodiff.nn.functional import selu_ as selu_
from autodiff.nn.functional import threshold as threshold
from autodiff.nn.functional import threshold_ as threshold_
from autodiff.tensor import Tensor

def adaptive_max_pool1d(input: Tensor, output_size: Any) -> builtins.tuple[Tensor, Tensor]: ...
def affine_grid_generator(
    theta: Tensor, size: Sequence[builtins.int], align_corners: builtins.bool
) -> Tensor: ...
def alpha_dropout(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def alpha_dropout_(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: builtins.bool,
    momentum: builtins.float,
    eps: builtins.float,
    cudnn_enabled: builtins.bool,
) -> Tensor: ...
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = ...,
    pos_weight: Tensor | None = ...,
    reduction: builtins.int = ...,
) -> Tensor: ...
def constant_pad_nd(
    input: Tensor, pad: Sequence[builtins.int], value: builtins.float = ...
) -> Tensor: ...
def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: builtins.bool,
    output_padding: Any,
    groups: builtins.int,
) -> Tensor: ...
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: builtins.float = ...,
    reduction: builtins.int = ...,
) -> Tensor: ...
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: builtins.int = ...,
    reduction: builtins.int = ...,
    zero_infinity: builtins.bool = ...,
) -> Tensor: ...
def dropout(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def dropout_(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: builtins.int = ...,
    scale_grad_by_freq: builtins.bool = ...,
    sparse: builtins.bool = ...,
) -> Tensor: ...
def feature_alpha_dropout(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def feature_alpha_dropout_(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def feature_dropout(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def feature_dropout_(input: Tensor, p: builtins.float, train: builtins.bool) -> Tensor: ...
def grid_sampler(
    input: Tensor,
    grid: Tensor,
    interpolation_mode: builtins.int,
    padding_mode: builtins.int,
    align_corners: builtins.bool,
) -> Tensor: ...
def grid_sampler_2d(
    input: Tensor,
    grid: Tensor,
    interpolation_mode: builtins.int,
    padding_mode: builtins.int,
    align_corners: builtins.bool,
) -> Tensor: ...
def grid_sampler_3d(
    input: Tensor,
    grid: Tensor,
    interpolation_mode: builtins.int,
    padding_mode: builtins.int,
    align_corners: builtins.bool,
) -> Tensor: ...
def group_norm(
    input: Tensor,
    num_groups: builtins.int,
    weight: Tensor | None = ...,
    bias: Tensor | None = ...,
    eps: builtins.float = ...,
    cudnn_enabled: builtins.bool = ...,
) -> Tensor: ...
def gru(
    input: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: builtins.bool,
    num_layers: builtins.int,
    dropout: builtins.float,
    train: builtins.bool,
    bidirectional: builtins.bool,
    batch_first: builtins.bool,
) -> Any: ...
def gru_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = ...,
    b_hh: Tensor | None = ...,
) -> Any: ...
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: builtins.float = ..., reduction: builtins.int = ...
) -> Tensor: ...
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: builtins.bool,
    momentum: builtins.float,
    eps: builtins.float,
    cudnn_enabled: builtins.bool,
) -> Tensor: ...
def kl_div(
    input: Tensor, target: Tensor, reduction: builtins.int = ..., *, log_target: builtins.bool = ...
) -> Tensor: ...
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[builtins.int],
    weight: Tensor | None = ...,
    bias: Tensor | None = ...,
    eps: builtins.float = ...,
    cudnn_enable: builtins.bool = ...,
) -> Tensor: ...
def lstm(
    input: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: builtins.bool,
    num_layers: builtins.int,
    dropout: builtins.float,
    train: builtins.bool,
    bidirectional: builtins.bool,
    batch_first: builtins.bool,
) -> Any: ...
def lstm_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = ...,
    b_hh: Tensor | None = ...,
) -> Any: ...
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: builtins.float = ...,
    reduction: builtins.int = ...,
) -> Tensor: ...
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: builtins.bool,
    full: builtins.bool,
    eps: builtins.float,
    reduction: builtins.int,
) -> Tensor: ...
def rnn_relu(
    input: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: builtins.bool,
    num_layers: builtins.int,
    dropout: builtins.float,
    train: builtins.bool,
    bidirectional: builtins.bool,
    batch_first: builtins.bool,
) -> Any: ...
def rnn_relu_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = ...,
    b_hh: Tensor | None = ...,
) -> Any: ...
def rnn_tanh(
    input: Tensor,
    hx: Any,
    params: Sequence[Tensor],
    has_biases: builtins.bool,
    num_layers: builtins.int,
    dropout: builtins.float,
    train: builtins.bool,
    bidirectional: builtins.bool,
    batch_first: builtins.bool,
) -> Any: ...
def rnn_tanh_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = ...,
    b_hh: Tensor | None = ...,
) -> Any: ...
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: builtins.float = ...,
    p: builtins.float = ...,
    eps: builtins.float = ...,
    swap: builtins.bool = ...,
    reduction: builtins.int = ...,
) -> Tensor: ...
