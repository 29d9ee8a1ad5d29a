"""Hooks of modules: functions that users have called before and after forward, and in backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from autodiff.changes import changed, new_lock
from autodiff.hooks import HookDict, RemovableHandle, add_hook
from autodiff.nn._backward_hook import BackwardHook, hook_node
from autodiff.nn._where import explain

__all__ = [
    "Hooked", "register_module_backward_hook", "register_module_buffer_registration_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one module, or of all."""

    def __init__(self) -> None:
        self.before = HookDict()
        self.after = HookDict()
        self.backward_before = HookDict()
        self.backward_after = HookDict()
        self.with_kwargs = HookDict()  # of which of forward it holds: they take keywords too,
        self.always = HookDict()  # are called where forward raised too
        self.of_node = False  # whether those of backward_after are the older kind
        self.compiled: Any = None  # by Module.compile

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "compiled": None}

    def add(
        self, kind: HookDict, hook: Hook, first: bool, with_kwargs: bool, always: bool = False
    ) -> RemovableHandle:
        """Register a hook of forward."""
        held = ((self.with_kwargs, with_kwargs), (self.always, always))
        return add_hook(kind, hook, first, [mark for mark, holds in held if holds])

    def add_backward(
        self, hook: Hook, first: bool, of_node: bool, of: str = "on a single Module"
    ) -> RemovableHandle:
        """Register a hook after backward, all of which are of one kind."""
        if self.backward_after and self.of_node != of_node:
            raise RuntimeError(
                f"Cannot use both regular backward hooks and full backward hooks {of}. Please use "
                "only one of them."
            )
        self.of_node = of_node
        return add_hook(self.backward_after, hook, first)

    def all(self) -> list[Hook]:
        """The hooks of every kind."""
        kinds = self.before, self.after, self.backward_before, self.backward_after
        return [hook for kind in kinds for hook in [*kind.values()]]


of_all = Hooks()


class Hooked:
    """What can be called, and hooked; a module without hooks pays one look at an attribute."""

    _hooks: Hooks | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            try:
                if len(args) == 1 and not kwargs:  # a third faster
                    return self.forward(args[0])
                return self.forward(*args, **kwargs)
            except Exception as error:
                explain(self, error, args)
                raise
        if self._hooks.compiled is not None:
            return self._hooks.compiled(*args, **kwargs)
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return Call(self, args, kwargs).run()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module computes."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    @property
    def _forward_pre_hooks(self) -> HookDict:
        return self._own_hooks(looked_at=True).before

    @property
    def _forward_hooks(self) -> HookDict:
        return self._own_hooks(looked_at=True).after

    @property
    def _backward_pre_hooks(self) -> HookDict:
        return self._own_hooks(looked_at=True).backward_before

    @property
    def _backward_hooks(self) -> HookDict:
        return self._own_hooks(looked_at=True).backward_after

    def _own_hooks(self, looked_at: bool = False) -> Hooks:
        values = self.__dict__
        found = values.get("_hooks")
        if looked_at:
            changed()  # who looks may clear them
            return Hooks() if found is None else found
        if found is None:
            found = values["_hooks"] = Hooks()
            changed()
        return found

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns, if not None, replaces the
        arguments. With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both.
        """
        hooks = self._own_hooks()
        return hooks.add(hooks.before, hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns, if not None, replaces
        the output. With `with_kwargs` it is `hook(module, args, kwargs, output)`; with
        `always_call` it is called where forward raised too.
        """
        hooks = self._own_hooks()
        return hooks.add(hooks.after, hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` in backward before the module's gradients are
        computed; a tuple that it returns replaces grad_output.
        """
        return add_hook(self._own_hooks().backward_before, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in backward once the gradients of
        the module's positional inputs are known; a tuple that it returns replaces them.
        """
        return self._own_hooks().add_backward(hook, prepend, of_node=False)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` after the node that made the output
        has run: grad_input are the gradients of that operation's inputs, which need not be the
        module's. `register_full_backward_hook` has those of the module's inputs.
        """
        return self._own_hooks().add_backward(hook, False, of_node=True)


class Call:
    """One call of a module that has hooks, and the hooks around it."""

    def __init__(self, module: Hooked, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module = module
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.called: set[int] = set()

    def hooks(self, kind: str) -> list[tuple[int, Hook, Hooks]]:
        """The hooks of a kind as they are now: those of all modules, then the module's own."""
        found = [hooks for hooks in (of_all, self.module._hooks) if hooks is not None]
        pairs = [(hooks, [*getattr(hooks, kind).items()]) for hooks in found]  # a thread may add
        return [(i, hook, hooks) for hooks, each in pairs for i, hook in each]

    def given(self, number: int, hooks: Hooks) -> tuple[Any, ...]:
        """What a hook of forward is called with."""
        given = (self.module, self.args)
        return (*given, self.kwargs) if hooks.with_kwargs.get(number) else given

    def run(self) -> Any:
        """The output of the module and its hooks."""
        try:
            self.pre()
            users: list[list[Hook]] = [[x[1] for x in self.hooks("backward_before")], []]
            of_node: list[Hook] = []
            for _, hook, hooks in self.hooks("backward_after"):
                (of_node if hooks.of_node else users[1]).append(hook)
            backward = BackwardHook(self.module, *users) if any(users) else None
            if backward is not None:
                self.args = backward.inputs(self.args)
            self.result = self._forward()
            self.post()
            if backward is not None:
                self.result = backward.outputs(self.result)
            if of_node:
                hook_node(self.module, of_node, self.args, self.result)
        except Exception:
            self.rescue()
            raise
        return self.result

    def _forward(self) -> Any:
        try:
            return self.module.forward(*self.args, **self.kwargs)
        except Exception as error:
            explain(self.module, error, self.args)
            raise

    def pre(self) -> None:
        """The hooks before forward."""
        for number, hook, hooks in self.hooks("before"):
            changed = hook(*self.given(number, hooks))
            if changed is None:
                continue
            if not hooks.with_kwargs.get(number):
                self.args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                self.args, self.kwargs = changed
            else:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but "
                    f"got {changed}."
                )

    def post(self) -> None:
        """The hooks after forward."""
        for number, hook, hooks in self.hooks("after"):
            self.called.add(number)
            changed = hook(*self.given(number, hooks), self.result)
            if changed is not None:
                self.result = changed

    def rescue(self) -> None:
        """After an exception: the hooks that are always called, and were not yet."""
        for number, hook, hooks in self.hooks("after"):
            if not hooks.always.get(number) or number in self.called:
                continue
            try:
                changed = hook(*self.given(number, hooks), self.result)
            except Exception as error:
                scope = "global " if hooks is of_all else ""
                warnings.warn(
                    f"{scope}module forward hook with ``always_call=True`` raised an exception "
                    f"that was silenced as another error was raised in forward: {error}",
                    stacklevel=4,
                )
            else:
                self.result = self.result if changed is None else changed


# ---- hooks of all modules ----


_plain_call = Hooked.__call__
_EVERYWHERE = "as a global Module hook"
_lock = new_lock()


def _hooked_call(self: Hooked, *args: Any, **kwargs: Any) -> Any:
    if not of_all.all():
        with _lock:
            if not of_all.all():
                Hooked.__call__ = _plain_call  # type: ignore[method-assign]
    return Call(self, args, kwargs).run()


def _register(add: Callable[..., RemovableHandle], *given: Any) -> RemovableHandle:
    """Add a hook of all modules; while there are any, every call looks for them."""
    with _lock:
        handle = add(*given)
        Hooked.__call__ = _hooked_call  # type: ignore[method-assign]
    return handle


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module."""
    return _register(add_hook, of_all.before, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module."""
    return _register(of_all.add, of_all.after, hook, False, with_kwargs, always_call)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(module, grad_output)` in backward before every module."""
    return _register(add_hook, of_all.backward_before, hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` in backward after every module."""
    return _register(of_all.add_backward, hook, False, False, _EVERYWHERE)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """The same of the older kind of hook, as `Module.register_backward_hook` tells."""
    return _register(of_all.add_backward, hook, False, True, _EVERYWHERE)


# ---- hooks of what modules register ----


_registering = {kind: HookDict() for kind in ("module", "parameter", "buffer")}


def registered(kind: str, module: Any, name: str, value: Any) -> Any:
    """What to register under a name: the value, unless a hook gives another."""
    hooks = _registering[kind]
    for hook in tuple(hooks.values()) if hooks else ():
        result = hook(module, name, value)
        value = value if result is None else result
    return value


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(module, name, submodule)` where a module registers a submodule; what it
    returns, if not None, is registered instead.
    """
    return add_hook(_registering["module"], hook)


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """The same of parameters: `hook(module, name, parameter)`."""
    return add_hook(_registering["parameter"], hook)


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """The same of buffers: `hook(module, name, buffer)`."""
    return add_hook(_registering["buffer"], hook)
