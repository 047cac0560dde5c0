"""ONNX files as graphs of layers: what a file holds, what its nodes are, and stretches of it as chains with weights."""
