//! The operator's listener: `/healthz`, `/readyz`, `/metrics`, and nothing else.
//!
//! Plain HTTP without authentication, so it belongs on loopback or on a network of the operator's own. It has a thread of its own and
//! answers as long as the process lives, also when the API is full or stops. Invariant: nothing of it is reachable through the API.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{gather, readiness};
use crate::app::App;

/// `OpenMetrics` 1.0.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CONNECTIONS: usize = 64;
const TIME: Duration = Duration::from_secs(5);

/// The listener, before it answers.
pub struct Listener {
    address: SocketAddr,
    server: Server,
}

/// The listener, answering.
pub struct Operations {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Listener {
    /// Listens; nothing is answered before [`Listener::start`].
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(app: &App, address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let app = app.clone();
        let server = HttpServer::new(move || {
            ActixApp::new().app_data(web::Data::new(app.clone())).default_service(web::route().to(answer))
        })
        .workers(1)
        .max_connections(CONNECTIONS)
        .client_request_timeout(TIME)
        .keep_alive(TIME)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
        Ok(Self { address, server })
    }

    /// Answers from now on.
    #[must_use]
    pub fn start(self) -> Operations {
        let handle = self.server.handle();
        Operations { address: self.address, handle, server: tokio::spawn(self.server) }
    }
}

impl Operations {
    /// Stops.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        // It has ended with its handle.
        let _ = self.server.await;
    }
}

async fn answer(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    if !matches!(request.path(), "/healthz" | "/readyz" | "/metrics") {
        return text(StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
    }
    match request.path() {
        "/healthz" => text(StatusCode::OK, "alive\n"),
        "/readyz" => ready(&app).await,
        _ => {
            gather::gather(&app).await;
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, OPEN_METRICS))
                .insert_header((CACHE_CONTROL, "no-store"))
                .body(app.metrics.to_text())
        }
    }
}

async fn ready(app: &App) -> HttpResponse {
    let checks = readiness::checks(app).await;
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(json!({ "ready": ready, "checks": checks }).to_string())
}

fn text(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}
