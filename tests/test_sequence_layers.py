"""Native attention and recurrent layers have the bits of the operations they stand for."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn
from autodiff.expr import inputs
from autodiff.native import NULL, descriptors, lib, take_failure
from autodiff.nn import functional as F
from autodiff.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from autodiff.ops.attention import attend, attend_parts
from autodiff.ops.pointwise import PointwiseOp

steps_op = PointwiseOp("steps_of_a_test", inputs(2)[0] + inputs(2)[1], 2)
SIZES = st.integers(1, 70)


def bits(x: Any) -> bytes:
    # zeros of either sign are one: a sum over zeros may have another than an empty one
    return bytes((x.detach() + 0.0).contiguous().numpy().tobytes())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), SIZES, SIZES, st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_attention_has_the_bits_of_a_mask(
    heads: int, queries: int, keys: int, width: int, depth: int, double: bool
) -> None:
    ad.manual_seed(heads + queries)
    dtype = ad.float64 if double else ad.float32
    # heads behind the rows, as attention of several heads has them
    q = ad.randn(queries, heads, width, dtype=dtype)
    k, v = (ad.randn(keys, heads, n, dtype=dtype) for n in (width, depth))
    g = ad.randn(heads, queries, depth, dtype=dtype)
    for causal in (False, True):
        mask = ad.ones(queries, keys, dtype=ad.bool)
        found = []
        for how in ({"is_causal": causal}, {"attn_mask": mask.tril() if causal else mask}):
            xs = [x.detach().requires_grad_() for x in (q, k, v)]
            y = F.scaled_dot_product_attention(*(x.transpose(0, 1) for x in xs), **how)
            y.backward(g)
            found.append([bits(x) for x in (y, *(x.grad for x in xs))])
        assert found[0] == found[1]


@pytest.mark.parametrize("order", [(2, 1, 3, 0, 4), (2, 0, 3, 1, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("width", [1, 5])
def test_parts_of_rows_attend_as_tensors_do(order: tuple[int, ...], width: int) -> None:
    shape = [0] * 5
    for size, d in zip((3, 2, 4, 40, width), order, strict=True):
        shape[d] = size
    for options in ({}, {"p": 0.4}, {"causal": True}, {"mask": ad.ones(40, 40).tril() > 0}):
        how = {"mask": None, "causal": False, "scale": 0.5, "p": 0.0} | options
        found = []
        for together in (True, False):
            ad.manual_seed(3)
            x = ad.randn(shape).requires_grad_()
            parts = x.permute(order)
            y = attend_parts(parts, **how) if together else attend(*parts, **how)
            (g,) = ad.autograd.grad(y, x, ad.randn(y.shape))
            found.append([bits(z) for z in (y, g)])
        assert found[0] == found[1]


def test_what_cotangents_of_attention_are_not_written_to() -> None:
    x = ad.ones(2, 3, 4)
    for out in (ad.ones(2, 3, 5), ad.ones(3, 4), x.double(), ad.ones(2, 4, 3).mT, None):
        outs = descriptors([x._p, NULL if out is None else out._p, x._p])
        given = descriptors([x._p, x._p, x._p, NULL, NULL, x._p])
        assert lib.ad_attend_vjp(given, 1.0, 0, 0.0, outs)


def test_compiled_attention_drops_what_eager_attention_drops() -> None:
    def step(q: ad.Tensor, k: ad.Tensor) -> Any:
        y = F.scaled_dot_product_attention(q, k, k, k.isfinite()[:, 0], 0.4)
        return y, *ad.autograd.grad(y.sum(), (q, k))

    compiled, found = ad.compile(step), []
    for function in (step, compiled):
        ad.manual_seed(3)
        q, k = (ad.randn(n, 3).requires_grad_() for n in (40, 50))
        found.append([bits(x) for _ in range(4) for x in (*function(q, k), ad.rand(2))])
    assert found[0] == found[1]
    assert compiled.stats().runs == 3


def test_samples_drop_weights_as_vmap_says() -> None:
    def attended(q: ad.Tensor) -> Any:
        return F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)

    q = ad.randn(5, 3).expand(2, 5, 3)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        ad.func.vmap(attended)(q)
    for how in ("same", "different"):
        a, b = ad.func.vmap(attended, randomness=how)(q)
        assert ad.equal(a, b) == (how == "same")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("sequences", [1, 40])
def test_a_sequence_has_its_bits_beside_a_shorter_one(kind: str, sequences: int) -> None:
    ad.manual_seed(7)
    module = getattr(nn, kind)(5, 18, bidirectional=True)
    whole = ad.randn(4, sequences + 1, 5)
    found = []
    for uneven in (False, True):
        x = whole[:, : sequences + uneven].detach().requires_grad_()
        lengths = [4] * sequences + [3] * uneven
        packed, h = module(pack_padded_sequence(x, lengths))
        y = pad_packed_sequence(packed)[0][:, :sequences]
        h = h[0] if kind == "LSTM" else h
        (y * y.cos()).sum().backward()
        found.append([bits(z) for z in (y, h[:, :sequences], x.grad[:, :sequences])])
    assert found[0] == found[1]


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(0, 4), st.booleans(), st.integers(0, 99))
def test_ctc_goes_back_as_its_definition_does(
    steps: int, batch: int, longest: int, impossible: bool, seed: int
) -> None:
    ad.manual_seed(seed)
    x = ad.randn(steps, batch, 3, dtype=ad.float64).log_softmax(2)
    if impossible:
        x = x.masked_fill(ad.rand(x.shape) < 0.2, -math.inf)
    x.requires_grad_()
    targets = ad.randint(1, 3, (batch, longest))
    times, sizes = (ad.randint(0, n + 1, (batch,)) for n in (steps, longest))
    loss = F.ctc_loss(x, targets, times, sizes, reduction="none", zero_infinity=True)
    g = ad.rand(batch, dtype=ad.float64)
    found, expected = (
        ad.autograd.grad(loss, x, g, retain_graph=True, create_graph=recorded)[0]
        for recorded in (False, True)
    )
    assert ad.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_label_that_cannot_be_costs_ctc_its_alignments() -> None:
    sure, never = 0.0, -math.inf
    for last, loss in ((math.log(0.25), math.log(4)), (never, math.inf)):
        x = ad.tensor([[sure, never], [math.log(0.75), last]]).unsqueeze(1).requires_grad_()
        y = F.ctc_loss(x, ad.tensor([[1]]), (2,), (1,), reduction="none")
        assert y.item() == pytest.approx(loss)
        y.backward(ad.ones(1))
        if last > never:
            assert x.grad.tolist() == [[[-1.0, 0.0]], [[0.0, -1.0]]]
        else:
            assert x.grad[..., 0].isnan().all()


def test_what_the_recursion_of_ctc_refuses() -> None:
    x, row = ad.rand(3, 2, 4), ad.tensor([[0, 0], [3, 1], [0, 0]])
    skips, there = ad.ones(3, 2, dtype=ad.bool), ad.ones(3, 3, 2, dtype=ad.bool)
    good = [x, row, skips, there, ad.tensor([[3, 3], [4, 4]])]
    assert lib.ad_ctc_chart(*[a._p for a in good])
    assert [lib.ad_next().shape[0] for _ in range(2)] == [4, 3][::-1]
    for at, wrong in (
        (0, x.half()), (0, x[0]), (0, x[:, :0]), (1, row[:2]), (1, row + 1), (1, row - 1),
        (1, row.int()), (2, skips[:2]), (2, row), (3, there[:2]), (4, ad.tensor([[3, 3], [4, 5]])),
        (4, ad.tensor([[-1, 3], [4, 4]])), (4, ad.tensor([3, 3])), (1, row[:0]),
    ):  # fmt: skip
        given = [*good[:at], wrong, *good[at + 1 :]]
        assert not lib.ad_ctc_chart(*[a._p for a in given]), (at, wrong)
        take_failure()
    for d in (ad.float16, ad.bfloat16, ad.int64):
        with pytest.raises(NotImplementedError, match="ctc_loss_cpu"):
            F.ctc_loss(x.to(d), ad.tensor([[1], [2]]), (3, 3), (1, 1))


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_ctc_of_many_is_that_of_each(dtype: ad.dtype) -> None:
    """Blocks of states, in any layout, as one sequence alone."""
    x = ad.randn(9, 130, 5, dtype=dtype).log_softmax(2)
    targets, sizes = ad.randint(1, 5, (130, 4)), ad.randint(0, 5, (130,))
    times = ad.randint(4, 10, (130,))
    found = F.ctc_loss(x, targets, times, sizes, reduction="none")
    across = x.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert ad.equal(F.ctc_loss(across, targets, times, sizes, reduction="none"), found)
    for i in (0, 56, 57, 129):
        alone = F.ctc_loss(
            x[:, i : i + 1], targets[i : i + 1], times[i : i + 1], sizes[i : i + 1],
            reduction="none",
        )  # fmt: skip
        assert ad.equal(alone[0], found[i])


def test_what_the_states_of_ctc_refuse() -> None:
    """Of operands that Python would not give, too; nothing is made then."""
    labels, times, sizes = ad.tensor([[1, 2]]), ad.tensor([3]), ad.tensor([2])
    outs, reasons = descriptors([NULL] * 4), list(range(10, 16))

    def refused(a: ad.Tensor, b: ad.Tensor, c: ad.Tensor, *numbers: int) -> tuple[int, int, int]:
        assert lib.ad_ctc_states(a._p, b._p, c._p, *numbers, reasons, outs)
        assert [*outs] == [NULL] * 4
        status, reason, _, n = take_failure()
        return status, reason, n

    n = (3, 2, 4, 0)  # steps, longest, classes, blank
    assert refused(labels, ad.tensor([-1]), sizes, *n) == (lib.AD_REFUSED, 10, -1)
    assert refused(labels, times, ad.tensor([-2]), *n) == (lib.AD_REFUSED, 11, -2)
    assert refused(labels, ad.tensor([4]), sizes, *n) == (lib.AD_REFUSED, 12, 4)
    assert refused(labels[0], times, ad.tensor([1]), *n) == (lib.AD_REFUSED, 13, 1)
    assert refused(labels, times, ad.tensor([3]), *n) == (lib.AD_REFUSED, 14, 3)
    assert refused(labels, times, sizes, 3, 2, 2, 0) == (lib.AD_REFUSED, 15, 2)
    for operands, numbers in (
        ((labels.float(), times, sizes), n),
        ((labels.t(), times, sizes), n),
        ((labels, times[0], sizes), n),
        ((labels, times, ad.tensor([2, 2])), n),
        ((labels[None], times, sizes), n),
        ((labels, times, sizes), (3, 3, 4, 0)),
        ((labels, times, sizes), (3, -1, 4, 0)),
        ((labels, times, sizes), (3, 2, 4, 4)),
        ((labels, times, sizes), (-1, 2, 4, 0)),
        ((labels, times, sizes), (2**61, 2, 4, 0)),
    ):
        assert refused(*operands, *numbers)[0] not in (0, lib.AD_REFUSED)
    last = 2**62  # lengths whose sum does not fit
    many = ad.tensor([last, last, last])
    assert refused(labels[0], times.expand(3).contiguous(), many, *n)[1] == 13


def test_what_steps_refuse() -> None:
    x, bools = ad.ones(3, 4), ad.ones(3, 4, dtype=ad.bool)
    native, out = steps_op.native, ad.ones(3, 4)
    assert lib.ad_pw_steps(native, 0, 2, [x._p, x._p], 1, [out._p]) == lib.AD_NO_VARIANT
    steps_op.write_steps([x._p, x._p], out._p, False)
    assert out.tolist() == [[2.0] * 4] * 3
    for one, other, out, count in (
        (x, x[:2], x.clone(), 2),  # another number of steps
        (x, ad.ones(()), x.clone(), 2),
        (x, x, ad.ones(3, 5), 2),  # another shape
        (x, x, bools.clone(), 2),
        (x, x, ad.ones(3, 1).expand(3, 4), 2),  # elements that share memory
        (x, x, x.clone(), 1),
    ):
        assert lib.ad_pw_steps(native, 0, count, [one._p, other._p], 1, [out._p])


@pytest.mark.parametrize("lengths", [(3, 3), (3, 2)])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}])
def test_what_a_layer_gave_may_be_written_to(
    kind: str, lengths: tuple[int, ...], options: dict[str, Any]
) -> None:
    found = []
    for own in (True, False):
        ad.manual_seed(0)
        layer = getattr(nn, kind)(2, 3, **options)
        x = ad.randn(3, 2, 2, requires_grad=True)
        y, after = layer(pack_padded_sequence(x, ad.tensor(lengths)))
        outputs = [y.data, *(after if kind == "LSTM" else (after,))]
        if own:
            outputs = [output.clone() for output in outputs]
        sum(output.mul_(2).square().sum() for output in outputs).backward()
        found.append([bits(z.grad) for z in (x, *layer.parameters())])
    assert found[0] == found[1]


def test_the_cell_state_may_be_written_over_before_backward() -> None:
    """As where a mask resets it between steps: the hidden state keeps its tanh, not it."""
    cell = nn.LSTMCell(2, 3)
    start = ad.randn(2, 4, 3)
    found = []
    for reset in (True, False):
        h, c = start.clone().requires_grad_().unbind()
        h, c = cell(ad.ones(4, 2), (h, c))
        if reset:
            c.zero_()
        cell.zero_grad()
        h.sum().backward()
        found.append(cell.weight_hh.grad)
    assert ad.equal(*found)
