"""The Flower ClientApp: each handler parses, calls, replies; no arithmetic here."""

from __future__ import annotations

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.answering import answer
from client.handlers import admission as admitting
from client.handlers import boost as boosting
from client.handlers import statistics as counting
from common.messages import (
    AdmissionRequest,
    BoostRequest,
    EvaluateRequest,
    LocalRequest,
    NoisedStatisticsRequest,
    StatisticsRequest,
)
from common.network_messages import EmbedRequest, ScoreRequest, TrainAloneRequest, TrainRequest

app = ClientApp()


@app.query("admission")
def admission(message: Message, context: Context) -> Message:
    """Say who the site is and what its data looks like."""
    return answer(message, context, AdmissionRequest, admitting.admit)


@app.query("statistics")
def statistics(message: Message, context: Context) -> Message:
    """Count stays and positives."""
    return answer(message, context, StatisticsRequest, counting.count)


@app.query("noised_statistics")
def noised_statistics(message: Message, context: Context) -> Message:
    """Count patients, with noise."""
    return answer(message, context, NoisedStatisticsRequest, counting.count_noised)


@app.train("boost")
def boost(message: Message, context: Context) -> Message:
    """Grow trees on the global model."""
    return answer(message, context, BoostRequest, boosting.grow_global)


@app.train("local")
def local(message: Message, context: Context) -> Message:
    """Train alone."""
    return answer(message, context, LocalRequest, boosting.grow_alone)


@app.train("network")
def network(message: Message, context: Context) -> Message:
    """Train a network for one round."""
    from client.handlers.train import train_round

    return answer(message, context, TrainRequest, train_round)


@app.query("embed")
def embed(message: Message, context: Context) -> Message:
    """Turn rows into columns for trees."""
    from client.handlers.embed import embed_rows

    return answer(message, context, EmbedRequest, embed_rows)


@app.query("score")
def score(message: Message, context: Context) -> Message:
    """Score held-out patients with networks."""
    from client.handlers.score import score_networks

    return answer(message, context, ScoreRequest, score_networks)


@app.train("network_alone")
def network_alone(message: Message, context: Context) -> Message:
    """Train a network alone."""
    from client.handlers.train import train_alone

    return answer(message, context, TrainAloneRequest, train_alone)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Say what models are worth on held-out patients."""
    from client.handlers import evaluate as evaluating

    return answer(message, context, EvaluateRequest, evaluating.score)
