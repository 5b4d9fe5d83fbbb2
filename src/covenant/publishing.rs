//! Publishing a version of the covenant: checked whole, its invariants proven, then stored once and for all.
//!
//! Invariants: a version, once published, never changes; one whose invariants are broken is never published, and one that was not proven only
//! when that was asked for in so many words, which its record says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::task::spawn_blocking;

use super::service::{Actor, tell_parties};
use super::store::{self, ProofNote, Published};
use super::{Bundle, Finding, Findings};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::policy::Engine;
use crate::policy::prove::{InvariantReport, Invariants, Outcome, Proof, Solver, Unproven, prove};
use crate::problem::{Code, InvalidParam, Problem};
use crate::relay::Happening;
use crate::storage::{Tx, revisions};

/// What a publication without proof is called in its record.
const WITHOUT_PROOF: &str = "published-without-proof";
const PUBLISHED: &str = "published";

/// What is to be shown of a version before it is published.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// That it keeps the invariants of this folder of policies.
    Proof(PathBuf),
    /// Nothing; its record says so.
    Nothing,
}

/// A checked version that is ready to be published.
pub struct Publication {
    app: App,
    /// What is published.
    pub published: Published,
    /// The text by path.
    pub files: BTreeMap<String, String>,
    record: SealedRecord,
}

impl Publication {
    /// Checks a bundle whole, and proves it where that is wanted, which takes seconds.
    ///
    /// # Errors
    /// 400 with every finding and every invariant that is broken, 409 when nothing can be proven here.
    pub async fn prepare(app: &App, bundle: &Bundle, wanted: &Wanted, mut actor: Actor) -> Result<Self, Problem> {
        let engine = app.covenants.of_bundle(bundle).await?.map_err(|findings| refused(&findings))?;
        let proof = match wanted {
            Wanted::Proof(folder) => Some(proven(app, &engine, folder.clone()).await?),
            Wanted::Nothing => None,
        };
        let covenant = engine.covenant();
        let published = Published {
            version: covenant.version.clone(),
            digest: engine.digest().as_str().to_owned(),
            effective_from: covenant.effective_from,
            announced_at: app.now(),
            proof,
        };
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| Problem::internal("a checked file is no text"))
        };
        let files = bundle.files().iter().map(|(path, bytes)| Ok((path.clone(), text(bytes)?)));
        let action = if published.proof.is_some() { PUBLISHED } else { WITHOUT_PROOF };
        actor.record.facts = published.proof.as_ref().map(|proof| json!({ "proof": proof }));
        Ok(Self {
            app: app.clone(),
            files: files.collect::<Result<_, Problem>>()?,
            record: actor.seal(app, action, &published.version, &published.digest)?,
            published,
        })
    }

    /// Publishes it.
    ///
    /// # Errors
    /// 409 when the version exists or would not rule after the last one.
    pub async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        check_succession(tx, &self.published).await?;
        store::insert(tx, &self.published, &self.files).await?;
        revisions::bump(tx, &revisions::covenant());
        audit::write(tx, &self.record);
        let Published { version, effective_from, announced_at, .. } = self.published.clone();
        tell_parties(tx, &self.app, &Happening::CovenantPublished { version, effective_from }, announced_at).await
    }
}

/// Proves on a thread for what takes long, one version at a time.
async fn proven(app: &App, engine: &Arc<Engine>, folder: PathBuf) -> Result<ProofNote, Problem> {
    let turn = app.covenants.turn_to_prove().await;
    let engine = Arc::clone(engine);
    let proving = spawn_blocking(move || {
        // That they are missing is no fault of what is published.
        let invariants = Invariants::from_folder(&folder).map_err(|findings| Unproven::Machine(findings.to_string()));
        let proof = invariants.and_then(|invariants| prove(&engine, &invariants, &Solver::of_environment()));
        drop(turn);
        proof
    });
    let stopped = |_| Problem::internal("the gateway stopped while a covenant was proven");
    let proof = proving.await.map_err(stopped)?.map_err(|error| unproven(&error))?;
    if !proof.ok() {
        return Err(broken(&proof));
    }
    Ok(ProofNote {
        invariants: proof.invariants.len(),
        digest: proof.invariants_digest.as_str().to_owned(),
        solver: proof.solver,
    })
}

/// Why nothing was proven, and what to do.
fn unproven(error: &Unproven) -> Problem {
    match error {
        Unproven::Findings(findings) => refused(findings),
        Unproven::NoSolver(_) | Unproven::Machine(_) => Problem::new(
            Code::NotProven,
            format!("{error}; or publish it without proof (withoutProof, --without-proof), which its record will say"),
        ),
    }
}

/// Every invariant that was not shown to hold, with the request that breaks it.
fn broken(proof: &Proof) -> Problem {
    let of_rules = proof.findings.iter().map(|finding| invalid(&finding.place, finding.message.clone()));
    let of_invariants = proof.failures().map(|InvariantReport { id, text, outcome, .. }| {
        let why = match outcome {
            Outcome::Broken { counterexample } => format!("is broken: {}", counterexample.request.en),
            Outcome::Undecided { reason } => format!("is not proven: {reason}"),
            _ => "says nothing or can fail; correct its condition".to_owned(),
        };
        invalid(&format!("invariants/{id}.cedar"), format!("{why} ({}) See sluis policy prove", text.en))
    });
    Problem::invalid(of_rules.chain(of_invariants).collect())
}

fn refused(findings: &Findings) -> Problem {
    Problem::invalid(findings.0.iter().map(|Finding { place, message }| invalid(place, message.clone())).collect())
}

fn invalid(place: &str, reason: String) -> InvalidParam {
    InvalidParam::new(place, "covenant", reason)
}

/// A version comes once, and rules after those before it.
async fn check_succession(tx: &mut Tx, published: &Published) -> Result<(), Problem> {
    for earlier in store::list(tx).await? {
        if earlier.version == published.version {
            let detail = if earlier.digest == published.digest {
                "this version was published already"
            } else {
                "this version was published with other text; give the changed covenant a new version"
            };
            return Err(Problem::new(Code::AlreadyExists, detail));
        }
        if earlier.effective_from >= published.effective_from {
            return Err(Problem::new(
                Code::Conflict,
                format!(
                    "effective-from must lie after that of version {}, {}",
                    earlier.version, earlier.effective_from
                ),
            ));
        }
    }
    Ok(())
}
