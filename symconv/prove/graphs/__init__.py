"""Whole models compared: graphs aligned by structure, linear stretches decided as operators, the rest by congruence."""
