//! What would a draft change, over HTTP: for the privacy officer.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::what_if::{Asked, EXAMPLES, PERIOD, what_if};
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::covenant::{Bundle, Finding, Findings};
use crate::http::{Answer, Call, page};
use crate::policy::Engine;
use crate::problem::{InvalidParam, Problem};
use crate::storage::Tx;

/// How many records one answer looks at unless something else is asked; the contract says how many at most.
const RECORDS: usize = 1_000;

/// `POST /v1/covenants/_impact`
///
/// # Errors
/// 400 with every finding when the draft does not load.
pub async fn impact(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        files: BTreeMap<String, String>,
        since: Option<Timestamp>,
        records: Option<usize>,
        examples: Option<usize>,
        cursor: Option<String>,
    }
    let Body { files, since, records, examples, cursor } = call.json()?;
    let before = cursor.as_deref().map(page::decode).transpose()?;
    if before.as_deref().is_some_and(|record| Uuid::parse_str(record).is_err()) {
        return Err(page::not_made_here());
    }
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    let bundle = Bundle::from_files(files).map_err(|findings| refused(&findings))?;
    let turn = call.app.covenants.turn_to_weigh().await;
    let draft = call.app.covenants.of_draft(bundle).await?.map_err(|findings| refused(&findings))?;
    // Before anything is answered: with a draft one can ask of a decision what its record does not show.
    note(&call, &draft).await?;
    let asked = Asked {
        since: since.unwrap_or_else(|| call.app.now().minus(PERIOD)),
        before,
        records: records.unwrap_or(RECORDS),
        examples: examples.unwrap_or(EXAMPLES),
    };
    let (impact, next) = what_if(&call.app, &draft, asked).await?;
    drop(turn);
    let mut answer = serde_json::to_value(&impact)?;
    if let Value::Object(answer) = &mut answer {
        answer.insert("next".to_owned(), json!(next.as_deref().map(page::encode)));
    }
    Answer::ok(&answer)
}

fn refused(findings: &Findings) -> Problem {
    let invalid =
        |Finding { place, message }: &Finding| InvalidParam::new(format!("files.{place}"), "covenant", message.clone());
    Problem::invalid(findings.0.iter().map(invalid).collect())
}

/// Writes down who asked about which draft.
async fn note(call: &Call, draft: &Engine) -> Result<(), Problem> {
    let caller = call.caller()?.organisation.clone();
    let mut record = call.record(audit::Kind::Covenant, caller, call.app.now())?;
    record.action = Some("impact-asked".to_owned());
    record.resource = Some("/v1/covenants/_impact".to_owned());
    record.covenant_version = Some(draft.covenant().version.clone());
    record.policy_digest = Some(draft.digest().as_str().to_owned());
    let record = SealedRecord::new(&record, &call.app.entropy, &call.app.sealer)?;
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &record);
        Ok(())
    };
    call.app.db.write("note-impact", write).await
}
