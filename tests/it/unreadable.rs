//! Somebody takes everything that a gateway has, its database, its keys and configuration, its logs and its memory, and looks in it for a section that
//! was encrypted for its recipient. The gateway's own keys open what it sealed, as for its operator; what comes out is the JWE and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey as AgreementKey};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sluis::args;
use sluis::config;
use sluis::demo::client::{Answer, Request};
use sluis::encryption::{Curve, KeySet, PrivateKey, Trust, decrypt, encrypt};
use sluis::ids::Entropy;
use sluis::organisations::credentials::jose::SigningKey;
use sluis::storage::seal::{DataKey, Sealer};
use sluis::storage::{Db, KeyStore, Query as _};

use crate::app::{KREDIETBANK, MUNICIPALITY, debts, postgres};
use crate::encryption::label;
use crate::process::{DataFolder, Gateway, bytes};
use crate::tamper::everything_stored;

/// What only the credit bank may read; with a letter that JSON may write in two ways.
const SECRET: &str = "aanmaning-zwanenbloem-één-7731";
/// What is sent in clear beside it: it shows that the looking finds what is there.
const IN_CLEAR: &str = "dit-mag-de-gateway-zien-4482";
/// What the covenant withholds from the bank, encrypted like the rest.
const WITHHELD: &str = "somberheid-kievitsbloem-één-9043";

async fn ask(gateway: &Gateway, who: &str, request: Request, status: u16) -> Answer {
    let answer = gateway.world.ask(who, request).await.unwrap();
    assert_eq!(answer.status, status, "{}", answer.text);
    answer
}

async fn post(gateway: &Gateway, who: &str, path: &str, body: Value) -> Answer {
    let mut request = Request::post(path, body);
    request.idempotency_key = Some(gateway.world.new_key().unwrap());
    ask(gateway, who, request, 201).await
}

async fn publish(gateway: &Gateway, who: &str, owner: &str, key: &PrivateKey) {
    let identity = gateway.world.identity(who).unwrap();
    let signing = SigningKey::from_pem(&identity.key).unwrap();
    let now = gateway.world.clock().now();
    let day = std::time::Duration::from_hours(24);
    let owner = owner.parse().unwrap();
    let set = KeySet::sign(&owner, &[key.public_jwk()], &signing, &identity.certificate, now, day).unwrap();
    let request = Request::post(format!("/v1/organisations/{owner}/keys"), set);
    ask(gateway, who, Request { method: Method::PUT, ..request }, 200).await;
}

async fn encrypted(gateway: &Gateway, from: (&str, &str), to: (&str, &str), category: &str, secret: &str) -> String {
    let answer = ask(gateway, from.0, Request::get(format!("/v1/organisations/{}/keys", to.1)), 200).await;
    let trust = Trust::pinned(&gateway.world.identity(to.0).unwrap().certificate).unwrap();
    let now = gateway.world.clock().now();
    let keys = KeySet::verified(&answer.body, &to.1.parse().unwrap(), &trust, now).unwrap();
    let label = label(from.1, to.1, "debt-counselling", category);
    let content = json!({ "text": secret }).to_string();
    encrypt(content.as_bytes(), &label, keys.current(now).unwrap(), &Entropy::system(), now).unwrap()
}

/// A referral with encrypted sections, of which one is withheld, read by the bank; a note back, read by the municipality. The two that crossed.
async fn history(gateway: &Gateway) -> [String; 2] {
    let (bank, municipality) = (("kredietbank", KREDIETBANK), ("gemeente-wassenaar", MUNICIPALITY));
    let banks_key = PrivateKey::generate("sections-2026", Curve::P256).unwrap();
    let municipalitys_key = PrivateKey::generate("sections-2026", Curve::X25519).unwrap();
    publish(gateway, bank.0, bank.1, &banks_key).await;
    publish(gateway, municipality.0, municipality.1, &municipalitys_key).await;
    let there = encrypted(gateway, municipality, bank, "finance", SECRET).await;
    let withheld = encrypted(gateway, municipality, bank, "mental-health", WITHHELD).await;
    let mut referral = debts();
    referral["sections"] = json!([
        { "category": "finance", "jwe": there },
        { "category": "mental-health", "jwe": withheld },
        { "category": "question", "content": { "text": IN_CLEAR } },
    ]);
    let created = post(gateway, municipality.0, "/v1/referrals", referral).await;
    let path = created.headers["location"].clone();
    let given = ask(gateway, bank.0, Request::get(format!("{path}/sections")), 200).await;
    let label_there = label(MUNICIPALITY, KREDIETBANK, "debt-counselling", "finance");
    let opened = decrypt(given.text_at("/sections/0/jwe").unwrap(), &label_there, &[banks_key]).unwrap();
    assert_eq!(opened.content.as_slice(), json!({ "text": SECRET }).to_string().as_bytes(), "its recipient reads it");
    for status in ["accepted", "in-progress"] {
        post(gateway, bank.0, &format!("{path}/updates"), json!({ "status": status })).await;
    }
    let back = encrypted(gateway, bank, municipality, "finance", SECRET).await;
    let note =
        json!({ "status": "completed", "outcome": "helped", "sections": [{ "category": "finance", "jwe": back }] });
    let noted = post(gateway, bank.0, &format!("{path}/updates"), note).await;
    let path = format!("{}/sections", noted.headers["location"]);
    let given = ask(gateway, municipality.0, Request::get(path), 200).await;
    let label_back = label(KREDIETBANK, MUNICIPALITY, "debt-counselling", "finance");
    assert!(decrypt(given.text_at("/sections/0/jwe").unwrap(), &label_back, &[municipalitys_key]).is_ok());
    [there, back]
}

/// Every way in which a text may be written.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let plain = text.as_bytes();
    let escaped = |every: bool| -> String {
        let units = text.encode_utf16().map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() && !every => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        });
        units.collect()
    };
    let percent: String = plain
        .iter()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || *byte == b'-' {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![
        plain.to_vec(),
        hex::encode(plain).into_bytes(),
        hex::encode_upper(plain).into_bytes(),
        escaped(false).into_bytes(),
        escaped(true).into_bytes(),
        percent.into_bytes(),
        utf16,
    ];
    // In Base64 it looks otherwise at each of three places; what its neighbours change is left away.
    for shift in 0..3 {
        let shifted = [vec![0; shift], plain.to_vec()].concat();
        for coded in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let whole = shifted.len() / 3 * 4;
            forms.push(coded.as_bytes()[if shift == 0 { 0 } else { 4 }..whole].to_vec());
        }
    }
    forms
}

/// Whether one of these stands in there; fast enough for the memory of a process.
fn holds_any(haystack: &[u8], needles: &[Vec<u8>]) -> bool {
    let mut starts = vec![false; 1 << 16];
    let pair = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    for needle in needles {
        starts[pair(needle)] = true;
    }
    let mut places = haystack.windows(2).enumerate().filter(|(_, window)| starts[pair(window)]);
    places.any(|(place, _)| needles.iter().any(|needle| haystack[place..].starts_with(needle)))
}

#[test]
fn what_is_looked_for_would_be_found() {
    for (written, found) in [
        (format!("{{\"text\":\"{SECRET}\"}}"), true),
        (STANDARD.encode(format!("{{\"text\":\"{SECRET}\"}}")), true),
        (URL_SAFE_NO_PAD.encode(format!("x{SECRET}y")), true),
        (URL_SAFE_NO_PAD.encode(format!("xy{SECRET}")), true),
        (hex::encode(format!("a{SECRET}")), true),
        (hex::encode_upper(SECRET), true),
        (SECRET.replace('é', "\\u00e9"), true),
        (SECRET.replace('é', "%C3%A9"), true),
        (SECRET.replace("zwanenbloem", "kievitsbloem"), false),
        (STANDARD.encode(IN_CLEAR), false),
    ] {
        assert_eq!(holds_any(written.as_bytes(), &forms(SECRET)), found, "{written}");
    }
}

/// The writable memory of a process.
fn memory(process: u32) -> std::io::Result<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem"))?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut region = Vec::new();
        // A region that went away in the meantime, or that only the kernel reads.
        if memory
            .seek(SeekFrom::Start(from))
            .and_then(|_| memory.by_ref().take(to - from).read_to_end(&mut region))
            .is_ok()
        {
            all.extend_from_slice(&region);
        }
    }
    Ok(all)
}

async fn rows(db: &Db, sql: &str) -> Vec<sluis::storage::Row> {
    let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
    db.reader().rows(sql, args![]).await.unwrap()
}

/// The columns that hold bytes.
async fn byte_columns(db: &Db) -> BTreeSet<(String, String)> {
    let sql = if postgres().is_some() {
        "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'bytea'"
    } else {
        "SELECT m.name AS t, c.name AS c FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'BLOB'"
    };
    rows(db, sql).await.iter().map(|row| (row.text("t").unwrap(), row.text("c").unwrap())).collect()
}

/// Sealed under the key-encryption key: the table, the column, and the columns and text of the place that it is bound to.
const SEALED: [(&str, &str, &str); 6] = [
    ("referrals", "wrapped_key", "'referrals/wrapped_key/' || id"),
    ("idempotency", "answer", "'idempotency/answer/' || scope || '/' || key"),
    ("gateway_keys", "private_key", "'gateway_keys/private_key/' || kid"),
    ("consents", "evidence_ref", "'consents/evidence_ref/' || id"),
    ("subscriptions", "secret", "'subscriptions/secret/' || id"),
    ("subscriptions", "former_secret", "'subscriptions/secret/' || id"),
];
/// Not sealed, and so among what is stored: hashes, salts, certificates, lists.
const IN_THE_OPEN: [(&str, &str); 9] = [
    ("idempotency", "body_digest"),
    ("certificates", "certificate"),
    ("revocation_lists", "list"),
    ("audit_records", "salts"),
    ("audit_records", "commitments"),
    ("audit_records", "seal"),
    ("audit_tiles", "hashes"),
    ("audit_checkpoints", "root"),
    ("audit_checkpoints", "previous"),
];

/// Everything that is sealed in the database, opened with the gateway's own keys, by its column.
async fn unsealed(db: &Db, sealer: &Sealer, keys: &KeyStore) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (table, column, place) in SEALED {
        let sql = format!("SELECT {place} AS place, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL");
        for row in rows(db, &sql).await {
            let plain = sealer.open(&row.text("place").unwrap(), &row.bytes("sealed").unwrap()).unwrap();
            all.entry(format!("{table}.{column}")).or_default().push(plain.to_vec());
        }
    }
    let sql = "SELECT s.referral AS referral, s.part AS part, s.category AS category, s.sealed AS sealed, s.key_share AS share, r.wrapped_key AS key \
               FROM referral_sections s JOIN referrals r ON r.id = s.referral ORDER BY s.part, s.place";
    for row in rows(db, sql).await {
        let [referral, part, category] = ["referral", "part", "category"].map(|column| row.text(column).unwrap());
        let key: DataKey =
            sealer.data_key(&format!("referrals/wrapped_key/{referral}"), &row.bytes("key").unwrap()).unwrap();
        let place = format!("referral_sections/sealed/{referral}/{part}/{category}");
        let shares = keys.find(&[row.parsed("share").unwrap()]).await.unwrap();
        let key = key.with_share(shares.values().next().unwrap());
        let plain = key.open(&place, &row.bytes("sealed").unwrap()).unwrap();
        all.entry("referral_sections.sealed".to_owned()).or_default().push(plain.to_vec());
    }
    all
}

/// The private scalars of the gateway's keys for certificates, and every other 32 bytes that it keeps secret.
fn secrets(folder: &Path, secrets: &config::Secrets, unsealed: &BTreeMap<String, Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let hex = |key: &sluis::storage::seal::Key| hex::decode(key.to_hex().as_bytes()).unwrap();
    let mut found = vec![hex(&secrets.key_encryption_key), hex(&secrets.pseudonym_key)];
    for name in ["ca-key.pem", "server-key.pem"] {
        let pem = std::fs::read(folder.join(name)).unwrap();
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(&pem).unwrap() else { panic!("{name}") };
        let key = AgreementKey::from_private_key_der(&ECDH_P256, der.secret_pkcs8_der()).unwrap();
        let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().unwrap();
        found.push(scalar.as_ref().to_vec());
    }
    found.extend(unsealed["referrals.wrapped_key"].iter().cloned());
    // Ed25519 in PKCS#8: the seed stands at a fixed place (RFC 8410 section 7).
    found.extend(unsealed["gateway_keys.private_key"].iter().map(|der| der[16..48].to_vec()));
    assert!(found.iter().all(|secret| secret.len() == 32));
    found
}

/// Whether a message opens with a secret, as the key itself or as the recipient's private key on either curve.
fn opens(jwe: &str, secret: &[u8]) -> bool {
    let parts: Vec<&str> = jwe.split('.').collect();
    let part = |place: usize| URL_SAFE_NO_PAD.decode(parts[place]).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).unwrap());
    let mut body = [part(3), part(4)].concat();
    let nonce = Nonce::try_assume_unique_for_key(&part(2)).unwrap();
    if key.open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut body).is_ok() {
        return true;
    }
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    let labels = [(MUNICIPALITY, KREDIETBANK), (KREDIETBANK, MUNICIPALITY)]
        .map(|(from, to)| label(from, to, "debt-counselling", "finance"));
    let curve = header["epk"]["crv"].as_str().unwrap();
    let Some(key) = as_private_key(secret, curve) else { return false };
    let keys = [key];
    labels.iter().any(|label| decrypt(jwe, label, &keys).is_ok())
}

/// A private key of this curve with these bytes, under the name that the message asks for.
fn as_private_key(secret: &[u8], curve: &str) -> Option<PrivateKey> {
    let algorithm = if curve == "P-256" { &ECDH_P256 } else { &aws_lc_rs::agreement::X25519 };
    let key = AgreementKey::from_private_key(algorithm, secret).ok()?;
    let public = key.compute_public_key().unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = json!({ "kid": "sections-2026", "crv": curve, "d": encode(secret) });
    if curve == "P-256" {
        (jwk["kty"], jwk["x"], jwk["y"]) =
            (json!("EC"), json!(encode(&public.as_ref()[1..33])), json!(encode(&public.as_ref()[33..])));
    } else {
        (jwk["kty"], jwk["x"]) = (json!("OKP"), json!(encode(public.as_ref())));
    }
    Some(PrivateKey::from_jwk(jwk.to_string().as_bytes()).unwrap())
}

/// Every file that is the gateway's: not those of the organisations, which are on their own machines.
fn files_of_the_gateway(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push((path.display().to_string(), bytes(&path)));
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_everything_that_the_gateway_has_does_not_find_what_was_encrypted_for_its_recipient() {
    let folder = DataFolder::found("taken").await;
    let mut gateway = folder.serve("debug");
    let crossed = history(&gateway).await;
    let looked_at = memory(gateway.id());
    // Killed, so that the write-ahead log is still there.
    gateway.kill();

    let mut taken = vec![("what is stored".to_owned(), everything_stored(&folder).await)];
    taken.extend(files_of_the_gateway(&folder.path));
    match looked_at {
        Ok(memory) => {
            assert!(
                memory.len() > 1 << 20 && holds_any(&memory, &[b"debt-counselling".to_vec()]),
                "memory that was read"
            );
            taken.push(("the memory of the process".to_owned(), memory));
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "the memory of the gateway cannot be read: {error}");
            eprintln!("NOT LOOKED AT: the memory of the gateway cannot be read here: {error}");
        }
    }
    let environment = [("SLUIS_STORAGE__URL".to_owned(), folder.storage.clone())];
    let config = config::load(&folder.path.join("sluis.toml"), environment).unwrap();
    taken.push(("its configuration".to_owned(), format!("{config:?}").into_bytes()));

    let keys = config.keys.read().unwrap();
    let sealer = Sealer::new(keys.key_encryption_key.clone(), vec![], Entropy::system());
    let db = folder.database().await;
    let key_store = KeyStore::open(&config.key_store, sealer.clone(), Entropy::system()).await.unwrap();
    let known = SEALED.map(|(table, column, _)| (table, column)).into_iter().chain(IN_THE_OPEN);
    let known = known.chain([("referral_sections", "sealed"), ("audit_checkpoints", "link")]);
    let known: BTreeSet<(String, String)> =
        known.map(|(table, column)| (table.to_owned(), column.to_owned())).collect();
    assert_eq!(byte_columns(&db).await, known, "every column of bytes is opened here, or holds nothing sealed");
    let unsealed = unsealed(&db, &sealer, &key_store).await;

    // What the operator can open of the sections: the JWE as it came, and what was sent in clear.
    let sections: Vec<Value> =
        unsealed["referral_sections.sealed"].iter().map(|plain| serde_json::from_slice(plain).unwrap()).collect();
    let [there, back] = &crossed;
    for expected in [json!({ "jwe": there }), json!({ "jwe": back }), json!({ "content": { "text": IN_CLEAR } })] {
        assert!(sections.contains(&expected), "{expected} is not among {sections:?}");
    }
    assert_eq!(sections.len(), 3, "and nothing of what was withheld");
    let answers = &unsealed["idempotency.answer"];
    assert!(!answers.is_empty());

    for (column, plain) in unsealed.iter().flat_map(|(column, all)| all.iter().map(move |plain| (column, plain))) {
        taken.push((format!("{column}, opened"), plain.clone()));
    }
    let looked_for = [forms(SECRET), forms(WITHHELD)].concat();
    for (place, content) in &taken {
        assert!(!holds_any(content, &looked_for), "found in {place}");
    }
    let in_clear = taken.iter().filter(|(_, content)| holds_any(content, &forms(IN_CLEAR)));
    let in_clear: Vec<&str> =
        in_clear.map(|(place, _)| place.as_str()).filter(|place| place.ends_with("opened")).collect();
    assert_eq!(in_clear, ["referral_sections.sealed, opened"], "what was not encrypted is found in this way");

    // None of its keys opens the messages.
    let secrets = secrets(&folder.path, &keys, &unsealed);
    assert!(secrets.len() > 5);
    for jwe in &crossed {
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!opens(jwe, secret), "secret {number}");
        }
    }
    folder.remove();
}
