//! Requests as they go over the wire, for tests that need more than [`sluis::demo::client`] lets a partner say: odd methods, headers
//! and bodies, a version of HTTP or TLS, one connection that is kept.
//!
//! Every answer is held against the contract and against what every answer must carry.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{ClientBuilder, Method, RequestBuilder, Version};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;
use sluis::demo::client::{Identity, Request};
use sluis::http::contract::ResponseParts;

use crate::app::{CONTRACT, TestApp, operation_of};

/// A client with one certificate, or none.
pub struct Wire {
    http: reqwest::Client,
    base: String,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem, or of an error of the OAuth endpoints.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Wire {
    /// A client that shows no certificate.
    pub fn nobody(app: &TestApp) -> Self {
        Self::new(app, None, |builder| builder)
    }

    /// A client with the certificate of a party or of a role of the municipality.
    pub fn of(app: &TestApp, who: &str) -> Self {
        Self::new(app, Some(app.world().identity(who).unwrap()), |builder| builder)
    }

    pub fn new(
        app: &TestApp,
        identity: Option<&Identity>,
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        Self::at(app.app().issuer(), app, identity, configure)
    }

    /// A client of the gateway at another address that has the same CA.
    pub fn at(
        base: &str,
        app: &TestApp,
        identity: Option<&Identity>,
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        let roots = reqwest::Certificate::from_pem_bundle(app.app().credentials.ca_pem().as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(roots)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30));
        if let Some(identity) = identity {
            let pem = [identity.key.as_slice(), b"\n", identity.certificate.as_slice()].concat();
            builder = builder.identity(reqwest::Identity::from_pem(&pem).unwrap());
        }
        Self { http: configure(builder).build().unwrap(), base: base.to_owned() }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        let request = self.request("GET", path);
        self.send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    /// A form, as the OAuth endpoints take them.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = self.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.finish())).await
    }

    /// A token by `tls_client_auth`.
    pub async fn token(&self, client_id: &str) -> String {
        let fields = [("grant_type", "client_credentials"), ("client_id", client_id)];
        let reply = self.form("/oauth/token", &fields).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        self.try_send(request).await.unwrap()
    }

    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Reply> {
        let request = request.build()?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let response = self.http.execute(request).await?;
        let (status, version, headers) = (response.status().as_u16(), response.version(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let reply = Reply { status, version, headers, text, body };
        check(&method, url.path(), &reply);
        Ok(reply)
    }
}

/// What every answer must have, whatever was asked.
fn check(method: &Method, path: &str, reply: &Reply) {
    let what = format!("{method} {path} {} {}", reply.status, reply.text);
    assert_eq!(reply.header("api-version"), CONTRACT.version(), "{what}");
    // A page for people may apply its own style, and nothing else.
    let policy = if reply.header("content-type").starts_with("text/html") {
        sluis::access_reports::content_security_policy()
    } else {
        "default-src 'none'; frame-ancestors 'none'".to_owned()
    };
    for (name, value) in [
        ("content-security-policy", policy.as_str()),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(reply.header(name), value, "{name} of {what}");
    }
    assert!(uuid::Uuid::try_parse(reply.header("x-request-id")).is_ok(), "{what}");
    assert!(!reply.header("cache-control").is_empty(), "{what}");
    assert_eq!(reply.status == 401, reply.headers.contains_key("www-authenticate") && reply.status != 403, "{what}");
    let open = path == "/v1/openapi.json" && reply.status == 200;
    assert_eq!(reply.headers.contains_key("access-control-allow-origin"), open, "{what}");
    for name in ["access-control-allow-methods", "access-control-allow-headers", "location", "server", "set-cookie"] {
        assert!(!reply.headers.contains_key(name) || (name == "location" && reply.status == 201), "{name}: {what}");
    }
    if reply.status >= 400 && *method != Method::HEAD {
        check_failure(path, reply, &what);
    }
    if path.starts_with("/v1") && *method != Method::HEAD {
        check_contract(method, path, reply, &what);
    }
}

fn check_failure(path: &str, reply: &Reply, what: &str) {
    // RFC 6749 section 5.2 has a form of its own.
    if path.starts_with("/oauth/") && reply.body["error"].is_string() {
        assert_eq!(reply.header("content-type"), "application/json", "{what}");
        assert_eq!(reply.header("cache-control"), "no-store", "{what}");
        return;
    }
    assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(reply.body["status"], reply.status, "{what}");
    for member in ["type", "title", "detail", "code"] {
        assert!(reply.body[member].is_string(), "{member}: {what}");
    }
}

fn check_contract(method: &Method, path: &str, reply: &Reply, what: &str) {
    let headers: Vec<(String, String)> =
        reply.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = Some(&reply.body).filter(|body| !body.is_null());
    let parts = ResponseParts { status: reply.status, headers: &headers, body };
    let operation = operation_of(&Request { method: method.clone(), ..Request::get(path) });
    let held = match operation {
        Some(operation) => CONTRACT.validate_response(operation, &parts),
        None => CONTRACT.validate_problem(&parts),
    };
    assert_eq!(held, Ok(()), "{what}");
}

/// One TLS connection that is kept, speaking HTTP/1.1 by hand.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// How to open connections; those with the same settings could resume each other's sessions.
pub fn settings(
    app: &TestApp,
    identity: Option<&Identity>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(app.app().credentials.ca_pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(sluis::tls::provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<Vec<_>, _>>().unwrap();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&identity.key).unwrap()).unwrap()
        }
    })
}

impl Connection {
    pub fn open(app: &TestApp, settings: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let port = app.app().config.gateway.public_url.port().unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let connection = ClientConnection::new(Arc::clone(settings), "localhost".try_into().unwrap()).unwrap();
        Ok(Self { stream: StreamOwned::new(connection, socket) })
    }

    /// A party's connection with TLS 1.3.
    pub fn of(app: &TestApp, who: &str) -> Self {
        let identity = app.world().identity(who).unwrap();
        Self::open(app, &settings(app, Some(identity), &rustls::version::TLS13)).unwrap()
    }

    /// The handshake and nothing more.
    pub fn complete_handshake(&mut self) -> std::io::Result<()> {
        while self.stream.conn.is_handshaking() {
            self.stream.conn.complete_io(&mut self.stream.sock)?;
        }
        Ok(())
    }

    /// Sends bytes and waits for nothing.
    pub fn begin(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    pub fn into_stream(self) -> StreamOwned<ClientConnection, TcpStream> {
        self.stream
    }

    /// The library's own view of the connection.
    pub const fn tls(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// `GET` with a token, on this very connection.
    pub fn get(&mut self, path: &str, token: &str) -> std::io::Result<(u16, Value)> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        let (status, _, body) = self.say(&head)?;
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    /// Sends bytes and reads one answer: status, head, body.
    pub fn say(&mut self, text: &str) -> std::io::Result<(u16, String, String)> {
        tokio::task::block_in_place(|| {
            self.stream.write_all(text.as_bytes())?;
            self.stream.flush()?;
            self.read()
        })
    }

    fn read(&mut self) -> std::io::Result<(u16, String, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, head, String::from_utf8_lossy(&body).into_owned()))
    }
}
