"""Saving and loading: what goes in comes out, files are whole, and nothing in them is run."""

from __future__ import annotations

import base64
import collections
import contextlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from golden.record_checkpoint import CASES, GOLDEN, REFUSED, described
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn, optim

safetensors = pytest.importorskip("safetensors")
RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
DTYPES = [ad.bool, ad.uint8, ad.int8, ad.int16, ad.int32, ad.int64, ad.float32, ad.float64]


def again(value: Any) -> Any:
    """What comes back from a file."""
    file = io.BytesIO()
    ad.save(value, file)
    return ad.load(io.BytesIO(file.getvalue()))


# ---- our own format ----


@st.composite
def tensors(draw: Any) -> ad.Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    x = ad.randn(*shape, generator=ad.Generator().manual_seed(draw(st.integers(0, 9))))
    x = (x * 3).to(draw(st.sampled_from(DTYPES)))
    x = x.t() if x.ndim == 2 else x
    if x.is_floating_point() and draw(st.booleans()):
        return nn.Parameter(x) if draw(st.booleans()) else x.requires_grad_()
    return x


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.complex_numbers(),
    st.sampled_from(DTYPES),
    st.builds(ad.Size, st.lists(st.integers(0, 5), max_size=3)),
)
keys = st.one_of(st.text(max_size=3), st.integers(0, 5), st.booleans(), st.none())
keys = keys | st.tuples(keys, keys)
nested = st.recursive(
    plain | tensors(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3).map(collections.OrderedDict),
        st.frozensets(keys, max_size=3),
        st.sets(keys, max_size=3),
    ),
    max_leaves=12,
)


def contents(value: Any) -> Any:
    """As `described`, without the layout of memory, which is not kept."""
    if isinstance(value, ad.Tensor):
        return [type(value), value.dtype, value.shape, value.requires_grad, repr(value.tolist())]
    if isinstance(value, dict):
        return [type(value), [[contents(k), contents(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value), [contents(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [type(value), sorted(map(repr, value))]
    return [type(value), repr(value)]


@settings(deadline=None, max_examples=60)
@given(nested)
def test_what_is_saved_comes_back(value: Any) -> None:
    assert contents(again(value)) == contents(value)


def test_files_are_safetensors_of_everybodys() -> None:
    state = {"b": ad.ones(2), "a": {"c": ad.zeros(3, dtype=ad.int64)}, "n": 1}
    file = io.BytesIO()
    ad.save(state, file)
    names = {name: about["shape"] for name, about in safetensors.deserialize(file.getvalue())}
    assert names == {"b": [2], "a.c": [3]}
    import numpy as np
    from safetensors.numpy import save as save_numpy

    foreign = save_numpy({"x": np.arange(3), "y": np.ones((2, 2), np.float32)}, {"format": "np"})
    found = ad.load(io.BytesIO(foreign))
    assert {name: x.tolist() for name, x in found.items()} == {
        "x": [0, 1, 2],
        "y": [[1.0, 1.0], [1.0, 1.0]],
    }
    with pytest.raises(TypeError, match=r"'x' is of dtype U16; supported are BOOL"):
        ad.load(io.BytesIO(save_numpy({"x": np.ones(2, np.uint16)})))


def test_names_that_meet_and_memory_that_is_shared() -> None:
    x = ad.arange(6.0).reshape(2, 3)
    state = {"a.b": x, "a": {"b": ad.zeros(1)}, "same": x, "turned": x.t(), "__metadata__": x[0]}
    found = again(state)
    assert contents(found) == contents(state)
    found["same"].fill_(7.0)
    assert found["a.b"].tolist() == [[7.0] * 3] * 2
    assert found["turned"].tolist() == x.t().tolist()
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert len(safetensors.deserialize(saved(model.state_dict()))) == 3


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    ad.save(value, file)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["Adam", "SGD", "ASGD", "LBFGS"])
def test_training_goes_on_from_a_file(kind: str, tmp_path: Path) -> None:
    def parts() -> tuple[Any, Any, Any]:
        ad.manual_seed(0)
        model = nn.MLP([2, 4, 1])
        options = {"momentum": 0.9} if kind == "SGD" else {}
        optimizer = getattr(optim, kind)(model.parameters(), lr=0.05, **options)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2)

    def train(model: Any, optimizer: Any, schedule: Any) -> Any:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
            schedule.step()
        return model(x).tolist()

    x, y = ad.randn(5, 2, generator=ad.Generator().manual_seed(1)), ad.ones(5, 1)
    first = parts()
    train(*first)
    ad.save([part.state_dict() for part in first], tmp_path / "state")
    second = parts()
    for part, state in zip(second, ad.load(tmp_path / "state"), strict=True):
        part.load_state_dict(state)
    assert train(*second) == train(*first)


def test_what_cannot_be_saved_is_named() -> None:
    with pytest.raises(TypeError, match=r"save: obj\['a'\]\[1\] is of type builtins.object"):
        ad.save({"a": [1, object()]}, io.BytesIO())
    with pytest.raises(TypeError, match=r"save: obj is of type autodiff.nn.linear.Linear"):
        ad.save(nn.Linear(1, 1), io.BytesIO())
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match=r"save: obj\[0\] holds itself"):
        ad.save(circle, io.BytesIO())


# ---- files ----


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "state"
    ad.save({"x": ad.ones(3)}, path)
    path.chmod(0o640)
    ad.save({"x": ad.zeros(3)}, str(path))
    assert path.stat().st_mode & 0o777 == 0o640

    def fail(*given: Any) -> None:
        Path(given[1]).write_bytes(b"half")
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors, "serialize_file", fail)
        with pytest.raises(OSError, match="disk is full"):
            ad.save({"x": ad.ones(3)}, path)
    assert ad.load(path)["x"].tolist() == [0.0] * 3
    assert os.listdir(tmp_path) == ["state"]
    (tmp_path / "link").symlink_to(path)
    ad.save(5, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert ad.load(path) == 5
    with pytest.raises(FileNotFoundError):
        ad.save(5, tmp_path / "nowhere" / "state")


KILLED = """
import os, pathlib, signal, sys
import autodiff as ad, safetensors
path, last = sys.argv[1], int(sys.argv[2])
ad.save({"x": ad.zeros(1000)}, path)
count = 0

def dying(name, module, half=None):
    whole = getattr(module, name)
    def call(*given):
        global count
        if count == last:
            if half:
                whole(*given)
                os.truncate(given[1], 1000)
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return whole(*given)
    setattr(module, name, call)

dying("serialize_file", safetensors, half=True)
dying("fsync", os)
dying("replace", os)
ad.save({"x": ad.ones(1000)}, path)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_save_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """Killed in the middle of writing, before each step after that, and not at all."""
    path, seen = tmp_path / "state", []
    for last in range(9):
        run = subprocess.run([sys.executable, "-c", KILLED, str(path), str(last)])
        (value,) = set(ad.load(path)["x"].tolist())
        seen.append(value)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
    assert seen[:3] == [0.0] * 3
    assert seen[-1] == 1.0


def test_arguments_of_load(tmp_path: Path) -> None:
    path = tmp_path / "state"
    ad.save(1, path)
    assert ad.load(path, "cpu") == ad.load(str(path), map_location=None, mmap=True) == 1
    with path.open("rb") as file:
        assert ad.load(file) == 1
    assert ad.load(path, ad.device("cpu"), weights_only=False) == 1
    assert ad.load(path, map_location=lambda storage, where: storage) == 1
    assert ad.load(path, map_location={"cuda:0": "cpu"}) == 1
    with pytest.raises(RuntimeError, match="map_location='cuda' is not supported"):
        ad.load(path, "cuda")
    with pytest.raises(FileNotFoundError):
        ad.load(tmp_path / "other")
    for raw in (b"x", b"x" * 100):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match="neither a safetensors file nor one of PyTorch's"):
            ad.load(path)


def test_files_are_told_by_paths_or_objects_and_hold_something() -> None:
    """A number is no path: `open` would read, and close, what the program has open under it."""
    read, write = os.pipe()
    for call in (lambda: ad.load(read), lambda: ad.save(1, write)):
        with pytest.raises(AttributeError, match="path or a binary file, not int"):
            call()
    os.close(write)
    os.close(read)
    with pytest.raises(EOFError, match="empty"):
        ad.load(io.BytesIO())


def test_without_the_library_there_is_a_hint(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"pip install 'autodiff\[io\]'"):
        ad.save(1, io.BytesIO())
    assert ad.load(recorded("model"))["0.bias"].shape == (3,), "PyTorch's files need none"


def test_a_file_of_text_is_told_so() -> None:
    with pytest.raises(TypeError, match="gives str, not bytes"):
        ad.load(io.StringIO("text"))


def test_damaged_metadata_is_an_error() -> None:
    x = ad.ones(1)
    spec = safetensors.TensorSpec(dtype="int32", shape=[1], data_ptr=x.data_ptr(), data_len=4)
    texts = ["", "[", '["tensor","y",""]', '["eval","1"]', '{"a":1}', "[1]", '["set",[[]]]']
    texts += ['["tensor","x","g"]', '["tensor","x",1]', '["bytes","a"]', "9" * 5000]
    texts += ["[" * 100_000, '["dtype","int4"]', '["dict",[[["list",[]],1]]]', '["size",["a"]]']
    for text in texts:
        raw = safetensors.serialize({"x": spec}, {"autodiff": text})
        with pytest.raises(ValueError, match="the metadata of the file is damaged"):
            ad.load(io.BytesIO(raw))


# ---- PyTorch's files ----


def recorded(name: str, section: str = "files") -> io.BytesIO:
    return io.BytesIO(base64.b64decode(RECORD[section][name]))


@pytest.mark.parametrize("name", RECORD["files"])
def test_pytorchs_files_hold_what_pytorch_saved(name: str) -> None:
    assert described(ad.load(recorded(name))) == RECORD["values"][name.partition("-")[0]]


def test_views_of_one_storage_share_it() -> None:
    found = ad.load(recorded("views"))
    found["x"].zero_()
    assert found["t"].sum().item() == found["part"].sum().item() == 0.0


def test_a_model_and_its_training_go_on_here() -> None:
    state = ad.load(recorded("training"))
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    optimizer = optim.Adam(model.parameters())
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [1])
    assert str(model.load_state_dict(state["model"])) == "<All keys matched successfully>"
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert schedule.milestones == {2: 2, 5: 1}
    model(ad.ones(4, 2)).sum().backward()
    optimizer.step()
    assert optimizer.state[model[0].weight]["step"].item() == 2.0


WANTED = {
    "complex": "torch.ComplexFloatStorage",
    "module": "torch.nn.modules.container.Sequential",
    "function": r"(builtins|__builtin__)\.print",
    "device": "torch.device",
    "array": r"numpy",
    "old": "before 1.6",
}


@pytest.mark.parametrize("name", WANTED)
def test_what_is_refused_is_named(name: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match=WANTED[name]):
        ad.load(recorded(name, "refused"))


def test_every_case_is_recorded() -> None:
    assert [name for name in RECORD["files"] if "-" not in name] == list(CASES)
    assert list(RECORD["refused"]) == [*REFUSED, "old"] == list(WANTED)


def archive(code: bytes, **members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/data.pkl", code)
        for name, raw in members.items():
            made.writestr(f"a/{name}", raw)
    return io.BytesIO(file.getvalue())


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pickles_that_would_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made"
    name = str(path).encode()
    codes = [pickle.dumps([Evil(path)], protocol) for protocol in range(6)]
    codes.append(b"(V%b\nios\nmkdir\n." % name)  # INST
    codes.append(b"(cos\nmkdir\nV%b\no." % name)  # OBJ
    codes.append(b"\x80\x02\x82\x01.")  # EXT1
    for code in codes:
        with pytest.raises(pickle.UnpicklingError):
            ad.load(archive(code))
        with pytest.raises((pickle.UnpicklingError, ValueError)):
            ad.load(io.BytesIO(code))
        assert not path.exists()
    pickle.loads(codes[2])
    assert path.exists(), "and would have run"


WIDE, DEEP = b"2\x86" * 60, b"\x85" * 300_000


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b".",
        b"(.",
        b"t.",
        b"0.",
        b"h\x05.",
        b"]a.",
        b"}K\x01s.",
        b"}]K\x01s.",
        b"](K\x01u.",
        b"NNR.",
        b"ccollections\nOrderedDict\n.",
        b"ccollections\nOrderedDict\nNR.",
        b"NQ.",
        b"(X\x07\x00\x00\x00storageNNNNtQ.",
        b"}}b.",
        b"ctorch\nSize\n(Nt\x85R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch._utils\n_rebuild_parameter\nN\x85R.",
        b"\x95" + b"\xff" * 8 + b".",
        b"\x8b\xff\xff\xff\x7f.",
        # keys that hold themselves over and over, or one in another, each written once
        *(b"\x80\x02})" + part + b"K\x01s." for part in (WIDE, DEEP)),
        *(b"\x80\x04\x8f()" + part + b"\x90." for part in (WIDE, DEEP)),
        *(b"\x80\x04()" + part + b"\x91." for part in (WIDE, DEEP)),
        *(b"cbuiltins\nset\n])" + part + b"a\x85R." for part in (WIDE, DEEP)),
        *(b"ccollections\nOrderedDict\n])" + part + b"N\x86a\x85R." for part in (WIDE, DEEP)),
    ],
)
def test_nonsense_is_an_error(code: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        ad.load(archive(code))


def test_tensors_stay_within_their_storage() -> None:
    def tensor(count: int, offset: int, size: int, stride: int) -> io.BytesIO:
        numbers = b"".join(b"J" + n.to_bytes(4, "little", signed=True) for n in (offset,))
        storage = (
            b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ"
            + count.to_bytes(4, "little", signed=True)
            + b"tQ"
        )
        one = b"J%b\x85"
        ends = one % size.to_bytes(4, "little", signed=True)
        ends += one % stride.to_bytes(4, "little", signed=True)
        code = (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + ends + b"\x89NtR."
        )
        return archive(code, **{"data/0": b"\0\0\x80?" * 4})

    assert ad.load(tensor(4, 1, 3, 1)).tolist() == [1.0] * 3
    for wrong in (
        (4, 1, 4, 1),
        (4, -1, 2, 1),
        (4, 0, 2, 4),
        (4, 3, 2, -1),
        (5, 0, 1, 1),
        (4, 0, -2, 1),
    ):
        with pytest.raises(pickle.UnpicklingError):
            ad.load(tensor(*wrong))


def test_compressed_archives_and_others_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/data.pkl", b"N.")
    with pytest.raises(pickle.UnpicklingError, match="is compressed"):
        ad.load(io.BytesIO(file.getvalue()))
    with pytest.raises(pickle.UnpicklingError, match="TorchScript"):
        ad.load(archive(b"N.", **{"constants.pkl": b""}))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("b.txt", b"")
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.save made none such"):
        ad.load(io.BytesIO(file.getvalue()))


def test_members_that_overlap_are_refused() -> None:
    """Each would be read into memory of its own, so a small file could fill any."""
    raw = bytearray(archive(b"N.", **{"data/0": b""}).getvalue())
    last = raw.rfind(b"PK\x01\x02")  # what the directory tells of data/0, its sizes among them
    raw[last + 20 : last + 28] = 2 * len(raw).to_bytes(4, "little")
    with pytest.raises(pickle.UnpicklingError, match="overlap"):
        ad.load(io.BytesIO(bytes(raw)))


def test_the_other_byte_order() -> None:
    big = b"(X\x07\x00\x00\x00storagectorch\nLongStorage\nX\x01\x00\x00\x000NK\x02tQ"
    code = b"ctorch._utils\n_rebuild_tensor_v2\n(" + big + b"K\x00K\x02\x85K\x01\x85\x89NtR."
    raw = (5).to_bytes(8, "big") + (-7).to_bytes(8, "big", signed=True)
    file = archive(code, **{"data/0": raw, "byteorder": b"big"})
    assert ad.load(file).tolist() == [5, -7]


@pytest.mark.parametrize("byte", [0x81, 0xFF])
def test_a_damaged_directory_is_an_error_or_unseen(byte: int) -> None:
    """Places and sizes in it may be larger than any file, or than any size of Python's."""
    whole = base64.b64decode(RECORD["files"]["containers"])
    for at in range(whole.find(b"PK\x01\x02"), len(whole)):
        with contextlib.suppress(pickle.UnpicklingError, ValueError):
            ad.load(io.BytesIO(whole[:at] + bytes([byte]) + whole[at + 1 :]))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["containers", "views", "training"]), st.data())
def test_damaged_files_are_errors_or_other_values(name: str, data: Any) -> None:
    raw = bytearray(base64.b64decode(RECORD["files"][name]))
    code = raw.find(b"data.pkl")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(code, code + 2000) | st.integers(0, len(raw) - 1))
        raw[at % len(raw)] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):  # past the check sums
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(RECORD["files"][name]))) as old:
            pickled = bytearray(old.read("archive/data.pkl"))
            pickled[at % len(pickled)] ^= 1 + at % 255
            parts = {n.removeprefix("archive/"): old.read(n) for n in old.namelist()}
        parts.pop("data.pkl")
        file = archive(bytes(pickled), **parts)
    else:
        file = io.BytesIO(bytes(raw))
    with contextlib.suppress(pickle.UnpicklingError, ValueError):
        ad.load(file)
