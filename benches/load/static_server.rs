//! The reference for everything over the network: a server on the gateway's own TLS configuration and web framework that reads
//! the request and answers with so many bytes, at once. What the gateway takes beyond it is its own.
//!
//! It runs as a process of its own, a copy of this program, and ends when its parent does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sluis::clock::Clock;
use sluis::organisations::credentials::Anchors;
use sluis::tls::{Clients, ServerIdentity, Witness, server_config};

use crate::Outcome;

/// The largest answer that can be asked for, in bytes.
const LARGEST: usize = 1024 * 1024;

/// The path whose answer has so many bytes.
pub fn path(bytes: usize) -> String {
    format!("/{}", bytes.min(LARGEST))
}

/// Serves with the certificates in this folder until standard input ends.
pub async fn serve(folder: &Path) -> Outcome<bool> {
    let clock = Clock::system();
    let ca = CertificateDer::from_pem_file(folder.join("ca.pem"))?;
    let anchors = Anchors::load(ca, &[], clock.now())?;
    let identity = ServerIdentity::load(&folder.join("server.pem"), &folder.join("server-key.pem"))?;
    let tls = server_config(identity, Clients::Certified(&anchors, Witness::nobody()), false, &clock)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let body = web::Bytes::from(vec![b'x'; LARGEST]);
    let routes = move || {
        let body = body.clone();
        let answer = move |bytes: web::Path<usize>, _request: web::Bytes| {
            let body = body.slice(..bytes.into_inner().min(LARGEST));
            async move { HttpResponse::Created().content_type("application/json").body(body) }
        };
        App::new().route("/{bytes}", web::to(answer))
    };
    let server = HttpServer::new(routes).disable_signals().listen_rustls_0_23(listener, tls)?.run();
    let handle = server.handle();
    std::thread::spawn(move || {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        actix_web::rt::System::new().block_on(handle.stop(false));
    });
    writeln!(std::io::stdout(), "{port}")?;
    server.await?;
    Ok(true)
}

/// The server as a child process.
pub struct StaticServer {
    child: Child,
    /// Its port.
    pub port: u16,
}

impl StaticServer {
    /// Starts a copy of this program with the gateway's certificates, which are in this folder.
    pub fn start(folder: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--static-server").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut server = Self { child, port: 0 };
        server.port = line.trim().parse().map_err(|_| "the static server did not start")?;
        Ok(server)
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
