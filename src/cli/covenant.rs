//! `sluis covenant`: check, write down, publish, sign, and see who signed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::{ConfigArguments, Ended, Output, complain, open_app, print, print_json, read_config, told_of};
use crate::app::App;
use crate::audit::{Kind, Record};
use crate::covenant::render::Rendered;
use crate::covenant::{
    self, Actor, Bundle, Findings, PartyStatus, ProofNote, Publication, PurposeCode, Scope, Signing, Wanted,
};
use crate::ids::Oin;
use crate::organisations::credentials::jose::SigningKey;
use crate::organisations::credentials::{ca, key_files};
use crate::policy::prove::Invariants;
use crate::problem::Problem;
use crate::storage::Tx;
use crate::tls::PeerCertificate;

/// The commands about the covenant.
#[derive(Debug, Subcommand)]
pub(super) enum CovenantCommand {
    /// Is this covenant, with its schema and rules, sound?
    Check {
        /// The folder, or the covenant.toml in it
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write covenant, protocol and register of processing activities as one document in Dutch, of the files that the gateway enforces
    Render {
        /// The folder, or the covenant.toml in it; without it, the folder that the configuration names
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// Where to write the document (HTML); standard output if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Publish it as a new version; the parties can then sign it
    Publish {
        /// The folder, or the covenant.toml in it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Publish it although its invariants are not proven; the audit log says so
        #[arg(long)]
        without_proof: bool,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Sign a published version with the key of a party's certificate
    Sign(SignArguments),
    /// Which versions there are, and who signed them
    Status {
        #[command(flatten)]
        config: ConfigArguments,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// What to sign, with which key, and where.
#[derive(Debug, Args)]
pub(super) struct SignArguments {
    /// The version
    #[arg(long)]
    version: String,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The organisation's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Sign for referrals of this purpose only
    #[arg(long, conflicts_with = "case")]
    purpose: Option<PurposeCode>,
    /// Sign for this case only, to which the organisation is invited: the id by which it knows the case
    #[arg(long, value_name = "ID")]
    case: Option<Uuid>,
    /// Sign at this gateway, over its API, instead of in its store
    #[arg(long, conflicts_with = "config")]
    url: Option<Url>,
    /// With --url: the certification authority of the gateway (PEM)
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) async fn run(command: &CovenantCommand) -> Ended {
    match command {
        CovenantCommand::Check { file } => {
            let report = crate::policy::commands::check(folder(file)).map_err(|findings| findings.to_string())?;
            print(&report.to_string())?;
        }
        CovenantCommand::Render { file, out, config } => render(file.as_deref(), out.as_deref(), &config.config)?,
        CovenantCommand::Publish { file, without_proof, config } => {
            let folder = folder(file);
            let wanted = if *without_proof { Wanted::Nothing } else { Wanted::Proof(folder.to_owned()) };
            publish(folder, &wanted, &config.config).await?;
        }
        CovenantCommand::Sign(arguments) => sign(arguments).await?,
        CovenantCommand::Status { config, output } => status(&config.config, *output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A covenant is its folder; naming the file in it means the same.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if file.is_file() => folder,
        _ => file,
    }
}

/// Writes the document; what the covenant leaves open is no failure, but said.
fn render(file: Option<&Path>, out: Option<&Path>, config: &Path) -> Result<(), String> {
    let folder = match file {
        Some(file) => folder(file).to_owned(),
        None => read_config(config)?.policies.folder,
    };
    let folder = folder.as_path();
    let told = |findings: Findings| findings.to_string();
    let bundle = Bundle::from_folder(folder).map_err(told)?;
    let invariants = Invariants::from_folder(folder).map_err(told)?;
    let Rendered { html, left_open } = covenant::render::render(&bundle, &invariants).map_err(told)?;
    match out {
        Some(out) => {
            std::fs::write(out, html).map_err(|error| format!("{}: {}", out.display(), error.kind()))?;
            print(&format!("wrote {}, of the files with digest {}", out.display(), bundle.digest()))?;
        }
        None => print(html.trim_end())?,
    }
    if left_open > 0 {
        complain(&format!("the covenant leaves {left_open} places open; the document lists them under #open"));
    }
    Ok(())
}

async fn publish(folder: &Path, wanted: &Wanted, config: &Path) -> Result<(), String> {
    let app = open_app(config).await?;
    let bundle = Bundle::from_folder(folder).map_err(|findings| findings.to_string())?;
    let actor = actor(&app, app.config.gateway.oin.clone()).map_err(|problem| told_of(&problem))?;
    let publication = Publication::prepare(&app, &bundle, wanted, actor).await.map_err(|problem| told_of(&problem))?;
    let published = publication.published.clone();
    app.db
        .write("publish-covenant", async move |tx: &mut Tx| publication.apply(tx).await)
        .await
        .map_err(|problem| told_of(&problem))?;
    app.sequence().await.map_err(|problem| told_of(&problem))?;
    print(&format!(
        "published version {} with digest {}, in force from {}, {}",
        published.version,
        published.digest,
        published.effective_from,
        proof(published.proof.as_ref())
    ))
}

async fn sign(arguments: &SignArguments) -> Result<(), String> {
    let key = key_files::read_private(&arguments.key).map_err(|error| error.to_string())?;
    let key = SigningKey::from_pem(&key).map_err(|error| format!("{}: {error}", arguments.key.display()))?;
    let (_, certificate) = ca::read_certificate(&arguments.cert).map_err(|error| error.to_string())?;
    let certificate =
        PeerCertificate::read(&certificate).map_err(|error| format!("{}: {error}", arguments.cert.display()))?;
    let version = &arguments.version;
    let scope = match (&arguments.purpose, arguments.case) {
        (Some(purpose), _) => Scope::Purpose(purpose.clone()),
        (None, Some(alias)) => Scope::Case(alias),
        (None, None) => Scope::Covenant,
    };
    let signer = certificate.oin.clone().ok_or_else(|| {
        format!(
            "{}: has no OIN in its subject's serialNumber; use the organisation's certificate",
            arguments.cert.display()
        )
    })?;
    let jws = |digest: &str| {
        let payload = scope.payload(digest, &signer);
        key.sign_detached(&certificate.thumbprint, payload.as_bytes()).map_err(|error| error.to_string())
    };
    let signed = |digest: &str| {
        let only = match &scope {
            Scope::Covenant => String::new(),
            Scope::Purpose(purpose) => format!(" for purpose {purpose} only"),
            Scope::Case(alias) => format!(" for case {alias} only"),
        };
        print(&format!("signed version {version} with digest {digest}{only}"))
    };
    if let Some(url) = &arguments.url {
        let client = super::token::Client::new(&arguments.cert, &arguments.key, arguments.ca.as_deref(), url.as_str())?;
        let published = client.get(&format!("/v1/covenants/{version}")).await?;
        let digest = published.get("digest").and_then(|digest| digest.as_str()).ok_or("the gateway gave no digest")?;
        let body = json!({ "jws": jws(digest)?, "purpose": arguments.purpose, "caseId": arguments.case });
        client.post(&format!("/v1/covenants/{version}/signatures"), &body).await?;
        return signed(digest);
    }
    let app = open_app(&arguments.config.config).await?;
    let digest = covenant::digest_of(&app, version).await.map_err(|problem| told_of(&problem))?;
    let jws = jws(&digest)?;
    let actor = actor(&app, signer.clone()).map_err(|problem| told_of(&problem))?;
    let signing = Signing::prepare(&app, version, &signer, scope.clone(), &jws, actor)
        .await
        .map_err(|problem| told_of(&problem))?;
    let ground = signing.ground();
    app.db
        .write_on(ground, "sign-covenant", async move |tx: &mut Tx| signing.apply(tx).await)
        .await
        .map_err(|problem| told_of(&problem))?;
    app.sequence().await.map_err(|problem| told_of(&problem))?;
    signed(&digest)
}

async fn status(config: &Path, output: Output) -> Result<(), String> {
    let app = open_app(config).await?;
    let versions = covenant::status(&app).await.map_err(|problem| told_of(&problem))?;
    if output == Output::Json {
        return print_json(&versions);
    }
    for version in &versions {
        print(&format!(
            "{}  {}  from {}  {}  {}",
            version.version,
            version.status,
            version.effective_from,
            version.digest,
            proof(version.proof.as_ref())
        ))?;
        for party in &version.parties {
            print(&format!("  {}  {:<32} {}", party.oin, party.slug, signed(party)))?;
        }
    }
    if versions.is_empty() { print("no version is published yet") } else { Ok(()) }
}

/// What a party has signed, in words. Of cases only how many: which they are is the coordinator's and the signer's to know.
fn signed(party: &PartyStatus) -> String {
    if let Some(at) = party.signed_at {
        return format!("signed {at}");
    }
    let purposes = party.purposes.iter().map(|one| format!("for {} only {}", one.purpose, one.signed_at));
    let cases = match party.cases {
        0 => None,
        1 => Some("for 1 case only".to_owned()),
        many => Some(format!("for {many} cases only")),
    };
    let parts: Vec<String> = purposes.chain(cases).collect();
    if parts.is_empty() { "not signed".to_owned() } else { format!("signed {}", parts.join(", ")) }
}

/// What was proven of a version, in words.
fn proof(proof: Option<&ProofNote>) -> String {
    proof.map_or_else(
        || "WITHOUT PROOF".to_owned(),
        |ProofNote { invariants, digest, solver }| format!("{invariants} invariants proven ({digest}, {solver})"),
    )
}

/// A record of what this command does, for the organisation that it is done for.
pub(super) fn actor(app: &App, organisation: Oin) -> Result<Actor, Problem> {
    let mut record = Record::new(app.new_id()?, Kind::Covenant, app.now(), organisation);
    record.client_id = Some("operator".into());
    Ok(Actor { record, peer: None })
}
