"""Networks in low and in high resolution."""
