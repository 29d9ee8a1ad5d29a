"""What the node of a result is called: as PyTorch calls it, by recorded facts."""

from __future__ import annotations

import json

import pytest
from golden.record_node_names import GOLDEN, lines, node_name

import autodiff as ad
from autodiff.ops.base import called

NAMES = json.loads(GOLDEN.read_text())["names"]
OURS = {  # where a composition of ours ends otherwise, or one function of ours is several of theirs
    "torch.chain_matmul(m, m)": "MmBackward0",
    "torch.linalg.multi_dot([m, m, m])": "MmBackward0",
    'torch.einsum("ij,jk->ik", x, m)': "MmBackward0",
    "torch.linalg.cond(m)": "DivBackward0",
    "torch.linalg.tensorinv(m.reshape(3, 3, 1).squeeze(2), 1)": "ViewBackward0",
    "x[:1].squeeze((0, 1))": "SqueezeBackward0",
    "torch.sgn(x)": "SignBackward0",
    "torch.xlogy(x, 2)": "XlogyBackward0",
    "torch.xlogy(2, y)": "XlogyBackward0",
    "torch.special.xlog1py(2, y)": "SpecialXlog1PyBackward0",
    "torch.special.round(x)": "RoundBackward0",
    "torch.copysign(x, 2.0)": "CopysignBackward0",
    "F.cross_entropy(x, p.softmax(1))": "DivBackward0",
    "torch.nn.LSTM(3, 2).double()(b)[0]": "ViewBackward0",
    "torch.nn.GRU(3, 2).double()(b)[0]": "ViewBackward0",
    "torch.nn.RNN(3, 2).double()(b)[0]": "ViewBackward0",
    "torch.nn.utils.rnn.pad_sequence([x, y])": "TransposeBackward0",
}


@pytest.mark.parametrize("line", lines())
def test_as_pytorch(line: str) -> None:
    wanted, name = NAMES[line], node_name(ad, line)
    assert name == OURS.get(line, wanted)
    assert line not in OURS or name != wanted, "which is no exception any more"


def test_a_vector_product_is_called_by_what_is_multiplied() -> None:
    v, m = ad.ones(2, requires_grad=True), ad.ones(2, 2)
    assert repr(v @ v) == "tensor(2., grad_fn=<DotBackward0>)"
    assert repr(m @ v) == "tensor([2., 2.], grad_fn=<MvBackward0>)"


def test_what_is_written_without_recording_keeps_its_name() -> None:
    """`called` names nodes that its function made: no function makes any where none are."""
    x = ad.ones(2, requires_grad=True).sin()
    with ad.no_grad():
        called("WrongBackward0")(lambda: x)()
        x.masked_fill_(ad.tensor([True, False]), 2.0)
    assert x.grad_fn is not None
    assert x.grad_fn.name() == "SinBackward0"
