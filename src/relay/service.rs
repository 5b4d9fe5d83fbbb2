//! What a subscriber can do: subscribe, change, end, look at deliveries, have them sent again.
//!
//! Invariant: a signing secret is sealed before it is stored, and leaves the gateway in one answer only.

use std::time::Duration;

use uuid::Uuid;

use super::egress::SinkRefusal;
use super::signature::SigningSecret;
use super::store;
use super::types::{Change, Subscription, SubscriptionStatus, strange_types, wanted_types};
use super::{Addressee, Relay};
use crate::clock::Timestamp;
use crate::problem::{Code, InvalidParam, Problem};
use crate::storage::{Db, Tx};

/// How long the former secret goes on signing after a rotation.
const ROTATION_OVERLAP: Duration = Duration::from_hours(24);
/// How often a change is tried again when another one was faster.
const CHANGE_ATTEMPTS: usize = 5;

/// A subscription that is ready to be stored.
#[derive(Clone)]
pub(super) struct Draft {
    pub subscription: Subscription,
    pub secret: SigningSecret,
    sealed: Vec<u8>,
}

/// Checks the sink and prepares a subscription with a fresh secret.
pub(super) async fn draft(
    relay: &Relay,
    reader: &Addressee,
    sink: &str,
    types: Option<Vec<String>>,
    mutual_tls: bool,
) -> Result<Draft, Problem> {
    check_types(types.as_deref(), reader)?;
    let sink = relay.egress.inspect(sink, mutual_tls).await.map_err(refused)?;
    let (id, now) = (relay.new_id()?, relay.now());
    let secret = SigningSecret::generate(&relay.entropy)?;
    let sealed = relay.sealer.seal(&place(id), secret.as_bytes())?;
    let subscription = Subscription {
        id,
        reader: reader.clone(),
        sink: sink.as_str().to_owned(),
        types: wanted_types(types, reader.role),
        mutual_tls,
        status: SubscriptionStatus::Pending,
        confirmed: false,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    Ok(Draft { subscription, secret, sealed })
}

/// Whoever asks for what is told to others would wait for it for ever.
fn check_types(types: Option<&[String]>, reader: &Addressee) -> Result<(), Problem> {
    let strange = strange_types(types.unwrap_or_default(), reader.role);
    let invalid = |place| {
        InvalidParam::new(format!("types[{place}]"), "not-expected", "expected a type that is told to this client")
    };
    if strange.is_empty() { Ok(()) } else { Err(Problem::invalid(strange.into_iter().map(invalid).collect())) }
}

/// Stores a draft.
pub(super) async fn create(tx: &mut Tx, draft: &Draft) -> Result<(), Problem> {
    Ok(store::insert(tx, &draft.subscription, draft.sealed.clone()).await?)
}

/// One subscription of a reader; another's is as good as none.
pub(super) async fn get(relay: &Relay, reader: &Addressee, id: Uuid) -> Result<Subscription, Problem> {
    store::find(&mut relay.db.reader(), reader, id).await?.ok_or_else(Problem::not_found)
}

/// Changes a subscription. `check` sees the version that is about to be changed, and may refuse it. Gives the new secret if one
/// was asked for.
pub(super) async fn change(
    relay: &Relay,
    reader: &Addressee,
    id: Uuid,
    mut change: Change,
    check: impl Fn(i64) -> Result<(), Problem>,
) -> Result<(Subscription, Option<SigningSecret>), Problem> {
    check(get(relay, reader, id).await?.version)?;
    check_types(change.types.as_deref(), reader)?;
    if let Some(sink) = &change.sink {
        let present = get(relay, reader, id).await?;
        let identified = change.mutual_tls.unwrap_or(present.mutual_tls);
        change.sink = Some(relay.egress.inspect(sink, identified).await.map_err(refused)?.as_str().to_owned());
    } else if change.mutual_tls == Some(true) && !relay.egress.has_identity() {
        return Err(refused(SinkRefusal::NoClientCertificate));
    }
    let secret = change.rotate_secret.then(|| SigningSecret::generate(&relay.entropy)).transpose()?;
    for _ in 0..CHANGE_ATTEMPTS {
        let present = get(relay, reader, id).await?;
        check(present.version)?;
        let (next, restart) = change.apply(&present, relay.now()).ok_or_else(|| {
            Problem::new(Code::Conflict, "the subscription has ended; set its status to active to begin again")
        })?;
        if write_change(relay, present.version, next.clone(), restart, secret.clone()).await? {
            return Ok((next, secret));
        }
    }
    Err(Problem::new(Code::Unavailable, "the subscription is being changed by others; try again after a moment"))
}

/// Writes a change unless the subscription was changed in the meantime.
async fn write_change(
    relay: &Relay,
    seen: i64,
    next: Subscription,
    restart: bool,
    secret: Option<SigningSecret>,
) -> Result<bool, Problem> {
    let shared = relay.clone();
    let change = relay.db.write("change-subscription", async move |tx: &mut Tx| {
        store::lock(tx, &next.reader, next.id).await?;
        let present = store::find(tx, &next.reader, next.id).await?.ok_or_else(Problem::not_found)?;
        if present.version != seen {
            return Ok(false);
        }
        store::update(tx, &next).await?;
        if restart {
            store::restart_handshake(tx, next.id, next.updated_at).await?;
        }
        if let Some(secret) = &secret {
            rotate(tx, &shared, &next, secret).await?;
        }
        Ok(true)
    });
    change.await
}

async fn rotate(
    tx: &mut Tx,
    relay: &Relay,
    subscription: &Subscription,
    secret: &SigningSecret,
) -> Result<(), Problem> {
    let former = store::sealed_secret(tx, subscription.id).await?.ok_or_else(Problem::not_found)?;
    let sealed = relay.sealer.seal(&place(subscription.id), secret.as_bytes())?;
    let until = subscription.updated_at.plus(ROTATION_OVERLAP);
    Ok(store::rotate_secret(tx, subscription.id, sealed, former, until).await?)
}

/// Ends a subscription for good.
pub(super) async fn delete(
    relay: &Relay,
    reader: &Addressee,
    id: Uuid,
    check: impl Fn(i64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for _ in 0..CHANGE_ATTEMPTS {
        let present = get(relay, reader, id).await?;
        check(present.version)?;
        let (reader, seen, now) = (reader.clone(), present.version, relay.now());
        let deleted = relay.db.write("end-subscription", async move |tx: &mut Tx| {
            store::lock(tx, &reader, id).await?;
            let present = store::find(tx, &reader, id).await?.ok_or_else(Problem::not_found)?;
            if present.version == seen {
                store::remove(tx, &reader, id, now).await?;
            }
            Ok(present.version == seen)
        });
        if deleted.await? {
            return Ok(());
        }
    }
    Err(Problem::new(Code::Unavailable, "the subscription is being changed by others; try again after a moment"))
}

/// Which deliveries are sent again.
#[derive(Debug, Clone)]
pub(super) enum Selection {
    /// These, named by their event.
    Named(Vec<Uuid>),
    /// All that were made since.
    Since(Timestamp),
}

/// Puts deliveries back in the queue; answers how many.
pub(super) async fn replay(
    tx: &mut Tx,
    relay: &Relay,
    reader: &Addressee,
    id: Uuid,
    selection: &Selection,
) -> Result<u64, Problem> {
    let subscription = store::find(tx, reader, id).await?.ok_or_else(Problem::not_found)?;
    if subscription.status != SubscriptionStatus::Active {
        return Err(Problem::new(Code::Conflict, "the subscription is not active; activate it first"));
    }
    let named = match selection {
        Selection::Since(since) => {
            let queued = store::replay_since(tx, id, *since, relay.now()).await?;
            return queued.ok_or_else(|| {
                let most = store::REPLAY_MOST;
                let what =
                    format!("more than {most} deliveries were made since; take a later moment, or read the feed");
                Problem::invalid_param("since", "too-many", what)
            });
        }
        Selection::Named(named) => named,
    };
    let mut unknown = Vec::new();
    for (index, event) in named.iter().enumerate() {
        if !store::replay_one(tx, id, *event, relay.now()).await? {
            let name = format!("deliveries[{index}]");
            unknown.push(InvalidParam::new(name, "unknown-delivery", "expected a delivery of this subscription"));
        }
    }
    if unknown.is_empty() { Ok(named.len() as u64) } else { Err(Problem::invalid(unknown)) }
}

/// Takes away what is left of subscriptions that were removed, and gives up what waits for those that have ended; in small transactions.
///
/// # Errors
/// When the database fails; what is left then is taken away the next time.
pub async fn tidy(db: &Db, now: Timestamp) -> Result<(), Problem> {
    for (id, removed) in store::left_over(&mut db.reader()).await? {
        let step = async move |tx: &mut Tx| {
            let more = if removed { store::take_away(tx, id).await? } else { store::bury(tx, id, now).await? };
            Ok(more)
        };
        while db.write("tidy-subscriptions", step).await? {}
    }
    Ok(())
}

/// Opens a sealed signing secret.
pub(super) fn open_secret(relay: &Relay, subscription: Uuid, sealed: &[u8]) -> Result<SigningSecret, Problem> {
    let bytes = relay.sealer.open(&place(subscription), sealed)?;
    SigningSecret::from_bytes(bytes.to_vec())
        .map_err(|_| Problem::internal("a sealed signing secret has no valid length"))
}

fn place(subscription: Uuid) -> String {
    format!("subscriptions/secret/{subscription}")
}

fn refused(refusal: SinkRefusal) -> Problem {
    let name = if refusal == SinkRefusal::NoClientCertificate { "mutualTls" } else { "sink" };
    Problem::invalid_param(name, refusal.code(), refusal.to_string())
}
