"""Say who this site is and what its data looks like."""

from __future__ import annotations

from client import policy
from client.site import Site
from client.software import versions
from common.messages import AdmissionReply, AdmissionRequest
from common.plan import Plan


def admit(site: Site, plan: Plan, request: AdmissionRequest) -> AdmissionReply:
    """Check plan and cohort against the policy; names and schema leave, no counts."""
    policy.permit_plan(plan, request.plan_digest)
    policy.permit_noiseless(site.settings.privacy, plan)
    table = site.table(plan)
    return AdmissionReply(
        site=site.name,
        synthetic=table.synthetic,
        schema_digest=table.schema_digest,
        feature_names=list(table.feature_names),
        modalities=list(table.modalities),
        inputs=[f"{modality}:{name}" for modality, names in site.inputs(plan).items() for name in names],
        versions=versions(),
    )
