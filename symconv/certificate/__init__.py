"""Certificates as records and canonical JSON."""
