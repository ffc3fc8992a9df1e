"""What a sample must cost: multiply-adds, and the values that a layer-by-layer engine reads and writes at least once.

Products are those of the networks as dsb_fast computes them: repeated points folded into phases, v of attention never
made at every position. What is done element by element (noise, bias, activation, enlarging) is no product and moves
nothing of its own: it belongs to the layer before or after it.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADS, FEATURES = 8, 64


@dataclass(frozen=True)
class Layer:
    """Of one sample: multiply-adds, values read and written; ``weights`` are read once for all samples of a batch."""

    name: str
    products: int
    moved: int
    weights: int


def ecg(network, length: int) -> list[Layer]:
    """The Pulse2Pulse network, repetitions folded: a phase keeps only taps that meet different points."""
    from dsb_fast.export.pulse2pulse import DECODER, ENCODER, PADDING, TAPS

    layers, points, joined_sizes = [], length, {}
    for name, stride in ENCODER:
        out, inputs, taps = network.layers[name].weight.shape
        after = points // stride
        layers.append(Layer(name, after * out * inputs * taps, points * inputs + after * out, out * inputs * taps))
        points = joined_sizes[name] = after
    for name, repetition, _ in DECODER:
        out, inputs, _ = network.layers[name].weight.shape
        taps = sum(len({(phase + t - PADDING) // repetition for t in range(TAPS)}) for phase in range(repetition))
        after = points * repetition
        moved = points * inputs + after * out
        layers.append(Layer(name, points * taps * out * inputs, moved, taps * out * inputs))
        points = after
    return layers


def lucid(generator: dict, mapping: dict) -> list[Layer]:
    """stylegan2-pytorch's network; of its attention the products of 1.5.10."""
    layers = [_linear(name, value) for name, value in mapping.items() if name.endswith("weight")]
    blocks = len({name.split(".")[1] for name in generator if name.startswith("blocks.")})
    for index in range(blocks):
        name, size = f"blocks.{index}", 4 << index
        points, before = size * size, (size // 2 if index else size) ** 2
        if f"attns.{index}.0.fn.fn.to_q.weight" in generator:
            layers.append(_attention(f"attns.{index}", generator, before))
        for layer, read in (("conv1", before), ("conv2", points), ("to_rgb.conv", points)):
            layers.append(_conv(f"{name}.{layer}", generator[f"{name}.{layer}.weight"], read, points))
        styles = [generator[f"{name}.{style}.weight"] for style in ("to_style1", "to_style2", "to_rgb.to_style")]
        layers += [_linear(f"{name}.style", weight) for weight in styles]
    return layers


def stylegan2(network) -> list[Layer]:
    """NVIDIA's and rosinality's: an enlarging layer's products are those of its transposed convolution."""
    layers = [_linear(layer.name, layer.weight) for layer in network.mapping]
    for block in network.blocks:
        points = block.resolution**2
        for conv in (*block.convs, *([block.rgb] if block.rgb else [])):
            before = points // 4 if conv.up else points
            layer = _conv(conv.name, conv.weight, before, points)
            products = before * conv.weight.size if conv.up else layer.products
            layers += [Layer(layer.name, products, layer.moved, layer.weights), _linear(conv.name, conv.style.weight)]
    return layers


def _linear(name: str, weight) -> Layer:
    return Layer(name, weight.size, sum(weight.shape[:2]), weight.size)


def _conv(name: str, weight, read: int, written: int) -> Layer:
    out, inputs = weight.shape[:2]
    return Layer(name, written * weight.size, read * inputs + written * out, weight.size)


def _attention(name: str, generator: dict, points: int) -> Layer:
    """q, k, the context, its product with v's and the output's weights, q times that; and the feed-forward."""
    inner, channels = HEADS * FEATURES, generator[f"{name}.0.fn.fn.to_q.weight"].shape[1]
    a_point = 4 * inner * channels + 4 * channels * channels
    folded = 2 * HEADS * FEATURES * FEATURES * channels
    return Layer(name, points * a_point + folded, 4 * points * channels, 4 * inner * channels + 4 * channels**2)


def total(layers: list[Layer], batch: int, bytes_a_value: int) -> dict[str, float]:
    """FLOP and bytes of one sample of a batch."""
    moved = sum(layer.moved for layer in layers) + sum(layer.weights for layer in layers) / batch
    return {"flop": 2.0 * sum(layer.products for layer in layers), "bytes": moved * bytes_a_value}


def floor_s(layers: list[Layer], batch: int, bytes_a_value: int, flops: float, bytes_per_s: float) -> float:
    """Seconds a sample: layer by layer the longer of arithmetic and memory, at the peaks that were measured."""
    return sum(
        max(2.0 * layer.products / flops, (layer.moved + layer.weights / batch) * bytes_a_value / bytes_per_s)
        for layer in layers
    )
