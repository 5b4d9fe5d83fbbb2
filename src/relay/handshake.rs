//! The handshake that shows that a sink wants the gateway's deliveries (`CloudEvents` webhooks 1.0.2 section 4).
//!
//! Invariant: nothing is posted to a sink before it has answered an OPTIONS request with `WebHook-Allowed-Origin`.

use uuid::Uuid;

use super::Relay;
use super::backoff::{self, HANDSHAKE_HORIZON};
use super::egress::{Failure, Question};
use super::queue::{self, Target};
use super::types::{Consent, consent};
use crate::problem::Problem;

/// Asks the sink of one subscription, and records the answer. Says whether the subscription became active.
pub(super) async fn perform(relay: &Relay, subscription: Uuid) -> Result<bool, Problem> {
    let (claim, now) = (relay.new_id()?, relay.now());
    let claimed = relay.db.write("claim-handshake", async move |tx| {
        queue::claim_handshake(tx, subscription, claim, now).await.map_err(Problem::from)
    });
    let Some(target) = claimed.await? else { return Ok(false) };
    let (consent, retry_after) = ask(relay, &target).await;
    let now = relay.now();
    let next = backoff::next_attempt(
        target.handshake_first_at.unwrap_or(now),
        u32::try_from(target.handshakes).unwrap_or(u32::MAX),
        now,
        retry_after.and_then(|value| backoff::retry_after(&value, now)),
        HANDSHAKE_HORIZON,
        u32::from_ne_bytes(relay.entropy.bytes()?),
    );
    let recorded = relay.db.write("record-handshake", async move |tx| {
        let postponed_until = match consent {
            Consent::Granted { rate } => return Ok(queue::confirm(tx, subscription, claim, rate, now).await?),
            Consent::Denied => next,
            Consent::Gone => None,
        };
        queue::postpone(tx, subscription, claim, postponed_until, now).await?;
        Ok(false)
    });
    recorded.await
}

async fn ask(relay: &Relay, target: &Target) -> (Consent, Option<String>) {
    let origin = relay.origin.clone();
    let sink = relay.egress.parse(&target.sink).map_err(|_| Failure::TargetRefused);
    let answer = match sink {
        Ok(sink) => {
            let headers = [("webhook-request-origin", origin.clone())];
            relay.egress.ask(&sink, Question::Options, &headers, target.mutual_tls).await
        }
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(reply) => {
            let allowed = reply.header("webhook-allowed-origin");
            let judged = consent(reply.status, allowed, reply.header("webhook-allowed-rate"), &origin);
            (judged, reply.header("retry-after").map(str::to_owned))
        }
        Err(failure) => {
            tracing::debug!(subscription = %target.id, failure = failure.code(), "a handshake got no answer");
            (Consent::Denied, None)
        }
    }
}
