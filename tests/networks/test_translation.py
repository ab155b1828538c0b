"""The translation network: published sizes, torch's own layers as reference, what may see what."""

from inspect import signature
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hpml_models.models.translation import SPEC
from hpml_models.networks import translation
from hpml_models.networks.translation import Translator

WORDS = 40
PUBLISHED = [  # d_model, heads, layers, million parameters
    (16, 4, 2, 3.20),
    (16, 4, 4, 3.21),
    (16, 8, 2, 3.20),
    (32, 4, 4, 6.42),
    (32, 4, 2, 6.36),
    (32, 8, 2, 6.36),
    (64, 4, 8, 13.48),
    (64, 8, 8, 13.48),
    (64, 16, 4, 13.01),
    (64, 4, 2, 12.78),
    (64, 4, 4, 13.01),
    (128, 4, 2, 25.95),
    (128, 4, 4, 26.87),
    (128, 8, 2, 25.95),
    (128, 8, 4, 26.87),
    (128, 4, 8, 28.73),
    (256, 4, 2, 53.67),
    (256, 4, 4, 57.36),
    (256, 16, 8, 64.73),
    (256, 4, 16, 79.47),
    (512, 4, 4, 129.34),
    (512, 4, 2, 114.62),
]


@pytest.mark.parametrize(("d_model", "heads", "layers", "millions"), PUBLISHED)
def test_parameters_are_as_many_as_published(
    d_model: int, heads: int, layers: int, millions: float
) -> None:
    with torch.device("meta"):
        module = Translator(
            vocabulary=65_002, d_model=d_model, heads=heads, layers=layers, length=512
        )
    count = sum(one.numel() for one in module.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.01)
    assert SPEC.parameter_count is not None
    assert count == SPEC.parameter_count(vocabulary=65_002, d_model=d_model, layers=layers)


def build(**options: Any) -> Translator:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"d_model": 16, "heads": 4, "layers": 2, "length": 12}
    return Translator(vocabulary=WORDS, **sizes | options)


MODULE = build().eval()
PAIRS = st.tuples(
    st.lists(st.integers(1, WORDS - 1), min_size=1, max_size=8),
    st.lists(st.integers(1, WORDS - 1), min_size=2, max_size=8),
)
EXAMPLES = settings(max_examples=20)


def inputs_of(source: list[int], target: list[int], padding: int = 0) -> dict[str, Tensor]:
    mask = [True] * len(source) + [False] * padding
    return {
        "input_ids": torch.tensor([source + [0] * padding]),
        "attention_mask": torch.tensor([mask]),
        "decoder_input_ids": torch.tensor([target]),
    }


@EXAMPLES
@given(pair=PAIRS, data=st.data())
def test_a_word_changes_no_output_before_it(
    pair: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    source, target = pair
    place = data.draw(st.integers(1, len(target) - 1))
    other = [*target[:place], target[place] % (WORDS - 1) + 1, *target[place + 1 :]]
    with torch.no_grad():
        before, after = MODULE(**inputs_of(source, target)), MODULE(**inputs_of(source, other))
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=0, atol=1e-5)
    assert not torch.allclose(before[:, place], after[:, place], rtol=0, atol=1e-5)


@EXAMPLES
@given(pair=PAIRS, padding=st.integers(1, 4), noise=st.integers(0, WORDS - 1))
def test_padding_and_what_stands_in_it_change_nothing(
    pair: tuple[list[int], list[int]], padding: int, noise: int
) -> None:
    source, target = pair
    padded = inputs_of(source, target, padding)
    padded["input_ids"][:, len(source) :] = noise
    padded["decoder_input_ids"] = torch.tensor([target + [noise] * padding])
    with torch.no_grad():
        found, expected = MODULE(**padded), MODULE(**inputs_of(source, target))
    torch.testing.assert_close(found[:, : len(target)], expected, rtol=0, atol=1e-5)


def test_every_source_word_reaches_every_output() -> None:
    expected = MODULE(**inputs_of([5, 6, 7], [8, 9]))
    for place in range(3):
        other = [5, 6, 7]
        other[place] = 30
        found = MODULE(**inputs_of(other, [8, 9]))
        assert (found - expected).abs().amax(-1).min() > 1e-4


def test_a_source_of_padding_alone_gives_numbers() -> None:
    inputs = inputs_of([5, 6], [7, 8])
    inputs["attention_mask"][:] = False
    module = build()
    module(**inputs).sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in module.parameters())


def test_layer_by_layer_is_the_module_bit_for_bit() -> None:
    inputs = inputs_of([5, 6, 7], [8, 9], padding=2)
    streams: Any = ()
    for layer in MODULE.layers:
        names = signature(layer.forward).parameters
        outputs = layer(*streams, **{name: inputs[name] for name in inputs if name in names})
        streams = outputs if isinstance(outputs, tuple) else (outputs,)
    assert torch.equal(streams[0], MODULE(**inputs))


def test_layers_give_what_torch_own_layers_give() -> None:
    inputs = inputs_of([5, 6, 7], [8, 9, 10], padding=2)
    embed, *layers, head = MODULE.layers
    source, target = embed(inputs["input_ids"], inputs["decoder_input_ids"])
    for layer in layers:
        source, target = _theirs(layer, source, target, ~inputs["attention_mask"])
    found = MODULE(**inputs)
    torch.testing.assert_close(head(source, target), found, rtol=0, atol=1e-5)


def _theirs(layer: Any, source: Tensor, target: Tensor, is_padding: Tensor) -> Any:
    """Run torch's own layer with the weights of ours."""
    if isinstance(layer, translation.EncoderEnd):
        return nn.functional.layer_norm(source, (16,)), target
    options: Any = {"activation": "gelu", "batch_first": True}
    if isinstance(layer, translation.EncoderLayer):
        theirs: Any = nn.TransformerEncoderLayer(16, 4, 64, 0, **options)
        _copy(layer.attention, theirs.self_attn)
    else:
        theirs = nn.TransformerDecoderLayer(16, 4, 64, 0, **options)
        _copy(layer.attention, theirs.self_attn)
        _copy(layer.cross, theirs.multihead_attn)
    theirs.linear1, theirs.linear2 = layer.feed_forward.up, layer.feed_forward.down
    for index, norm in enumerate(layer.norms):
        setattr(theirs, f"norm{index + 1}", norm)
    if isinstance(layer, translation.EncoderLayer):
        return theirs(source, src_key_padding_mask=is_padding), target
    causal = torch.ones(target.shape[1], target.shape[1]).triu(1).bool()
    return source, theirs(target, source, causal, memory_key_padding_mask=is_padding)


def _copy(ours: translation.Attention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([one.weight for one in parts]))
        theirs.in_proj_bias.copy_(torch.cat([one.bias for one in parts]))
    theirs.out_proj.weight, theirs.out_proj.bias = ours.out.weight, ours.out.bias


@pytest.mark.parametrize("dropout_at", ["block_end", "sublayer"])
def test_dropout_acts_where_it_is_asked_to(dropout_at: str) -> None:
    module = build(dropout=0.5, dropout_at=dropout_at)
    seen: dict[str, Tensor] = {}
    for name in ("at_attention", "at_end"):
        layer = getattr(module.layers[1], name)
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    streams = module.layers[0](torch.ones(2, 9).long(), torch.ones(2, 3).long())
    assert 0.3 < float((streams[0] == 0).float().mean()) < 0.7  # after positions, in both
    source, _ = module.layers[1](*streams, torch.ones(2, 9))
    assert bool((seen["at_attention"] == 0).any()) == (dropout_at == "sublayer")
    assert bool((source == 0).any()) == (dropout_at == "block_end")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "16 is not a multiple of 5 heads"),
        ({"dropout_at": "start"}, "'start' is none of sublayer, block_end"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_sentence_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="13 tokens in a model of length 12"):
        MODULE(**inputs_of([5] * 13, [6, 7]))
