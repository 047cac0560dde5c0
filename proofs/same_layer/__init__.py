"""The layers are the same, and exactly when."""
