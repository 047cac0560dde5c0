"""The dual, resizing, checkerboards."""
