"""Layers that people ship in decoders: expression, typical input extents, where they are from.

Owns: `REAL_LAYERS`. Must not know: torch, how they are converted or measured.

Channels and extents are those of the published networks; where a network comes in sizes, of its usual one.
"""

from __future__ import annotations

import attrs

from symconv.frontends.text import parse
from symconv.layers import Layer


@attrs.frozen
class RealLayer:
    """One layer.

    Args:
        name: network and place.
        expression: the layer.
        extents: typical input extents.
        source: where it is defined.
        forms: forms of `convert` to compare it with, or expressions.
    """

    name: str
    expression: str
    extents: tuple[int, ...]
    source: str
    forms: tuple[str, ...] = ("lr-shuffle", "zero-insertion")

    @property
    def layer(self) -> Layer:
        """The layer itself."""
        return parse(self.expression)


_DCGAN = "Radford et al., arXiv 1511.06434; the PyTorch example"
_FCN = "Long et al., arXiv 1411.4038"
_HIFI = "Kong et al., arXiv 2010.05646; generator V1"
_ENCODEC = "Defossez et al., arXiv 2210.13438; 24 kHz, trimmed at the end"

REAL_LAYERS = (
    RealLayer("DCGAN 1", "ConvTranspose2d(100, 512, 4, bias=False)", (1, 1), _DCGAN),
    RealLayer("DCGAN 2", "ConvTranspose2d(512, 256, 4, stride=2, padding=1, bias=False)", (4, 4), _DCGAN),
    RealLayer("DCGAN 5", "ConvTranspose2d(64, 3, 4, stride=2, padding=1, bias=False)", (32, 32), _DCGAN),
    RealLayer("FCN-32s", "ConvTranspose2d(21, 21, 64, stride=32, padding=16, bias=False)", (8, 8), _FCN),
    RealLayer("FCN-8s x8", "ConvTranspose2d(21, 21, 16, stride=8, padding=4, bias=False)", (32, 32), _FCN),
    RealLayer("FCN-8s x2", "ConvTranspose2d(21, 21, 4, stride=2, padding=1, bias=False)", (16, 16), _FCN),
    RealLayer("U-Net", "ConvTranspose2d(128, 64, 2, stride=2)", (128, 128), "Ronneberger et al., arXiv 1505.04597; last up-convolution"),
    RealLayer("Mask R-CNN", "ConvTranspose2d(256, 256, 2, stride=2)", (14, 14), "He et al., arXiv 1703.06870; torchvision, mask head"),
    RealLayer("Keypoint R-CNN", "ConvTranspose2d(512, 17, 4, stride=2, padding=1)", (14, 14), "torchvision, keypoint head"),
    RealLayer("SAM 1", "ConvTranspose2d(256, 64, 2, stride=2)", (64, 64), "Kirillov et al., arXiv 2304.02643; mask decoder"),
    RealLayer("SAM 2", "ConvTranspose2d(64, 32, 2, stride=2)", (128, 128), "Kirillov et al., arXiv 2304.02643; mask decoder"),
    RealLayer("DPT x4", "ConvTranspose2d(96, 96, 4, stride=4)", (24, 24), "Ranftl et al., arXiv 2103.13413; reassemble, base width"),
    RealLayer("DPT x2", "ConvTranspose2d(192, 192, 2, stride=2)", (24, 24), "Ranftl et al., arXiv 2103.13413; reassemble, base width"),
    RealLayer("FSRCNN x3", "ConvTranspose2d(56, 1, 9, stride=3, padding=4, output_padding=2)", (64, 64), "Dong et al., arXiv 1608.00367"),
    RealLayer(
        "ESPCN x3",
        "Conv2d(32, 9, 3, padding=1) >> PixelShuffle(3)",
        (64, 64),
        "Shi et al., arXiv 1609.05158",
        ("Conv2d(32, 9, 3, padding=1) >> DepthToSpace(3)",),
    ),
    RealLayer(
        "EDSR x2",
        "Conv2d(64, 256, 3, padding=1) >> PixelShuffle(2)",
        (48, 48),
        "Lim et al., arXiv 1707.02921; also Swin2SR's upsampler",
        ("Conv2d(64, 256, 3, padding=1) >> DepthToSpace(2)", "Conv2d(64, 256, 3, padding=1) >> ChannelShuffle(64) >> DepthToSpace(2)"),
    ),
    RealLayer(
        "resize-convolution",
        "Upsample(scale_factor=2) >> Conv2d(128, 64, 3, padding=1)",
        (32, 32),
        "Odena et al., Distill 2016",
        ("transposed", "lr-shuffle"),
    ),
    RealLayer("HiFi-GAN 1", "ConvTranspose1d(512, 256, 16, stride=8, padding=4)", (32,), _HIFI),
    RealLayer("HiFi-GAN 2", "ConvTranspose1d(256, 128, 16, stride=8, padding=4)", (256,), _HIFI),
    RealLayer("HiFi-GAN 3", "ConvTranspose1d(128, 64, 4, stride=2, padding=1)", (2048,), _HIFI),
    RealLayer("HiFi-GAN 4", "ConvTranspose1d(64, 32, 4, stride=2, padding=1)", (4096,), _HIFI),
    RealLayer("EnCodec 1", "ConvTranspose1d(512, 256, 16, stride=8) >> Crop((0, 8))", (75,), _ENCODEC),
    RealLayer("EnCodec 2", "ConvTranspose1d(256, 128, 10, stride=5) >> Crop((0, 5))", (600,), _ENCODEC),
    RealLayer("EnCodec 3", "ConvTranspose1d(128, 64, 8, stride=4) >> Crop((0, 4))", (3000,), _ENCODEC),
    RealLayer(
        "Kokoro",
        "ConvTranspose1d(512, 512, 3, stride=2, padding=1, output_padding=1, groups=512)",
        (128,),
        "Kokoro-82M, decoder; depthwise, after StyleTTS 2",
    ),
    RealLayer(
        "inverse STFT",
        "ConvTranspose1d(1026, 1, 1024, stride=256, bias=False)",
        (64,),
        "spectrogram inversion with a fixed basis, as in WaveGlow's denoiser",
    ),
    RealLayer("nnU-Net 3d", "ConvTranspose3d(320, 320, 2, stride=2)", (4, 4, 4), "Isensee et al., arXiv 1904.08128"),
    RealLayer(
        "strided patch",
        "Conv2d(64, 128, 4, stride=2, padding=1, bias=False)",
        (32, 32),
        "DCGAN's discriminator: the dual",
        ("unshuffle",),
    ),
)
