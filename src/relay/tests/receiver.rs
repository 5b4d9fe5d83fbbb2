//! A webhook receiver for tests: HTTPS on loopback, answers as told, remembers what it got.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConnection, StreamOwned};

use super::*;

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status in the event's data, by which tests tell events apart.
    pub(super) fn status(&self) -> String {
        self.json()["data"]["status"].as_str().unwrap().to_owned()
    }
}

/// What is answered to a request: a status line with headers, without the blank line.
type Script = Arc<dyn Fn(&Request) -> String + Send + Sync>;

pub(super) struct Receiver {
    pub certificate_pem: String,
    pub url: String,
    script: Arc<Mutex<Script>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

pub(super) const AGREED: &str = "200 OK\r\nWebHook-Allowed-Origin: gateway.example";

impl Receiver {
    /// A receiver that agrees to the handshake and takes everything.
    pub(super) fn new() -> Self {
        Self::start(None)
    }

    /// As [`Receiver::new`], and lets in only who shows a certificate that `authority` (DER) vouches for.
    pub(super) fn with_client_authority(authority: Vec<u8>) -> Self {
        Self::start(Some(authority))
    }

    fn start(client_authority: Option<Vec<u8>>) -> Self {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let chain = vec![CertificateDer::from(issued.cert.der().to_vec())];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(authority)).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let config = builder.with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(|_| AGREED.into())));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (shared_script, shared_requests) = (Arc::clone(&script), Arc::clone(&requests));
        std::thread::spawn(move || serve(&listener, &Arc::new(config), &shared_script, &shared_requests));
        Self { certificate_pem: issued.cert.pem(), url, script, requests }
    }

    /// Answers deliveries like this from now on; handshakes are agreed to.
    pub(super) fn answer(&self, script: impl Fn(&Request) -> String + Send + Sync + 'static) {
        *self.script.lock().unwrap() =
            Arc::new(move |request| if request.method == "OPTIONS" { AGREED.into() } else { script(request) });
    }

    /// Answers everything like this from now on.
    pub(super) fn answer_all(&self, script: impl Fn(&Request) -> String + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// The deliveries that came since the last call.
    pub(super) fn deliveries(&self) -> Vec<Request> {
        self.take("POST")
    }

    /// The handshakes that came since the last call.
    pub(super) fn handshakes(&self) -> Vec<Request> {
        self.take("OPTIONS")
    }

    fn take(&self, method: &str) -> Vec<Request> {
        let mut requests = self.requests.lock().unwrap();
        let (taken, left) = requests.drain(..).partition(|request| request.method == method);
        *requests = left;
        taken
    }
}

fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    script: &Arc<Mutex<Script>>,
    requests: &Arc<Mutex<Vec<Request>>>,
) {
    for stream in listener.incoming() {
        let (config, script, requests) = (Arc::clone(config), Arc::clone(script), Arc::clone(requests));
        std::thread::spawn(move || {
            // A connection that breaks off is the client's affair.
            let _ = converse(stream?, config, &script, &requests);
            std::io::Result::Ok(())
        });
    }
}

fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    script: &Mutex<Script>,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let method = line.split(' ').next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = Request { method, headers, body };
    let script = Arc::clone(&*script.lock().unwrap());
    requests.lock().unwrap().push(request.clone());
    let answer = format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", script(&request));
    let mut stream = reader.into_inner();
    stream.write_all(answer.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
