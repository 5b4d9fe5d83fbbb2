//! Who changes an organisation, and how the change is told: to the audit log, to the other organisations, to what was decided before.
//!
//! Invariant: a change, its audit record and its events are stored together or not at all, whether it comes over the API or from a
//! command on the gateway's machine. A record holds codes and identifiers, never who sat at the keyboard.

use uuid::Uuid;

use super::store;
use super::types::{Scope, Status};
use crate::audit::{self, Kind, Record, SealedRecord, TraceContext};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::{Entropy, Oin};
use crate::problem::Problem;
use crate::relay::{self, Event, Happening};
use crate::storage::seal::Sealer;
use crate::storage::{Tx, revisions};

/// The client id under which commands on the gateway's own machine are recorded.
pub(super) const OPERATOR: &str = "operator";

/// Who makes a change, and what it takes to record it.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The client that asked, or `operator` for a command on the gateway's own machine.
    pub client_id: String,
    /// The client's organisation; none for the operator.
    pub organisation: Option<Oin>,
    /// Whether it may change what belongs to others (scope `organisations:write`).
    pub administers: bool,
    pub(super) origin: Origin,
    pub(super) entropy: Entropy,
    pub(super) sealer: Sealer,
}

/// The request that a change comes from; nothing for a command.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    request_id: Option<String>,
    trace: TraceContext,
    trace_parent: Option<String>,
}

impl Actor {
    /// The person at the gateway's own machine, who can do anything to it anyhow.
    #[must_use]
    pub fn operator(entropy: &Entropy, sealer: &Sealer) -> Self {
        Self {
            client_id: OPERATOR.into(),
            organisation: None,
            administers: true,
            origin: Origin::default(),
            entropy: entropy.clone(),
            sealer: sealer.clone(),
        }
    }

    /// The client that makes this request.
    ///
    /// # Errors
    /// When the request has no caller.
    pub fn of(call: &Call) -> Result<Self, Problem> {
        let caller = call.caller()?;
        Ok(Self {
            client_id: caller.client_id.clone(),
            organisation: Some(caller.organisation.clone()),
            administers: caller.has_scope(Scope::OrganisationsWrite.name()),
            origin: Origin {
                request_id: Some(call.request_id.to_string()),
                trace: TraceContext {
                    trace_id: Some(call.trace.trace_id.clone()),
                    span_id: Some(call.trace.span_id.clone()),
                    parent_span_id: call.trace.parent_id.clone(),
                },
                trace_parent: Some(call.trace.traceparent()),
            },
            entropy: call.app.entropy.clone(),
            sealer: call.app.sealer.clone(),
        })
    }

    pub(super) fn may_manage(&self, organisation: &Oin) -> bool {
        self.administers || self.organisation.as_ref() == Some(organisation)
    }

    pub(super) fn is_operator(&self) -> bool {
        self.organisation.is_none() && self.client_id == OPERATOR
    }
}

/// What of an organisation a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The organisation itself.
    Whole,
    /// One of its clients, by id.
    Client(&'a str),
    /// One of its certificates, by serial number.
    Certificate(&'a str),
    /// Its JWK set.
    Keys,
    /// One of its capacity notices.
    CapacityNotice(Uuid),
}

impl Part<'_> {
    /// The path of the API that stands for it; clients have none of their own and are a part of their organisation's.
    fn path(self, organisation: &Oin) -> String {
        match self {
            Self::Whole => format!("/v1/organisations/{organisation}"),
            Self::Client(id) => format!("/v1/organisations/{organisation}#{id}"),
            Self::Certificate(serial) => format!("/v1/organisations/{organisation}/certificates/{serial}"),
            Self::Keys => format!("/v1/organisations/{organisation}/keys"),
            Self::CapacityNotice(id) => format!("/v1/capacity-notices/{id}"),
        }
    }
}

/// What happened to an organisation: codes and identifiers only.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRecord<'a> {
    /// What was done, such as `registered`, `suspended` or `capacity-announced`.
    pub action: &'static str,
    /// Whose standing changed; the audit record is this organisation's.
    pub organisation: &'a Oin,
    /// What of it.
    pub part: Part<'a>,
    /// Who did it.
    pub actor: &'a Actor,
    /// When.
    pub at: Timestamp,
}

/// The one place where a change of an organisation is recorded: its revision rises, and the audit log gets a record.
///
/// # Errors
/// When the database fails or no random bytes can be had; then the change does not happen either.
pub async fn record_change(tx: &mut Tx, change: ChangeRecord<'_>) -> Result<(), Problem> {
    let ChangeRecord { action, organisation, part, actor, at } = change;
    revisions::bump(tx, &revisions::organisation(organisation));
    let resource = part.path(organisation);
    let mut record = Record::new(actor.entropy.uuid(at)?, Kind::Administration, at, organisation.clone());
    record.client_id = Some(actor.client_id.clone());
    record.request_id.clone_from(&actor.origin.request_id);
    record.trace = actor.origin.trace.clone();
    record.action = Some(action.to_owned());
    record.resource = Some(resource.clone());
    audit::write(tx, &SealedRecord::new(&record, &actor.entropy, &actor.sealer)?);
    tracing::info!(action, resource, client = actor.client_id, "organisation changed");
    Ok(())
}

/// Tells the other organisations that this one is out, or in again: what they are about to send would be refused, or no more.
///
/// # Errors
/// When the database fails or no random bytes can be had; then the change does not happen either.
pub(super) async fn tell_others(
    tx: &mut Tx,
    oin: &Oin,
    status: Status,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), Problem> {
    let party = oin.clone();
    let happening = match status {
        Status::Active => Happening::OrganisationResumed { party },
        Status::Suspended => Happening::OrganisationSuspended { party },
        Status::Retired => Happening::OrganisationRetired { party },
    };
    for other in store::active(tx).await?.into_iter().filter(|other| other != oin) {
        let event = Event {
            id: actor.entropy.uuid(now)?,
            to: other.into(),
            happening: happening.clone(),
            time: now,
            trace_parent: actor.origin.trace_parent.clone(),
        };
        relay::enqueue(tx, &event);
    }
    Ok(())
}
