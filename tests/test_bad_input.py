"""Every public name, called wrongly in many ways: PyTorch's exception, our words.

A new name needs a row in golden/bad_input.txt, and golden/record_bad_input.py run where torch is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
from golden.record_bad_input import Call, recorded, rows, run, written_lines, wrong_calls

import autodiff as ad
from autodiff import nn, optim

# Where we differ on purpose: the calls, what PyTorch does, what we do, and why.
DIFFERENCES: list[tuple[str, str, str, str]] = [
    (r"Variable\(x, 1\)", "ok", "TypeError", "a flag is True or False here as elsewhere"),
    (
        r"2\*\*70",
        "ValueError|TypeError",
        "IndexError|RuntimeError",
        "an integer past 64 bits is out of range like any other",
    ),
    (r"(split|chunk)\((x, )?2\*\*70", "ValueError", "ok", "pieces of size 2**70 are pieces"),
    (
        r"(reshape|view|expand|_to)\(\(2|(Linear|LayerNorm|PReLU|unfold|Conv\w+|as_strided_?|set_num_threads|materialize)\(.*2\*\*70",
        "TypeError|ValueError",
        "OverflowError|TypeError",
        "Python's own exception for an integer past 64 bits",
    ),
    (
        r"(abs_?|absolute|square_|isin|trapezoid|trapz|lerp|arg(max|min)|(l1|huber|margin|ranking|embedding)_loss)\(.*bool",
        "RuntimeError|NotImplementedError",
        "ok",
        "arithmetic takes bools as the integers 0 and 1",
    ),
    (
        r"(Huber|L1|Margin|Ranking|Embedding)Loss\(\)\(.*torch\.bool",
        "RuntimeError",
        "ok",
        "and so do losses",
    ),
    (
        r"(prod|max|min|squeeze_?|set_|eye|arange|no_grad|random_|(std|var)(_mean)?)\(.*None",
        "TypeError",
        "ok",
        "None is an argument left out",
    ),
    (
        r"\.(reshape|permute|broadcast_to|view|expand)(_copy)?\([xy]?\)$",
        "TypeError",
        "RuntimeError",
        "no sizes are those of a tensor without dimensions, which these cannot become",
    ),
    (
        r"\.(empty|zeros|ones|randn?|sum_to_size|new_\w+)\((dtype=torch\.float32)?\)$",
        "TypeError",
        "ok",
        "no sizes are those of a tensor without dimensions, so f(*sizes) holds for every shape",
    ),
    (
        r"lerp_?\(.*torch\.float64|lerp_?\((x, )?torch\.ones\(2, 3, dtype",
        "RuntimeError",
        "ok",
        "lerp promotes as every other function does",
    ),
    (
        r"([aA]vg|lp|LP)_?[pP]ool2d\(|[uU]nfold\(|[uU]npool[23]d\(",
        "IndexError",
        "RuntimeError",
        "the wrong number of dimensions is refused as other pools refuse it",
    ),
    (
        r"cum(max|min)\(torch.ones\(0\)",
        "ok",
        "IndexError",
        "a dimension that is none is refused also of a tensor without elements",
    ),
    (
        r"lp_pool[123]d\(|LPPool1d|conv_transpose1d\(torch|LazyConvTranspose1d\(2, 2\)\(torch",
        "ok|ValueError|NotImplementedError",
        "NotImplementedError|TypeError|RuntimeError",
        "bools have no norm and no convolution, and a str is no size",
    ),
    (
        r"functional|multi_grad_hook|get_gradient_edge|nn\.\w+\(|torch\.(split|tensordot|norm)\(|fuse_\w+_weights\(",
        "AttributeError",
        "TypeError",
        "what is no tensor is a TypeError, also where PyTorch asks it for an attribute first",
    ),
    (
        r"autograd|backward",
        "AssertionError|RuntimeError",
        "TypeError|RuntimeError",
        "what is no tensor is a TypeError",
    ),
    (
        r"torch\.Tensor\.__i\w+__\(",
        "ok",
        "TypeError",
        "a method called by its operator's name raises what the operator would",
    ),
    (
        r"[cC]ross_?[eE]ntropy|nll_loss|NLLLoss",
        "ValueError|RuntimeError|IndexError",
        "RuntimeError|ValueError",
        "which of several mistakes is named first: we look at dtypes before shapes",
    ),
    (
        r"torch\.ones\(2\)",
        "TypeError",
        "RuntimeError|ValueError",
        "a tensor of several values where a number belongs is refused as bool(tensor) refuses it",
    ),
    (
        r"(normal|uniform|cauchy)_?\(.*\"a\"",
        "TypeError",
        "ValueError",
        "a str that is no number is refused as float() refuses it",
    ),
    (
        r"\.(flip|tile|repeat)\(x?\)$",
        "TypeError",
        "ok|RuntimeError",
        "no dimensions are none to flip, and none to repeat",
    ),
    (
        r"fuse_(conv|linear)_bn_weights\(",
        "ok|TypeError",
        "RuntimeError|ok",
        "a weight has rows, and a batch norm may have neither weight nor bias",
    ),
    (
        r"torch\.((rnn_tanh|rnn_relu|gru|lstm)(_cell)?|instance_norm)\(",
        "ok|IndexError|RuntimeError|NotImplementedError",
        "RuntimeError|ValueError",
        "refused as the layers refuse it",
    ),
    (r"narrow_copy\(", "RuntimeError", "IndexError", "refused as narrow refuses it"),
    (r"rot90\(.*2\*\*70", "ValueError", "ok", "turns are counted modulo four"),
    (
        r"roll\(torch.ones\(0\)",
        "ok",
        "IndexError",
        "a dimension that is none is refused also of a tensor without elements",
    ),
    (
        r"repeat_interleave\(x?\)",
        "TypeError",
        "NotImplementedError",
        "a tensor of floats as the numbers of repeats is what is refused",
    ),
    (
        r"scatter_?(add_?|reduce_?)?\(.*torch.ones\(0\)",
        "ok",
        "RuntimeError",
        "the dtype is looked at also of an index without elements",
    ),
    (
        r"scatter_?(add_?|reduce_?)?\(.*torch.ones\(7\)",
        "IndexError",
        "RuntimeError",
        "values of other dimensions are refused alike, however many they have",
    ),
    (
        r"functional.pad\(x, \(2\*\*40|empty_strided\(.*2\*\*40",
        "RuntimeError",
        "MemoryError",
        "what does not fit into memory is a MemoryError",
    ),
    (
        r"embedding_bag\(.*object",
        "AttributeError",
        "ValueError",
        "a mode that is none is refused as any other",
    ),
    (
        r"gather\(",
        "IndexError|ok",
        "RuntimeError",
        "gather looks at dimensions before dim, and at the dtype also of an index without elements",
    ),
    (r"torch\.ones\(5, 5, 5\)", "_LinAlgError", "LinAlgError", "the name without an underscore"),
    (
        r"addbmm_?\(",
        "IndexError",
        "RuntimeError",
        "what is no batch of matrices is refused alike, whatever it lacks",
    ),
    (
        r"cholesky\(torch\.ones\(0\)\)",
        "ok",
        "RuntimeError",
        "no elements are no matrix",
    ),
    (r"normalize\(x, \"a\"", "RuntimeError", "TypeError", "an order that is no number"),
    (r"einsum\(.*object\(\), obj", "ValueError", "TypeError", "what is no tensor is a TypeError"),
    (
        r"index_put_?\((x, )?\[",
        "RuntimeError",
        "TypeError|IndexError",
        "indices that do not broadcast are an IndexError, as in x[i, j]",
    ),
    (
        r"new_tensor\(",
        "TypeError",
        "RuntimeError",
        "new_tensor refuses what tensor() refuses, with the same exception",
    ),
    (r"__setitem__\(j, \[1\]\)", "TypeError", "ok", "lists of numbers can be assigned"),
    (
        r"backward\(|autograd\.",
        "TypeError",
        "RuntimeError",
        "that there is nothing to differentiate, or how many gradients there are, is said first",
    ),
    (
        r"batch_norm\(torch\.ones\([70]\)",
        "RuntimeError|ok",
        "IndexError",
        "an input without channels is an IndexError with and without weights",
    ),
    (
        r"RNNBase\(",
        "NotImplementedError",
        "TypeError|ok",
        "what runs an RNN, LSTM or GRU is RNNBase's own",
    ),
    (
        r"nn\.Transformer\(.*(ones\([70]\)|object)",
        "IndexError|RuntimeError",
        "RuntimeError|TypeError",
        "too few dimensions are a wrong number of features; a mask that is no tensor a TypeError",
    ),
    (r"ropout3d", "ok", "RuntimeError", "dropout of channels needs a dimension of channels"),
    (
        r"(Module|Parameter)Dict\(\[x",
        "TypeError",
        "ValueError",
        "the pairs are refused as dict() refuses them",
    ),
    (
        r"randint_like\(x, 0, None\)",
        "TypeError",
        "RuntimeError",
        "None is an argument left out, and randint_like(x, 0) draws from nothing",
    ),
    (
        r"index_select\(",
        "RuntimeError",
        "IndexError",
        "an index out of range is an IndexError for matrices too, as it is for vectors",
    ),
    (r"(x|net)\.to\(5\)", "RuntimeError", "TypeError", "there are no devices with numbers"),
    (
        r"__[gs]etitem__\((\"a\"|b'x')",
        "TypeError",
        "IndexError",
        "a str is an index of the wrong kind, as a dict is in PyTorch",
    ),
    (
        r"; y\.backward\(\); y\.backward\(\)$|expand\(.*\.(zero|fill)_",
        "RuntimeError|ok",
        "ok|RuntimeError",
        "indices are kept, so a second backward may read them; no write goes to memory twice",
    ),
    (
        r"gradgradcheck\(torch.exp, ",
        "TypeError",
        "ValueError",
        "that no input requires a gradient is said first, as gradcheck does",
    ),
    (
        r"set_printoptions\(",
        "ok",
        "TypeError|ValueError",
        "options that no tensor could be printed with are refused at once",
    ),
    (
        r"layers\.insert\(",
        "ok|KeyError",
        "TypeError|IndexError",
        "ModuleList.insert refuses what Sequential.insert refuses",
    ),
    (
        r"load_state_dict\((5|None)\)",
        "AttributeError",
        "TypeError",
        "what is no mapping is a TypeError",
    ),
    (
        r"ReduceLROnPlateau\(opt, (5|None|\"min\", 0.5, 2, 1e-4, (5|None)),",
        "TypeError",
        "ValueError",
        "a mode of the wrong type is one more mode that is not known",
    ),
    (
        r"ldexp_?\(.*bool",
        "NotImplementedError",
        "ok",
        "arithmetic takes bools as the integers 0 and 1",
    ),
    (
        r"unravel_index\(",
        "AttributeError|ValueError",
        "TypeError",
        "what is no tensor is a TypeError, and so is a size past 64 bits",
    ),
    (
        r"index_reduce_?\(.*ones\(\d",
        "RuntimeError",
        "IndexError",
        "an index of several dimensions is named first",
    ),
    (
        r"torch\.group_norm\(",
        "(Index|Runtime|NotImplemented)Error",
        "ValueError|RuntimeError",
        "what nn.functional refuses is refused at the top as there",
    ),
    (
        r"torch\.batch_norm\(.*-1\.0, False\)$",
        "ok",
        "ValueError",
        "what nn.functional refuses is refused at the top as there",
    ),
    (
        r"grad\(q, p, \[r, r\]\)",
        "ok",
        "RuntimeError",
        "more gradients than outputs are a mistake",
    ),
]
# Messages that cannot name the value: Python's own, or a value that is right in itself.
UNSAID = [
    r"nn\.Conv\w+\((\d, )?1\.5|(interpolate|upsample\w*)\(h, size=None",  # PyTorch's very words
    r"^x \* |\* x$",  # Python tries to repeat the sequence
    r"(randint_like|index_put_|backward|grad|Function\.forward)\(.*None",
    r"(diagonal|as_strided)_scatter\(",  # sizes that differ are at fault first
    r"permute(_copy)?\(.*\(-3,\)|as_strided(_|_copy)?\(|rot90\(",  # the number of them is at fault
    r"narrow(_copy)?\(.*1\.5",
    r"functional\.linear\(x, s, bias",
    r"init\.\w+\(x, |init\.dirac",  # Python's own, of arithmetic on what is no number
    r"(Module|Parameter)(List|Dict)\(",
    r"torch\.normal\(0, 1, ",
    r"manual_seed\(\"a\"",
    r"autograd\.\w+\(.*\[1, \"a\"\]",
    r"chain\.insert\(0, |net\.train\(|(Constant|Linear)LR\(",  # PyTorch's very words
]


def permitted(line: str, wanted: str, got: str) -> bool:
    """Whether a difference is one of those on purpose."""
    return any(
        re.search(calls, line) and re.fullmatch(theirs, wanted) and re.fullmatch(ours, got)
        for calls, theirs, ours, _ in DIFFERENCES
    )


def judge(call: Call) -> str | None:
    """What is wrong with how a wrong call ends."""
    wanted = recorded().get(call.line, "not recorded: run golden/record_bad_input.py")
    failure = run(ad, call.line)
    got = ["ok"] if failure is None else [kind.__name__ for kind in type(failure).__mro__]
    # Whoever catches PyTorch's exception catches ours.
    if wanted not in got and not permitted(call.line, wanted, got[0]):
        return f"{call.line}: PyTorch {wanted}, we {got[0]} ({failure})"
    if failure is None or any(re.search(unsaid, call.line) for unsaid in UNSAID):
        return None
    if "internal error" in str(failure) or not re.search(call.words, str(failure)):
        return f"{call.line}: {call.words!r} is not said: {failure}"
    return None


def by_name() -> dict[str, list[Call]]:
    """The wrong calls of each name."""
    found: dict[str, list[Call]] = defaultdict(list)
    for row in rows():
        found[f"{row.section}.{row.name}"] += wrong_calls(row)
    return found | {"lines": list(written_lines())}


CALLS = by_name()


@pytest.mark.usefixtures("settings_kept")
@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_raise_what_pytorch_raises_and_say_why(name: str) -> None:
    wrong = [text for call in CALLS[name] if (text := judge(call)) is not None]
    assert not wrong, "\n".join(wrong)


# Names that have no row, and why.
WITHOUT_ROW = {
    "torch": "svd_lowrank pca_lowrank "  # test_lowrank has them
    "get_deterministic_debug_mode Size Tensor default_generator dtype get_printoptions pointwise "
    "bool uint8 int8 int16 "
    "int32 int64 float16 bfloat16 float32 float64 short int long half float double autograd random "
    "gradcheck gradgradcheck layout memory_format strided contiguous_format preserve_format "
    "channels_last channels_last_3d __version__ compile",  # which test_compile has
    "Tensor": "__repr__ __pos__ __abs__ __neg__ __invert__ __eq__ __ne__ alias __hash__ __copy__ "
    "__dlpack__ __dlpack_device__ __torch_function__ "
    "signbit_ fmax_ fmin_ logaddexp_ logaddexp2_ "
    "isnan_ isinf_ isfinite_ maximum_ minimum_ cuda imag=",  # which cannot fail, or PyTorch has not
    "linalg": "LinAlgError",
    "Generator": "__reduce__ __setstate__",
    "dtype": "__repr__ __reduce__ __setattr__ __delattr__ is_complex=",
    "random": "Generator default_generator",
    "autograd.graph": "disable_saved_tensors_hooks GradientEdge",
    "autograd": "functional graph forward_ad Function gradcheck gradgradcheck "  # [lines] has them
    "is_anomaly_enabled is_anomaly_check_nan_enabled is_grad_enabled",
    "nn": "Module functional init parallel utils Neuron MLP",
    "nn.Module": "forward cuda",
    "nn.utils": "parametrizations parametrize prune rnn stateless",  # recorded with the layers
    "optim": "Optimizer lr_scheduler swa_utils",
    "optim.Optimizer": "__setattr__ __delattr__",
    "utils.data": "Dataset IterableDataset Sampler StackDataset",  # bases, and one of any names
    "autograd.Function": "vjp __call__ generate_vmap_rule=",
    "device": "type= __enter__ __exit__",  # of a str
}
# What Python puts into every class, and what every class may say of itself.
PYTHONS = (
    "__init__ __new__ __init_subclass__ __slots__ __array_priority__ __constants__ __orig_bases__ "
    "__firstlineno__ __static_attributes__ __annotate__ __annotate_func__ __annotations_cache__ "
    "cls_to_become"
)
OF_EVERY_CLASS = {*vars(type("Plain", (), {"__annotations__": {}})), *PYTHONS.split()}
CLASSES: dict[str, tuple[type, type]] = {
    # A section, its class, and the base whose attributes have a section of their own.
    "Tensor": (ad.Tensor, object),
    "Generator": (ad.Generator, object),
    "Size": (ad.Size, tuple),
    "device": (ad.device, str),
    "dtype": (ad.dtype, object),
    "autograd.Function": (ad.autograd.Function, object),
    "nn.Module": (nn.Module, object),
    "optim.Optimizer": (optim.Optimizer, object),
    "optim.lr_scheduler.LRScheduler": (optim.lr_scheduler.LRScheduler, object),
}
MODULES: dict[str, Any] = {
    "torch": ad,
    "random": ad.random,
    "autograd": ad.autograd,
    "autograd.graph": ad.autograd.graph,
    "linalg": ad.linalg,
    "nn": nn,
    "nn.functional": nn.functional,
    "nn.init": nn.init,
    "nn.utils": nn.utils,
    "special": ad.special,
    "optim": optim,
    "optim.lr_scheduler": optim.lr_scheduler,
    "optim.swa_utils": optim.swa_utils,
    "utils.data": ad.utils.data,
}


def attributes(cls: type, base: type) -> set[str]:
    """The public attributes of a class that its base has not; `name=` where they are properties."""
    found = set()
    for name in {name for owner in cls.__mro__[:-1] for name in vars(owner)} - OF_EVERY_CLASS:
        plain = callable(getattr(cls, name))
        if (name.startswith("__") and plain) or not name.startswith("_"):
            of_base = base is not object and hasattr(base, name)
            found |= set() if of_base else {name if plain else f"{name}="}
    return found


def with_subclasses() -> dict[str, tuple[type, type]]:
    """The sections of classes, and of each public class that adds methods to its base's."""
    found = dict(CLASSES)
    for section, module in MODULES.items():
        classes = [getattr(module, name) for name in module.__all__]
        classes = [cls for cls in classes if isinstance(cls, type)]
        for cls in classes:
            base = next((c for c in cls.__mro__[1:] if c in classes), object)
            if section.startswith(("nn", "optim")) and base is not object:
                found[f"{section}.{cls.__name__}"] = (cls, base)
    return found


SECTIONS = [*MODULES, *with_subclasses()]


def public_names(section: str) -> set[str]:
    """The names of a section: those that a module exports, or the attributes of a class."""
    if section == "torch":
        late = {n for n in ad._AT_TOP.split() if getattr(ad, n).__module__ == "autodiff.at_top"}
        late |= {"binomial"}
        return {*ad.__all__, *late}
    if section in MODULES:
        return set(MODULES[section].__all__)
    return attributes(*with_subclasses()[section])


@pytest.mark.parametrize("section", SECTIONS)
def test_every_public_name_has_a_row(section: str) -> None:
    named = {row.name for row in rows() if row.section == section}
    without = set(WITHOUT_ROW.get(section, "").split())
    names = public_names(section)
    missing = names - named - without
    assert not missing, f"add rows under [{section}] in tests/golden/bad_input.txt: {missing}"
    assert not without - names, "names without rows that are no more"
    if section not in MODULES:  # a class may have rows for what it overrides
        names = set(dir(with_subclasses()[section][0]))
    assert not {name.rstrip("=") for name in named} - names, "rows of names that are no more"


def test_there_are_no_sections_of_nothing() -> None:
    assert {row.section for row in rows()} <= set(SECTIONS)
