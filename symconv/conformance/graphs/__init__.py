"""Whole graphs of layers and operators evaluated, with rigorous bounds."""
