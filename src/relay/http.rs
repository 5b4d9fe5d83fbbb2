//! The handlers of `/v1/events` and `/v1/subscriptions`, and what they look like on the wire.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::feed::{self, Reading};
use super::service::{self, Selection};
use super::signature::SigningSecret;
use super::store;
use super::types::{Change, Delivery, DeliveryStatus, Subscription};
use super::{Addressee, Relay};
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call, idempotency};
use crate::problem::Problem;
use crate::storage::window::Found;
use crate::storage::{Ground, Tx};

/// `GET /v1/events`
///
/// # Errors
/// 400 for a cursor of another feed.
pub async fn list_events(call: Call) -> Result<Answer, Problem> {
    let feed = Addressee::of(call.caller()?)?;
    if call.accepts_event_stream {
        return stream_events(call).await;
    }
    let mut reading = Reading::begin(&Relay::of(&call.app), &feed, "cursor", call.query_text("cursor")).await?;
    let limit = call.query_number("limit").unwrap_or(100).clamp(1, 1_000);
    let wait = u64::try_from(call.query_number("wait").unwrap_or(0)).unwrap_or(0).min(60);
    let page = reading.wait(limit, Duration::from_secs(wait), async || call.still_authorised().await).await?;
    let items = feed::cloud_events(&Relay::of(&call.app), &page)?;
    Answer::ok(&json!({ "items": items, "next": next_address(&call, &reading.cursor()) }))
}

async fn stream_events(call: Call) -> Result<Answer, Problem> {
    let feed = Addressee::of(call.caller()?)?;
    let (name, cursor) = match &call.last_event_id {
        Some(id) => ("Last-Event-ID", Some(id.as_str())),
        None => ("cursor", call.query_text("cursor")),
    };
    let reading = Reading::begin(&Relay::of(&call.app), &feed, name, cursor).await?;
    let pieces = reading.stream(async move || call.still_authorised().await);
    Ok(Answer::stream("text/event-stream", pieces.map(|piece| Ok(piece.into()))).header("Cache-Control", "no-store"))
}

fn next_address(call: &Call, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["limit", "wait"] {
        if let Some(number) = call.query_number(name) {
            query.append_pair(name, &number.to_string());
        }
    }
    query.append_pair("cursor", cursor);
    format!("/v1/events?{}", query.finish())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubscriptionCreation {
    sink: String,
    types: Option<Vec<String>>,
    #[serde(default)]
    mutual_tls: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubscriptionChange {
    sink: Option<String>,
    types: Option<Vec<String>>,
    mutual_tls: Option<bool>,
    status: Option<WantedStatus>,
    #[serde(default)]
    rotate_secret: bool,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum WantedStatus {
    Active,
    Paused,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionBody {
    id: Uuid,
    sink: String,
    types: Vec<String>,
    mutual_tls: bool,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl SubscriptionBody {
    fn new(subscription: Subscription, secret: Option<&SigningSecret>) -> Self {
        Self {
            id: subscription.id,
            sink: subscription.sink,
            types: subscription.types,
            mutual_tls: subscription.mutual_tls,
            status: subscription.status.as_str(),
            secret: secret.map(|secret| secret.to_text().to_string()),
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
        }
    }
}

/// `GET /v1/subscriptions`
///
/// # Errors
/// 400 for a cursor that was not given out.
pub async fn list_subscriptions(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let reader = &Addressee::of(call.caller()?)?;
    let after = page.after::<Uuid>()?.map(|id| id.to_string());
    let subscriptions = store::list(&mut call.app.db.reader(), reader, after.as_deref(), page.rows()).await?;
    let items = subscriptions.into_iter().map(|subscription| SubscriptionBody::new(subscription, None)).collect();
    page.answer(&call, "/v1/subscriptions", items, |item: &SubscriptionBody| item.id.to_string())
}

/// `POST /v1/subscriptions`
///
/// # Errors
/// 400 for a sink that the gateway does not connect to.
pub async fn create_subscription(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let wanted: SubscriptionCreation = call.json()?;
    let reader = &Addressee::of(call.caller()?)?;
    let draft = service::draft(&Relay::of(&call.app), reader, &wanted.sink, wanted.types, wanted.mutual_tls).await?;
    idempotency::once(&call, "create-subscription", Ground::default(), async move |tx: &mut Tx| {
        service::create(tx, &draft).await?;
        let location = format!("/v1/subscriptions/{}", draft.subscription.id);
        let version = draft.subscription.version;
        let body = SubscriptionBody::new(draft.subscription.clone(), Some(&draft.secret));
        Ok(Answer::created(location, &body)?.etag(version))
    })
    .await
}

/// `GET /v1/subscriptions/{id}`
///
/// # Errors
/// 404.
pub async fn get_subscription(call: Call) -> Result<Answer, Problem> {
    let subscription = service::get(&Relay::of(&call.app), &Addressee::of(call.caller()?)?, call.path("id")?).await?;
    let version = subscription.version;
    Ok(Answer::ok(&SubscriptionBody::new(subscription, None))?.etag(version))
}

/// `PATCH /v1/subscriptions/{id}`
///
/// # Errors
/// 400 for a sink that the gateway does not connect to, 404, 409 when it has ended, 412.
pub async fn change_subscription(call: Call) -> Result<Answer, Problem> {
    let wanted: SubscriptionChange = call.json()?;
    let change = Change {
        sink: wanted.sink,
        types: wanted.types,
        mutual_tls: wanted.mutual_tls,
        paused: wanted.status.map(|status| status == WantedStatus::Paused),
        rotate_secret: wanted.rotate_secret,
    };
    let (reader, id) = (&Addressee::of(call.caller()?)?, call.path("id")?);
    let check = |version| call.check_if_match(version);
    let (subscription, secret) = service::change(&Relay::of(&call.app), reader, id, change, check).await?;
    let version = subscription.version;
    Ok(Answer::ok(&SubscriptionBody::new(subscription, secret.as_ref()))?.etag(version))
}

/// `DELETE /v1/subscriptions/{id}`
///
/// # Errors
/// 404, 412.
pub async fn delete_subscription(call: Call) -> Result<Answer, Problem> {
    let (reader, id) = (&Addressee::of(call.caller()?)?, call.path("id")?);
    service::delete(&Relay::of(&call.app), reader, id, |version| call.check_if_match(version)).await?;
    Ok(Answer::no_content())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryBody {
    #[serde(skip)]
    position: i64,
    id: Uuid,
    event: Uuid,
    #[serde(rename = "type")]
    kind: String,
    status: &'static str,
    attempts: i64,
    created_at: Timestamp,
    last_attempt_at: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    last_response_status: Option<i64>,
    last_failure: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            position: delivery.position,
            id: delivery.event,
            event: delivery.event,
            kind: delivery.kind,
            status: delivery.status.as_str(),
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            last_attempt_at: delivery.last_attempt_at,
            next_attempt_at: delivery.next_attempt_at,
            last_response_status: delivery.last_status,
            last_failure: delivery.last_error,
        }
    }
}

/// `GET /v1/subscriptions/{id}/deliveries`
///
/// # Errors
/// 400 for a cursor that was not given out, 404.
pub async fn list_deliveries(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let subscription = service::get(&Relay::of(&call.app), &Addressee::of(call.caller()?)?, call.path("id")?).await?;
    let status: Option<DeliveryStatus> = call.query_text("status").and_then(|text| text.parse().ok());
    let before = page.after_number()?;
    let mut reader = call.app.db.reader();
    let found = store::deliveries(&mut reader, subscription.id, status, before, page.rows()).await?;
    let items = found.items.into_iter().map(DeliveryBody::from).collect();
    let path = format!("/v1/subscriptions/{}/deliveries", subscription.id);
    let found = Found { items, resume: found.resume };
    page.answer_found(&call, &path, found, |item: &DeliveryBody| item.position.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayRequest {
    deliveries: Option<Vec<Uuid>>,
    since: Option<Timestamp>,
}

/// `POST /v1/subscriptions/{id}/replays`
///
/// # Errors
/// 400 for deliveries that this subscription does not have, 404, 409 when it is not active.
pub async fn replay_deliveries(call: Call) -> Result<Answer, Problem> {
    let request: ReplayRequest = call.json()?;
    let selection = match (request.deliveries, request.since) {
        (Some(named), None) => Selection::Named(named),
        (None, Some(since)) => Selection::Since(since),
        _ => return Err(Problem::internal("the contract permits a replay of both or neither kind")),
    };
    let (relay, reader, id) = (Relay::of(&call.app), Addressee::of(call.caller()?)?, call.path("id")?);
    idempotency::once(&call, "replay-deliveries", Ground::default(), async move |tx: &mut Tx| {
        let queued = service::replay(tx, &relay, &reader, id, &selection).await?;
        Ok(Answer::ok(&json!({ "queued": queued }))?.status(202))
    })
    .await
}
