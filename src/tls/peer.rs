//! From a connection to the certificate at its other end, once per connection.
//!
//! Invariant: a connection of an unexpected kind, and a certificate that cannot be read, count as no certificate at all.

use std::any::Any;
use std::sync::Arc;

use actix_web::dev::Extensions;
use rustls::server::ServerConnection;

use super::connections::Connections;
use super::handshakes::{Handshake, Witness};
use crate::organisations::credentials::Anchors;
pub use crate::organisations::credentials::PeerCertificate;

/// The kind of connection that `HttpServer::bind_rustls_0_23` accepts. A wrong type here would not fail to compile, only
/// leave every client without a certificate, which the tests over real TLS would notice.
type TlsConnection = actix_tls::accept::rustls_0_23::TlsStream<actix_web::rt::net::TcpStream>;

/// A hook for `HttpServer::on_connect` that leaves in the connection's data (`HttpRequest::conn_data`) an [`OpenConnection`], and a
/// [`PeerCertificate`] if the other side showed a certificate.
///
/// [`OpenConnection`]: super::OpenConnection
pub fn on_connect(
    anchors: Arc<Anchors>,
    connections: Connections,
    witness: Witness,
) -> impl Fn(&dyn Any, &mut Extensions) + Send + Clone + 'static {
    move |connection, data| {
        let Some(connection) = connection.downcast_ref::<TlsConnection>() else { return };
        let (socket, session) = connection.get_ref();
        witness.tell(Handshake::Completed);
        data.insert(connections.opened(socket, session.alpn_protocol() == Some(b"h2")));
        if let Some(peer) = peer_of(session, &anchors) {
            data.insert(peer);
        }
    }
}

fn peer_of(session: &ServerConnection, anchors: &Anchors) -> Option<PeerCertificate> {
    let leaf = session.peer_certificates()?.first()?;
    anchors.identify(leaf).ok()
}
