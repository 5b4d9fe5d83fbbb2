//! The information system of a partner: an HTTPS server of its own with a webhook endpoint, which can be switched off.
//!
//! Invariant: what lies in its inbox came with a valid Standard Webhooks signature, has the shape of a `CloudEvents` event, and is
//! there once, however often it was delivered.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::client::Identity;
use crate::clock::Clock;

/// The host of every partner's system: an address, because the CA gives the gateway's own name to nobody else.
pub const PARTNER_HOST: &str = "127.0.0.1";

/// How far the moment in a signature may lie from now (Standard Webhooks: replayed deliveries are refused).
const TOLERANCE_SECONDS: i64 = 300;

/// Why a partner's system could not start.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// Its certificate or key is unusable.
    #[error("the partner's certificate or key cannot be used: {0}")]
    Certificate(String),
    /// Its port is not free.
    #[error("the partner's system cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// What arrived at a partner.
#[derive(Debug, Default)]
struct Inbox {
    events: Vec<Value>,
    repeats: usize,
    refused: usize,
}

#[derive(Clone)]
struct Shared {
    inbox: Arc<Mutex<Inbox>>,
    secret: Arc<Mutex<Option<Vec<u8>>>>,
    clock: Clock,
}

/// A partner's system. Dropping it leaves the server running; [`Partner::down`] stops it.
pub struct Partner {
    port: u16,
    tls: rustls::ServerConfig,
    shared: Shared,
    server: Mutex<Option<ServerHandle>>,
}

impl Partner {
    /// Starts the system on a free port of this machine.
    ///
    /// # Errors
    /// [`PartnerError`] when the certificate is unusable or no port is free.
    pub fn start(identity: &Identity, clock: Clock) -> Result<Self, PartnerError> {
        let listener = TcpListener::bind((PARTNER_HOST, 0))?;
        let partner = Self {
            port: listener.local_addr()?.port(),
            tls: server_tls(identity)?,
            shared: Shared { inbox: Arc::default(), secret: Arc::default(), clock },
            server: Mutex::new(None),
        };
        partner.serve(listener)?;
        Ok(partner)
    }

    /// Where the gateway delivers.
    #[must_use]
    pub fn sink(&self) -> String {
        format!("https://{PARTNER_HOST}:{}/webhook", self.port)
    }

    /// Keeps the secret that the gateway gave with the subscription: `whsec_` and base64 (Standard Webhooks).
    pub fn keep_secret(&self, secret: &str) {
        *lock(&self.shared.secret) = STANDARD.decode(secret.trim_start_matches("whsec_")).ok();
    }

    /// Stops answering: connections are refused until [`Partner::up`].
    pub async fn down(&self) {
        let server = lock(&self.server).take();
        if let Some(server) = server {
            server.stop(false).await;
        }
    }

    /// Answers again, on the same port.
    ///
    /// # Errors
    /// [`PartnerError::Listen`] when the port was taken in the meantime.
    pub fn up(&self) -> Result<(), PartnerError> {
        let running = lock(&self.server).is_some();
        if running { Ok(()) } else { self.serve(TcpListener::bind((PARTNER_HOST, self.port))?) }
    }

    /// The events that arrived about one thing, in the order of their first arrival.
    #[must_use]
    pub fn events_about(&self, id: &str) -> Vec<Value> {
        let about = |event: &&Value| event.pointer("/subject").and_then(Value::as_str) == Some(id);
        lock(&self.shared.inbox).events.iter().filter(about).cloned().collect()
    }

    /// How many deliveries repeated an earlier one, and how many were refused.
    #[must_use]
    pub fn repeats_and_refusals(&self) -> (usize, usize) {
        let inbox = lock(&self.shared.inbox);
        (inbox.repeats, inbox.refused)
    }

    fn serve(&self, listener: TcpListener) -> Result<(), PartnerError> {
        let shared = self.shared.clone();
        let routes = move || {
            App::new().app_data(web::Data::new(shared.clone())).service(
                web::resource("/webhook").route(web::post().to(deliver)).route(web::method(options()).to(handshake)),
            )
        };
        let server = HttpServer::new(routes)
            .workers(1)
            .disable_signals()
            .shutdown_timeout(1)
            .listen_rustls_0_23(listener, self.tls.clone())?
            .run();
        *lock(&self.server) = Some(server.handle());
        tokio::spawn(server);
        Ok(())
    }
}

fn options() -> actix_web::http::Method {
    actix_web::http::Method::OPTIONS
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is kept here stays whole when a holder panics: every change is a single assignment or push.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn server_tls(identity: &Identity) -> Result<rustls::ServerConfig, PartnerError> {
    let certificate = |error: &dyn std::fmt::Display| PartnerError::Certificate(error.to_string());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&identity.certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| certificate(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| certificate(&error))?;
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| certificate(&error))
}

/// The handshake of *HTTP 1.1 Web Hooks for Event Delivery* section 4: yes, this address wants events from this sender.
async fn handshake(request: HttpRequest) -> HttpResponse {
    let Some(origin) = request.headers().get("webhook-request-origin") else {
        return HttpResponse::BadRequest().finish();
    };
    HttpResponse::Ok()
        .insert_header(("webhook-allowed-origin", origin.clone()))
        .insert_header(("webhook-allowed-rate", "*"))
        .insert_header(("allow", "POST"))
        .finish()
}

async fn deliver(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let event: Option<Value> = serde_json::from_slice(&body).ok();
    let genuine = is_genuine(&request, &body, &shared);
    let mut inbox = lock(&shared.inbox);
    let Some(event) = event.filter(|event| genuine && is_cloud_event(event)) else {
        inbox.refused += 1;
        return HttpResponse::BadRequest().finish();
    };
    if inbox.events.iter().any(|known| identity_of(known) == identity_of(&event)) {
        inbox.repeats += 1;
    } else {
        inbox.events.push(event);
    }
    HttpResponse::NoContent().finish()
}

/// Standard Webhooks: `webhook-signature` holds `v1,` and the HMAC-SHA-256 over `id.timestamp.body`; several may be there
/// while a secret is being replaced.
fn is_genuine(request: &HttpRequest, body: &[u8], shared: &Shared) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(moment), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let now = shared.clock.now().as_seconds();
    let recent = moment.parse::<i64>().is_ok_and(|moment| now.abs_diff(moment) <= TOLERANCE_SECONDS.unsigned_abs());
    let Some(secret) = lock(&shared.secret).clone() else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signed = [id.as_bytes(), b".", moment.as_bytes(), b".", body].concat();
    let valid = |signature: &str| {
        let raw = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        raw.is_some_and(|raw| hmac::verify(&key, &signed, &raw).is_ok())
    };
    recent && signatures.split(' ').any(valid)
}

/// The attributes that the NL GOV profile for `CloudEvents` 1.1 demands.
fn is_cloud_event(event: &Value) -> bool {
    let text = |name: &str| event.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    event.get("specversion").and_then(Value::as_str) == Some("1.0")
        && ["id", "source", "type", "subject", "time"].into_iter().all(text)
}

fn identity_of(event: &Value) -> (Option<&Value>, Option<&Value>) {
    (event.get("source"), event.get("id"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn certificate() -> Identity {
        let made = rcgen::generate_simple_self_signed([PARTNER_HOST.to_owned()]).unwrap();
        let key = zeroize::Zeroizing::new(made.signing_key.serialize_pem().into_bytes());
        Identity { certificate: made.cert.pem().into_bytes(), key }
    }

    fn gateway(partner: &Identity) -> reqwest::Client {
        let trusted = reqwest::Certificate::from_pem(&partner.certificate).unwrap();
        reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
    }

    fn event(id: &str) -> String {
        serde_json::json!({
            "specversion": "1.0", "id": id, "source": "urn:nld:oin:00000099000000099000:systeem:sluis",
            "type": "nl.sluis.referral.requested.v1", "subject": "r", "time": "2026-11-21T00:00:00Z",
        })
        .to_string()
    }

    async fn push(client: &reqwest::Client, partner: &Partner, body: &str, moment: i64) -> u16 {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap());
        let signature = hmac::sign(&key, format!("m1.{moment}.{body}").as_bytes());
        let request = client
            .post(partner.sink())
            .header("webhook-id", "m1")
            .header("webhook-timestamp", moment)
            .header("webhook-signature", format!("v1,AAAA v1,{}", STANDARD.encode(signature)))
            .body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn only_genuine_events_are_kept_and_each_once() {
        let (identity, clock) = (certificate(), Clock::system());
        let partner = Partner::start(&identity, clock.clone()).unwrap();
        partner.keep_secret(SECRET);
        let client = gateway(&identity);
        let now = clock.now().as_seconds();
        assert_eq!(push(&client, &partner, &event("a"), now).await, 204);
        assert_eq!(push(&client, &partner, &event("b"), now).await, 204);
        assert_eq!(push(&client, &partner, &event("a"), now).await, 204);
        assert_eq!(push(&client, &partner, &event("late"), now - 3600).await, 400);
        assert_eq!(push(&client, &partner, "{}", now).await, 400);
        partner.keep_secret("whsec_AAAA");
        assert_eq!(push(&client, &partner, &event("forged"), now).await, 400);
        let ids: Vec<_> =
            partner.events_about("r").iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(partner.repeats_and_refusals(), (1, 3));
        partner.down().await;
    }

    #[tokio::test]
    async fn a_system_that_is_down_answers_again_on_the_same_address() {
        let identity = certificate();
        let partner = Partner::start(&identity, Clock::system()).unwrap();
        let greet = || {
            gateway(&identity)
                .request(reqwest::Method::OPTIONS, partner.sink())
                .header("webhook-request-origin", "sluis")
        };
        let answer = greet().send().await.unwrap();
        assert_eq!(answer.headers()["webhook-allowed-origin"], "sluis");
        partner.down().await;
        assert!(greet().send().await.is_err());
        partner.up().unwrap();
        assert_eq!(greet().send().await.unwrap().status(), 200);
        partner.down().await;
    }
}
