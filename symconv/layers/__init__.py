"""What a layer is: frozen, weightless descriptions of layers on 1, 2 or 3 spatial axes."""

from symconv.layers.base import Layer, Margins, PerAxis
from symconv.layers.convolution import Conv, ConvTranspose
from symconv.layers.pointwise import NONLINEARITIES, BatchNorm, Nonlinearity, Pointwise, PReLU
from symconv.layers.rearrange import ChannelShuffle, Shuffle, Unshuffle, ZeroInsert
from symconv.layers.resample import AvgPool, Identity, Pad, Upsample
from symconv.layers.sequential import Sequential, channels_after, channels_through, flatten, input_channels
from symconv.layers.weights import WeightedNetwork, Weights

__all__ = [
    "NONLINEARITIES",
    "AvgPool",
    "BatchNorm",
    "ChannelShuffle",
    "Conv",
    "ConvTranspose",
    "Identity",
    "Layer",
    "Margins",
    "Nonlinearity",
    "PReLU",
    "Pad",
    "PerAxis",
    "Pointwise",
    "Sequential",
    "Shuffle",
    "Unshuffle",
    "Upsample",
    "WeightedNetwork",
    "Weights",
    "ZeroInsert",
    "channels_after",
    "channels_through",
    "flatten",
    "input_channels",
]
