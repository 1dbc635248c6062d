"""What every encoder keeps, run on each one found."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.encoders.base import Settings, Shape, find, names  # noqa: E402
from common.encoders.network import Part, assemble  # noqa: E402
from common.encoders.parts.description import describe  # noqa: E402
from common.encoders.parts.private import register_samplers  # noqa: E402
from common.encoders.weights import digest, from_bytes, to_bytes  # noqa: E402
from common.exceptions import PlanError  # noqa: E402
from tests.cards import AsOnACard  # noqa: E402

SHAPES = {
    "table": Shape(6),
    "series": Shape(4, (7,)),
    "film": Shape(1, (32, 32)),
    "volume": Shape(1, (8, 8, 8)),
    "visits": Shape(9, (7,)),
}
SETTINGS = Settings(width=16, layers=1, dropout=0.0)
every_encoder = pytest.mark.parametrize("name", names())
of_steps = pytest.mark.parametrize("name", [name for name in names() if find(name).INPUT in ("series", "visits")])
with_mask = pytest.mark.parametrize("name", [name for name in names() if find(name).INPUT in ("series", "table")])
private = pytest.mark.parametrize("name", [name for name in names() if find(name).PRIVATE])


def built(name, seed=3):
    network = assemble({"x": Part(name, SHAPES[find(name).INPUT], SETTINGS)}, 1, seed)
    return network.encoders["x"].eval()


def rows(name, n=5, seed=0):
    """Draw n rows; of five, one has no step and one has steps where nothing was measured."""
    draw = torch.Generator().manual_seed(seed)
    kind, shape = find(name).INPUT, SHAPES[find(name).INPUT]
    measured = (torch.rand(n, *shape.extent[:1], shape.columns, generator=draw) < 0.6).float()
    if kind == "table":
        return torch.randn(n, shape.columns, generator=draw) * measured, measured
    if kind in ("film", "volume"):
        pixels = torch.rand(n, 1, *shape.extent, generator=draw) * 2 - 1
        return (pixels * (1024 if kind == "film" else 1),)
    steps = shape.extent[0]
    length = torch.randint(1, steps + 1, (n,), generator=draw)
    if n == 5:
        length[:3] = torch.tensor([steps, 0, 3])
        measured[2] = 0
    valid = (torch.arange(steps) < length[:, None]).float()
    time = (torch.rand(n, steps, generator=draw) * 5 + 0.1).cumsum(1) * valid
    cells = measured * valid[:, :, None]
    if kind == "visits":
        return cells, time.flip(1) * valid, length
    value = torch.randn(cells.shape, generator=draw) * cells
    since = torch.rand(cells.shape, generator=draw) * 9 * valid[:, :, None]
    return value, cells, since, time, length


def close(one, other, most=1e-5):
    scale = max(1.0, other.abs().max().item())
    torch.testing.assert_close(one / scale, other / scale, rtol=most, atol=most)


def score(embedding):
    """A loss a row to which no coordinate is alike, so that no normalisation hides a gradient."""
    slopes = torch.linspace(-1, 2, embedding.shape[1])
    return torch.sin(embedding * slopes).sum(1) + (embedding * slopes).sum(1)


def test_the_shipped_encoders_are_found_and_nothing_else():
    shipped = {"densenet121", "densenet121_findings", "densenet121_group_norm", "dssm_lstm", "gru_d", "lstm", "resnet"}
    assert shipped | {
        "retain",
        "series_summary",
        "ssm",
        "tabular",
        "transformer",
        "visit_transformer",
        "volume_cnn",
    } == set(names())


@pytest.mark.parametrize("name", ["base", "network", "weights", "parts", "../lstm", ""])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(PlanError, match=r"densenet121, .* volume_cnn"):
        find(name)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 12}, {"layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(PlanError):
        Settings(**wrong)


@every_encoder
def test_modules_say_what_they_take(name):
    module = find(name)
    assert module.INPUT in SHAPES
    assert isinstance(module.PRIVATE, bool)
    assert not (module.INPUT == "series") ^ hasattr(module, "STEPS")
    told = describe(name, SHAPES[module.INPUT], SETTINGS)
    encoder = built(name)
    assert told.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert told.width == encoder.width
    assert told.takes == tuple(tuple(one.shape[1:]) for one in rows(name))
    assert told.flops > 0
    assert told.private is module.PRIVATE


@every_encoder
def test_the_embedding_is_finite_and_as_wide_as_said(name):
    encoder = built(name)
    embedding = encoder(*rows(name))
    assert embedding.shape == (5, encoder.width)
    assert embedding.dtype == torch.float32
    assert embedding.isfinite().all()
    assert not torch.equal(embedding[0], embedding[3])


@of_steps
def test_padding_changes_nothing(name):
    *steps, length = rows(name)
    longer = [torch.cat([one, torch.rand(5, 4, *one.shape[2:])], dim=1) for one in steps]
    encoder = built(name)
    close(encoder(*longer, length), encoder(*steps, length))
    assert not torch.equal(encoder(*longer, length + 4), encoder(*steps, length)), "control: they are padding no more"


@with_mask
def test_values_that_were_not_measured_do_not_matter(name):
    value, measured, *others = rows(name)
    encoder = built(name)
    other = torch.where(measured > 0, value, 7.0)
    assert not torch.equal(other, value)
    close(encoder(other, measured, *others), encoder(value, measured, *others))
    assert not torch.equal(encoder(value + measured, measured, *others), encoder(value, measured, *others))


@every_encoder
def test_rows_are_independent(name):
    given = rows(name)
    encoder = built(name)
    alone = torch.cat([encoder(*(one[i : i + 1] for one in given)) for i in range(5)])
    close(encoder(*given), alone)
    assert not torch.equal(alone[0], alone[1]), "control: rows differ"


@every_encoder
def test_the_gradient_reaches_every_parameter(name):
    encoder = built(name)
    score(encoder(*rows(name))).sum().backward()
    for parameter_name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 1e-9, parameter_name


@every_encoder
def test_the_seed_alone_draws_the_weights(name):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = digest(built(name, seed=5).state_dict())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert digest(built(name, seed=5).state_dict()) == first
    assert digest(built(name, seed=6).state_dict()) != first


@every_encoder
def test_a_row_without_anything_is_finite_and_so_is_its_gradient(name):
    encoder = built(name)
    given = tuple(torch.zeros_like(one) for one in rows(name, n=2))
    embedding = encoder(*given)
    assert embedding.isfinite().all()
    score(embedding).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters() if parameter.grad is not None)


@every_encoder
@pytest.mark.filterwarnings("ignore:Empty batch:UserWarning")
def test_no_rows_are_embedded_too(name):
    encoder = built(name).train()
    embedding = encoder(*rows(name, n=0))
    assert embedding.shape == (0, encoder.width)
    score(embedding).sum().backward()


@every_encoder
def test_it_runs_in_mixed_precision(name):
    encoder = built(name)
    given = rows(name, n=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = encoder(*given)
    assert embedding.dtype == torch.float32
    score(embedding).sum().backward()
    assert torch.cosine_similarity(embedding, encoder(*given)).item() > 0.99


@every_encoder
def test_it_runs_in_the_mixed_precision_of_cards(name):
    encoder = built(name)
    given = rows(name, n=2)
    with AsOnACard():
        embedding = encoder(*given)
    assert embedding.dtype == torch.float32
    score(embedding).sum().backward()
    assert torch.cosine_similarity(embedding, encoder(*given)).min() > 0.99


@every_encoder
def test_weights_survive_safetensors(name):
    encoder, other = built(name, seed=5), built(name, seed=6)
    raw = to_bytes(encoder.state_dict())
    other.load_state_dict(from_bytes(raw, other.state_dict()))
    assert digest(other.state_dict()) == digest(encoder.state_dict())
    assert to_bytes(other.state_dict()) == raw
    assert torch.equal(encoder(*rows(name)), other(*rows(name)))


@every_encoder
def test_opacus_agrees_on_which_are_valid_under_dp(name):
    from opacus.validators import ModuleValidator

    assert (not ModuleValidator.validate(built(name).train(), strict=False)) is find(name).PRIVATE


@private
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_per_sample_gradients_by_hooks_are_those_of_micro_batches(name):
    from opacus.grad_sample import GradSampleModule

    register_samplers()
    encoder = built(name).train()
    given = rows(name)
    score(GradSampleModule(encoder, loss_reduction="sum")(*given)).sum().backward()
    alone = built(name).train()
    by_hooks = dict(encoder.named_parameters())
    for i in range(5):
        alone.zero_grad()
        score(alone(*(one[i : i + 1] for one in given))).sum().backward()
        gradients = {key: parameter.grad for key, parameter in alone.named_parameters()}
        scale = sum(gradient.square().sum() for gradient in gradients.values()).sqrt()
        for key, gradient in gradients.items():
            assert (by_hooks[key].grad_sample[i] - gradient).abs().max() <= 1e-5 * scale, (i, key)
