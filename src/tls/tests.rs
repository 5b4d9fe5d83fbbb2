//! Over real TLS: who gets through the handshake, and what the gateway then knows of them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpServer, web};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Clients, Connections, Handshake, PeerCertificate, ServerIdentity, Witness, on_connect, server_config};
use crate::clock::Clock;
use crate::ids::Entropy;
use crate::organisations::credentials::ca::{self, Authority, Profile};
use crate::organisations::credentials::{Anchors, VouchedBy};

struct Site {
    folder: std::path::PathBuf,
    authority: Authority,
    anchors: Arc<Anchors>,
    seen: Arc<Mutex<Vec<Handshake>>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn profile(server: bool) -> Profile {
    Profile {
        oin: "00000099000000006000".parse().unwrap(),
        organisation: "Kredietbank".into(),
        common_name: "kredietbank".into(),
        server,
        server_names: if server { vec!["localhost".into()] } else { vec![] },
        client: !server,
        lifetime: Duration::from_hours(24),
    }
}

impl Site {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("sluis-tls-{}", uuid::Uuid::now_v7()));
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        let now = Clock::system().now();
        ca::create(&certificate, &key, "Test authority", &Entropy::system(), now).unwrap();
        let authority = Authority::load(&certificate, &key, None).unwrap();
        let (server, server_key) = (folder.join("server.pem"), folder.join("server-key.pem"));
        ca::write_own(&authority, &profile(true), &server, &server_key, &Entropy::system(), now).unwrap();
        let anchors = Arc::new(Anchors::load(authority.certificate().clone(), &[], now).unwrap());
        Self { folder, authority, anchors, seen: Arc::default() }
    }

    /// Notes what happens in handshakes.
    fn witness(&self) -> Witness {
        let seen = Arc::clone(&self.seen);
        Witness::new(move |handshake| seen.lock().unwrap().push(handshake))
    }

    fn seen(&self) -> Vec<Handshake> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// A server that answers with what it knows of its client's certificate.
    fn start(&self, allow_tls12: bool) -> SocketAddr {
        async fn who(request: HttpRequest) -> String {
            request.conn_data::<PeerCertificate>().map_or("nobody".into(), |peer| {
                let known = matches!(peer.vouched_by, Some(VouchedBy::Gateway));
                format!("{} {} {known}", peer.thumbprint, peer.oin.as_ref().map_or("-", |oin| oin.as_str()))
            })
        }
        let file = |name: &str| self.folder.join(name);
        let identity = ServerIdentity::load(&file("server.pem"), &file("server-key.pem")).unwrap();
        let config =
            server_config(identity, Clients::Certified(&self.anchors, self.witness()), allow_tls12, &Clock::system())
                .unwrap();
        let server = HttpServer::new(|| App::new().route("/", web::get().to(who)))
            .on_connect(on_connect(Arc::clone(&self.anchors), Connections::default(), self.witness()))
            .workers(1)
            .bind_rustls_0_23(("127.0.0.1", 0), config)
            .unwrap();
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        address
    }

    fn client(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String) {
        let (issued, key) =
            self.authority.certify_new_key(&profile(false), &Entropy::system(), Clock::system().now()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        (vec![issued.der.into()], key, issued.facts.thumbprint)
    }
}

type Identity = Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

/// The body of an answer, or why there was none.
async fn ask(site: &Site, address: SocketAddr, identity: Identity, tls12: bool) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(site.authority.certificate().clone()).unwrap();
    let versions: &[_] = if tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let builder = ClientConfig::builder_with_provider(Arc::new(super::provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
    };
    let exchange = move || -> std::io::Result<String> {
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert_eq!(stream.conn.tls13_tickets_received(), 0, "no session may be resumed");
        Ok(answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
    };
    let outcome = actix_web::rt::task::spawn_blocking(exchange).await.unwrap();
    outcome.map_err(|error| error.to_string())
}

#[actix_web::test]
async fn the_gateway_knows_the_certificate_of_a_connection() {
    let site = Site::new();
    let address = site.start(false);
    let (chain, key, thumbprint) = site.client();
    let answer = ask(&site, address, Some((chain, key)), false).await.unwrap();
    assert_eq!(answer, format!("{thumbprint} 00000099000000006000 true"));
    assert_eq!(site.seen(), [Handshake::Begun, Handshake::Completed]);
}

#[actix_web::test]
async fn a_connection_without_certificate_gets_through_as_nobody() {
    let site = Site::new();
    assert_eq!(ask(&site, site.start(false), None, false).await.unwrap(), "nobody");
}

#[actix_web::test]
async fn a_certificate_of_a_stranger_ends_the_handshake() {
    let site = Site::new();
    let address = site.start(false);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), "00000099000000006000");
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    assert!(ask(&site, address, Some((vec![certificate.der().clone()], private)), false).await.is_err());
    let other = Site::new();
    let (chain, key, _) = other.client();
    assert!(ask(&site, address, Some((chain, key)), false).await.is_err(), "an authority of the same name");
    // The second names an authority that is known, whose signature it is not.
    let seen = site.seen();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!(seen[..2], [Handshake::Begun, Handshake::Refused("unknown-authority")]);
    assert!(matches!(seen[3], Handshake::Refused("bad-signature" | "unknown-authority")), "{seen:?}");
}

#[actix_web::test]
async fn a_certificate_that_has_ended_or_is_a_servers_ends_the_handshake() {
    let site = Site::new();
    let address = site.start(false);
    let load = |name: &str| std::fs::read(site.folder.join(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&load("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&load("server-key.pem")).unwrap();
    assert!(ask(&site, address, Some((chain, key)), false).await.is_err(), "not for clients");
    assert_eq!(site.seen(), [Handshake::Begun, Handshake::Refused("wrong-purpose")]);
    let past = Clock::system().now().minus(Duration::from_hours(48));
    let early = Site::at(past);
    let (issued, key) = early.authority.certify_new_key(&profile(false), &Entropy::system(), past).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let address = early.start(false);
    assert!(ask(&early, address, Some((vec![issued.der.into()], key)), false).await.is_err(), "ended yesterday");
    assert_eq!(early.seen(), [Handshake::Begun, Handshake::Refused("expired")]);
    let (chain, key, _) = early.client();
    assert!(ask(&early, address, Some((chain, key)), false).await.is_ok(), "a present one of the same authority");
}

impl Site {
    /// A site whose authority began then.
    fn at(moment: crate::clock::Timestamp) -> Self {
        let mut site = Self::new();
        let folder = site.folder.join("early");
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        ca::create(&certificate, &key, "Early authority", &Entropy::system(), moment).unwrap();
        site.authority = Authority::load(&certificate, &key, None).unwrap();
        for name in ["server.pem", "server-key.pem"] {
            std::fs::remove_file(site.folder.join(name)).unwrap();
        }
        let (server, server_key) = (site.folder.join("server.pem"), site.folder.join("server-key.pem"));
        let now = Clock::system().now();
        ca::write_own(&site.authority, &profile(true), &server, &server_key, &Entropy::system(), now).unwrap();
        site.anchors = Arc::new(Anchors::load(site.authority.certificate().clone(), &[], now).unwrap());
        site
    }
}

#[actix_web::test]
async fn tls_1_2_is_spoken_only_where_it_is_allowed() {
    let site = Site::new();
    assert!(ask(&site, site.start(false), None, true).await.is_err());
    let address = site.start(true);
    let (chain, key, thumbprint) = site.client();
    let answer = ask(&site, address, Some((chain, key)), true).await.unwrap();
    assert!(answer.starts_with(&thumbprint));
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let key = site.folder.join("server-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(ServerIdentity::load(&site.folder.join("server.pem"), &key).is_err());
    assert!(ServerIdentity::load(Path::new("/nonexistent"), &key).is_err());
}
