"""ONNX graphs that were tampered with."""

from __future__ import annotations

from onnx import helper


def set_attribute(node, name, value) -> None:
    """Give ``node`` that attribute in the place of another."""
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def mutate(model, rng) -> None:
    """One input, attribute, constant, size or operator changed at random."""
    graph, node = model.graph, rng.choice(list(model.graph.node))
    numbers = [0, -1, 2, 7, 1000, 65536, 2**31, -(2**40), 2**62]
    what = rng.randrange(5)
    if what == 0:
        node.input[rng.randrange(len(node.input))] = rng.choice([n.output[0] for n in graph.node])
    elif what == 1 and node.attribute:
        name, number = rng.choice(list(node.attribute)).name, rng.choice(numbers)
        set_attribute(node, name, rng.choice([number, [number] * 4]))
    elif what == 2:
        tensor = rng.choice(list(graph.initializer))
        if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(numbers)
    elif what == 3:
        dims = rng.choice([*graph.input, *graph.output]).type.tensor_type.shape.dim
        if dims:
            dims[rng.randrange(len(dims))].dim_value = rng.choice(numbers)
    else:
        node.op_type = rng.choice(list(graph.node)).op_type
