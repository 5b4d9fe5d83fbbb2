//! Signing a covenant, and knowing which version is in force.
//!
//! The gateway runs the published bytes. Invariant: a version rules from its `effectiveFrom`, and for a party only once that party
//! has signed its digest with the key of a certificate of its own.

use serde::Serialize;

use super::Bundle;
use super::store::{self, ProofNote, Published, Signature};
use crate::app::App;
use crate::audit::{self, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations;
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::{Tx, revisions};
use crate::tls::PeerCertificate;

/// Of all versions, the last to rule first, the one that rules at this moment.
#[must_use]
pub fn in_force_of(versions: &[Published], now: Timestamp) -> Option<&Published> {
    versions.iter().find(|published| published.effective_from <= now)
}

/// Nothing can be decided.
#[must_use]
pub fn none_in_force() -> Problem {
    Problem::new(Code::Refused, "no covenant is in force; the municipality publishes one and the parties sign it")
}

/// Who asks for a change of the covenant, for its record.
pub struct Actor {
    /// A record with who and when filled in.
    pub record: Record,
    /// The certificate of the connection, where there is one.
    pub peer: Option<PeerCertificate>,
}

impl Actor {
    pub(super) fn seal(self, app: &App, action: &str, version: &str, digest: &str) -> Result<SealedRecord, Problem> {
        let mut record = self.record;
        record.kind = audit::Kind::Covenant;
        record.action = Some(action.to_owned());
        record.resource = Some(format!("/v1/covenants/{version}"));
        record.covenant_version = Some(version.to_owned());
        record.policy_digest = Some(digest.to_owned());
        Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
    }
}

pub(super) async fn tell_parties(tx: &mut Tx, app: &App, happening: &Happening, now: Timestamp) -> Result<(), Problem> {
    for party in organisations::active(tx).await? {
        let happening = happening.clone();
        let event = Event { id: app.new_id()?, organisation: party, happening, time: now, trace_parent: None };
        relay::enqueue(tx, &event);
    }
    Ok(())
}

/// A party's signature that holds, ready to be stored: a detached JWS over the digest, made with the key of one of its
/// certificates.
pub struct Signing {
    app: App,
    version: String,
    /// The signature.
    pub signature: Signature,
    record: SealedRecord,
}

impl Signing {
    /// Checks a signature.
    ///
    /// # Errors
    /// 400 when it does not hold, 403 when the organisation is no party, 404 for an unknown version.
    pub async fn prepare(app: &App, version: &str, signer: &Oin, jws: &str, actor: Actor) -> Result<Self, Problem> {
        let mut reader = app.db.reader();
        let published = store::find(&mut reader, version).await?.ok_or_else(Problem::not_found)?;
        let engine = app.covenants.of_published(&mut reader, &published).await?;
        if engine.covenant().party_by_oin(signer).is_none() {
            return Err(Problem::new(
                Code::Forbidden,
                "this version of the covenant does not name your organisation as a party",
            ));
        }
        let (digest, now) = (published.digest.as_bytes(), app.now());
        let thumbprint = app.credentials.verify_signature_of(signer, jws, digest, actor.peer.as_ref(), now).await?;
        let signature = Signature { organisation: signer.clone(), jws: jws.to_owned(), thumbprint, signed_at: now };
        let record = actor.seal(app, "signed", version, &published.digest)?;
        Ok(Self { app: app.clone(), version: version.to_owned(), signature, record })
    }

    /// Stores it: from now on the version counts for this party.
    ///
    /// # Errors
    /// 409 when the party has signed already.
    pub async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !store::insert_signature(tx, &self.version, &self.signature).await? {
            return Err(Problem::new(Code::AlreadyExists, "your organisation has signed this version already"));
        }
        revisions::bump(tx, &revisions::covenant());
        revisions::bump(tx, &revisions::organisation(&self.signature.organisation));
        audit::write(tx, &self.record);
        let happening =
            Happening::CovenantSigned { version: self.version.clone(), party: self.signature.organisation.clone() };
        tell_parties(tx, &self.app, &happening, self.signature.signed_at).await
    }
}

/// At start: the folder's version, if it was published, must be the published one to the letter.
///
/// # Errors
/// What is wrong with the folder, or that it differs.
pub async fn check_folder(app: &App) -> Result<(), String> {
    let folder = &app.config.policies.folder;
    let place = folder.display();
    let bundle = Bundle::from_folder(folder).map_err(|findings| format!("{place}: {findings}"))?;
    let engine = app.covenants.of_bundle(&bundle).await.map_err(|problem| problem.to_string())?;
    let engine = engine.map_err(|findings| format!("{place}: {findings}"))?;
    let mut reader = app.db.reader();
    let version = &engine.covenant().version;
    let published = store::find(&mut reader, version).await.map_err(|error| error.to_string())?;
    match published {
        Some(published) if published.digest == engine.digest().as_str() => {}
        Some(_) => {
            return Err(format!(
                "{place}: differs from version {version} as it was published; restore it, or publish it as a new version"
            ));
        }
        None if store::list(&mut reader).await.map_err(|error| error.to_string())?.is_empty() => {
            tracing::info!(version, "no covenant is published yet: nothing can cross");
        }
        None => {
            return Err(format!(
                "{place}: version {version} is not published; publish it with: sluis covenant publish {place}"
            ));
        }
    }
    app.covenants.in_force(&mut reader, app.now()).await.map(drop).or_else(|problem| match problem.code() {
        Code::Refused => Ok(()),
        _ => Err(problem.to_string()),
    })
}

/// The digest of a published version: what its parties sign.
///
/// # Errors
/// 404.
pub async fn digest_of(app: &App, version: &str) -> Result<String, Problem> {
    let published = store::find(&mut app.db.reader(), version).await?;
    published
        .map(|published| published.digest)
        .ok_or_else(|| Problem::new(Code::NotFound, format!("version {version} is not published; publish it first")))
}

/// A published version and how its parties stand towards it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// Its name.
    pub version: String,
    /// The digest.
    pub digest: String,
    /// `published`, `in-force` or `superseded`.
    pub status: &'static str,
    /// From when it rules.
    pub effective_from: Timestamp,
    /// What was proven of it before it was published; none when it was published without proof.
    pub proof: Option<ProofNote>,
    /// Its parties.
    pub parties: Vec<PartyStatus>,
}

/// How a party stands towards a version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartyStatus {
    /// Its OIN.
    pub oin: Oin,
    /// Its short name.
    pub slug: String,
    /// When it signed.
    pub signed_at: Option<Timestamp>,
}

/// All versions, the last to rule first, with who signed each.
///
/// # Errors
/// When the database fails.
pub async fn status(app: &App) -> Result<Vec<VersionStatus>, Problem> {
    let mut reader = app.db.reader();
    let now = app.now();
    let in_force = store::in_force(&mut reader, now).await?;
    let mut versions = Vec::new();
    for published in store::list(&mut reader).await? {
        let covenant = app.covenants.covenant(&mut reader, &published).await?;
        let signatures = store::signatures(&mut reader, &published.version).await?;
        let signed_at = |oin: &Oin| signatures.iter().find(|one| one.organisation == *oin).map(|one| one.signed_at);
        let parties = covenant.parties.iter().map(|party| PartyStatus {
            oin: party.oin.clone(),
            slug: party.id.to_string(),
            signed_at: signed_at(&party.oin),
        });
        versions.push(VersionStatus {
            parties: parties.collect(),
            status: published.status(in_force.as_ref(), now),
            version: published.version,
            digest: published.digest,
            effective_from: published.effective_from,
            proof: published.proof,
        });
    }
    Ok(versions)
}
