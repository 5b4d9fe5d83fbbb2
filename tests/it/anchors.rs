//! Certificates of an external authority, as those of PKIoverheid: believed for the organisations that the configuration names, and
//! only while the authority's revocation list can be known.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use serde_json::json;
use sluis::app::{Application, Running};
use sluis::clock::Timestamp;
use sluis::config;
use sluis::demo::client::Identity;
use sluis::demo::evening::any_port;
use sluis::demo::jws;

use crate::app::{KREDIETBANK, SMOW, TestApp, debts};
use crate::credentials::new_version;
use crate::wire::{Connection, Reply, Wire, settings};

/// An authority that is not the gateway's own.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    fn new(file: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Private Services");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    fn certify(&self, oin: &str, serial: u8) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), oin);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        let certificate = params.signed_by(&key, &self.0).unwrap().pem().into_bytes();
        Identity { certificate, key: key.serialize_pem().into_bytes().into() }
    }

    /// Writes a list that is good for an hour.
    fn list(&self, file: &Path, revoked: &[u8], now: Timestamp) {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: now.to_offset_date_time(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now.to_offset_date_time(),
            next_update: now.plus(Duration::from_hours(1)).to_offset_date_time(),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(file, list.signed_by(&self.0).unwrap().pem().unwrap()).unwrap();
    }
}

/// A second gateway on the same data, whose configuration has the anchor.
async fn gateway_with_anchor(app: &TestApp) -> (Running, String) {
    let (former, port) = (app.app().config.gateway.public_url.port().unwrap(), any_port().unwrap());
    let text = std::fs::read_to_string(app.folder.join("sluis.toml")).unwrap();
    let text = text.replace(&format!(":{former}\""), &format!(":{port}\""));
    let anchor = format!(
        "\n[[pki.anchors]]\nname = \"private-services\"\ncertificate = \"private.pem\"\ncrl = \"private.crl\"\noins = [\"{KREDIETBANK}\"]\n"
    );
    let file = app.folder.join("with-anchor.toml");
    std::fs::write(&file, text + &anchor).unwrap();
    let environment =
        [("SLUIS_STORAGE__URL".to_owned(), app.storage.clone()), ("SLUIS_API__WORKERS".to_owned(), "1".to_owned())];
    let config = config::load(&file, environment).unwrap();
    let gateway = Application::build(config, app.app().clock.clone()).await.unwrap();
    (gateway.start(), format!("https://localhost:{port}"))
}

async fn ask_for_token(wire: &Wire, client_id: &str) -> Reply {
    wire.form("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", client_id)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_external_anchor_counts_for_its_oins_and_with_a_fresh_list_only() {
    let mut app = TestApp::start().await;
    let digest = new_version(&mut app, "2026.2").await;
    let authority = Authority::new(&app.folder.join("private.pem"));
    let file = app.folder.join("private.crl");
    let identity = authority.certify(KREDIETBANK, 7);
    let (gateway, base) = gateway_with_anchor(&app).await;
    let clock = app.app().clock.clone();
    // The lists are read again every minute.
    let later = || clock.advance(Duration::from_secs(61));
    let bank = Wire::at(&base, &app, Some(&identity), |builder| builder);

    let refused = ask_for_token(&bank, KREDIETBANK).await;
    assert_eq!((refused.status, refused.code()), (401, "revocation-unknown"), "there is no list yet");
    authority.list(&file, &[], clock.now());
    later();
    let token = bank.token(KREDIETBANK).await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let inbox = bank.get("/v1/referrals", Some(&token)).await;
    assert_eq!(inbox.status, 200, "{}", inbox.text);
    assert!(inbox.text.contains(created.text_at("/id").unwrap()), "it is the credit bank");

    let other = Wire::at(&base, &app, Some(&authority.certify(SMOW, 8)), |builder| builder);
    let refused = ask_for_token(&other, SMOW).await;
    assert_eq!((refused.status, refused.code()), (401, "certificate-unknown"), "no OIN of this anchor");
    let unnamed = Wire::at(&base, &app, Some(&authority.certify("nobody", 9)), |builder| builder);
    assert_eq!(ask_for_token(&unnamed, KREDIETBANK).await.code(), "certificate-unknown");
    let elsewhere = settings(&app, Some(&identity), &rustls::version::TLS13);
    let handshake = Connection::open(&app, &elsewhere).and_then(|mut one| one.get("/v1/openapi.json", "x"));
    assert!(handshake.is_err(), "a gateway without the anchor does not even talk to it");

    let jws = jws::detached(digest.as_bytes(), &identity).unwrap();
    let sign = bank.request("POST", "/v1/covenants/2026.2/signatures").bearer_auth(&token);
    let sign = sign.header("idempotency-key", "anchor").json(&json!({ "jws": jws }));
    let signed = bank.send(sign).await;
    assert_eq!(signed.status, 201, "it signs for the organisation: {}", signed.text);

    clock.advance(Duration::from_hours(2));
    let stale = bank.get("/v1/referrals", Some(&token)).await;
    assert_eq!((stale.status, stale.code()), (401, "revocation-unknown"), "past nextUpdate");
    authority.list(&file, &[9], clock.now());
    later();
    let token = bank.token(KREDIETBANK).await;
    assert_eq!(bank.get("/v1/referrals", Some(&token)).await.status, 200, "another certificate is on the list");
    authority.list(&file, &[7], clock.now());
    later();
    let revoked = bank.get("/v1/referrals", Some(&token)).await;
    assert_eq!((revoked.status, revoked.code()), (401, "certificate-revoked"));
    Authority::new(&app.folder.join("stranger.pem")).list(&file, &[], clock.now());
    later();
    assert_eq!(ask_for_token(&bank, KREDIETBANK).await.code(), "revocation-unknown", "a list of somebody else");
    std::fs::remove_file(&file).unwrap();
    later();
    assert_eq!(ask_for_token(&bank, KREDIETBANK).await.status, 401, "no list");

    drop((bank, other, unnamed));
    gateway.stop().await;
    app.finish().await;
}
