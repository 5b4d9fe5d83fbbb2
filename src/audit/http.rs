//! The audit log over HTTP: records and proofs for those who may see them, and the public tiles and checkpoint.
//!
//! Invariant: what is public holds hashes only (C2SP tlog-tiles); entry bundles are not served, for a leaf's commitments
//! belong to those who may see the record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::record::StoredRecord;
use super::service::{self, AuditReader, Filter, Proof};
use super::tiles::TilePath;
use super::types::Field;
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::ids::Oin;
use crate::problem::Problem;
use crate::replays;
use crate::storage::window::Found;

/// The scope with which every organisation's records may be read.
const READ_ALL: &str = "audit:read";

/// The name of a field in answers.
const fn wire_name(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Kind => "kind",
        Field::Time => "time",
        Field::Organisation => "organisation",
        Field::ClientId => "clientId",
        Field::RequestId => "requestId",
        Field::TraceId => "traceId",
        Field::SpanId => "spanId",
        Field::ParentSpanId => "parentSpanId",
        Field::Action => "action",
        Field::Resource => "resource",
        Field::Sender => "sender",
        Field::Recipient => "recipient",
        Field::Purpose => "purpose",
        Field::Phase => "phase",
        Field::LegalBasis => "legalBasis",
        Field::ProcessingActivity => "processingActivity",
        Field::CovenantVersion => "covenantVersion",
        Field::PolicyDigest => "policyDigest",
        Field::Outcome => "outcome",
        Field::Sections => "sections",
        Field::ConsentIds => "consentIds",
        Field::Subject => "subject",
        Field::Referral => "referral",
        Field::UpdateId => "update",
        Field::Decision => "decision",
        Field::Consent => "consent",
        Field::Status => "status",
        Field::StatusReason => "statusReason",
        Field::Facts => "facts",
    }
}

/// A record as this reader may see it. What it does not have, what the reader may not see and what was erased is absent;
/// the three are not told apart.
pub(super) fn view(reader: &AuditReader, record: &StoredRecord) -> Result<Value, Problem> {
    let mut view = Map::new();
    for field in Field::ALL.into_iter().filter(|field| reader.may_see_field(record, *field)) {
        let Some(text) = record.value(field) else { continue };
        let value = match field {
            Field::Sections | Field::ConsentIds => serde_json::from_str(text)?,
            Field::Facts => service::own_facts(serde_json::from_str(text)?, &reader.organisation),
            _ => Value::String(text.to_owned()),
        };
        view.insert(wire_name(field).to_owned(), value);
    }
    view.insert("leafIndex".to_owned(), record.leaf_index.into());
    Ok(Value::Object(view))
}

fn proof_view(proof: &Proof) -> Value {
    let openings: Vec<Value> = proof
        .openings
        .iter()
        .map(|opening| {
            json!({ "field": opening.field.as_str(), "salt": STANDARD.encode(opening.salt.0), "value": opening.value })
        })
        .collect();
    let path: Vec<String> = proof.path.iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect();
    json!({
        "leafIndex": proof.leaf_index,
        "leaf": STANDARD.encode(&proof.leaf),
        "openings": openings,
        "treeSize": proof.tree_size,
        "path": path,
        "checkpoint": proof.checkpoint,
    })
}

fn reader(call: &Call) -> Result<AuditReader, Problem> {
    let caller = call.caller()?;
    Ok(AuditReader { organisation: caller.organisation.clone(), reads_all: caller.has_scope(READ_ALL) })
}

/// A parameter in the form of a type of ours; the contract has checked it before.
fn parameter<T: std::str::FromStr>(call: &Call, name: &str) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Problem::invalid_param(name, "format", "expected a value in the form of the contract"))
    };
    call.query_text(name).map(parse).transpose()
}

/// `GET /v1/audit/records`
///
/// # Errors
/// When the cursor was not made here, or the database fails.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, reader) = (Page::of(&call)?, reader(&call)?);
    let filter = Filter {
        organisation: parameter::<Oin>(&call, "organisation")?,
        kind: call.query_text("kind").map(str::to_owned),
        purpose: call.query_text("purpose").map(str::to_owned),
        referral: parameter::<Uuid>(&call, "referral")?.map(|id| id.to_string()),
        trace_id: call.query_text("traceId").map(str::to_owned),
        from: parameter::<Timestamp>(&call, "from")?,
        until: parameter::<Timestamp>(&call, "until")?,
        before: page.after::<Uuid>()?.map(|id| id.to_string()),
        limit: page.rows(),
    };
    let found = service::list(&mut call.app.db.reader(), &reader, filter).await?;
    let views = found.items.iter().map(|record| view(&reader, record)).collect::<Result<Vec<_>, _>>()?;
    let id = |view: &Value| view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    page.answer_found(&call, "/v1/audit/records", Found { items: views, resume: found.resume }, id)
}

/// `GET /v1/audit/records/{id}`
///
/// # Errors
/// 404 when there is no such record or the caller may not see it.
pub async fn read(call: Call) -> Result<Answer, Problem> {
    let reader = reader(&call)?;
    let id: Uuid = call.path("id")?;
    let mut query = call.app.db.reader();
    let record = service::read(&mut query, &reader, &id.to_string()).await?;
    let mut answer = view(&reader, &record)?;
    let explanation = replays::explanation(&call.app, &mut query, &record).await?;
    if let (Some(explanation), Some(answer)) = (explanation, answer.as_object_mut()) {
        answer.insert("explanation".to_owned(), explanation);
    }
    Answer::ok(&answer)
}

/// `GET /v1/audit/records/{id}/proof`
///
/// # Errors
/// 404 as for [`read`]; 409 when the record has no place in the log yet.
pub async fn proof(call: Call) -> Result<Answer, Problem> {
    let reader = reader(&call)?;
    let id: Uuid = call.path("id")?;
    let proof = service::prove(&mut call.app.db.reader(), &reader, &id.to_string()).await?;
    Answer::ok(&proof_view(&proof))
}

/// `GET /log/checkpoint` (C2SP tlog-tiles, "Checkpoints"): public, changes with every run of the sequencer.
///
/// # Errors
/// 404 before the first run of the sequencer.
pub async fn checkpoint(call: Call) -> Result<Answer, Problem> {
    let note = service::last_checkpoint(&mut call.app.db.reader()).await?.ok_or_else(Problem::not_found)?;
    Ok(Answer::bytes("text/plain; charset=utf-8", note.into_bytes()).header("Cache-Control", "max-age=1"))
}

/// `GET /log/tile/{tile}` (C2SP tlog-tiles, "Merkle Tree"), where `tile` is all that follows: public, never changes.
///
/// # Errors
/// 404 for a path that is not canonical, and for a tile that the log has not reached.
pub async fn tile(call: Call) -> Result<Answer, Problem> {
    let path = call.path.get("tile").and_then(|path| TilePath::parse(path)).ok_or_else(Problem::not_found)?;
    let hashes = service::published_tile(&mut call.app.db.reader(), path).await?.ok_or_else(Problem::not_found)?;
    Ok(Answer::bytes("application/octet-stream", hashes).header("Cache-Control", "public, max-age=31536000, immutable"))
}
