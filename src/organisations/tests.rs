//! Tests of organisations: who may do what to whom, and what is final.

use super::credentials::ca::Reason;
use super::service::{self, CertificateWish};
use super::*;
use crate::clock::Timestamp;
use crate::ids::{Entropy, Oin};
use crate::organisations::credentials::csr::ProvenKey;
use crate::problem::Code;
use crate::storage::seal::{Key, Sealer};
use crate::storage::{Db, Query, StorageSettings, Tx};

const ONE: &str = "00000099000000006000";
const OTHER: &str = "00000099000000001000";
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

async fn database() -> (Db, std::path::PathBuf) {
    let file = std::env::temp_dir().join(format!("sluis-organisations-{}.db", uuid::Uuid::now_v7()));
    let settings = StorageSettings { url: format!("sqlite:{}", file.display()), readers: 2, writers: 1 };
    let db = Db::open(&settings).await.unwrap();
    register(&db, ONE, "kredietbank").await.unwrap();
    register(&db, OTHER, "gemeente-wassenaar").await.unwrap();
    (db, file)
}

async fn register(db: &Db, oin: &str, slug: &str) -> Result<Organisation, Code> {
    let registration = Registration {
        oin: oin.parse().unwrap(),
        slug: slug.parse().unwrap(),
        name: slug.parse().unwrap(),
        contact: None,
    };
    let registered =
        db.write("register", async move |tx: &mut Tx| service::register(tx, &registration, &operator(), NOW).await);
    registered.await.map_err(|problem| problem.code())
}

async fn change(db: &Db, change: Change) -> Result<Organisation, Code> {
    let changed = db.write("change", async move |tx: &mut Tx| {
        service::change(tx, &ONE.parse().unwrap(), &change, &operator(), NOW).await
    });
    changed.await.map_err(|problem| problem.code())
}

fn operator() -> Actor {
    let entropy = Entropy::system();
    Actor::operator(&entropy, &Sealer::new(Key::generate(&entropy).unwrap(), vec![], entropy.clone()))
}

fn to(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

async fn revision(db: &Db) -> i64 {
    let key = crate::storage::revisions::organisation(&ONE.parse().unwrap());
    let row = db.reader().row("SELECT revision FROM revisions WHERE key = $1", crate::args![key]).await.unwrap();
    row.map_or(0, |row| row.int("revision").unwrap())
}

#[actix_web::test]
async fn a_number_and_a_short_name_are_given_once() {
    let (db, file) = database().await;
    assert_eq!(register(&db, ONE, "another").await.unwrap_err(), Code::AlreadyExists);
    assert_eq!(register(&db, "00000099000000007000", "kredietbank").await.unwrap_err(), Code::AlreadyExists);
    let count = db.reader().rows("SELECT client_id FROM clients", crate::args![]).await.unwrap().len();
    assert_eq!(count, 2, "a refused registration leaves no client behind");
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn every_change_raises_the_revision_and_the_version_and_no_change_raises_neither() {
    let (db, file) = database().await;
    let before = revision(&db).await;
    let suspended = change(&db, to(Status::Suspended)).await.unwrap();
    assert_eq!((suspended.version, revision(&db).await), (2, before + 1));
    let same = change(&db, to(Status::Suspended)).await.unwrap();
    assert_eq!((same.version, revision(&db).await), (2, before + 1));
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn who_has_left_stays_out() {
    let (db, file) = database().await;
    change(&db, to(Status::Retired)).await.unwrap();
    for status in [Status::Active, Status::Suspended, Status::Retired] {
        assert_eq!(change(&db, to(status)).await.unwrap_err(), Code::Conflict, "{status:?}");
    }
    let renamed = Change { name: "Another".parse().ok(), ..Change::default() };
    assert_eq!(change(&db, renamed).await.unwrap_err(), Code::Conflict);
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn an_organisation_manages_nothing_of_another() {
    let (db, file) = database().await;
    let stranger =
        Actor { client_id: OTHER.into(), organisation: OTHER.parse().ok(), administers: false, ..operator() };
    let one: Oin = ONE.parse().unwrap();
    let newest = (Timestamp::from_micros(i64::MAX), "");
    let seen = service::certificates(&mut db.reader(), &one, newest, 10, &stranger).await;
    assert_eq!(seen.unwrap_err().code(), Code::NotFound);
    let refused = db.write("try", async move |tx: &mut Tx| {
        let set = serde_json::json!({"keys": []});
        let keys = service::replace_keys(tx, &one, &set, 1, &stranger, NOW).await.unwrap_err().code();
        // The named clients of the organisation itself do not decide on its keys either.
        let organisation = Some(one.clone());
        let officer = Actor { client_id: Role::Monitor.client_id(&one), organisation, ..operator() };
        let role = service::replace_keys(tx, &one, &set, 1, &officer, NOW).await.unwrap_err().code();
        let revoked = service::revoke_certificate(tx, Some(&one), "abcd", Reason::Unspecified, &stranger, NOW).await;
        Ok((keys, role, revoked.unwrap_err().code()))
    });
    assert_eq!(refused.await.unwrap(), (Code::NotFound, Code::NotFound, Code::NotFound));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn short_names_are_safe_as_folders() {
    for wrong in ["", "-a", "a-", "A", "a/b", "..", "a.b", "a b", "é", &"a".repeat(64)] {
        assert!(wrong.parse::<Slug>().is_err(), "{wrong:?}");
    }
    assert_eq!(Slug::from_name("GGD Hollands Midden").unwrap().as_str(), "ggd-hollands-midden");
    assert_eq!(Slug::from_name("../../etc").unwrap().as_str(), "etc");
    assert_eq!(Slug::from_name("…"), None);
}

#[test]
fn names_and_scopes_are_what_they_say() {
    for wrong in ["", " a", "a ", "a\nb", "a\u{0}", &"a".repeat(65)] {
        assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
    }
    assert!("referrals unheard-of".parse::<Scopes>().is_err());
    assert!("Referrals".parse::<Scopes>().is_err());
    for role in Role::ALL {
        for scope in [Scope::Referrals, Scope::Consents] {
            assert!(!role.scopes().has(scope), "{role:?} sees no content");
        }
        // Its own feed, in which is nothing of what the organisation is told.
        let is_told = matches!(role, Role::PrivacyOfficer | Role::DataProtectionOfficer);
        assert_eq!(role.scopes().has(Scope::Events), is_told, "{role:?}");
        assert_eq!(role.scopes().has(Scope::AuditRead), role == Role::PrivacyOfficer, "{role:?}");
    }
    let partner = types::partner_scopes();
    for scope in [Scope::AuditRead, Scope::HandoffsRead, Scope::OrganisationsWrite, Scope::Covenants] {
        assert!(!partner.has(scope), "{scope:?} belongs to named clients");
    }
}

#[test]
fn a_wish_can_be_stripped_of_its_names() {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::DnsName("partner.example".try_into().unwrap())];
    let pem = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let key = ProvenKey::from_pem(&pem).unwrap();
    assert_eq!(key.wished_names(), ["partner.example"]);
    let wish = CertificateWish {
        client_id: ONE.into(),
        key: key.without_names(),
        server: true,
        server_names: vec![],
        lifetime: None,
    };
    assert!(wish.key.wished_names().is_empty());
}
