"""What `--to fastest` costs beyond its races, and the time of a small decoder along its routes."""

from __future__ import annotations

import pytest
import torch

from symconv.conformance.bench_setting import random_members
from symconv.convert.fastest import Fastest
from symconv.convert.fastest.choosing import core_of
from symconv.convert.fastest.equivalents import _search, certified_forms
from symconv.convert.fastest.routes import routes
from symconv.frontends.text import parse

LAYER = "ConvTranspose2d(64, 3, 4, stride=2, padding=1)"


def test_all_forms_certified(benchmark) -> None:
    forms = benchmark(lambda: _search(parse(LAYER), None, 60.0))
    assert len(forms.found) == 4


@pytest.mark.parametrize("route", routes(certified_forms(parse(LAYER)), "cpu", torch.float32), ids=lambda route: route.name)
def test_route(benchmark, route) -> None:
    members = random_members(parse(LAYER), 2, "cpu", torch.float32)
    module = Fastest(members, core_of(members), route, LAYER)
    x = torch.randn(1, 64, 32, 32)
    with torch.no_grad():
        assert benchmark(lambda: module(x)).shape == (1, 3, 64, 64)


def test_given(benchmark) -> None:
    (module,) = random_members(parse(LAYER), 2, "cpu", torch.float32)
    x = torch.randn(1, 64, 32, 32)
    with torch.no_grad():
        assert benchmark(lambda: module(x)).shape == (1, 3, 64, 64)
