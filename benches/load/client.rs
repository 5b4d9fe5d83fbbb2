//! The load client's connections: HTTP/1.1 over mutual TLS, kept open, one request at a time on each.
//!
//! Invariant: every connection verifies the server and shows a certificate, as a partner's would.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sluis::demo::client::Identity;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Outcome;

/// The name on the certificates of the gateway and of the static server.
const HOST_NAME: &str = "localhost";

/// Where connections go, and with which certificate.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Target {
    /// A server on this machine that `ca` (PEM) vouches for, with a client certificate.
    pub fn new(port: u16, ca: &[u8], identity: &Identity) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate?)?;
        }
        let chain = CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key)?;
        let config = ClientConfig::builder_with_provider(Arc::new(sluis::tls::provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects.
    pub async fn connect(&self) -> Outcome<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from(HOST_NAME)?, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender })
    }
}

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// An answer, read to its end.
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// Where the new thing is.
    pub location: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Outcome<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, location: head.headers.get("location").cloned(), body })
    }
}

/// A request without body.
pub fn get(path: &str, authorization: &HeaderValue) -> Outcome<Request<Full<Bytes>>> {
    let builder = Request::builder().method(Method::GET).uri(path);
    Ok(builder.header(HOST, HOST_NAME).header(AUTHORIZATION, authorization).body(Full::default())?)
}

/// A request that creates something, under a key of its own.
pub fn post(path: &str, authorization: &HeaderValue, body: Bytes) -> Outcome<Request<Full<Bytes>>> {
    let builder = Request::builder().method(Method::POST).uri(path);
    let builder = builder
        .header(HOST, HOST_NAME)
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header("idempotency-key", uuid::Uuid::now_v7().to_string());
    Ok(builder.body(Full::new(body))?)
}
