"""What every stage works with: the plan, the sites, what is finished, what each site holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from common.boosting.model import Model
from common.boosting.validation import TreeLimits, validate_trees
from common.messages import LARGEST_LEAF, MAXIMUM_TREE_BYTES, Behind
from common.payload import Payload
from common.plan import Plan, Repetition
from server.blobs import Blobs
from server.checkpoints import Checkpoint
from server.progress import Progress
from server.results import Exchange, Round, SiteRound
from server.tracking import Tracking
from strategies.rounds.membership import Answers, Members

R = TypeVar("R", bound=Payload)


@dataclass
class Study:
    """A run under way.

    ``modalities`` say of which each feature is; ``columns`` are those of each modality that networks are given,
    ``added`` those that features stages have added, by stage.
    """

    plan: Plan
    members: Members
    checkpoint: Checkpoint
    progress: Progress
    feature_names: tuple[str, ...]
    modalities: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    blobs: Blobs
    tracking: Tracking
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    _held: dict[tuple[str, str], str] = field(default_factory=dict)
    _weights: set[tuple[str, str]] = field(default_factory=set)

    def named(self, label: str) -> str:
        """Say how a label shows in names of chains, files and exchanges: not at all where it is the only one."""
        return label if len(self.plan.label_names) > 1 else ""

    def features_of(self, model: str) -> tuple[str, ...]:
        """Name the columns that a model's trees see, in the order every site has them in."""
        inputs = self.plan.inputs_of(model)
        names = [name for name, of in zip(self.feature_names, self.modalities, strict=True) if of in inputs]
        stages = [name for name in inputs if name not in self.plan.modalities]
        return (*names, *(f"{name} {column}" for name in stages for column in self.added[name]))

    def check_trees(self, trees: list[bytes], model: str, at_most: int) -> None:
        """Refuse trees that are not sound trees of a model's features and the plan's depth (ModelError)."""
        limits = TreeLimits(self.plan.trees.max_depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES)
        validate_trees(trees, features=len(self.features_of(model)), limits=limits, at_most=at_most)

    def held(self, site: str, chain: str, model: Model) -> str:
        """Digest the site is believed to hold of a model's chain.

        Until it has answered about the chain: nothing. After a restart that is unknown: then the
        newest, and the site says so if it is behind.
        """
        unknown = model.digest if self.checkpoint.resumed else model.header.digest
        return self._held.get((site, chain), unknown)

    def now_holds(self, site: str, chain: str, model: Model) -> None:
        """Remember that a site has answered about this model."""
        self._held[site, chain] = model.digest

    def holds_weights(self, site: str, digest: str) -> bool:
        """Whether the site has kept weights, unless it has lost them: then it says so."""
        return (site, digest) in self._weights

    def now_holds_weights(self, site: str, digest: str) -> None:
        """Remember that a site has kept weights."""
        self._weights.add((site, digest))

    def ask_with_models(
        self,
        sites: tuple[str, ...],
        request: Callable[[str, bool], Payload],
        reply: type[R],
        *,
        what: str,
        check: Callable[[str, R], None] | None = None,
        catch_up: Callable[[Mapping[str, Behind]], None] = lambda _: None,
        lost: Collection[str] = (),
    ) -> Answers[R]:
        """Ask about models; a site that says it is behind is asked again with whole models.

        Parameters
        ----------
        sites : tuple of str
        request : callable
            Builds a site's request; its second argument says whether to send models whole.
        reply, what, check, lost
            As in :meth:`strategies.rounds.membership.Members.ask`.
        catch_up : callable
            Done about the sites that are behind, before they are asked again.
        """
        first = self.members.ask(
            {site: request(site, False) for site in sites}, reply, what=what, check=check, may_be_behind=True, lost=lost
        )
        if not first.behind:
            return first
        catch_up(first.behind)
        whole = {site: request(site, True) for site in first.behind}
        second = self.members.ask(whole, reply, what=what, check=check, lost={*first.missing, *lost})
        return Answers(
            replies=dict(sorted({**first.replies, **second.replies}.items())),
            behind={},
            missing={**first.missing, **second.missing},
            seconds=first.seconds + second.seconds,
            bytes_down=first.bytes_down + second.bytes_down,
            took={**first.took, **{site: first.seconds + seconds for site, seconds in second.took.items()}},
            sizes={**first.sizes, **{site: first.sizes.get(site, 0) + size for site, size in second.sizes.items()}},
        )


def exchange(name: str, answers: Answers[R]) -> Exchange:
    """Record what an exchange cost."""
    return Exchange(name=name, seconds=answers.seconds, bytes_down=answers.bytes_down, bytes_up=answers.bytes_up)


def record(
    number: int,
    answers: Answers[R],
    losses: Mapping[str, tuple[float | None, float | None]],
    epsilon: float | None = None,
) -> Round:
    """Record what a round of training was, over all sites and at each.

    Parameters
    ----------
    number : int
        From 1.
    answers : Answers
    losses : mapping of site name to (training loss, held-out loss)
        None where withheld.
    epsilon : float, optional
        What all rounds up to this one cost a patient, where noise is added.
    """
    training, held_out = ([each[side] for each in losses.values()] for side in (0, 1))
    return Round(
        number=number,
        seconds=answers.seconds,
        bytes_down=answers.bytes_down,
        bytes_up=answers.bytes_up,
        sites=tuple(answers.replies),
        missing=dict(answers.missing),
        training_loss=_mean_of_told(training),
        held_out_loss=_mean_of_told(held_out),
        at={
            site: SiteRound(
                seconds=answers.took[site],
                bytes_up=answers.sizes[site],
                training_loss=losses[site][0],
                held_out_loss=losses[site][1],
            )
            for site in answers.replies
        },
        epsilon=epsilon,
    )


def chain_name(name: str, repetition: Repetition, label: str = "") -> str:
    """Name of one model's chain in keys and files; of trees with their label."""
    return "-".join([name, *filter(None, [label]), f"seed{repetition.seed}", f"fold{repetition.fold}"])


def _mean_of_told(losses: Iterable[float | None]) -> float | None:
    """Mean over the sites that tell theirs; None when no site does."""
    told = [loss for loss in losses if loss is not None]
    return sum(told) / len(told) if told else None
