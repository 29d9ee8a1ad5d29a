"""`out=` takes what PyTorch's takes, and gets what the function returns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from golden.record_out import DTYPES, cases, letters, recorded, scope, written

import autodiff as ad

ALLOWED = {".": ".", "R": "RN", "T": "T", "N": "NR"}  # ours, where PyTorch's is the key
LENIENT = ("nansum", "std", "var")  # PyTorch's refuse float16 and integers for some sizes alone
MADE = ("rand", "normal", "multinomial", "bernoulli", "logspace")  # in the dtype of `out`


@pytest.mark.parametrize("case", cases())
def test_dtypes_as_pytorch(case: str) -> None:
    pairs = zip(product(DTYPES, DTYPES), letters(ad, case), recorded()[case], strict=True)
    wrong = [f"{x} -> {out}: {a}, not {b}" for (x, out), a, b in pairs
             if a != "-" and b != "-" and a not in ALLOWED[b]]  # fmt: skip
    assert not wrong or case.startswith(LENIENT), wrong


@pytest.mark.parametrize("case", [case for case in cases() if not case.startswith(MADE)])
def test_out_is_the_result_converted(case: str) -> None:
    found = letters(ad, case)
    for (given, kind), letter in zip(product(DTYPES, DTYPES), found, strict=True):
        if letter == ".":
            natural, outs = written(ad, case, given, kind)
            naturals = natural if isinstance(natural, (tuple, list)) else (natural,)
            for y, out in zip(naturals, outs, strict=True):
                ad.testing.assert_close(out, y.to(out.dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("case", [case for case in cases() if recorded()[case][0] != "-"])
def test_operands_that_want_gradients_are_refused(case: str) -> None:
    names = scope(ad, "float32")
    for name in ("x", "m", "mm", "eye"):
        names[name] = names[name].detach().clone().requires_grad_()
    found = eval(f"torch.{case}", names)
    results = found if isinstance(found, (tuple, list)) else (found,)
    if any(y.requires_grad for y in results):
        outs = tuple(ad.empty_like(y.detach()) for y in results)
        names["out"] = outs if found is results else outs[0]
        with pytest.raises(RuntimeError, match="support automatic differentiation"):
            eval(f"torch.{case[:-1]}, out=out)", names)


@pytest.mark.parametrize("n", [0, 24, 20_000])  # 20,000: more than a shape's key holds
def test_a_pointwise_result_is_written_where_it_goes(n: int) -> None:
    x, y, z = ad.rand(n), ad.rand(n), ad.full((n,), 7.0)
    at, version = z.data_ptr(), z._version
    assert ad.add(x, y, out=z) is z
    assert z._version == version + 1
    assert z.data_ptr() == at
    assert ad.equal(z, x + y)
    assert ad.equal(ad.clamp(x, 0.25, 0.5, out=z), x.clamp(0.25, 0.5))
    assert ad.equal(ad.mul(x, ad.tensor(3.0), out=z), x * 3)
    truths = ad.empty(n, dtype=ad.bool)
    assert ad.equal(ad.lt(x, y, out=truths), x < y)
    expected = x - y
    assert ad.sub(x, y, out=x) is x
    assert ad.equal(x, expected)


def test_what_is_not_plain_is_written_as_before() -> None:
    x, y = ad.arange(6.0), ad.ones(6)
    with pytest.raises(RuntimeError, match="single memory location"):
        ad.add(x[:-1], 1.0, out=x[1:])
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    whole = ad.zeros(2, 6)
    assert ad.add(x, y, out=whole[1]).tolist() == [1, 2, 3, 4, 5, 6]
    assert whole[1].tolist() == [1, 2, 3, 4, 5, 6]
    assert ad.add(x.reshape(2, 3)[0], y[:3], out=ad.empty(3)).tolist() == [1, 2, 3]
    with pytest.warns(UserWarning, match="resized"):
        assert ad.add(ad.tensor(1.0), ad.tensor(2.0), out=ad.zeros(3)).shape == ()
    wants = ad.ones(6, requires_grad=True)
    for operands, out in (((wants, y), ad.empty(6)), ((x, y), wants)):
        with pytest.raises(RuntimeError, match="automatic differentiation"):
            ad.add(*operands, out=out)
    with ad.no_grad():
        assert ad.add(wants, y, out=wants).tolist() == [2.0] * 6
    double = ad.empty(6, dtype=ad.float64)
    assert ad.add(x, y, out=double).tolist() == [1, 2, 3, 4, 5, 6]
    by = ad.tensor([2, 0, 3])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        ad.floor_divide(ad.tensor([4, 4, 4]), by, out=by)


@pytest.mark.parametrize(("join", "shape"), [(ad.cat, (4, 3)), (ad.stack, (2, 2, 3))])
def test_what_is_joined_is_written_where_it_goes(
    join: Callable[..., ad.Tensor], shape: tuple[int, ...]
) -> None:
    x, y = ad.rand(2, 3), ad.rand(2, 3)
    expected, out = join((x, y)), ad.empty(shape)
    at, version = out.data_ptr(), out._version
    assert join([x, y], 0, out=out) is out
    assert out._version == version + 1
    assert out.data_ptr() == at
    assert ad.equal(out, expected)
    double, across = ad.empty(shape, dtype=ad.float64), ad.empty(shape[::-1]).permute(
        *reversed(range(len(shape)))
    )  # fmt: skip
    for other in (double, across, ad.empty(0)):
        assert ad.equal(join((x, y), dim=0, out=other), expected.to(other.dtype))
    both = ad.rand(4, 3)
    wanted = join((both[2:], both[:2]))
    if join is ad.cat:
        assert ad.equal(join((both[2:], both[:2]), out=both), wanted)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        join((x.clone().requires_grad_(), y), out=out)
    with pytest.raises(TypeError):
        join((x, 3), out=out)
    with pytest.raises(TypeError):
        join((x, y), 0, 1, out=out)
    with pytest.raises(IndexError):
        join((x, y), 5, out=out)
    compiled = ad.compile(lambda x, y, out: join((x, y), out=out) * 2)
    for _ in range(3):
        x, y = ad.rand(2, 3), ad.rand(2, 3)
        assert ad.equal(compiled(x, y, out), join((x, y)) * 2)
        assert ad.equal(out, join((x, y)))


def test_sums_and_the_like_are_written_as_they_were() -> None:
    x, out = ad.rand(4, 6), ad.empty(6)
    for function in (ad.sum, ad.mean, ad.amax, ad.prod):
        assert function(x, dim=0, out=out) is out
        assert ad.equal(out, function(x, 0))
        assert function(x, 0, True, out=ad.empty(0)).shape == (1, 6)
    assert ad.sum(x.int(), 0, out=ad.empty(6, dtype=ad.int32)).dtype is ad.int32
    half = ad.full((4096,), 1.0, dtype=ad.float16)
    assert ad.sum(half, 0, out=ad.empty((), dtype=ad.float32)).item() == 4096
    with pytest.raises(RuntimeError, match="does not match dtype of out"):
        ad.sum(x, 0, dtype=ad.float64, out=out)
    with pytest.raises(TypeError):
        ad.sum(x, 0, keepdim=1, out=out)
    with pytest.raises(TypeError):
        ad.sum(x, 0, False, None, out=out)
    with pytest.raises(TypeError):
        ad.sum(x, 0, out=3)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        ad.sum(x.clone().requires_grad_(), 0, out=out)
    with ad.autocast("cpu"):
        assert ad.sum(x, 0, out=out).dtype is ad.float32
    same = ad.cumsum(x, 0)
    assert ad.equal(ad.cumsum(x, 0, out=x), same)
    nested: list[object] = []
    nested.append(nested)
    with pytest.raises((TypeError, RecursionError)):
        ad.cat(nested, out=out)
