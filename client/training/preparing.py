"""A stage's network as a site has it, with the rows it is given."""

from __future__ import annotations

from dataclasses import replace

from client.features.embedding import embed
from client.inputs.base import Input
from client.inputs.embedded import EmbeddedInput
from client.site import Site
from client.training.examples import Examples
from common.encoders.network import Network
from common.network_stages import EncoderStage
from common.networks.building import build
from common.networks.pretrained import load_pretrained
from common.plan import Plan


def prepare(site: Site, plan: Plan, stage: EncoderStage, seed: int, fold: int) -> tuple[Examples, Network]:
    """Build the network, and embed beforehand what goes into encoders that stay as they are.

    Raises
    ------
    ConfigurationError
        The plan wants weights that this site has no file of.
    ModelError
        The file holds others.
    """
    examples = site.examples(plan, stage)
    network = build(stage, site.inputs(plan), len(plan.label_names), seed, fold)
    load_pretrained(network, stage, site.pretrained)
    inputs: dict[str, Input] = dict(examples.inputs)
    for modality in stage.frozen:
        inputs[modality] = EmbeddedInput(*embed(examples, network, modality, site.shelf, site.runtimes, site.device))
        network.take_embeddings(modality)
    return replace(examples, inputs=inputs), network
