"""Records what PyTorch's further names give as names.json (see recording.py).

Each case is a call, written as text, of x and other operands: the test runs the same text on both
libraries. Those of SMOOTH are differentiated twice, with respect to every operand they name.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from golden.recording import plain, write

GOLDEN = Path(__file__).with_name("names.json")
OPERANDS: dict[str, Any] = {
    "x": [[0.5, -1.25, 2.0, 3.5], [1.5, 0.25, -0.75, 2.25], [4.0, -2.5, 1.0, 0.125]],
    "y": [[1.5, 0.75, -2.0, 0.5], [-1.0, 2.25, 0.25, -0.5], [3.0, 1.25, -1.5, 2.0]],
    "u": [0.5, -1.5, 2.5],
    "w": [1.25, 0.5, -0.75, 2.0],
    "p": [[0.9, 0.1, 0.3, 0.7], [0.25, 0.5, 0.6, 0.4], [0.8, 0.35, 0.15, 0.55]],
    "s": [[4.0, 0.5, -1.0], [0.25, 3.0, 0.75], [1.5, -0.5, 5.0]],
    "h": [[[0.5, -1.0, 2.0, 1.5, 0.25, 3.0], [1.0, 0.75, -0.5, 2.5, -2.0, 0.125]]],
}


def _lines(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip().splitlines()]


# What is at the top of nn.functional, by the arguments it has there.
OF_NN = """
ad.layer_norm(x, (4,), w, None, 1e-3, False)
ad.group_norm(h, 2, None, None, 1e-3, True)
ad.embedding(x, ad.tensor([2, 0, 2]))
ad.embedding(x, ad.tensor([2, 0, 2]), 2)
ad.embedding(x, ad.tensor([2, 0, 2]), -1, True)
ad.max_pool1d(h, 2)
ad.avg_pool1d(h, 2)
ad.dropout(x, 0.5, False)
ad.conv1d(h, h[:, :, :3])
ad.conv_transpose1d(h, h.reshape(2, 1, 6))
ad.cosine_similarity(x, y)
ad.pairwise_distance(x, y)
ad.celu(x, 0.5)
ad.selu(x)
ad.hardshrink(x)
ad.prelu(x, w)
ad.threshold(x, 0.5, 2.0)
ad.rms_norm(x, (4,), w)
ad.bilinear(x, y, x.reshape(3, 2, 2).repeat(1, 2, 2), u)
ad.batch_norm(x, w, None, None, None, True, 0.1, 1e-3, False)
ad.instance_norm(h, None, None, None, None, True, 0.1, 1e-3, False)
ad.kl_div(x, p, 2)
ad.kl_div(x, p, log_target=True)
ad.ctc_loss(h.reshape(4, 1, 3).log_softmax(2), ad.tensor([[1, 2]]), [4], [2], 0, 2)
ad.binary_cross_entropy_with_logits(x, p.detach(), None, w.detach(), 0)
ad.cosine_embedding_loss(x, y, ad.tensor([1, -1, 1]), 0.25)
ad.hinge_embedding_loss(x, (y.detach() > 0) * 2.0 - 1, 0.5, 2)
ad.margin_ranking_loss(x, y, (y.detach() > 0) * 2.0 - 1, 0.5, 0)
ad.poisson_nll_loss(x, y, True, False, 1e-8, 1)
ad.triplet_margin_loss(x, y, p, 3.0, 2.0, 1e-6, True, 0)
ad.adaptive_max_pool1d(h, 3)[0]
ad.constant_pad_nd(x, [1, -1], 0.5)
ad.affine_grid_generator(x[None, :2, :3], [1, 1, 2, 3], False)
ad.grid_sampler(s[None, None], y.reshape(1, 3, 2, 2) / 3, 0, 0, True)
ad.grid_sampler_2d(s[None, None], y.reshape(1, 3, 2, 2) / 4, 0, 1, True)
ad.convolution(h, h[:, :, :3], u[:1], [1], [1], [1], False, [0], 1)
ad.convolution(h, h.reshape(2, 1, 6), None, [2], [0], [1], True, [1], 1)
ad.convolution(s[None, None], s[None, None, :2, :2], None, [1, 1], [1, 0], [1, 1], False, [0, 0], 1)
ad.rnn_tanh_cell(x, u[:2] * x[:, :2], y[:2], s[:2, :2])
ad.rnn_relu_cell(x, u[:2] * x[:, :2], y[:2], s[:2, :2], u[:2], w[:2])
ad.gru_cell(x, x[:, :1], y, s[:, :1], u, w[:3])
ad.lstm_cell(x, [x[:, :1], y[:, :1]], ad.cat([y, y[:1]]), w[:, None])
ad.rnn_tanh(x[:, None], u[None, None, :2], [y[:2], s[:2, :2]], False, 1, 0.0, True, False, False)
ad.rnn_relu(x[None], u[None, None, :2], [y[:2], s[:2, :2], u[:2], w[:2]], True, 1, 0.0, True, False, True)
ad.gru(x[:, None], u[:2, None, None], [y, s[:, :1], -y, s[:, 1:2]], False, 1, 0.0, False, True, False)
ad.lstm(x[:, None], [u[None, :1, None], u[None, 1:2, None]], [ad.cat([y, y[:1]]), w[:, None]], False, 1, 0.0, False, False, False)
ad.dropout_(x * 1, 0.5, False)
ad.alpha_dropout(x, 0.5, False)
F.max_pool1d_with_indices(h, 2, 2, 0, 1, False, False)[0]
F.max_pool2d_with_indices(s[None], 2)[0]
F.adaptive_max_pool2d_with_indices(s[None], (1, 2))[0]
x.hardshrink(0.75)
x.prelu(w)
"""  # noqa: E501
OPERATIONS = """
ad.copysign(x, y)
ad.copysign(x, -2.0)
ad.clamp_min(x, min=0.5)
ad.segment_reduce(x, "sum", lengths=ad.tensor([1, 0, 2]))
ad.segment_reduce(x, "mean", lengths=ad.tensor([1, 2]), initial=0.5)
ad.segment_reduce(x, "max", offsets=ad.tensor([0, 2, 3]))
ad.segment_reduce(x, "min", lengths=ad.tensor([2, 0, 1]), initial=0.25, unsafe=True)
ad.segment_reduce(x, "prod", lengths=ad.tensor([[1, 3], [2, 2], [4, 0]]), axis=1)
ad.fake_quantize_per_tensor_affine(x, 0.25, 3, 0, 10)
ad.fake_quantize_per_tensor_affine(x, ad.tensor([0.1]), ad.tensor([0]), -8, 7)
ad.fake_quantize_per_channel_affine(x, ad.tensor([1, 0.25, 2]).float(), ad.ones(3).int(), 0, 0, 3)
ad.clamp_max(input=x, max=y)
ad.max(x, other=y)
ad.min(x, other=y)
x.split(split_size=2)[0]
ad.tensor_split(x, sections=2)[0]
ad.tensor_split(x, indices=(1,))[1]
ad.adjoint(input=x)
ad.cholesky_inverse(input=(ad.eye(3) + x @ x.t()).tril())
ad.cholesky_solve(x, input2=ad.eye(3) + (x @ x.t()).tril())
ad.gather(x, 1, ad.tensor([[1], [0], [1]]), sparse_grad=False)
x.double(memory_format=ad.contiguous_format)
x.t().cpu(memory_format=ad.contiguous_format)
ad.float_power(x * x + 1, y)
ad.float_power(x, 3)
ad.float_power(2, x)
ad.ldexp(x, y.detach())
ad.mode((x * 2).round() / 2 + 0 * x, 1).values
ad.mode(x, 0, True)[0]
(x * 1).ldexp_(y)
(x * 1).renorm_(2, 0, 3.0)
(x * 1).index_reduce_(0, ad.tensor([0, 0]), y[:2], "prod")
(x * 1).index_reduce_(1, ad.tensor([1, 0]), y[:, :2], "mean", include_self=False)
(x * 1).lt_(y) + x * y
(x * 1)[0].eq_(y[0]) * x
ad.renorm(x, 2, 0, 3.0)
ad.renorm(x, 1, 1, 5.0)
ad.gradient(x)
ad.gradient(x, spacing=2.0, dim=1, edge_order=2)
ad.gradient(x, spacing=[2.0, 0.5])
ad.gradient(x, spacing=(u.detach() ** 3, w.detach() ** 3), edge_order=2)
ad.gradient(x, dim=(1, 0))
ad.cumulative_trapezoid(x, dim=0)
ad.cumulative_trapezoid(x, w)
ad.cumulative_trapezoid(x, y, dim=1)
ad.cumulative_trapezoid(x, dx=0.5)
ad.select_scatter(x, u, 1, -2)
ad.slice_scatter(x, y[:, :2], 1, 0, 4, 2)
ad.slice_scatter(x, y[:2], start=1)
ad.diagonal_scatter(x, u)
ad.diagonal_scatter(x, w[:2], 2)
ad.as_strided_scatter(x.detach(), u, (3,), (2,), 1)
ad.index_reduce(x, 0, ad.tensor([2, 0, 2]), y, "prod")
ad.index_reduce(x, 0, ad.tensor([2, 0, 2]), y, "mean")
ad.index_reduce(x, 1, ad.tensor([3, 0]), y.detach()[:, :2], "amax")
ad.index_reduce(x, 1, ad.tensor([3, 3]), y.detach()[:, :2], "amin", include_self=False)
"""
MATRICES = """
ad.linalg.lstsq(s, x).solution
ad.linalg.lstsq(x.mT, y.mT).solution
ad.linalg.lstsq(x, u).solution
ad.linalg.lstsq(x.mT, w[:, None], driver="gelsd").residuals
ad.linalg.solve_ex(s, x).result
ad.linalg.solve_ex(s, x.mT, left=False).result
ad.linalg.matrix_exp(s)
ad.matrix_exp(ad.stack([s / 4, s.mT]))
ad.linalg.cond(x)
ad.linalg.cond(s, -2)
ad.linalg.vecdot(x, y, dim=0)
ad.linalg.diagonal(ad.stack([s, s.mT]), offset=1)
ad.linalg.vander(x, N=3)
ad.linalg.tensorinv(x.reshape(3, 2, 2)[:, :1, :1].reshape(3, 1) * s, 1)
ad.linalg.tensorinv(ad.block_diag(s, s.mT).reshape(2, 3, 6))
ad.linalg.tensorsolve(ad.block_diag(s, s.mT).reshape(2, 3, 6), x[:2, :3])
ad.cholesky_solve(x, s.tril())
ad.cholesky_solve(x, s.triu(), True)
ad.cholesky_inverse(s.tril())
ad.linalg.householder_product(x[:, :3], u)
ad.linalg.householder_product(ad.stack([s, s.mT]), x[:2, :2])
ad.frobenius_norm(x, [0, 1])
ad.frobenius_norm(x, 1, True)
ad.nuclear_norm(s)
ad.nuclear_norm(ad.stack([s, s.mT]), [1, 2], True)
"""
OF_FACTORS = """
ad.linalg.lu(s)
ad.linalg.lu(x)
ad.linalg.lu(x.mT)[1:]
ad.linalg.lu_factor(ad.stack([s.mT, s]))[0]
ad.linalg.lu_factor_ex(s.mT).LU
ad.lu(s.mT)[0]
ad.linalg.lu_solve(*ad.linalg.lu_factor(s.mT), x)
ad.linalg.lu_solve(*ad.linalg.lu_factor(s), x.mT, left=False)
ad.linalg.lu_solve(*ad.linalg.lu_factor(s.mT), x, adjoint=True)
ad.lu_solve(x, *ad.linalg.lu_factor(s))
ad.lu_unpack(*ad.linalg.lu_factor(x))
ad.svd(x).S
ad.pinverse(s)
ad.qr(x[:, :3])
ad.triangular_solve(x, s)[0]
ad.triangular_solve(x, s, False, True, True)[0]
"""
OF_SPECIAL = """
ad.frexp(x)[0]
ad.pdist(x)
ad.pdist(x, 1.5)
F.pdist(x, 3.0)
ad.angle(x) + x
ad.mvlgamma(x * x + 2, 3)
ad.special.multigammaln(p + 1, 1)
ad.special.expit(x)
ad.special.gammaln(p)
ad.special.polygamma(2, p + 1)
ad.special.logsumexp(x, 1)
ad.special.softmax(x, 0)
ad.special.log_softmax(x, 1)
ad.special.logit(p, 0.2)
ad.special.xlog1py(p, p)
ad.special.entr(p)
ad.special.ndtri(p)
ad.special.i1(x)
ad.special.log_ndtr(x)
"""
SMOOTH = _lines(OF_NN, OPERATIONS, MATRICES, OF_FACTORS, OF_SPECIAL)
# Values alone, of what has no derivative, and what is refused.
MAKING = """
ad.FloatTensor()
ad.FloatTensor(2, 3).shape
ad.FloatTensor([1, 2])
ad.FloatTensor(ad.Size([2])).shape
ad.FloatTensor(x[0])
ad.LongTensor(x)
ad.LongTensor([1.5])
ad.LongTensor(3.5)
ad.BoolTensor([1, 0])
ad.ByteTensor([300])
ad.IntTensor([[1], [2]])
ad.FloatTensor("a")
ad.FloatTensor(None)
ad.FloatTensor(-1)
ad.FloatTensor([1], [2])
ad.DoubleTensor([0.1])
ad.tensor([1]).new([1, 2])
x.new(2, 3).shape
x.new()
ad.Tensor()
ad.Tensor(2, 3).shape
ad.Tensor([1, 2])
ad.Tensor(x[0])
ad.Tensor(ad.tensor([1]))
ad.Tensor(ad.tensor(2.0))
ad.Tensor(ad.Size([2])).shape
ad.Tensor((2, 3))
ad.Tensor(3.5)
ad.Tensor(True)
ad.Tensor("a")
ad.Tensor(None)
ad.Tensor(-1)
ad.Tensor([[1], [2, 3]])
ad.Tensor(x).data_ptr() == x.data_ptr()
ad.Tensor(x.requires_grad_() * 1).grad_fn.name()
ad.FloatTensor(True)
x.resize_(2, 2)
x.resize_((5,))
x[1:].resize_(4)
x.resize_(4, 5)[0]
x.t().resize_(3)
x.t().resize_(12)
x.resize_(0)
x.resize_(-1)
x.resize_()
x.resize_(2.5)
x.requires_grad_().resize_(2)
x.resize_as_(u)
x.set_()
u.set_(x).data_ptr() == x.data_ptr()
u.set_(x, 2, (2, 2))
u.set_(x, 2, (2, 2), (1, 3))
u.set_(x.storage(), 1, (2,), (2,))
u.set_(x.untyped_storage())[:12]
u.set_(ad.tensor([1]))
u.requires_grad_().set_(x)
x[1:].untyped_storage().nbytes()
x[1:].untyped_storage().data_ptr() == x.data_ptr()
len(u.untyped_storage())
u.storage().tolist()
u[1:].storage()[0]
repr(u[1:].storage())
repr(u.bool().untyped_storage())
x.is_set_to(x[:])
x.is_set_to(x[1:])
x.narrow_copy(1, 1, 2)
ad.narrow_copy(x, 0, 5, 2)
ad.empty_strided((2, 3), (1, 2)).stride()
ad.empty_strided((2, 3), (0, 4)).untyped_storage().nbytes()
ad.empty_strided((2, 3), (1,))
ad.empty_strided((2,), (-1,))
ad.tensor([1]).new_empty_strided((2, 3), (1, 2)).dtype
ad.frombuffer(bytearray(b"abcd"), dtype=ad.uint8)
ad.frombuffer(bytearray(b"abcd"), dtype=ad.int32)
ad.frombuffer(bytearray(8), dtype=ad.float32, count=1, offset=4)
ad.frombuffer(bytearray(8), dtype=ad.float32, count=3)
ad.frombuffer(bytearray(8), dtype=ad.float32, offset=8)
ad.frombuffer(bytearray(7), dtype=ad.float32)
ad.frombuffer(bytearray(0), dtype=ad.float32)
ad.frombuffer(bytearray(8), dtype=ad.float32, count=0)
ad.frombuffer(bytearray(8), dtype=ad.float32, requires_grad=True).requires_grad
ad.frombuffer(bytearray(2), dtype=ad.bool)
ad.frombuffer(5, dtype=ad.float32)
ad.scalar_tensor(3)
ad.scalar_tensor(True)
ad.scalar_tensor(3, dtype=ad.int64)
ad.asarray([1, 2])
ad.asarray(3.5)
ad.asarray(x, copy=False, dtype=ad.float64)
ad.asarray([1.0], copy=False)
ad.asarray([1.0], requires_grad=True).requires_grad
ad.asarray(x).data_ptr() == x.data_ptr()
ad.set_default_device("abc")
ad.get_default_device().type
ad.is_signed(x.bool())
ad.can_cast(ad.float32, ad.int64)
ad.can_cast(ad.int64, ad.bool)
x.apply_(lambda v: v + 1)
ad.arange(3).apply_(lambda v: v + 0.5)
ad.ones(2, requires_grad=True).apply_(abs)
x.apply_(lambda v: "a")
ad.get_device(x)
x.ndimension()
ad.is_same_size(x, y)
"""
OUTCOMES = """
ad.copysign(ad.tensor([1, 2]), -1)
ad.copysign(x, ad.tensor(-0.0, dtype=ad.float64))
ad.copysign(x, "a")
x.copysign_(y)
ad.heaviside(x[0], ad.tensor([0.5]))
ad.segment_reduce(x, "sum", lengths=ad.tensor([1, 1]))
ad.segment_reduce(x, "sum", lengths=ad.tensor([-1, 4]))
ad.segment_reduce(x, "most", lengths=ad.tensor([3]))
ad.segment_reduce(x, "sum")
ad.segment_reduce(x.long(), "sum", lengths=ad.tensor([3]))
ad.fake_quantize_per_tensor_affine(x, 0.25, 3, 10, 0)
ad.fake_quantize_per_tensor_affine(x, 0.25, 30, 0, 10)
ad.fake_quantize_per_tensor_affine(x.long(), 0.25, 3, 0, 10)
ad.fake_quantize_per_tensor_affine(x, 0.25, 3.5, 0, 10)
ad.fake_quantize_per_tensor_affine(ad.tensor([float("nan"), -1e9, 0.13, 0.125]), 0.25, 3, 0, 10)
ad.fake_quantize_per_channel_affine(x, ad.ones(4), ad.zeros(4), 0, 0, 3)
ad.fake_quantize_per_channel_affine(x, ad.ones(3), ad.zeros(3).long(), 0, 0, 3)
ad.heaviside(x[0], values=ad.tensor([0.5]))
ad.asarray([1.0], requires_grad=None)
ad.normal(ad.zeros(2), ad.zeros(2))
ad.normal(2.0, 0.0, (2,), device="cpu")
ad.randperm(1, requires_grad=False)
ad.heaviside(ad.tensor([0.0, float("nan"), -0.0]), ad.tensor([0.25]))
ad.heaviside(ad.tensor([0, 2]), ad.tensor([0.5]))
ad.heaviside(ad.tensor([0, 2, -1]), ad.tensor([5]))
ad.float_power(ad.tensor([1, 2]), 2)
ad.float_power(2, 2)
ad.ones(2).float_power_(2)
ad.ones(2).double().float_power_(ad.tensor([1.0, 2.0]))
ad.ldexp(ad.tensor([1, 2]), ad.tensor([1, 2]))
ad.ldexp(x.double(), ad.tensor(3))
ad.ldexp(x, 2)
x.ldexp_(ad.tensor(2))
ad.gcd(ad.tensor([4, -6, 0, 0]), ad.tensor([6, 4, 5, 0]))
ad.gcd(ad.tensor([[4], [9]]), ad.tensor([6, 3]))
ad.gcd(ad.tensor([4.0]), ad.tensor([2.0]))
ad.gcd(ad.tensor([4], dtype=ad.int32), ad.tensor([6]))
ad.tensor([4, 6]).gcd_(ad.tensor([6, 9]))
ad.lcm(ad.tensor([4, -6, 0]), ad.tensor([6, 4, 0]))
ad.tensor([4, 6]).lcm_(ad.tensor([6, 9]))
ad.lcm(ad.tensor([True]), ad.tensor([True]))
ad.mode(ad.tensor([1, 2, 2, 1, 3]))
ad.mode(ad.tensor([[5, 5, 1], [3, 3, 3]]), 0)
ad.mode(ad.tensor([[5, 5, 1], [3, 3, 3]]), 1, True)
ad.mode(ad.tensor(3))
ad.mode(ad.ones(0))
ad.mode(ad.ones(2, 0), 0)
ad.mode(x, 5)
ad.histc(ad.tensor([1, 2]))
ad.histc(x)
ad.histc(x, 4, -1, 2)
ad.histc(x, bins=3, min=5, max=1)
ad.histc(ad.ones(3), 2)
ad.histc(x, 0)
ad.histogram(x, 3)
ad.histogram(x, 3, range=(0.0, 4.0), density=True)
ad.histogram(x, ad.tensor([0.0, 1.0, 2.5]), weight=y)
ad.histogram(x, ad.tensor([0, 1, 2]))
ad.histogram(ad.tensor([1, 2]), 3)
ad.histogram(x, 3, weight=u)
ad.renorm(u, 2, 0, 1.0)
ad.renorm(x, 0, 0, 1.0)
ad.renorm(x, 2, 0, -1.0)
x.renorm_(2, 0, 1.0)
x.long().ldexp_(ad.tensor(2))
ad.ldexp(x.half(), ad.tensor(3))
ad.ldexp(x.half(), y.half())
ad.ldexp(x.bfloat16(), ad.tensor([1, 0, 2, -3]))
ad.ldexp(x.long(), y.half())
ad.ldexp(ad.tensor(1.5, dtype=ad.float16), ad.tensor(2.0, dtype=ad.float16))
ad.heaviside(x.int(), y.int())
ad.cov(x[:1])
ad.cov(x[:1], aweights=ad.tensor([0.5, 1.0, 0.25, 2.0]))
ad.cov(x.half(), aweights=ad.tensor([0.5, 1.0, 0.25, 2.0]).double())
ad.corrcoef(x[:1])
ad.diff(x, 0, prepend=y)
ad.histogram(ad.tensor([2.0, 2.0]), 2)
ad.histogram(ad.tensor(3.0), 1, density=True)
ad.histogram(ad.tensor([]), 2)
ad.histogram(x, 2, range=(2.0, 2.0))
ad.histc(ad.tensor([2.0, 2.0]), 4)
ad.arange(-0.9, 2.1, 2.0, dtype=ad.int32)
ad.arange(2.1, -2.9, -1.0, dtype=ad.int32)
ad.arange(0.5, 5.5, 1.5, dtype=ad.int32)
ad.linspace(4.7, 9.9, 5, dtype=ad.int64)
ad.linspace(4.3, 0, 9, dtype=ad.uint8)
ad.logspace(0.7, 2.9, 5, dtype=ad.int64)
ad.gather(x, 0, ad.tensor([[0, 1], [2, 0]], dtype=ad.int32))
x.scatter(0, ad.tensor([[0, 1], [2, 0]], dtype=ad.int32), y)
x.scatter_add(0, ad.tensor([[0, 1], [2, 0]], dtype=ad.int32), y)
x.scatter_reduce(1, ad.tensor([[0, 0], [3, 1]], dtype=ad.int32), y, "amax")
ad.take_along_dim(x, ad.tensor([[0, 1]], dtype=ad.int32), 0)
ad.index_reduce(ad.tensor(2.0), 0, ad.tensor([0]), ad.tensor(3.0), "prod")
x.int().sum_to_size(1, 4)
x.int().sum_to_size(3, 4)
ad.cat(x)
ad.stack(x)
ad.gradient(ad.arange(4))
ad.gradient(x[:, :1])
ad.gradient(x, spacing=(1.0,), dim=(0, 1))
ad.gradient(x, dim=(0, 0))
ad.gradient(x, edge_order=3)
ad.vander(ad.tensor([1, 2, 3]))
ad.vander(u)
ad.vander(u, 4, True)
ad.vander(x)
ad.cumulative_trapezoid(ad.tensor([1, 2, 4]))
ad.cumulative_trapezoid(ad.tensor(1.0))
ad.cumulative_trapezoid(x, u)
ad.select_scatter(x, ad.ones(4), 1, 0)
ad.slice_scatter(x, ad.ones(1, 4), 0, 1, 2, 0)
ad.diagonal_scatter(x, ad.ones(2))
ad.unravel_index(ad.tensor([5, 7]), (3, 4))
ad.unravel_index(ad.tensor([[5], [7]]), ad.Size([2, 2, 3]))
ad.unravel_index(ad.tensor([50]), (3, 4))
ad.unravel_index(ad.tensor([-1]), (3, 4))
ad.unravel_index(ad.tensor([5]), 12)
ad.unravel_index(u, (3, 4))
ad.index_reduce(x, 0, ad.tensor([0, 0]), x[1:], "sum")
ad.index_reduce(x, 0, ad.tensor([0, 5]), x[1:], "prod")
ad.index_reduce(x, 0, ad.tensor([0]), x[1:], "prod")
x.index_reduce_(0, ad.tensor([0, 0]), x[1:].clone(), "amin")
"""
OF_MATRICES = """
ad.linalg.lstsq(x, ad.ones(3, 1))
ad.linalg.lstsq(x.mT, ad.ones(4), driver="gels").rank
ad.linalg.lstsq(x.mT, ad.ones(4, 1), driver="gelss")
ad.linalg.lstsq(ad.ones(3, 2), ad.ones(3, 1))
ad.linalg.lstsq(x, ad.ones(4, 1))
ad.linalg.lstsq(x, ad.ones(3, 1), driver="a")
ad.linalg.solve_ex(s, u)
ad.linalg.solve_ex(ad.zeros(2, 2), ad.ones(2), check_errors=True)
ad.linalg.solve_ex(ad.zeros(2, 2), ad.ones(2)).info
ad.linalg.matrix_exp(x)
ad.linalg.matrix_exp(ad.zeros(0, 3, 3))
ad.linalg.matrix_exp(s * 2)
ad.linalg.cond(s, "fro")
ad.linalg.cond(s, 1)
ad.linalg.cond(x, 1)
ad.linalg.cond(ad.ones(2, 2), 1)
ad.linalg.vander(u, N=1)
ad.linalg.vander(ad.tensor([1, 2, 3]))
ad.linalg.tensorinv(s, 0)
ad.linalg.tensorinv(x, 1)
ad.linalg.tensorsolve(s, ad.ones(2))
ad.linalg.tensorsolve(ad.eye(6).reshape(2, 6, 3), ad.ones(2, 3), dims=(1,))
ad.cholesky_solve(ad.ones(3), s)
ad.cholesky_solve(ad.ones(2, 1), s)
ad.cholesky_inverse(x)
"""
OF_INTEGERS = """
ad.frexp(ad.tensor([0.0, 3.5, -1.0, float("inf"), float("nan"), 1e-45, 1e-39]))
ad.frexp(ad.tensor([0.0, 3.5, 5e-324, 1e308], dtype=ad.float64))
ad.frexp(ad.tensor([1]))
ad.nextafter(x, y)
ad.nextafter(ad.tensor([0.0, -0.0, 1.0, float("inf"), float("nan")]), ad.tensor(-2.0))
ad.nextafter(ad.tensor([1.0]), ad.tensor([2.0], dtype=ad.float64))
ad.nextafter(ad.tensor([1]), ad.tensor([2]))
x.nextafter_(y)
ad.range(1, 4)
ad.range(1, 4, 0.5)
ad.range(0, 1, 0.1)
ad.range(0, 3, dtype=ad.int64)
ad.range(4, 1)
ad.range(1, 4, 0)
ad.pdist(u)
ad.pdist(ad.ones(0, 2))
ad.pdist(ad.ones(3, 2), p=-1)
ad.pdist(ad.ones(3, 2).long())
ad.isreal(x)
ad.real(x) is x
ad.conj(x) is x
x.real is x
ad.angle(ad.tensor([0.0, -2.0, float("inf"), float("nan")]))
ad.angle(ad.tensor([1, -1]))
ad.is_conj(x)
x.byte().dtype
ad.hann_window(4)
ad.hann_window(1)
ad.hann_window(0)
ad.hann_window(-1)
ad.hann_window(3, dtype=ad.int64)
ad.hann_window(5, False, dtype=ad.float64)
ad.hamming_window(5)
ad.hamming_window(5, False, 0.5, 0.4)
ad.blackman_window(6)
ad.bartlett_window(5)
ad.bartlett_window(5, False)
ad.kaiser_window(5)
ad.kaiser_window(4, False, 3.0)
F.upsample(h, scale_factor=2)
F.upsample_nearest(h, 3)
F.upsample_bilinear(h[None], (2, 3))
ad.linalg.lu_factor_ex(s.mT)
ad.linalg.lu_factor_ex(x)
ad.linalg.lu_factor_ex(ad.tensor([[1.0, 2.0], [2.0, 4.0]]))
ad.linalg.lu_factor_ex(ad.zeros(2, 3, 3))
ad.linalg.lu_factor_ex(ad.zeros(2, 0, 3))
ad.linalg.lu_factor(ad.ones(2, 2))
ad.linalg.lu_factor(s, pivot=False)
ad.linalg.lu(u)
ad.lu(s, get_infos=True)
s.lu()
ad.lu_unpack(*ad.linalg.lu_factor(s), unpack_data=False)
ad.lu_unpack(*ad.linalg.lu_factor(s), unpack_pivots=False)
ad.lu_unpack(s, ad.tensor([5, 5, 5], dtype=ad.int32))
ad.lu_unpack(s, ad.tensor([1, 2, 3]))
ad.linalg.lu_solve(*ad.linalg.lu_factor(s), u)
ad.linalg.lu_solve(s, ad.tensor([5, 5, 5], dtype=ad.int32), x)
ad.linalg.lu_solve(s, ad.tensor([1, 2, 3], dtype=ad.int32), x.mT)
ad.svd(x, some=False)[0].shape
ad.svd(x, compute_uv=False)
ad.qr(x.mT, some=False)[0].shape
x.svd()[2].shape
ad.i0(ad.tensor([1, 2]))
ad.special.i1e(ad.tensor([1, 2]))
ad.special.erfcx(ad.tensor([True, False]))
ad.special.ndtri(ad.tensor([0, 1]))
ad.special.zeta(ad.tensor([2]), 1)
ad.special.zeta(2, ad.tensor([1.0]))
ad.special.zeta(2, 1)
ad.special.xlog1py(ad.tensor([0, 1]), ad.tensor([2.0, 1.0]).double())
ad.special.entr(ad.tensor([0.0, -1.0, 1.0]), out=ad.empty(3, dtype=ad.float64))
ad.special.psi(u)
ad.special.exp2(ad.tensor([3]))
ad.special.round(u, decimals=1)
ad.mvlgamma(ad.tensor([3, 4]), 2)
ad.mvlgamma(u, 0)
ad.mvlgamma(u, 1.5)
u.mvlgamma_(2)
ad.tensor([3]).mvlgamma_(2)
ad.tensor([3]).i0_()
"""
OF_EDGES = """
ad.argmax(x, (0, 1))
ad.argmin(x, [])
ad.isclose(u, u, rtol=-1)
ad.isclose(u, u, 0.0, float("nan"))
ad.allclose(u.long(), u.long(), atol=-1)
ad.linalg.pinv(ad.diag(w), 0.5)
ad.linalg.pinv(s + s.mT, 1e-3, True)
ad.linalg.pinv(s, rcond=ad.tensor(0.5))
ad.linalg.pinv(s, 0.5, atol=0.5)
ad.linalg.pinv(s, "a")
ad.linalg.matrix_rank(ad.diag(w), 0.6)
ad.linalg.matrix_rank(ad.diag(w), tol=0.6, hermitian=True)
ad.linalg.matrix_rank(ad.diag(w), 0.6, atol=0.6)
ad.linalg.vander(ad.tensor(2.0))
ad.linalg.vander(ad.tensor(2.0), N=3)
ad.linalg.vander(ad.ones(0), N=1)
ad.linalg.vander(ad.ones(3, 0))
ad.square(ad.tensor([True, False]))
ad.tensor([True]).square_()
ad.square(ad.tensor([3], dtype=ad.uint8))
ad.heaviside(ad.tensor([True, False]), ad.tensor([False, True]))
ad.heaviside(ad.tensor([3, 0], dtype=ad.uint8), ad.tensor([5, 6], dtype=ad.uint8))
F.multi_margin_loss(u[0], ad.tensor(0))
F.multi_margin_loss(u[0], ad.tensor([0]), reduction="none")
F.multi_margin_loss(u[0], ad.tensor(1))
F.multilabel_margin_loss(u[0], ad.tensor(0))
F.multilabel_margin_loss(u[0], ad.tensor(-1), reduction="none")
ad.nan_to_num(ad.tensor([1, 2]), out=ad.empty(0, dtype=ad.int64))
ad.nan_to_num(ad.tensor([1, 2]), out=ad.empty(2))
ad.argsort(x, stable=True, dim=1, out=ad.empty(0, dtype=ad.int64))
ad.argsort(x, stable=True, out=ad.empty(0))
ad.diff(x, out=ad.empty(2))
ad.diff(x, out=ad.empty(0, dtype=ad.int64))
ad.softmax(x, 1, out=ad.empty(0))
ad.softmax(x, 1, dtype=ad.float64, out=ad.empty(0))
ad.log_softmax(x, 0, out=ad.empty(3, 4))
ad.slice_scatter(x, y[:1], 0, 1, 2, out=ad.empty(3, 4))
ad.linalg.lstsq(s, x, out=(ad.empty(0), ad.empty(0), ad.empty(0, dtype=ad.int64), ad.empty(0)))
ad.linalg.cholesky_ex(ad.diag(w), out=(ad.empty(0), ad.empty(0, dtype=ad.int32)))
ad.linalg.inv_ex(s, out=(ad.empty(3, 3), ad.empty((), dtype=ad.int32)))
ad.linalg.solve_ex(s, u, out=(ad.empty(3), ad.empty((), dtype=ad.int32)))
ad.linalg.solve_ex(s, u, out=(ad.empty(3), ad.empty(())))
"""
OF_SMALL = """
x.is_pinned()
x.pin_memory()
x.share_memory_().is_shared()
x.is_shared()
x.map_(y, lambda a, b: a + b)
x.map_(w, lambda a, b: a * b)
x.map_(u, lambda a, b: a)
x.map_(y.double(), lambda a, b: a)
x.map_(y.requires_grad_(), lambda a, b: a)
x.map2_(y, p, lambda a, b, c: a + b * c)
ad.typename(x)
ad.typename(ad.tensor([True]))
ad.typename(3)
ad.typename(dict)
ad.is_storage(x.untyped_storage())
ad.is_storage(x)
ad.set_num_interop_threads(0)
ad.set_num_interop_threads("a")
ad.set_flush_denormal(5)
ad.compiled_with_cxx11_abi()
ad.set_default_tensor_type(ad.LongTensor)
ad.set_default_tensor_type(5)
ad.set_default_tensor_type("torch.FloatTensor")
ad.frobenius_norm(x, [])
ad.frobenius_norm(x[None], [0, 1, 2])
ad.frobenius_norm(x.long(), 0)
ad.nuclear_norm(s, True)
ad.nuclear_norm(u)
ad.linalg.householder_product(x, u)
ad.linalg.householder_product(s, w)
ad.linalg.householder_product(ad.stack([s, s]), u)
ad.linalg.householder_product(s, u.double())
ad.linalg.householder_product(s, u[:0])
ad.linalg.householder_product(ad.ones(0, 3, 2), ad.ones(0, 2))
ad.unsafe_chunk(x, 2)
ad.unsafe_split(x, 2)
ad.unsafe_split_with_sizes(x, [1, 2])
x.unsafe_chunk(2, 1)
ad.detach(x.requires_grad_()).requires_grad
ad.detach_(x.requires_grad_() * 1).is_leaf
ad.gcd_(ad.tensor([4, 6]), ad.tensor([6, 9]))
ad.lcm_(ad.tensor([4, 6]), ad.tensor([6, 9]))
ad.ldexp_(x, ad.tensor(2))
ad.manual_seed(3) and ad.binomial(ad.full((3, 4), 30.0), p)
ad.manual_seed(3) and ad.binomial(ad.tensor([[4.0], [20.0]]), ad.tensor([0.25, 0.5, 1.5]))
ad.binomial(ad.tensor([1]), ad.tensor([0.5]))
ad.binomial(u.double(), u)
ad.manual_seed(3) and ad.dropout_(x, 0.5, True)
ad.manual_seed(3) and ad.alpha_dropout_(x, 0.5, True)
ad.manual_seed(3) and ad.feature_dropout(h, 0.5, True)
ad.manual_seed(3) and ad.feature_alpha_dropout_(h, 0.5, True)
ad.feature_dropout(x, 1.5, True)
ad.max_pool1d_with_indices(h, 2)
ad.adaptive_max_pool1d(h, 3)
F.max_pool3d_with_indices(h[None, None], (1, 2, 2), 1)
F.adaptive_max_pool1d_with_indices(h, 4, False)
F.adaptive_max_pool3d_with_indices(h[None, None], (1, 1, 2))
ad.kl_div(x, p, 5)
ad.kl_div(x, p, "mean")
ad.grid_sampler(s[None, None], y.reshape(1, 3, 2, 2) / 3, 1, 2, False)
ad.grid_sampler_3d(h[None, None], ad.zeros(1, 1, 1, 2, 3), 0, 0, False)
ad.convolution(x, x, None, [1], [0], [1], False, [0], 1)
ad.autograd.graph.get_gradient_edge(x)
ad.autograd.grad(x.requires_grad_().sum(), ad.autograd.graph.get_gradient_edge(x))
(lambda e: x.requires_grad_().sum().backward(inputs=[e(x)]))(ad.autograd.graph.get_gradient_edge)
(lambda e: ad.autograd.grad(x.requires_grad_().sum(), e(x), materialize_grads=True))(ad.autograd.graph.get_gradient_edge)
ad.nn.utils.skip_init(ad.nn.Linear, 5, 1).weight.shape
ad.nn.utils.skip_init(ad.nn.Tanh)
ad.nn.utils.skip_init(dict)
ad.nn.utils.clip_grad_norm([x], 1.0)
ad.nn.RNNCellBase(3, 4, False, 2).weight_hh.shape
ad.nn.UninitializedBuffer().shape
repr(ad.nn.UninitializedBuffer())
"""  # noqa: E501
# What is rarely called so.
OF_CORNERS = """
ad.nextafter(ad.tensor([1, 2, -0.5, 0, 65504, 6e-8]).half(), ad.tensor([2, -1, -1, -0.0, 1e5, 0]))
ad.nextafter(ad.tensor([1, 2, -0.5, 0, 6e-8]).half(), ad.tensor([2, -1, -1, -0.0, 0]).half())
ad.nextafter(ad.tensor([1, float("nan")]).bfloat16(), ad.tensor([2.0, 1.0]).bfloat16())
ad.frexp(ad.tensor([0.0, 3.5, -1.0, 65504.0, 6e-8, float("inf")]).half())
ad.frexp(ad.tensor([0.0, 3.5, -1.0, 1e-40]).bfloat16())
F.conv_transpose1d(ad.arange(12).view(1, 4, 3), ad.arange(24).view(4, 3, 2), None, 2, 1, 1)
F.conv_transpose2d(*[ad.arange(36).view(1, 4, 3, 3)] * 2, ad.arange(6), (2, 3), (1, 0), (1, 2))
F.conv_transpose2d(*[ad.arange(16).view(4, 1, 2, 2)] * 2, None, 1, 2, 0, 1, 3)
F.conv_transpose2d(ad.arange(16).view(1, 4, 2, 2), ad.arange(32).view(4, 2, 2, 2), None, 1, 0, 0, 2)
F.conv_transpose3d(ad.arange(8).view(1, 1, 2, 2, 2), ad.arange(8).view(1, 1, 2, 2, 2))
F.conv_transpose1d(ad.ones(1, 1, 3, dtype=ad.int32), ad.ones(1, 1, 2, dtype=ad.int32))
ad.zeros(()).index_copy(0, ad.tensor([0, 0]), ad.tensor([1.0, 2.0]))
ad.zeros(()).index_add(0, ad.tensor(0), ad.tensor(2.0))
ad.zeros(()).index_reduce(0, ad.tensor([0]), ad.tensor(2.0), "amax")
ad.roll(x, 2**63 - 1)
ad.max(x, other=y), x.min(other=y)
x.max(0, other=y)
ad.max(x, other=3)
ad.func.vmap(lambda x, y: ad.max(x, other=y))(x, y)
F.linear(x, w)
F.linear(w, w)
ad.autograd.grad(F.linear(h, w.requires_grad_().repeat(2)[:6]).sum(), w)
F.linear(x, w, ad.ones(3))
F.linear(x, u)
F.linear(ad.ones(()), ad.ones(1))
ad.autograd.grad(ad.matrix_power(s.requires_grad_(), 0).sum(), s)
ad.autograd.grad(x.index_fill(0, ad.tensor([1, 1, 2]), s.requires_grad_()[0, 0]).sum(), s)
ad.autograd.grad(ad.nextafter(x.requires_grad_(), y.requires_grad_()).exp().sum(), (x, y))
ad.autograd.grad(ad.nextafter(x.requires_grad_(), x.detach()).sum(), x)
x.t().ravel().data_ptr() == x.data_ptr(), x.ravel().data_ptr() == x.data_ptr()
[ad.ones(1, 2, 2, 2).byte(memory_format=ad.channels_last).stride()]
ad.linalg.matrix_norm(ad.zeros(3, 0), 1)
ad.linalg.matrix_norm(ad.zeros(0, 2), 2, keepdim=True)
ad.linalg.matrix_norm(ad.zeros(0, 0), float("inf"))
ad.linalg.matrix_norm(ad.zeros(0, 0), -1)
F.interpolate((ad.arange(12) * 20).reshape(1, 1, 3, 4).byte(), size=(2, 7))
F.interpolate((ad.arange(12) * 20).reshape(1, 3, 4).byte(), scale_factor=1.7, mode="nearest-exact")
F.interpolate(ad.arange(4).reshape(1, 1, 4), size=3)
[ad.histogram(x, u.sort().values, density=True)[1].sum() for _ in range(1)]
"""
PLAIN = _lines(MAKING, OUTCOMES, OF_MATRICES, OF_INTEGERS, OF_EDGES, OF_SMALL, OF_CORNERS)


def operands(lib: Any, text: str, dtype: str) -> dict[str, Any]:
    """The operands that a text names."""
    return {
        name: lib.tensor(value, dtype=getattr(lib, dtype), requires_grad=True)
        for name, value in OPERANDS.items()
        if re.search(rf"\b{name}\b", text)
    }


def _weights(lib: Any, y: Any) -> Any:
    return (lib.arange(1, y.numel() + 1).reshape(y.shape) / 4).to(y.dtype)


def derivatives(lib: Any, text: str, dtype: str) -> Any:
    """Results, and their first and second derivatives where there are some."""
    xs = operands(lib, text, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = eval(text, {"ad": lib, "F": lib.nn.functional, **xs})
    ys = [each for each in (y if isinstance(y, tuple) else (y,)) if each.requires_grad]
    weighted = sum((each * _weights(lib, each)).sum() for each in ys)
    given = list(xs.values())
    first = lib.autograd.grad(weighted, given, create_graph=True, allow_unused=True)
    linear = sum((g * _weights(lib, g)).sum() for g in first if g is not None)
    second: Any = [None] * len(given)
    if linear.requires_grad:
        try:
            second = lib.autograd.grad(linear, given, allow_unused=True)
        except RuntimeError:  # where PyTorch has none
            return [plain(y), _whole(lib, first, given), None]
    return [plain(y), _whole(lib, first, given), _whole(lib, second, given)]


def _whole(lib: Any, gradients: Any, xs: list[Any]) -> list[Any]:
    """Gradients, those that are none being 0."""
    each = zip(gradients, xs, strict=True)
    return [plain(lib.zeros_like(x) if g is None else g) for g, x in each]


def outcome(lib: Any, text: str) -> Any:
    """Values, dtype and shape of a text's results, or the name of its exception."""
    names = {name: lib.tensor(value) for name, value in OPERANDS.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = eval(text, {"ad": lib, "F": lib.nn.functional, **names})
    except Exception as failure:
        return type(failure).__name__.strip("_")
    ys = y if isinstance(y, tuple) else (y,)
    return [[plain(t), str(t.dtype), list(t.shape)] if hasattr(t, "dtype") else repr(t) for t in ys]


def main() -> None:
    """Writes the file, a case a line."""
    import torch

    write(
        GOLDEN,
        smooth={text: derivatives(torch, text, "float64") for text in SMOOTH},
        plain={text: outcome(torch, text) for text in PLAIN},
    )


if __name__ == "__main__":
    main()
