"""A stage's network as a site has it, with the rows it is given."""

from __future__ import annotations

from dataclasses import replace

from client.features.embedding import Means, embed
from client.features.runtimes import Runtimes
from client.inputs.base import Input
from client.inputs.embedded import EmbeddedInput
from client.site import Site
from client.training.examples import Examples
from common.encoders.network import Network
from common.network_stages import EncoderStage
from common.networks.building import build
from common.networks.pretrained import Read, load_pretrained
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
    network = build(stage, site.inputs(plan), len(plan.label_names), seed, fold)
    return ready(site.examples(plan, stage), network, stage, site.pretrained, site.means)


def ready(
    examples: Examples, network: Network, stage: EncoderStage, read: Read, means: Means
) -> tuple[Examples, Network]:
    """Fill frozen encoders, and embed what goes into those without adapters; errors as of :func:`prepare`.

    Parameters
    ----------
    examples : Examples
    network : Network
        As built from the stage; changed in place.
    stage : EncoderStage
    read : callable
        From the name of an encoder to the weights that the user supplies for it.
    means : Means
    """
    load_pretrained(network, stage, read)
    if stage.privacy is not None:  # or one patient's film would decide how all are embedded, which no noise covers
        means = means._replace(runtimes=Runtimes(None))
    inputs: dict[str, Input] = dict(examples.inputs)
    for modality in sorted(network.frozen):
        inputs[modality] = EmbeddedInput(*embed(examples, network, modality, *means))
        network.take_embeddings(modality)
    return replace(examples, inputs=inputs), network
