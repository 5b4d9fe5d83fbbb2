//! A client of the gateway as any partner would write one: mutual TLS, a token bound to the certificate, JSON.
//!
//! Invariant: everything the scenarios do goes through here and the public API; there is no other way in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::{Clock, Timestamp};

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Certificate, key or CA could not be used.
    #[error("the client could not be set up: {0}")]
    SetUp(#[source] reqwest::Error),
    /// No answer came.
    #[error("the gateway did not answer: {0:?}")]
    Unreachable(#[source] reqwest::Error),
    /// The token endpoint refused.
    #[error("no access token was given: {status} {body}")]
    NoToken {
        /// The HTTP status code.
        status: u16,
        /// The error of the token endpoint.
        body: String,
    },
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
    /// The access token.
    pub token: Option<String>,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The `If-Match`.
    pub if_match: Option<String>,
}

impl Request {
    /// A request without body.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, token: None, idempotency_key: None, if_match: None }
    }

    /// A request that creates something.
    #[must_use]
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The response headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// A text in the body, by JSON pointer.
    #[must_use]
    pub fn text_at(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }
}

/// Looks at every answer that a client gets; the tests hold answers against the contract with it.
pub type Inspector = Arc<dyn Fn(&Request, &Answer) + Send + Sync>;

/// A client with one certificate.
pub struct Client {
    inspector: Option<Inspector>,
    http: reqwest::Client,
    base: String,
    name: String,
    clock: Clock,
    tokens: Mutex<BTreeMap<Option<String>, (String, Timestamp)>>,
}

/// A client certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, with what is needed to reach the CA.
    pub certificate: Vec<u8>,
    /// The private key, PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
}

impl Client {
    /// A client for the gateway at `base`, which it knows by the CA.
    ///
    /// # Errors
    /// [`ClientError::SetUp`] when certificate, key or CA cannot be used.
    pub fn new(
        base: &str,
        ca: &[u8],
        identity: Option<&Identity>,
        client_id: &str,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        let roots = reqwest::Certificate::from_pem_bundle(ca).map_err(ClientError::SetUp)?;
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(roots)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Longer than any wait for events; publishing a covenant proves its invariants first.
            .timeout(Duration::from_mins(3));
        if let Some(identity) = identity {
            let pem = Zeroizing::new([identity.key.as_slice(), b"\n", identity.certificate.as_slice()].concat());
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(ClientError::SetUp)?);
        }
        Ok(Self {
            inspector: None,
            http: builder.build().map_err(ClientError::SetUp)?,
            base: base.trim_end_matches('/').to_owned(),
            name: client_id.to_owned(),
            clock,
            tokens: Mutex::new(BTreeMap::new()),
        })
    }

    /// A token for these scopes (all that were granted to the client when `None`), from memory while it is fresh.
    ///
    /// # Errors
    /// [`ClientError::NoToken`] when the token endpoint refuses.
    pub async fn token(&self, scope: Option<&str>) -> Result<String, ClientError> {
        let now = self.clock.now();
        let mut tokens = self.tokens.lock().await;
        if let Some((token, _)) = tokens.get(&scope.map(str::to_owned)).filter(|(_, until)| *until > now) {
            return Ok(token.clone());
        }
        let answer = self.ask_for_token(scope).await?;
        let token = answer.text_at("/access_token").unwrap_or_default().to_owned();
        if answer.status != 200 || token.is_empty() {
            return Err(ClientError::NoToken { status: answer.status, body: answer.text });
        }
        let lifetime = answer.body.pointer("/expires_in").and_then(Value::as_u64).unwrap_or(60);
        // Half of the lifetime: a token never expires between being taken from here and being checked by the gateway.
        tokens.insert(scope.map(str::to_owned), (token.clone(), now.plus(Duration::from_secs(lifetime / 2))));
        Ok(token)
    }

    async fn ask_for_token(&self, scope: Option<&str>) -> Result<Answer, ClientError> {
        let parameters =
            [("grant_type", Some("client_credentials")), ("client_id", Some(self.name.as_str())), ("scope", scope)];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        let request = self
            .http
            .post(format!("{}/oauth/token", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        read(request).await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when no complete answer comes.
    pub async fn send(&self, request: &Request) -> Result<Answer, ClientError> {
        let mut builder = self.http.request(request.method.clone(), format!("{}{}", self.base, request.path));
        if let Some(token) = &request.token {
            builder = builder.bearer_auth(token);
        }
        if let Some(key) = &request.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some(tag) = &request.if_match {
            builder = builder.header("if-match", tag);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let answer = read(builder).await?;
        if let Some(inspect) = &self.inspector {
            inspect(request, &answer);
        }
        Ok(answer)
    }

    /// Has every answer from now on looked at.
    pub fn inspect_with(&mut self, inspector: Inspector) {
        self.inspector = Some(inspector);
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
    let response = request.send().await.map_err(ClientError::Unreachable)?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let text = response.text().await.map_err(ClientError::Unreachable)?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, headers, text, body })
}
