//! `sluis token`: an access token for scripts, and the small client that commands use towards a gateway's API.
//!
//! Invariant: private keys are read from files that others cannot read, and never printed; a redirect is not followed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Ended, print};
use crate::ids::Entropy;
use crate::organisations::credentials::certificate::Certificate;
use crate::organisations::credentials::key_files;

/// `sluis token`
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// The client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The gateway's address
    #[arg(long, default_value = "https://localhost:8443")]
    url: String,
    /// The certificate of the authority of the gateway's server certificate (PEM), if the system does not know it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The wanted scopes, separated by spaces; all that the client has if left out
    #[arg(long)]
    scope: Option<String>,
}

pub(super) async fn run(arguments: &TokenArguments) -> Ended {
    let client = Client::new(&arguments.cert, &arguments.key, arguments.ca.as_deref(), &arguments.url)?;
    print(&client.token(arguments.scope.as_deref()).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// A client of a gateway's API with a certificate.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    certified_as: String,
}

impl Client {
    /// A client with this certificate and key, towards the gateway at this address.
    pub(super) fn new(certificate: &Path, key: &Path, ca: Option<&Path>, url: &str) -> Result<Self, String> {
        let text = |error: key_files::FileError| error.to_string();
        let chain = key_files::read_public(certificate).map_err(text)?;
        let owner = Certificate::from_pem(&chain).map_err(|error| format!("{}: {error}", certificate.display()))?;
        let mut identity = Zeroizing::new(chain);
        identity.push(b'\n');
        identity.extend_from_slice(&key_files::read_private(key).map_err(text)?);
        let identity = reqwest::Identity::from_pem(&identity).map_err(|_| {
            format!("{} and {} are not a certificate and its key", certificate.display(), key.display())
        })?;
        let mut builder = reqwest::Client::builder()
            .identity(identity)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30));
        if let Some(ca) = ca {
            let pem = key_files::read_public(ca).map_err(text)?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| format!("{}: expected certificates in PEM", ca.display()))?;
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|_| "the certificate cannot be used for TLS".to_owned())?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), certified_as: owner.client_id() })
    }

    /// A fresh access token.
    pub(super) async fn token(&self, scope: Option<&str>) -> Result<String, String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials").append_pair("client_id", &self.certified_as);
        if let Some(scope) = scope {
            form.append_pair("scope", scope);
        }
        let request = self
            .http
            .post(format!("{}/oauth/token", self.base))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = self.read(request).await?;
        answer
            .get("access_token")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| "the gateway gave no token".into())
    }

    /// Reads a resource.
    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        let token = self.token(None).await?;
        self.read(self.http.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    /// Creates something, with a fresh idempotency key.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let token = self.token(None).await?;
        let key = Entropy::system().bytes::<16>().map(hex::encode).map_err(|error| error.to_string())?;
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(token)
            .header("Idempotency-Key", key)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        self.read(request).await
    }

    /// Replaces a resource.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        let token = self.token(None).await?;
        let request = self.http.put(format!("{}{path}", self.base)).bearer_auth(token);
        self.read(request.header("Content-Type", "application/json").body(body.to_string())).await
    }

    async fn read(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let answer = request.send().await.map_err(|error| format!("{}: {}", self.base, reason(&error)))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| format!("{}: {}", self.base, reason(&error)))?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let member = |name: &str| body.get(name).and_then(Value::as_str);
        let code = member("code").or_else(|| member("error")).unwrap_or("refused");
        let told = super::told(&body).or_else(|| member("error_description").map(str::to_owned));
        let told = told.unwrap_or_else(|| "no reason was given".to_owned());
        Err(format!("{}: {} {code}: {told}", self.base, status.as_u16()))
    }
}

/// The innermost cause, which is the one that a person can act on.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
