"""Which Flower message type carries which request; both apps read this one table."""

from __future__ import annotations

from common.messages import (
    AdmissionRequest,
    BoostRequest,
    EvaluateRequest,
    LocalRequest,
    NoisedStatisticsRequest,
    StatisticsRequest,
)
from common.network_messages import EmbedRequest, ScoreRequest, TrainAloneRequest, TrainRequest
from common.payload import Payload

ACTION_OF: dict[type[Payload], str] = {
    AdmissionRequest: "query.admission",
    StatisticsRequest: "query.statistics",
    NoisedStatisticsRequest: "query.noised_statistics",
    BoostRequest: "train.boost",
    LocalRequest: "train.local",
    TrainRequest: "train.network",
    TrainAloneRequest: "train.network_alone",
    EmbedRequest: "query.embed",
    ScoreRequest: "query.score",
    EvaluateRequest: "evaluate",
}
