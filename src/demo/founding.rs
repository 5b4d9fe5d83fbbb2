//! Founds a gateway in a data folder: keys, certification authority, covenant, organisations with their certificates.
//!
//! Invariant: done again on the same folder, after any interruption, it uses what is there and makes only what is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::client::Identity;
use super::folder::{Folder, FolderError, GATEWAY_OIN};
use super::governance::signing_request;
use super::partner::PARTNER_HOST;
use super::words::{MEMBERS, MUNICIPALITY, Words};
use super::world::client_id;
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::create_key_file;
use crate::ids::{Entropy, Oin};
use crate::organisations::credentials::Authority;
use crate::organisations::credentials::ca::{self, AuthorityError, Profile};
use crate::organisations::credentials::certificate::{PeerCertificate, thumbprint};
use crate::organisations::credentials::csr::{ProvenKey, RequestError};
use crate::organisations::service::{self, CertificateWish};
use crate::organisations::{Actor, CertificateRecord, Change, Registration, Role, Status, http};
use crate::problem::{Code, Problem};
use crate::storage::Tx;

impl From<Problem> for FoundingError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

/// A certificate that ends sooner than this is replaced.
const SPARE: Duration = Duration::from_hours(48);

/// Why a gateway cannot be founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the folder.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// The certification authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A signing request.
    #[error("a key in the folder cannot be certified: {0}")]
    Request(#[from] RequestError),
    /// A key.
    #[error("a key in the folder cannot be used: {0}")]
    Key(#[from] rcgen::Error),
    /// The gateway refused.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The built-in covenant does not name a member of the demo.
    #[error("the covenant does not name {0}")]
    Unnamed(&'static str),
}

/// Everything that a gateway needs before it can start, and its configuration.
///
/// # Errors
/// [`FoundingError`].
pub fn prepare(folder: &Folder, port: u16, entropy: &Entropy, now: Timestamp) -> Result<(), FoundingError> {
    for name in ["key-encryption.key", "pseudonym.key"] {
        create_key_file(&folder.file(name), entropy)?;
    }
    let (certificate, key) = (folder.file("ca.pem"), folder.file("ca-key.pem"));
    if !certificate.exists() {
        ca::create(&certificate, &key, "Sluis demo", entropy, now)?;
    }
    let authority = Authority::load(&certificate, &key, None)?;
    certify_server(folder, &authority, entropy, now)?;
    folder.lay_out_policies()?;
    folder.write_configuration(port)?;
    Ok(())
}

/// The gateway's own server certificate.
fn certify_server(
    folder: &Folder,
    authority: &Authority,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(), FoundingError> {
    let path = folder.file("server.pem");
    let ca = authority.certificate_pem();
    if holds_under(&path, authority, now) {
        return Ok(());
    }
    let key = folder.key(&folder.file("server-key.pem"))?;
    let proven = ProvenKey::from_pem(&signing_request(&key, "Sluis", &[])?)?;
    let profile = Profile {
        oin: GATEWAY_OIN.parse().map_err(|_| FoundingError::Unnamed("the gateway"))?,
        organisation: "Sluis".to_owned(),
        common_name: "localhost".to_owned(),
        server: true,
        server_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        client: false,
        lifetime: Duration::from_hours(24 * 365),
    };
    let issued = authority.certify(&proven, &profile, entropy, now)?;
    folder.put(&path, format!("{}{ca}", issued.pem).as_bytes())?;
    Ok(())
}

/// Whether the certificate in this file still holds for a while, and was issued by this authority.
fn holds_under(path: &Path, authority: &Authority, now: Timestamp) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(path) else { return false };
    let issued_by_it = x509_parser::parse_x509_certificate(&der).is_ok_and(|(_, certificate)| {
        x509_parser::parse_x509_certificate(authority.certificate())
            .is_ok_and(|(_, ca)| certificate.verify_signature(Some(ca.public_key())).is_ok())
    });
    issued_by_it && PeerCertificate::read(&der).is_ok_and(|facts| facts.holds_at(now.plus(SPARE)))
}

/// Registers the members and the municipality's named clients, and gives each a certificate; their identities by name.
///
/// # Errors
/// [`FoundingError`].
pub async fn enrol(app: &App, folder: &Folder, words: &Words) -> Result<BTreeMap<String, Identity>, FoundingError> {
    let mut identities = BTreeMap::new();
    for slug in MEMBERS {
        let oin = register(app, slug, words).await?;
        identities.insert(slug.to_owned(), certify(app, folder, slug, &oin, words).await?);
    }
    let municipality = oin_of(MUNICIPALITY, words)?;
    // The covenant's privacy officer is the municipality's own as well.
    for role in Role::ALL.into_iter().filter(|role| *role != Role::DataProtectionOfficer) {
        let (oin, actor, now) = (municipality.clone(), operator(app), app.now());
        let ensure = async move |tx: &mut Tx| service::ensure_client(tx, &oin, role, &actor, now).await;
        app.db.write("demo-client", ensure).await?;
        identities.insert(role.name().to_owned(), certify(app, folder, role.name(), &municipality, words).await?);
    }
    Ok(identities)
}

fn operator(app: &App) -> Actor {
    Actor::operator(&app.entropy, &app.sealer)
}

fn oin_of(slug: &'static str, words: &Words) -> Result<Oin, FoundingError> {
    words.party(slug).and_then(|party| party.oin.parse().ok()).ok_or(FoundingError::Unnamed(slug))
}

/// Registers a member; one that was suspended in an earlier look around takes part again.
async fn register(app: &App, slug: &'static str, words: &Words) -> Result<Oin, FoundingError> {
    let party = words.party(slug).ok_or(FoundingError::Unnamed(slug))?;
    let oin = oin_of(slug, words)?;
    let (actor, now) = (operator(app), app.now());
    match service::find(&mut app.db.reader(), &oin).await {
        Ok(found) if found.status == Status::Suspended => {
            let (oin, change) = (oin.clone(), Change { status: Some(Status::Active), ..Change::default() });
            let resume = async move |tx: &mut Tx| service::change(tx, &oin, &change, &actor, now).await;
            app.db.write("demo-resume", resume).await?;
        }
        Ok(_) => {}
        Err(problem) if problem.code() == Code::NotFound => {
            let unnamed = || FoundingError::Unnamed(slug);
            let registration = Registration {
                oin: oin.clone(),
                slug: slug.parse().map_err(|_| unnamed())?,
                name: party.name.parse().map_err(|_| unnamed())?,
                contact: None,
            };
            let register = async move |tx: &mut Tx| service::register(tx, &registration, &actor, now).await;
            app.db.write("demo-register", register).await?;
        }
        Err(problem) => return Err(problem.into()),
    }
    Ok(oin)
}

/// The certificate in the folder if the gateway knows it and it still holds, else a new one for the same key.
async fn certify(app: &App, folder: &Folder, who: &str, oin: &Oin, words: &Words) -> Result<Identity, FoundingError> {
    let key = folder.actor_key(who)?;
    let now = app.now();
    let actor = operator(app);
    let known =
        service::certificates(&mut app.db.reader(), oin, (Timestamp::from_micros(i64::MAX), ""), 1000, &actor).await?;
    if let Some(certificate) = folder.actor_certificate(who)?
        && is_known(&certificate, &known, now)
    {
        return Ok(Identity { certificate, key });
    }
    let party = MEMBERS.contains(&who);
    let server_names: &[&str] = if party { &[PARTNER_HOST] } else { &[] };
    let wish = CertificateWish {
        client_id: client_id(words, who).unwrap_or_default(),
        key: ProvenKey::from_pem(&signing_request(&key, who, server_names)?)?,
        server: party,
        server_names: Vec::new(),
        lifetime: None,
    };
    let (issuer, oin) = (app.clone(), oin.clone());
    let issue =
        async move |tx: &mut Tx| service::issue_certificate(tx, &issuer.credentials, &oin, &wish, &actor, now).await;
    let issued = app.db.write("demo-certificate", issue).await?;
    Ok(folder.keep_certificate(who, http::pem(&issued.der).into_bytes())?)
}

fn is_known(certificate: &[u8], known: &[CertificateRecord], now: Timestamp) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(certificate) else { return false };
    let thumbprint = thumbprint(&der);
    let holds = |record: &CertificateRecord| record.revoked_at.is_none() && record.not_after > now.plus(SPARE);
    known.iter().any(|record| record.thumbprint == thumbprint && holds(record))
}
