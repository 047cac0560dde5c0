"""Networks written from their papers' tables, as plain nn.Modules with a small-width option.

Every constructor takes `width`, the number that the paper's channel counts are divided by (1 is the paper's network), and is
random only through PyTorch's own initialisation. All take any extents, up to a multiple that the docstring names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _channels(count: int, width: int) -> int:
    return max(1, count // width)


class DCGAN(nn.Module):
    """The generator of Radford, Metz, Chintala 2015 (arXiv 1511.06434), figure 1, with the authors' kernels of 4 (k4 s2 p1).

    Input (batch, latent, n, n), n = 1 in the paper, where the first layer is the projection of the code; output (batch, 3, 16(n+3), ...).
    """

    def __init__(self, width: int = 1, latent: int = 100) -> None:
        super().__init__()
        a, b, c, d = (_channels(count, width) for count in (1024, 512, 256, 128))
        self.main = nn.Sequential(
            nn.ConvTranspose2d(latent, a, 4, 1, 0, bias=False), nn.BatchNorm2d(a), nn.ReLU(),
            nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
            nn.ConvTranspose2d(b, c, 4, 2, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
            nn.ConvTranspose2d(c, d, 4, 2, 1, bias=False), nn.BatchNorm2d(d), nn.ReLU(),
            nn.ConvTranspose2d(d, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, code: Tensor) -> Tensor:
        return self.main(code)


class FCN8s(nn.Module):
    """Long, Shelhamer, Darrell 2015 (arXiv 1411.4038), figure 3: VGG-16 made convolutional, scores of pool3, pool4 and conv7 fused.

    The upscoring layers are k4 s2 p1, k4 s2 p1 and k16 s8 p4, without bias; fc6 pads by 3, so that extents are kept in place of
    the reference's pads of 100 and crops. Extents: multiples of 32.
    """

    def __init__(self, width: int = 1, classes: int = 21) -> None:
        super().__init__()
        counts = [_channels(count, width) for count in (64, 128, 256, 512, 512)]
        stages, before = [], 3
        for count, convolutions in zip(counts, (2, 2, 3, 3, 3), strict=True):
            members: list[nn.Module] = []
            for _ in range(convolutions):
                members += [nn.Conv2d(before, count, 3, padding=1), nn.ReLU()]
                before = count
            stages.append(nn.Sequential(*members, nn.MaxPool2d(2)))
        self.to_pool3 = nn.Sequential(*stages[:3])
        self.to_pool4, self.to_pool5 = stages[3:]
        hidden = _channels(4096, width * 8 if width > 1 else 1)
        self.classifier = nn.Sequential(
            nn.Conv2d(before, hidden, 7, padding=3), nn.ReLU(), nn.Dropout2d(), nn.Conv2d(hidden, hidden, 1), nn.ReLU(), nn.Dropout2d()
        )
        self.score_fr = nn.Conv2d(hidden, classes, 1)
        self.score_pool4 = nn.Conv2d(counts[3], classes, 1)
        self.score_pool3 = nn.Conv2d(counts[2], classes, 1)
        self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.upscore8 = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        pool3 = self.to_pool3(image)
        pool4 = self.to_pool4(pool3)
        coarse = self.upscore2(self.score_fr(self.classifier(self.to_pool5(pool4))))
        middle = self.upscore_pool4(coarse + self.score_pool4(pool4))
        return self.upscore8(middle + self.score_pool3(pool3))


class FSRCNN(nn.Module):
    """Dong, Loy, Tang 2016 (arXiv 1608.00367), section 3: FSRCNN(d, s, m) with the deconvolution k9, stride = the scale."""

    def __init__(self, width: int = 1, scale: int = 3, d: int = 56, s: int = 12, m: int = 4) -> None:
        super().__init__()
        d, s = _channels(d, width), _channels(s, width)
        mapping: list[nn.Module] = []
        for _ in range(m):
            mapping += [nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s)]
        self.body = nn.Sequential(
            nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s), *mapping, nn.Conv2d(s, d, 1), nn.PReLU(d)
        )
        self.deconv = nn.ConvTranspose2d(d, 1, 9, stride=scale, padding=4, output_padding=scale - 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.deconv(self.body(image))


class ESPCN(nn.Module):
    """Shi et al. 2016 (arXiv 1609.05158), section 3.1: kernels 5-3-3, widths 64 and 32, tanh, then periodic shuffling."""

    def __init__(self, width: int = 1, scale: int = 3, channels: int = 1) -> None:
        super().__init__()
        a, b = _channels(64, width), _channels(32, width)
        self.features = nn.Sequential(nn.Conv2d(channels, a, 5, padding=2), nn.Tanh(), nn.Conv2d(a, b, 3, padding=1), nn.Tanh())
        self.upscale = nn.Sequential(nn.Conv2d(b, channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, image: Tensor) -> Tensor:
        return self.upscale(self.features(image))


class UNet3d(nn.Module):
    """Çiçek et al. 2016 (arXiv 1606.06650), figure 2: four resolutions, up-convolutions k2 s2, batch norm before each ReLU.

    Convolutions pad by 1, so that extents are kept in place of the paper's valid convolutions and crops. Extents: multiples of 8.
    """

    def __init__(self, width: int = 1, classes: int = 3) -> None:
        super().__init__()
        c = [_channels(count, width) for count in (32, 64, 128, 256, 512)]
        self.down1, self.down2 = _block(3, c[0], c[1]), _block(c[1], c[1], c[2])
        self.down3, self.down4 = _block(c[2], c[2], c[3]), _block(c[3], c[3], c[4])
        self.pool = nn.MaxPool3d(2)
        self.up4, self.up3, self.up2 = (nn.ConvTranspose3d(n, n, 2, stride=2) for n in (c[4], c[3], c[2]))
        self.merge3 = _block(c[4] + c[3], c[3], c[3])
        self.merge2 = _block(c[3] + c[2], c[2], c[2])
        self.merge1 = _block(c[2] + c[1], c[1], c[1])
        self.head = nn.Conv3d(c[1], classes, 1)

    def forward(self, volume: Tensor) -> Tensor:
        one = self.down1(volume)
        two = self.down2(self.pool(one))
        three = self.down3(self.pool(two))
        four = self.down4(self.pool(three))
        three = self.merge3(torch.cat([self.up4(four), three], 1))
        two = self.merge2(torch.cat([self.up3(three), two], 1))
        return self.head(self.merge1(torch.cat([self.up2(two), one], 1)))


def _block(before: int, middle: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(before, middle, 3, padding=1), nn.BatchNorm3d(middle), nn.ReLU(),
        nn.Conv3d(middle, after, 3, padding=1), nn.BatchNorm3d(after), nn.ReLU(),
    )  # fmt: skip


PAPERS: dict[str, tuple[type[nn.Module], int, tuple[int, ...], tuple[tuple[int, ...], ...]]] = {
    "DCGAN": (DCGAN, 64, (100, 1, 1), ((2, 2), (1, 3), (4, 3))),
    "FCN8s": (FCN8s, 32, (3, 64, 64), ((32, 32), (96, 64), (32, 128))),
    "FSRCNN": (FSRCNN, 4, (1, 8, 8), ((5, 7), (11, 4), (1, 1))),
    "ESPCN": (ESPCN, 8, (1, 8, 8), ((5, 7), (11, 4), (1, 1))),
    "UNet3d": (UNet3d, 16, (3, 8, 8, 8), ((16, 8, 8), (8, 16, 24), (16, 16, 16))),
}
"""Name: (class, a small width, one sample's shape to build or export at, three other extents)."""
