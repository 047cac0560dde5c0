"""Arithmetic that everybody uses."""
