//! The information system of a partner that gets webhooks: notes when which referral was told of.
//!
//! Invariant: it answers at once, so that what is measured is the gateway's way to it.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use sluis::demo::client::Identity;
use sluis::demo::partner::PARTNER_HOST;

use crate::Outcome;

/// When each referral was first told of.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// A partner's system that listens.
pub struct Receiver {
    /// Where it wants its webhooks.
    pub sink: String,
    arrivals: Arrivals,
    server: ServerHandle,
}

impl Receiver {
    /// Starts it with the partner's own certificate.
    pub fn start(identity: &Identity) -> Outcome<Self> {
        let chain = CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key)?;
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(sluis::tls::provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let listener = TcpListener::bind((PARTNER_HOST, 0))?;
        let port = listener.local_addr()?.port();
        let arrivals = Arrivals::default();
        let shared = arrivals.clone();
        let routes = move || {
            let shared = web::Data::new(shared.clone());
            let hook = web::resource("/load").route(web::post().to(deliver));
            App::new().app_data(shared).service(hook.route(web::method(actix_web::http::Method::OPTIONS).to(agree)))
        };
        let server = HttpServer::new(routes).workers(1).disable_signals().listen_rustls_0_23(listener, tls)?.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { sink: format!("https://{PARTNER_HOST}:{port}/load"), arrivals, server: handle })
    }

    /// When it was told of this referral.
    pub fn arrival(&self, referral: &str) -> Option<Instant> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(referral).copied()
    }

    /// Stops listening.
    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn agree(request: HttpRequest) -> HttpResponse {
    let Some(origin) = request.headers().get("webhook-request-origin") else {
        return HttpResponse::BadRequest().finish();
    };
    HttpResponse::Ok()
        .insert_header(("webhook-allowed-origin", origin.clone()))
        .insert_header(("webhook-allowed-rate", "*"))
        .finish()
}

async fn deliver(body: web::Bytes, arrivals: web::Data<Arrivals>) -> HttpResponse {
    let now = Instant::now();
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(referral) = event.get("subject").and_then(Value::as_str) else {
        return HttpResponse::BadRequest().finish();
    };
    arrivals.lock().unwrap_or_else(PoisonError::into_inner).entry(referral.to_owned()).or_insert(now);
    HttpResponse::NoContent().finish()
}
