"""`autodiff.nn`: modules, layers, activations, dropout and losses."""

from autodiff.nn import functional, init
from autodiff.nn.activation import (
    ELU,
    GELU,
    Flatten,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from autodiff.nn.containers import MLP, ModuleDict, ModuleList, Sequential
from autodiff.nn.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from autodiff.nn.linear import Linear, Neuron
from autodiff.nn.loss import CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "AlphaDropout",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "Flatten",
    "Hardtanh",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Neuron",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
]
