//! The authority, signing requests, revocation lists and external anchors.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::*;
use crate::organisations::credentials::anchors::Revocation;
use crate::organisations::credentials::ca::{Authority, AuthorityError, Profile};
use crate::organisations::credentials::csr::RequestError;
use crate::organisations::credentials::key_files::{self, FileError};

fn profile(server_names: &[&str]) -> Profile {
    Profile {
        oin: KREDIETBANK.parse().unwrap(),
        organisation: "Kredietbank".into(),
        common_name: "kredietbank".into(),
        server: !server_names.is_empty(),
        server_names: server_names.iter().map(|name| (*name).to_owned()).collect(),
        client: true,
        lifetime: Duration::from_hours(24 * 10_000),
    }
}

fn authority(world: &World) -> &Authority {
    world.credentials.authority.as_ref().unwrap()
}

#[actix_web::test]
async fn everything_that_a_request_asks_for_is_dropped() {
    let world = World::new().await;
    let (_, pem) = request(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any, ExtendedKeyUsagePurpose::CodeSigning];
        params.subject_alt_names = vec![SanType::DnsName("gateway.example".try_into().unwrap())];
        params.distinguished_name.push(DnType::OrganizationName, "Gemeente Wassenaar");
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), MUNICIPALITY);
    });
    let key = ProvenKey::from_pem(&pem).unwrap();
    let issued = authority(&world).certify(&key, &profile(&[]), &Entropy::system(), world.now()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&issued.der).unwrap();
    assert!(!certificate.is_ca());
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca, "CA:FALSE is said");
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.any && !extended.server_auth && !extended.code_signing);
    assert!(certificate.subject_alternative_name().unwrap().is_none());
    assert_eq!(certificate.subject().to_string(), "O=Kredietbank, CN=kredietbank, serialNumber=00000099000000006000");
    assert_eq!(issued.facts.oin.as_ref().map(Oin::as_str), Some(KREDIETBANK));
}

#[actix_web::test]
async fn a_certificate_holds_for_twelve_months_at_most_and_has_a_long_random_serial() {
    let world = World::new().await;
    let key = ProvenKey::from_pem(&request(|_| {}).1).unwrap();
    let make = || authority(&world).certify(&key, &profile(&[]), &Entropy::system(), world.now()).unwrap().facts;
    let (one, other) = (make(), make());
    assert!(one.not_after <= world.now().plus(Duration::from_hours(24 * 366)));
    assert!(one.holds_at(world.now()) && !one.holds_at(world.now().plus(Duration::from_hours(24 * 367))));
    assert_eq!(one.serial.len(), 32);
    assert_ne!(one.serial, other.serial);
    assert_ne!(one.thumbprint, other.thumbprint);
}

#[actix_web::test]
async fn a_server_certificate_needs_names_that_are_names() {
    let world = World::new().await;
    let key = ProvenKey::from_pem(&request(|_| {}).1).unwrap();
    let certify = |names: &[&str]| authority(&world).certify(&key, &profile(names), &Entropy::system(), world.now());
    let issued = certify(&["partner.example", "127.0.0.1", "::1"]).unwrap();
    let (_, certificate) = X509Certificate::from_der(&issued.der).unwrap();
    assert!(certificate.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
    for wrong in ["*.example", "", "a b", "-a.example", "a..b", "a/b", "é.example", "a.example."] {
        assert!(matches!(certify(&[wrong]), Err(AuthorityError::ServerName(_))), "{wrong:?}");
    }
}

#[test]
fn a_request_without_proof_of_possession_is_refused() {
    let (_, pem) = request(|_| {});
    let mut der = pem_bytes(&pem);
    // The last byte of the signature.
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(ProvenKey::from_pem(&to_pem(&der)), Err(RequestError::NoProof));
    for wrong in
        ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", &format!("{pem}{pem}")]
    {
        assert_eq!(ProvenKey::from_pem(wrong), Err(RequestError::Malformed), "{wrong:?}");
    }
    assert_eq!(ProvenKey::from_pem(&"x".repeat(100_000)), Err(RequestError::Malformed));
}

#[test]
fn weak_and_unusual_keys_are_refused_and_good_ones_accepted() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "the openssl command is missing");
        eprintln!("NOT RUN: only the openssl command makes the weak keys of this test (apt-get install openssl)");
        return;
    }
    let folder = std::env::temp_dir().join(format!("sluis-keys-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("request.pem");
    let make = |key: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["req", "-new", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null", "-out"]).arg(&file).args(key);
        assert!(command.output().unwrap().status.success(), "{key:?}");
        ProvenKey::from_pem(std::fs::read_to_string(&file).unwrap().trim())
    };
    for good in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-newkey", "ed25519"],
    ] {
        assert!(make(good).is_ok(), "{good:?}");
    }
    for weak in [
        &["-newkey", "rsa:1024"][..],
        &["-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        &["-newkey", "ed448"],
    ] {
        assert!(matches!(make(weak), Err(RequestError::Key(_))), "{weak:?}");
    }
    assert_eq!(make(&["-newkey", "rsa:2048", "-sha1"]), Err(RequestError::NoProof));
    std::fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn the_authority_is_never_overwritten_and_its_key_is_for_its_owner_only() {
    let world = World::new().await;
    let (certificate, key) = (&world.config.pki.ca_certificate, world.config.pki.ca_private_key.as_ref().unwrap());
    let before = std::fs::read(certificate).unwrap();
    let again = ca::create(certificate, key, "Another", &Entropy::system(), world.now());
    assert!(matches!(again, Err(AuthorityError::File(FileError::Exists(_)))));
    assert_eq!(std::fs::read(certificate).unwrap(), before);
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(key_files::write_private(key, b"x"), Err(FileError::Exists(_))));

    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Authority::load(certificate, key, None), Err(AuthorityError::File(FileError::Permissions(_)))));
}

#[actix_web::test]
async fn an_authority_that_was_cut_off_after_its_key_is_finished_with_that_key() {
    let world = World::new().await;
    let (certificate, key) = (world.folder.join("ca.pem"), world.folder.join("ca-key.pem"));
    let before = std::fs::read(&key).unwrap();
    std::fs::remove_file(&certificate).unwrap();
    ca::create(&certificate, &key, "Test", &Entropy::system(), world.now()).unwrap();
    assert_eq!(std::fs::read(&key).unwrap(), before);
    assert!(Authority::load(&certificate, &key, None).is_ok());
}

#[actix_web::test]
async fn what_is_not_an_authority_is_not_loaded_as_one() {
    let world = World::new().await;
    let key = world.folder.join("ca-key.pem");
    let leaf = world.folder.join("leaf.pem");
    let party = world.party(KREDIETBANK, None).await;
    std::fs::write(&leaf, crate::organisations::http::pem(&party.record.der)).unwrap();
    assert!(matches!(Authority::load(&leaf, &key, None), Err(AuthorityError::Unusable { .. })), "CA:FALSE");
    let other = world.folder.join("other-key.pem");
    key_files::write_private(&other, KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
    let certificate = world.folder.join("ca.pem");
    assert!(matches!(Authority::load(&certificate, &other, None), Err(AuthorityError::Unusable { .. })), "another key");
    let both = format!("{}{}", std::fs::read_to_string(&certificate).unwrap(), std::fs::read_to_string(&key).unwrap());
    let joined = world.folder.join("joined.pem");
    std::fs::write(&joined, both).unwrap();
    assert!(
        matches!(ca::read_certificate(&joined), Err(AuthorityError::Unusable { .. })),
        "the key would be published"
    );
}

#[actix_web::test]
async fn the_revocation_list_names_what_was_revoked_and_its_number_rises() {
    let world = World::new().await;
    let (revoked, kept) = (world.party(KREDIETBANK, None).await, world.party(KREDIETBANK, None).await);
    let read = |der: &[u8]| {
        let (_, list) = CertificateRevocationList::from_der(der).unwrap();
        let (_, root) = X509Certificate::from_der(authority(&world).certificate()).unwrap();
        list.verify_signature(root.public_key()).unwrap();
        let serials: Vec<_> = list
            .iter_revoked_certificates()
            .map(|entry| super::super::certificate::serial_text(entry.raw_serial()))
            .collect();
        (list.crl_number().unwrap().to_string(), serials, list.next_update().is_some())
    };
    let first = world.credentials.revocation_list(world.now()).await.unwrap();
    assert_eq!(read(&first), ("1".into(), vec![], true));
    assert_eq!(world.credentials.revocation_list(world.now()).await.unwrap(), first, "nothing changed");
    world.revoke(&revoked.record.serial).await;
    let second = world.credentials.revocation_list(world.now()).await.unwrap();
    assert_eq!(read(&second), ("2".into(), vec![revoked.record.serial.clone()], true));
    assert!(!read(&second).1.contains(&kept.record.serial));
    world.clock.advance(Duration::from_hours(13));
    assert_eq!(read(&world.credentials.revocation_list(world.now()).await.unwrap()).0, "3", "half its life is over");
}

/// An external authority, in files.
struct External {
    issuer: Issuer<'static, KeyPair>,
}

impl External {
    fn new(folder: &std::path::Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key) }
    }

    fn certificate(&self, oin: &str, serial: u8) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), oin);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().to_vec()
    }

    fn write_list(&self, file: &std::path::Path, revoked: &[u8], now: Timestamp) {
        let revoked_certs = revoked
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&[*serial]),
                revocation_time: now.to_offset_date_time(),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: now.to_offset_date_time(),
            next_update: now.plus(Duration::from_hours(1)).to_offset_date_time(),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(file, list.signed_by(&self.issuer).unwrap().der()).unwrap();
    }
}

const ANCHOR: &str = "[[pki.anchors]]\nname = \"private-root\"\ncertificate = \"external.pem\"\ncrl = \"external.crl\"\n\
                      oins = [\"00000099000000006000\"]\n";

/// A world with an external anchor: its files are there before the gateway starts.
async fn with_anchor() -> (World, External) {
    let mut world = World::new().await;
    let external = External::new(&world.folder, "external");
    let file = world.folder.join("sluis.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n{ANCHOR}")).unwrap();
    world.config = crate::config::load(&file, []).unwrap();
    external.write_list(&world.folder.join("external.crl"), &[9], world.now());
    let opened =
        Credentials::open(&world.config, world.db.clone(), world.sealer.clone(), Entropy::system(), world.now()).await;
    world.credentials = opened.unwrap().into();
    (world, external)
}

#[actix_web::test]
async fn an_external_anchor_vouches_for_its_own_organisations_only() {
    let (world, external) = with_anchor().await;
    let identify = |der: &[u8]| world.credentials.anchors.identify(der).unwrap();
    let good = identify(&external.certificate(KREDIETBANK, 1));
    assert_eq!(world.outcome(Some(&good), None).await, "token-required", "the certificate is accepted");
    let foreign = identify(&external.certificate(MUNICIPALITY, 2));
    assert_eq!(world.outcome(Some(&foreign), None).await, "certificate-unknown", "not its organisation");
    let revoked = identify(&external.certificate(KREDIETBANK, 9));
    assert_eq!(world.outcome(Some(&revoked), None).await, "certificate-revoked");
    // A stranger's authority of the same name.
    let stranger = External::new(&std::env::temp_dir(), "external");
    let forged = identify(&stranger.certificate(KREDIETBANK, 3));
    assert_eq!(world.outcome(Some(&forged), None).await, "certificate-unknown");
    let _ = std::fs::remove_file(std::env::temp_dir().join("external.pem"));
    let nameless = identify(&external.certificate("no oin", 4));
    assert_eq!(world.outcome(Some(&nameless), None).await, "certificate-unknown");
}

#[actix_web::test]
async fn revocation_that_cannot_be_known_fails_closed() {
    let (world, external) = with_anchor().await;
    let anchors = &world.credentials.anchors;
    let peer = anchors.identify(&external.certificate(KREDIETBANK, 1)).unwrap();
    let state = || anchors.revocation("private-root", &peer, world.now());
    assert_eq!(state(), Revocation::Good);
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(state(), Revocation::Unknown, "past nextUpdate");
    assert_eq!(world.outcome(Some(&peer), None).await, "revocation-unknown");
    let file = world.folder.join("external.crl");
    external.write_list(&file, &[], world.now());
    world.clock.advance(MINUTE);
    assert_eq!(state(), Revocation::Good, "a fresh list is taken up without a restart");
    let stranger = External::new(&world.folder, "stranger");
    stranger.write_list(&file, &[], world.now());
    world.clock.advance(MINUTE);
    assert_eq!(state(), Revocation::Unknown, "a list of somebody else");
    std::fs::write(&file, b"not a list").unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(state(), Revocation::Unknown, "not a list");
    assert_eq!(anchors.revocation("unheard-of", &peer, world.now()), Revocation::Unknown);
}

fn pem_bytes(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

fn to_pem(der: &[u8]) -> String {
    crate::organisations::http::pem(der).replace("CERTIFICATE", "CERTIFICATE REQUEST")
}
