//! `sluis pki`: the gateway's own certificate authority and its signing keys.
//!
//! Everything but `init` works on the store of the configuration, which a running gateway shares: it sees a revocation at the next
//! request.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{ConfigArguments, Ended, Output, open_app, print, print_json, read_config};
use crate::clock::Clock;
use crate::ids::Entropy;
use crate::organisations::credentials::ca::{self, Profile, Reason};
use crate::organisations::credentials::csr::ProvenKey;
use crate::organisations::credentials::key_files::{self, FileError};
use crate::organisations::credentials::{Authority, Purpose};
use crate::organisations::http::pem;
use crate::organisations::service::{self, CertificateWish};
use crate::organisations::{Actor, Role};
use crate::storage::Tx;

/// The commands about the certification authority.
#[derive(Debug, Subcommand)]
pub(super) enum PkiCommand {
    /// Make the authority: its private key, then its certificate; nothing that exists is overwritten
    Init(InitArguments),
    /// Sign a certificate signing request of an organisation
    Issue(IssueArguments),
    /// Revoke a certificate
    Revoke(RevokeArguments),
    /// Write the current revocation list
    Crl(CrlArguments),
    /// Make the gateway's own server certificate, and with --client its certificate for webhooks
    Server(ServerArguments),
    /// Give a signing key of the gateway a successor, which is published before it signs
    RotateKey(RotateArguments),
}

/// `sluis pki init`
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The name of the authority
    #[arg(long, default_value = "Sluis certification authority")]
    name: String,
}

/// `sluis pki issue`
#[derive(Debug, Args)]
pub(super) struct IssueArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The signing request (PKCS#10, PEM)
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// The organisation: its short name or its OIN
    #[arg(long, value_name = "ORGANISATION")]
    organisation: String,
    /// For which role, if not for the organisation's main client
    #[arg(long, value_enum, value_name = "ROLE")]
    client: Option<Role>,
    /// A DNS name or IP address: the certificate may then serve TLS under it; can be given more than once
    #[arg(long = "server-name", value_name = "NAME")]
    server_names: Vec<String>,
    /// How long it holds; at most what the configuration says
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
    /// Where to write the certificate; standard output if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print what was issued
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `sluis pki revoke`
#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The serial number, hexadecimal
    #[arg(value_name = "SERIAL")]
    serial: String,
    /// Why
    #[arg(long, value_enum, default_value = "unspecified")]
    reason: Reason,
    /// How to print what was revoked
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `sluis pki crl`
#[derive(Debug, Args)]
pub(super) struct CrlArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Where to write it
    #[arg(long, value_name = "FILE", default_value = "sluis.crl")]
    out: PathBuf,
    /// In which form
    #[arg(long, value_enum, default_value_t = Form::Der)]
    form: Form,
}

/// The two forms of a revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Binary, as at /pki/crl
    Der,
    /// Text
    Pem,
}

/// `sluis pki server`
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Further DNS names and IP addresses beside the host of the public address, localhost, 127.0.0.1 and `::1`
    #[arg(long = "server-name", value_name = "NAME")]
    server_names: Vec<String>,
    /// Make the client certificate for webhooks instead
    #[arg(long)]
    client: bool,
}

/// `sluis pki rotate-key`
#[derive(Debug, Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Which key
    #[arg(value_enum)]
    purpose: Purpose,
}

pub(super) async fn run(command: &PkiCommand) -> Ended {
    match command {
        PkiCommand::Init(arguments) => init(arguments)?,
        PkiCommand::Issue(arguments) => issue(arguments).await?,
        PkiCommand::Revoke(arguments) => revoke(arguments).await?,
        PkiCommand::Crl(arguments) => crl(arguments).await?,
        PkiCommand::Server(arguments) => server(arguments)?,
        PkiCommand::RotateKey(arguments) => rotate(arguments).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn init(arguments: &InitArguments) -> Result<(), String> {
    let config = read_config(&arguments.config.config)?;
    let key = config.pki.ca_private_key.as_ref().ok_or("pki.ca_private_key is missing: name the file for the key")?;
    let certificate = &config.pki.ca_certificate;
    ca::create(certificate, key, &arguments.name, &Entropy::system(), Clock::system().now()).map_err(text)?;
    print(&format!("made {} and its private key {}", certificate.display(), key.display()))
}

async fn issue(arguments: &IssueArguments) -> Result<(), String> {
    let csr = key_files::read_public(&arguments.csr).map_err(text)?;
    let file = arguments.csr.display();
    let key = ProvenKey::from_pem(String::from_utf8_lossy(&csr).trim()).map_err(|error| format!("{file}: {error}"))?;
    if let Some(wrong) = arguments.server_names.iter().find(|name| !ca::is_server_name(name)) {
        return Err(format!("--server-name {wrong}: expected a DNS name or an IP address"));
    }
    refuse_existing(arguments.out.as_deref())?;
    let app = open_app(&arguments.config.config).await?;
    let organisation = service::find_by_name(&mut app.db.reader(), &arguments.organisation)
        .await
        .map_err(|_| format!("no organisation is called {:?}: see sluis organisation list", arguments.organisation))?;
    let (oin, now, role) = (organisation.oin, app.now(), arguments.client);
    let names = arguments.server_names.clone();
    let days = arguments.days;
    let shared = app.clone();
    let record = app
        .db
        .write("issue-certificate", async move |tx: &mut Tx| {
            let actor = Actor::operator(&shared.entropy, &shared.sealer);
            let client_id = match role {
                None => oin.to_string(),
                Some(role) => service::ensure_client(tx, &oin, role, &actor, now).await?,
            };
            let wish = CertificateWish {
                client_id,
                // Names in the request are the requester's wish; on this command the operator names them.
                key: key.without_names(),
                server: !names.is_empty(),
                server_names: names.clone(),
                lifetime: days.map(|days| Duration::from_hours(24 * u64::from(days))),
            };
            service::issue_certificate(tx, &shared.credentials, &oin, &wish, &actor, now).await
        })
        .await
        .map_err(text)?;
    let certificate = pem(&record.der);
    if let Some(out) = &arguments.out {
        key_files::write_public(out, certificate.as_bytes()).map_err(text)?;
    }
    match (arguments.output, &arguments.out) {
        (Output::Json, _) => print_json(&json!({
            "serial": record.serial, "clientId": record.client_id, "notBefore": record.not_before,
            "notAfter": record.not_after, "thumbprint": record.thumbprint, "certificate": certificate,
        })),
        (Output::Text, None) => print(certificate.trim_end()),
        (Output::Text, Some(out)) => print(&format!(
            "wrote {}: serial {}, client {}, until {}",
            out.display(),
            record.serial,
            record.client_id,
            record.not_after
        )),
    }
}

fn refuse_existing(out: Option<&Path>) -> Result<(), String> {
    match out {
        Some(out) if out.exists() => Err(FileError::Exists(out.to_path_buf()).to_string()),
        _ => Ok(()),
    }
}

async fn revoke(arguments: &RevokeArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let (serial, reason, now) = (arguments.serial.clone(), arguments.reason, app.now());
    let actor = Actor::operator(&app.entropy, &app.sealer);
    let record = app
        .db
        .write("revoke-certificate", async move |tx: &mut Tx| {
            service::revoke_certificate(tx, None, &serial, reason, &actor, now).await
        })
        .await
        .map_err(text)?;
    match arguments.output {
        Output::Json => print_json(
            &json!({"serial": record.serial, "clientId": record.client_id, "revokedAt": now, "reasonCode": reason.name()}),
        ),
        Output::Text => print(&format!("revoked {} of {}: {}", record.serial, record.client_id, reason.name())),
    }
}

async fn crl(arguments: &CrlArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let list = app.credentials.revocation_list(app.now()).await.map_err(text)?;
    let bytes = match arguments.form {
        Form::Der => list,
        Form::Pem => pem(&list).replace("CERTIFICATE", "X509 CRL").into_bytes(),
    };
    // A list is made to be replaced by the next one.
    std::fs::write(&arguments.out, bytes).map_err(|error| format!("{}: {}", arguments.out.display(), error.kind()))?;
    print(&format!("wrote {}", arguments.out.display()))
}

fn server(arguments: &ServerArguments) -> Result<(), String> {
    let config = read_config(&arguments.config.config)?;
    let key = config.pki.ca_private_key.as_ref().ok_or("pki.ca_private_key is missing: this gateway cannot sign")?;
    let base = config.gateway.public_url.as_str().trim_end_matches('/').to_owned();
    let authority = Authority::load(&config.pki.ca_certificate, key, Some(&format!("{base}/pki/crl"))).map_err(text)?;
    let relay = &config.relay;
    let (certificate, private_key) = match (arguments.client, &relay.client_certificate, &relay.client_private_key) {
        (false, _, _) => (&config.api.certificate, &config.api.private_key),
        (true, Some(certificate), Some(private_key)) => (certificate, private_key),
        (true, _, _) => return Err("relay.client_certificate and relay.client_private_key are missing".into()),
    };
    let host = config.gateway.public_url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned();
    let mut names = vec![host, "localhost".into(), "127.0.0.1".into(), "::1".into()];
    names.extend(arguments.server_names.iter().cloned());
    names.sort();
    names.dedup();
    let profile = Profile {
        oin: config.gateway.oin.clone(),
        organisation: "Sluis".into(),
        common_name: if arguments.client { "sluis-webhooks".into() } else { "sluis".into() },
        server: !arguments.client,
        server_names: if arguments.client { Vec::new() } else { names },
        client: arguments.client,
        lifetime: Duration::from_hours(24 * u64::from(config.pki.certificate_days)),
    };
    ca::write_own(&authority, &profile, certificate, private_key, &Entropy::system(), Clock::system().now())
        .map_err(text)?;
    print(&format!("made {} and its private key {}", certificate.display(), private_key.display()))
}

async fn rotate(arguments: &RotateArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    match app.credentials.keys.rotate(arguments.purpose, app.now()).await.map_err(text)? {
        Some(key_id) => print(&format!(
            "key {key_id} is published and signs {}s in {} minutes",
            arguments.purpose.name(),
            crate::organisations::credentials::keys::OVERLAP.as_secs() / 60
        )),
        None => Err("a new key is waiting to take over already".into()),
    }
}
