"""Records how modules' state dicts are hooked into, as module_state.json (see recording.py)."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

from golden.record_module_hooks import Case, logger, run
from golden.recording import write

GOLDEN = Path(__file__).with_name("module_state.json")


def chain(lib: Any) -> Any:
    """Two layers in one."""
    return lib.nn.Sequential(lib.nn.Linear(1, 2), lib.nn.Linear(2, 1))


def counting(lib: Any) -> Any:
    """A class of modules that count, beside a layer."""

    class Counting(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.count = lib.nn.Linear(1, 1), 0

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    return Counting


def order(lib: Any, log: list[Any]) -> Any:
    """Every hook of a layer and of what it is in."""
    net = chain(lib)
    for name, module in (("net", net), ("layer", net[0])):
        module.register_state_dict_pre_hook(logger(log, f"{name} before save"))
        module.register_state_dict_post_hook(logger(log, f"{name} after save"))
        module._register_state_dict_hook(logger(log, f"{name} after save too"))
        module._register_load_state_dict_pre_hook(
            lambda state, prefix, local, strict, *lists, name=name: log.append(
                [f"{name} before load", sorted(state), prefix, strict, lists]
            )
        )
        module.register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest, name=name: log.append(
                [f"{name} before load too", type(m).__name__, sorted(state), prefix, rest[2:]]
            )
        )
        module.register_load_state_dict_post_hook(logger(log, f"{name} after load"))
    state = net.state_dict()
    del state["1.bias"]
    state["more"] = lib.ones(1)
    return str(net.load_state_dict(state, strict=False))


def renaming(lib: Any, log: list[Any]) -> Any:
    """State dicts of other names, written and read."""

    def save(module: Any, state: Any, prefix: str, local: Any) -> None:
        state[prefix + "w"] = state.pop(prefix + "weight")

    def load(state: Any, prefix: str, *rest: Any) -> None:
        state[prefix + "weight"] = state.pop(prefix + "w")

    net = chain(lib)
    net[1].register_state_dict_post_hook(save)
    net[1]._register_load_state_dict_pre_hook(load)
    state = net.state_dict()
    log.append([list(state), list(net[1].state_dict())])
    state["1.w"] = state["1.w"] * 0 + 5
    return str(net.load_state_dict(state)), net[1].weight.tolist()


def forgiving(lib: Any, log: list[Any]) -> Any:
    """What is missing is nothing to a hook."""
    net = chain(lib)
    net.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    return str(net.load_state_dict({}))


def replacing(lib: Any, log: list[Any]) -> Any:
    """A hook of the older kind gives another dict."""
    net = chain(lib)
    net._register_state_dict_hook(lambda module, state, prefix, local: {"only": 3})
    return net.state_dict()


def returning(lib: Any, log: list[Any]) -> Any:
    """A hook of the newer kind must give nothing."""
    net = chain(lib)
    net.register_state_dict_post_hook(lambda module, state, prefix, local: state)
    return net.state_dict()


def removed(lib: Any, log: list[Any]) -> Any:
    """Hooks taken away, and those of a copy."""
    net = chain(lib)
    handles = [
        net.register_state_dict_pre_hook(logger(log, "pre")),
        net.register_state_dict_post_hook(logger(log, "post")),
    ]
    copy.deepcopy(net).state_dict()
    for handle in handles:
        handle.remove()
    return list(net.state_dict())


def extra(lib: Any, log: list[Any]) -> Any:
    """What is saved besides tensors."""
    first, other = counting(lib)(), counting(lib)()
    first.count = 7
    state = lib.nn.Sequential(first).state_dict()
    log.append([list(state), state["0._extra_state"]])
    return str(lib.nn.Sequential(other).load_state_dict(state)), other.count


def extra_missing(lib: Any, log: list[Any]) -> Any:
    """A state without it."""
    return counting(lib)().load_state_dict({"layer.weight": lib.ones(1, 1)}, strict=False)


def extra_unexpected(lib: Any, log: list[Any]) -> Any:
    """It for a module that has none."""
    return str(lib.nn.Linear(1, 1).load_state_dict({"_extra_state": 3}, strict=False))


def buffers(lib: Any, log: list[Any]) -> Any:
    """Buffers that are told by their class."""
    nn = lib.nn

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.kept = nn.Buffer(lib.ones(2))
            self.left = nn.Buffer(lib.zeros(1), persistent=False)

    net = Net()
    log.append([list(net.state_dict()), [name for name, _ in net.named_buffers()]])
    net.left = lib.ones(3)
    net.left = nn.Buffer(lib.ones(3))
    log.append(list(net.state_dict()))
    twin = copy.deepcopy(net)
    twin.kept.add_(1)
    again = pickle.loads(pickle.dumps(nn.Buffer(lib.ones(2))))
    log.append([twin.kept, net.kept, again, nn.Buffer()])
    net.number = 3
    net.number = nn.Buffer(lib.ones(1))


def early_buffer(lib: Any, log: list[Any]) -> Any:
    """One before the module is made."""

    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.kept = lib.nn.Buffer(lib.ones(2))

    return Net()


def registers(lib: Any, log: list[Any]) -> Any:
    """Registers that are written to."""
    nn, net = lib.nn, chain(lib)
    net._modules["0"] = nn.Tanh()
    net._modules["more"] = nn.Linear(2, 2)
    log.append([str(net), str(net._modules.pop("1")), str(net), len(net), list(net._modules)])
    layer = net.more
    weight = layer._parameters.pop("weight")
    layer.register_parameter("raw", weight)
    layer.weight = weight * 2
    layer._parameters["bias"] = None
    log.append([list(layer._parameters), layer.bias, layer(lib.ones(1, 2)), list(net.state_dict())])
    layer._parameters["bias"] = nn.Parameter(lib.ones(2))
    layer._buffers["mean"] = lib.zeros(2)
    log.append([layer(lib.ones(1, 2)), list(layer.state_dict()), layer._parameters.get("none")])
    del layer._buffers["mean"]
    log.append([hasattr(layer, "mean"), "mean" in layer._buffers, len(layer._parameters)])
    return layer._parameters["mean"]


def looking_in_a_part(lib: Any, log: list[Any]) -> Any:
    """A module that passes on what it does not have."""

    class Wrapper(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)  # type: ignore[misc]
            except AttributeError:
                return getattr(self.module, name)

    inner = chain(lib)
    inner.in_part = 3
    net = Wrapper(inner)
    log.append([list(net.state_dict()), net.in_part])
    return net.nothing


def dictionaries_of_hooks(lib: Any, log: list[Any]) -> Any:
    """Hooks counted, and taken away at once."""
    net = lib.nn.Tanh()
    net.register_forward_hook(logger(log, "after"))
    net.register_forward_pre_hook(logger(log, "before"))
    net.register_full_backward_hook(logger(log, "backward"))
    log.append([len(net._forward_hooks), len(net._forward_pre_hooks), len(net._backward_hooks)])
    net(lib.zeros(1))
    net._forward_hooks.clear()
    net(lib.zeros(1))
    return len(lib.nn.Tanh()._forward_hooks)


CASES: dict[str, Case] = {
    case.__name__.replace("_", " "): case
    for case in (
        order,
        renaming,
        forgiving,
        replacing,
        returning,
        removed,
        extra,
        extra_missing,
        extra_unexpected,
        buffers,
        early_buffer,
        registers,
        looking_in_a_part,
        dictionaries_of_hooks,
    )
}


def main() -> None:
    """Writes module_state.json."""
    import torch

    write(GOLDEN, cases={name: run(case, torch) for name, case in CASES.items()})


if __name__ == "__main__":
    main()
