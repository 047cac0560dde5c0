"""Low-resolution against high-resolution networks, measured on real images: a client of everything that proves and converts."""
