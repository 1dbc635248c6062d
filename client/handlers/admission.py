"""Say who this site is and what its data looks like."""

from __future__ import annotations

from client import policy
from client.site import Site, software
from common.messages import AdmissionReply, AdmissionRequest
from common.plan import Plan


def admit(site: Site, plan: Plan, request: AdmissionRequest) -> AdmissionReply:
    """Check plan and cohort against the policy; names and schema leave, no counts."""
    policy.permit_plan(plan, request.plan_digest)
    cohort = site.cohort(plan)
    return AdmissionReply(
        site=site.name,
        synthetic=cohort.synthetic,
        schema_digest=cohort.schema_digest,
        feature_names=list(cohort.feature_names),
        versions=software(),
    )
