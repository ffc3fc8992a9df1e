"""From an untrusted checkpoint to a checked ONNX graph: file -> spec -> graph -> ONNX, one module a stage."""
