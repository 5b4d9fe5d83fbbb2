//! Signing a covenant, and knowing which version is in force.
//!
//! The gateway runs the published bytes. Invariant: a version rules from its `effectiveFrom`, and for a party only once that party
//! has signed its digest with the key of a certificate of its own; for no more than it signed for.

use serde::Serialize;

use super::store::{self, ProofNote, Published, Signature};
use super::{Bundle, PurposeCode, Scope};
use crate::app::App;
use crate::audit::{self, Record, SealedRecord};
use crate::cases::{self, Invitation};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations;
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::{Ground, Tx, revisions};
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
        let record = self.record_of(action, version, digest);
        Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
    }

    /// The record of a signature says for what it was given; a case by the name that the signer has for it.
    fn seal_signing(self, app: &App, scope: &Scope, published: &Published) -> Result<SealedRecord, Problem> {
        let action = match scope {
            Scope::Covenant => "signed",
            Scope::Purpose(_) => "signed-for-purpose",
            Scope::Case(_) => "signed-for-case",
        };
        let mut record = self.record_of(action, &published.version, &published.digest);
        match scope {
            Scope::Covenant => {}
            Scope::Purpose(purpose) => record.purpose = Some(purpose.to_string()),
            Scope::Case(alias) => record.resource = Some(format!("/v1/cases/{alias}")),
        }
        Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
    }

    fn record_of(self, action: &str, version: &str, digest: &str) -> Record {
        let mut record = self.record;
        record.kind = audit::Kind::Covenant;
        record.action = Some(action.to_owned());
        record.resource = Some(format!("/v1/covenants/{version}"));
        record.covenant_version = Some(version.to_owned());
        record.policy_digest = Some(digest.to_owned());
        record
    }
}

pub(super) async fn tell_parties(tx: &mut Tx, app: &App, happening: &Happening, now: Timestamp) -> Result<(), Problem> {
    for party in organisations::active(tx).await? {
        let happening = happening.clone();
        let event = Event { id: app.new_id()?, to: party.into(), happening, time: now, trace_parent: None };
        relay::enqueue(tx, &event);
    }
    Ok(())
}

/// A party's signature that holds, ready to be stored: a detached JWS over what its scope says, made with the key of one of its
/// certificates.
#[derive(Clone)]
pub struct Signing {
    app: App,
    version: String,
    /// For what it was given.
    pub scope: Scope,
    /// The signature.
    pub signature: Signature,
    record: SealedRecord,
    /// The case that it is for.
    invitation: Option<Invitation>,
}

impl Signing {
    /// Checks a signature.
    ///
    /// # Errors
    /// 400 when it does not hold, or not for this scope, 403 when the organisation is no party, 404 for an unknown version, 409 when it has
    /// signed for as much already.
    pub async fn prepare(
        app: &App,
        version: &str,
        signer: &Oin,
        scope: Scope,
        jws: &str,
        actor: Actor,
    ) -> Result<Self, Problem> {
        let mut reader = app.db.reader();
        let published = store::find(&mut reader, version).await?.ok_or_else(Problem::not_found)?;
        let engine = app.covenants.of_published(&mut reader, &published).await?;
        if engine.covenant().party_by_oin(signer).is_none() {
            return Err(Problem::new(
                Code::Forbidden,
                "this version of the covenant does not name your organisation as a party",
            ));
        }
        let has_all = || async {
            let standings = store::standing(&mut app.db.reader(), version, [signer, signer]).await?;
            if standings.of(signer).whole { Err(signed_already()) } else { Ok(()) }
        };
        let mut invitation = None;
        match &scope {
            Scope::Covenant => {}
            Scope::Purpose(purpose) => {
                if engine.covenant().purpose(purpose.as_str()).is_none() {
                    let reason = "expected a purpose of this version of the covenant";
                    return Err(Problem::invalid_param("purpose", "unknown-code", reason));
                }
                has_all().await?;
            }
            Scope::Case(alias) => {
                invitation = Some(Invitation::of(app, signer, *alias).await?);
                has_all().await?;
            }
        }
        let (payload, now) = (scope.payload(&published.digest, signer), app.now());
        let peer = actor.peer.clone();
        let thumbprint =
            app.credentials.verify_signature_of(signer, jws, payload.as_bytes(), peer.as_ref(), now).await?;
        let signature = Signature { organisation: signer.clone(), jws: jws.to_owned(), thumbprint, signed_at: now };
        let record = actor.seal_signing(app, &scope, &published)?;
        Ok(Self { app: app.clone(), version: version.to_owned(), scope, signature, record, invitation })
    }

    /// What storing it rests on.
    #[must_use]
    pub fn ground(&self) -> Ground {
        self.invitation.as_ref().map(Invitation::ground).unwrap_or_default()
    }

    /// Stores it: from now on the version counts for this party, as far as the scope goes.
    ///
    /// # Errors
    /// 409 when the party has signed already, [`Problem::stale`] when the case has changed since it was read.
    pub async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        let Self { app, version, signature, .. } = self;
        let party = signature.organisation.clone();
        let happening = match &self.scope {
            Scope::Covenant => {
                if !store::insert_signature(tx, version, signature).await? {
                    return Err(signed_already());
                }
                Happening::CovenantSigned { version: version.clone(), party }
            }
            Scope::Purpose(purpose) => {
                if !store::insert_for_purpose(tx, version, purpose, signature).await? {
                    return Err(signed_already());
                }
                Happening::CovenantSignedForPurpose { version: version.clone(), party }
            }
            Scope::Case(_) => {
                audit::write(tx, &self.record);
                let invitation = self.invitation.as_ref();
                let invitation = invitation.ok_or_else(|| Problem::internal("a signature for a case without one"))?;
                // Nobody but the coordinator hears of it, and nothing but the case has changed.
                return invitation.accept(tx, app, version, signature).await;
            }
        };
        revisions::bump(tx, &revisions::covenant());
        revisions::bump(tx, &revisions::organisation(&signature.organisation));
        audit::write(tx, &self.record);
        tell_parties(tx, app, &happening, signature.signed_at).await
    }
}

/// One signature is enough for one scope.
pub(crate) fn signed_already() -> Problem {
    Problem::new(Code::AlreadyExists, "your organisation has signed this version already, for this or as a whole")
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
    /// When it signed the whole.
    pub signed_at: Option<Timestamp>,
    /// For which purposes it signed, and when.
    pub purposes: Vec<PurposeStatus>,
    /// For how many cases it has signed whose invitation stands.
    pub cases: usize,
}

/// A signature for one purpose.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PurposeStatus {
    /// The purpose.
    pub purpose: PurposeCode,
    /// When it was signed for.
    pub signed_at: Timestamp,
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
        let for_purposes = store::signatures_for_purposes(&mut reader, &published.version).await?;
        let purposes = |oin: &Oin| {
            let own = for_purposes.iter().filter(|(_, one)| one.organisation == *oin);
            own.map(|(purpose, one)| PurposeStatus { purpose: purpose.clone(), signed_at: one.signed_at }).collect()
        };
        let mut parties = Vec::new();
        for party in &covenant.parties {
            parties.push(PartyStatus {
                oin: party.oin.clone(),
                slug: party.id.to_string(),
                signed_at: signed_at(&party.oin),
                purposes: purposes(&party.oin),
                cases: cases::signed_for(&mut reader, &published.version, &party.oin).await?,
            });
        }
        versions.push(VersionStatus {
            parties,
            status: published.status(in_force.as_ref(), now),
            version: published.version,
            digest: published.digest,
            effective_from: published.effective_from,
            proof: published.proof,
        });
    }
    Ok(versions)
}
