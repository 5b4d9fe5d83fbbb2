//! `sluis section`: for partners, sections that only their recipient can read.
//!
//! Invariants: private keys and plaintext are written to files that only their owner can read, and an existing file is never overwritten; a key set
//! is believed only by what the caller knows of the recipient's certificate, never because the gateway gave it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::token::Client;
use super::{Ended, print};
use crate::clock::{Clock, Timestamp};
use crate::covenant::{CategoryCode, PurposeCode};
use crate::encryption::{Curve, KeySet, LARGEST_JWE, LONGEST_SET, Label, PrivateKey, Trust, decrypt, encrypt};
use crate::ids::{Entropy, Oin};
use crate::organisations::credentials::certificate::Certificate;
use crate::organisations::credentials::jose::SigningKey;
use crate::organisations::credentials::key_files;

/// The commands about encrypted sections.
#[derive(Debug, Subcommand)]
pub(super) enum SectionCommand {
    /// Make a key to which others encrypt, and the signed set that names it
    Key(KeyArguments),
    /// Sign a set again: before it ends, with a new certificate, or to retire a key
    Renew(RenewArguments),
    /// Publish a signed set at a gateway
    Publish(PublishArguments),
    /// Encrypt a section for its recipient
    Encrypt(EncryptArguments),
    /// Decrypt a section
    Decrypt(DecryptArguments),
}

/// How a set is signed.
#[derive(Debug, Args)]
struct Signing {
    /// Where to write the signed public set
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    /// The certificate of the organisation (PEM), with those of its issuers where others need them
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    cert_key: PathBuf,
    /// For how many days the set holds; others can be shown an old set until it ends
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,
}

/// `sluis section key`
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// The name of the key, such as sections-2026
    #[arg(long)]
    kid: String,
    /// Where to write the private key (JWK)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The curve
    #[arg(long, value_enum, default_value_t = CurveName::P256)]
    curve: CurveName,
    /// The set so far: its keys stay in the new one, and those for encryption are retired after the overlap
    #[arg(long, value_name = "FILE")]
    former: Option<PathBuf>,
    /// For how many days the former keys are still encrypted to
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(0..=400))]
    overlap_days: u16,
    #[command(flatten)]
    signing: Signing,
}

/// A curve on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CurveName {
    /// P-256
    #[value(name = "p-256")]
    P256,
    /// X25519
    #[value(name = "x25519")]
    X25519,
}

/// `sluis section renew`
#[derive(Debug, Args)]
pub(super) struct RenewArguments {
    /// The set so far
    #[arg(long, value_name = "FILE")]
    former: PathBuf,
    /// Retire the key of this name at once
    #[arg(long, value_name = "KID")]
    retire: Vec<String>,
    #[command(flatten)]
    signing: Signing,
}

/// How to reach a gateway.
#[derive(Debug, Args)]
struct Connection {
    /// The gateway's address
    #[arg(long)]
    url: Option<String>,
    /// With --url: the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "url")]
    cert: Option<PathBuf>,
    /// With --url: its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "url")]
    cert_key: Option<PathBuf>,
    /// With --url: the authority of the gateway's server certificate (PEM), if the system does not know it
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
}

impl Connection {
    fn client(&self) -> Result<(Client, Certificate), String> {
        let (Some(url), Some(cert), Some(key)) = (&self.url, &self.cert, &self.cert_key) else {
            return Err("--url, --cert and --cert-key are needed to ask a gateway".into());
        };
        let own = Certificate::from_pem(&key_files::read_public(cert).map_err(text)?).map_err(in_file(cert))?;
        Ok((Client::new(cert, key, self.ca.as_deref(), url)?, own))
    }
}

/// `sluis section publish`
#[derive(Debug, Args)]
pub(super) struct PublishArguments {
    /// The signed set
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    #[command(flatten)]
    at: Connection,
}

/// Between whom and what for.
#[derive(Debug, Args)]
struct Parties {
    /// The OIN of the organisation that gives the section
    #[arg(long, value_name = "OIN")]
    sender: Oin,
    /// The OIN of the organisation that receives it
    #[arg(long, value_name = "OIN")]
    recipient: Oin,
    /// The purpose of the referral
    #[arg(long)]
    purpose: PurposeCode,
}

impl Parties {
    fn label(&self, category: CategoryCode) -> Label {
        let Self { sender, recipient, purpose } = self;
        Label { sender: sender.clone(), recipient: recipient.clone(), category, purpose: purpose.clone() }
    }
}

/// What is known of the recipient's certificate.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Known {
    /// The recipient's certificate (PEM), got from the recipient itself
    #[arg(long, value_name = "FILE")]
    recipient_cert: Option<PathBuf>,
    /// The thumbprint of the recipient's certificate (SHA-256, base64url)
    #[arg(long, value_name = "THUMBPRINT")]
    recipient_thumbprint: Option<String>,
    /// Authorities (PEM) that are trusted to certify organisations. Not the gateway's own: who trusts that trusts the gateway
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
}

impl Known {
    fn trust(&self) -> Result<Trust, String> {
        match (&self.recipient_cert, &self.recipient_thumbprint, &self.authority) {
            (Some(file), ..) => Trust::pinned(&key_files::read_public(file).map_err(text)?).map_err(in_file(file)),
            (_, Some(thumbprint), _) => Trust::thumbprint(thumbprint).map_err(text),
            (.., Some(file)) => Trust::authorities(&key_files::read_public(file).map_err(text)?).map_err(in_file(file)),
            _ => Err("say what is known of the recipient's certificate".into()),
        }
    }
}

/// `sluis section encrypt`
#[derive(Debug, Args)]
pub(super) struct EncryptArguments {
    #[command(flatten)]
    parties: Parties,
    /// The category of the section
    #[arg(long)]
    category: CategoryCode,
    /// The recipient's key set in a file, instead of asking the gateway
    #[arg(long, value_name = "FILE", conflicts_with = "url", required_unless_present = "url")]
    recipient_keys: Option<PathBuf>,
    #[command(flatten)]
    at: Connection,
    #[command(flatten)]
    known: Known,
    /// The content, a JSON object; standard input if left out
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where to write the section; standard output if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `sluis section decrypt`
#[derive(Debug, Args)]
pub(super) struct DecryptArguments {
    #[command(flatten)]
    parties: Parties,
    /// A private key (JWK) of the recipient; may be repeated
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// The section as the gateway handed it over, {"category": …, "jwe": …}; standard input if left out
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where to write the content; standard output if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(command: &SectionCommand) -> Ended {
    match command {
        SectionCommand::Key(arguments) => make_key(arguments)?,
        SectionCommand::Renew(arguments) => renew(arguments)?,
        SectionCommand::Publish(arguments) => publish(arguments).await?,
        SectionCommand::Encrypt(arguments) => encrypt_section(arguments).await?,
        SectionCommand::Decrypt(arguments) => decrypt_section(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn in_file<E: std::fmt::Display>(file: &Path) -> impl Fn(E) -> String {
    move |error| format!("{}: {error}", file.display())
}

fn make_key(arguments: &KeyArguments) -> Result<(), String> {
    let KeyArguments { kid, out, curve, former, overlap_days, signing } = arguments;
    let now = Clock::system().now();
    let curve = match curve {
        CurveName::P256 => Curve::P256,
        CurveName::X25519 => Curve::X25519,
    };
    let mut jwks = former.as_deref().map_or(Ok(Vec::new()), read_jwks)?;
    let retired = now.plus(days(*overlap_days));
    for jwk in &mut jwks {
        retire(jwk, retired);
    }
    let key = PrivateKey::generate(kid, curve).map_err(text)?;
    let mut jwk = key.public_jwk();
    if let Value::Object(members) = &mut jwk {
        members.insert("nbf".into(), now.as_seconds().into());
    }
    // The newest first.
    jwks.insert(0, jwk);
    let set = sign(signing, &jwks, now)?;
    // The private half is there before anything names the public one.
    key_files::write_private(out, key.to_jwk().map_err(text)?.as_bytes()).map_err(text)?;
    key_files::write_public(&signing.set, &set).map_err(text)?;
    print(&format!("made {} and the signed set {}", out.display(), signing.set.display()))
}

fn renew(arguments: &RenewArguments) -> Result<(), String> {
    let RenewArguments { former, retire: names, signing } = arguments;
    let now = Clock::system().now();
    let mut jwks = read_jwks(former)?;
    for name in names {
        let named = |jwk: &&mut Value| jwk.get("kid").and_then(Value::as_str) == Some(name);
        let jwk =
            jwks.iter_mut().find(named).ok_or_else(|| format!("{}: no key is called {name}", former.display()))?;
        retire(jwk, now);
    }
    let set = sign(signing, &jwks, now)?;
    key_files::write_public(&signing.set, &set).map_err(text)?;
    print(&format!("signed {}", signing.set.display()))
}

fn days(days: u16) -> Duration {
    Duration::from_hours(24 * u64::from(days)).min(LONGEST_SET)
}

/// Has a key for encryption end at this moment, unless it ends before.
fn retire(jwk: &mut Value, at: Timestamp) {
    let ends = jwk.get("exp").and_then(Value::as_i64);
    let is_for_encryption = jwk.get("use").and_then(Value::as_str) == Some("enc");
    if let Value::Object(members) = jwk
        && is_for_encryption
        && ends.is_none_or(|ends| ends > at.as_seconds())
    {
        members.insert("exp".into(), at.as_seconds().into());
    }
}

fn read_jwks(file: &Path) -> Result<Vec<Value>, String> {
    let set: Option<Value> = serde_json::from_slice(&key_files::read_public(file).map_err(text)?).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")).and_then(Value::as_array);
    keys.cloned().ok_or_else(|| format!("{}: expected a key set, an object with keys", file.display()))
}

fn sign(signing: &Signing, jwks: &[Value], now: Timestamp) -> Result<Vec<u8>, String> {
    let chain = key_files::read_public(&signing.cert).map_err(text)?;
    let owner = Certificate::from_pem(&chain).map_err(in_file(&signing.cert))?.oin;
    let key = key_files::read_private(&signing.cert_key).map_err(text)?;
    let key = SigningKey::from_pem(&key).map_err(in_file(&signing.cert_key))?;
    let set = KeySet::sign(&owner, jwks, &key, &chain, now, days(signing.days)).map_err(text)?;
    serde_json::to_vec_pretty(&set).map_err(|_| "the set cannot be written as JSON".to_owned())
}

async fn publish(arguments: &PublishArguments) -> Result<(), String> {
    let set = key_files::read_public(&arguments.set).map_err(text)?;
    let set: Value = serde_json::from_slice(&set).map_err(|_| format!("{}: expected JSON", arguments.set.display()))?;
    let (client, own) = arguments.at.client()?;
    client.put(&format!("/v1/organisations/{}/keys", own.oin), &set).await?;
    print(&format!("published the keys of {}", own.oin))
}

async fn encrypt_section(arguments: &EncryptArguments) -> Result<(), String> {
    let EncryptArguments { parties, category, recipient_keys, at, known, input, out } = arguments;
    let now = Clock::system().now();
    let trust = known.trust()?;
    let content = read(input.as_deref())?;
    // As the contract wants it of a section in clear; the bytes go as they are.
    if !serde_json::from_slice::<Value>(&content).is_ok_and(|content| content.is_object()) {
        return Err("the content must be a JSON object".into());
    }
    let answer: Value = match recipient_keys {
        Some(file) => serde_json::from_slice(&key_files::read_public(file).map_err(text)?)
            .map_err(|_| format!("{}: expected JSON", file.display()))?,
        None => at.client()?.0.get(&format!("/v1/organisations/{}/keys", parties.recipient)).await?,
    };
    let keys = KeySet::verified(&answer, &parties.recipient, &trust, now).map_err(text)?;
    let key = keys.current(now).map_err(text)?;
    let jwe = encrypt(&content, &parties.label(category.clone()), key, &Entropy::system(), now).map_err(text)?;
    let section = json!({ "category": category, "jwe": jwe }).to_string();
    match out {
        Some(out) => key_files::write_public(out, section.as_bytes()).map_err(text),
        None => print(&section),
    }
}

/// A section as the gateway hands it over.
#[derive(Deserialize)]
struct Given {
    category: CategoryCode,
    jwe: String,
}

fn decrypt_section(arguments: &DecryptArguments) -> Result<(), String> {
    let DecryptArguments { parties, keys, input, out } = arguments;
    let keys: Vec<PrivateKey> = keys.iter().map(|file| read_key(file)).collect::<Result<_, _>>()?;
    let section = read(input.as_deref())?;
    let section: Given = serde_json::from_slice(&section)
        .map_err(|_| "expected one section as JSON, with category and jwe".to_owned())?;
    let opened = decrypt(&section.jwe, &parties.label(section.category), &keys).map_err(text)?;
    match out {
        Some(out) => key_files::write_private(out, &opened.content).map_err(text),
        None => {
            std::io::stdout().write_all(&opened.content).map_err(|error| format!("standard output: {}", error.kind()))
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKey, String> {
    PrivateKey::from_jwk(&key_files::read_private(file).map_err(text)?).map_err(in_file(file))
}

/// A file or standard input, no larger than can be a section.
fn read(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, String> {
    // As large as it may become at once, so that no copy is left behind while it grows.
    let most = LARGEST_JWE + 1024;
    let mut content = Zeroizing::new(Vec::with_capacity(most + 1));
    let limit = u64::try_from(most + 1).unwrap_or(u64::MAX);
    let (name, read) = match file {
        Some(file) => {
            let read = std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut content));
            (file.display().to_string(), read)
        }
        None => ("standard input".to_owned(), std::io::stdin().lock().take(limit).read_to_end(&mut content)),
    };
    match read {
        Ok(length) if length <= most => Ok(content),
        Ok(_) => Err(format!("{name}: larger than a section may be")),
        Err(error) => Err(format!("{name}: {}", error.kind())),
    }
}
