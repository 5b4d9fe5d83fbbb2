//! Tests of encrypted sections: against the specification and other implementations, and against whoever changes, swaps or substitutes.

mod sets;

use aws_lc_rs::agreement;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::jwe::concat_kdf;
use super::*;
use crate::clock::Timestamp;
use crate::ids::Entropy;

const SMOW: &str = "00000099000000002000";
const BANK: &str = "00000099000000006000";
const MUNICIPALITY: &str = "00000099000000001000";
const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

fn label(category: &str) -> Label {
    Label {
        sender: SMOW.parse().unwrap(),
        recipient: BANK.parse().unwrap(),
        category: category.parse().unwrap(),
        purpose: "debt-counselling".parse().unwrap(),
    }
}

fn published(key: &PrivateKey) -> EncryptionKey {
    sets::verified(&[key.public_jwk()]).key(key.key_id()).unwrap().clone()
}

fn encrypted(key: &PrivateKey, content: &[u8]) -> String {
    encrypt(content, &label("finance"), &published(key), &Entropy::system(), NOW).unwrap()
}

fn header_of(jwe: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwe.split('.').next().unwrap()).unwrap()).unwrap()
}

/// The same message under another protected header; nobody who decrypts is fooled, but who only reads may be.
fn under(jwe: &str, header: &str) -> String {
    let (_, rest) = jwe.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

fn defects(jwe: &str) -> Vec<(&'static str, &'static str)> {
    Envelope::parse(jwe).unwrap_err().iter().map(|defect| (defect.member, defect.code)).collect()
}

/// RFC 7518 appendix C: Alice agrees with Bob on a key for A128GCM.
#[test]
fn the_key_is_derived_as_in_the_example_of_rfc_7518() {
    let alice = r#"{"kty":"EC","crv":"P-256","kid":"alice","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps","d":"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"}"#;
    let bob = r#"{"kty":"EC","crv":"P-256","kid":"bob","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;
    let (alice, bob) = (PrivateKey::from_jwk(alice.as_bytes()).unwrap(), PrivateKey::from_jwk(bob.as_bytes()).unwrap());
    for (own, other) in [(&alice, &bob), (&bob, &alice)] {
        let derived = agreement::agree(own.private(), other.public().unparsed(), (), |secret| {
            let mut key = [0; 16];
            assert!(concat_kdf(secret, "A128GCM", (b"Alice", b"Bob"), &mut key));
            Ok(key)
        });
        assert_eq!(URL_SAFE_NO_PAD.encode(derived.unwrap()), "VqqN6vgjbSBcIijNcacQGg");
    }
    assert!(!concat_kdf(b"z", "A256GCM", (b"", b""), &mut [0; 33]), "more than one round is not made");
}

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<Value>,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    by: String,
    sender: String,
    recipient: String,
    category: String,
    purpose: String,
    iat: i64,
    jti: String,
    content: String,
    jwe: String,
}

#[test]
fn what_other_implementations_encrypted_opens_byte_for_byte() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../tests/vectors/jwe.json")).unwrap();
    let keys: Vec<PrivateKey> =
        vectors.keys.iter().map(|key| PrivateKey::from_jwk(key.to_string().as_bytes()).unwrap()).collect();
    assert_eq!(keys.iter().map(|key| key.public().curve()).collect::<Vec<_>>(), [Curve::P256, Curve::X25519]);
    assert_eq!(vectors.messages.len(), 8);
    for message in vectors.messages {
        let label = Label {
            sender: message.sender.parse().unwrap(),
            recipient: message.recipient.parse().unwrap(),
            category: message.category.parse().unwrap(),
            purpose: message.purpose.parse().unwrap(),
        };
        let opened = decrypt(&message.jwe, &label, &keys).unwrap_or_else(|error| panic!("{}: {error}", message.by));
        assert_eq!(opened.content.as_slice(), message.content.as_bytes(), "{} {}", message.by, message.jti);
        assert_eq!((opened.id, opened.issued_at.as_seconds()), (message.jti, message.iat));
    }
}

#[test]
fn what_is_encrypted_opens_for_its_recipient_and_for_nobody_else() {
    for curve in [Curve::P256, Curve::X25519] {
        let key = PrivateKey::generate("k", curve).unwrap();
        let jwe = encrypted(&key, b"{\"debts\":18400}");
        let again = encrypted(&key, b"{\"debts\":18400}");
        assert_ne!(jwe, again, "each message has a key, a vector and a name of its own");
        assert_ne!(header_of(&jwe)["jti"], header_of(&again)["jti"]);
        assert_ne!(header_of(&jwe)["epk"], header_of(&again)["epk"]);
        for other in [Curve::P256, Curve::X25519] {
            let stranger = PrivateKey::generate("k", other).unwrap();
            let error = decrypt(&jwe, &label("finance"), &[stranger]).unwrap_err();
            let expected = if other == curve { DecryptError::Altered } else { DecryptError::UnknownKey };
            assert_eq!(error, expected, "a key of the same name is not the same key");
        }
        let keys = [PrivateKey::generate("former", curve).unwrap(), key];
        let opened = decrypt(&jwe, &label("finance"), &keys).unwrap();
        assert_eq!(opened.content.as_slice(), b"{\"debts\":18400}");
        assert_eq!(opened.issued_at, NOW);
        let [former, _] = keys;
        assert_eq!(decrypt(&jwe, &label("finance"), &[former]).unwrap_err(), DecryptError::UnknownKey);
    }
}

type Change = fn(&mut Label);

#[test]
fn under_any_other_label_it_does_not_open_and_the_error_says_what_differs() {
    let key = [PrivateKey::generate("k", Curve::P256).unwrap()];
    let jwe = encrypted(&key[0], b"{}");
    let own = label("finance");
    let other = |change: Change| {
        let mut label = own.clone();
        change(&mut label);
        decrypt(&jwe, &label, &key).unwrap_err()
    };
    let cases: [(Change, &str); 4] = [
        (|label| label.sender = MUNICIPALITY.parse().unwrap(), "apu"),
        (|label| label.recipient = MUNICIPALITY.parse().unwrap(), "apv"),
        (|label| label.category = "housing".parse().unwrap(), "category"),
        (|label| label.purpose = "welfare-support".parse().unwrap(), "purpose"),
    ];
    for (change, member) in cases {
        assert_eq!(other(change), DecryptError::Label(vec![member]));
    }
    // Somebody who changes the label and the header alike is found out by the tag.
    for (name, value) in [
        ("category", json!("housing")),
        ("purpose", json!("welfare-support")),
        ("apu", json!(URL_SAFE_NO_PAD.encode(MUNICIPALITY))),
        ("apv", json!(URL_SAFE_NO_PAD.encode(MUNICIPALITY))),
        ("iat", json!(1_790_000_000)),
        ("jti", json!("another")),
    ] {
        let mut header = header_of(&jwe);
        header[name] = value;
        let swapped = under(&jwe, &header.to_string());
        let label = Envelope::parse(&swapped).unwrap().label().clone();
        assert_eq!(decrypt(&swapped, &label, &key).unwrap_err(), DecryptError::Altered, "{name}");
    }
}

#[test]
fn any_character_that_is_changed_or_left_out_is_noticed() {
    for curve in [Curve::P256, Curve::X25519] {
        let key = [PrivateKey::generate("k", curve).unwrap()];
        let jwe = encrypted(&key[0], b"{\"a\":1}");
        assert!(decrypt(&jwe, &label("finance"), &key).is_ok());
        for place in 0..jwe.len() {
            let there = jwe.as_bytes()[place];
            for other in [b'A', b'b', b'.', b'='].into_iter().filter(|other| *other != there) {
                let mut changed = jwe.clone().into_bytes();
                changed[place] = other;
                let changed = String::from_utf8(changed).unwrap();
                assert!(decrypt(&changed, &label("finance"), &key).is_err(), "{place} {}", char::from(other));
            }
            assert!(decrypt(&jwe[..place], &label("finance"), &key).is_err(), "cut at {place}");
        }
        assert!(decrypt(&format!("{jwe} "), &label("finance"), &key).is_err());
        assert!(decrypt(&format!("{jwe}A"), &label("finance"), &key).is_err());
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let key = PrivateKey::generate("k", Curve::P256).unwrap();
    let jwe = encrypted(&key, b"{}");
    assert_eq!(defects("a.b.c"), [("", "invalid")]);
    assert_eq!(defects("e30.AAAA..%.AAAA.B"), [("", "invalid")], "six parts");
    let missing: Vec<_> = ["alg", "enc", "crit", "kid", "epk", "apu", "apv", "category", "purpose", "iat", "jti"]
        .into_iter()
        .map(|name| (name, "required"))
        .collect();
    assert_eq!(defects(&under(&jwe, "{}")), missing);
    let bad = json!({
        "alg": "RSA-OAEP", "enc": "A128CBC-HS256", "typ": "JWT", "cty": "text", "crit": ["category", "category"], "kid": "",
        "epk": { "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }, "apu": "U01PVw", "apv": 7, "category": "Finance!", "purpose": null,
        "iat": 1.5, "jti": "a b", "zip": "DEF",
    });
    let expected = [
        ("encrypted_key", "not-expected"),
        ("iv", "invalid"),
        ("ciphertext", "invalid"),
        ("tag", "invalid"),
        ("header", "not-expected"),
        ("alg", "invalid"),
        ("enc", "invalid"),
        ("typ", "invalid"),
        ("cty", "invalid"),
        ("crit", "invalid"),
        ("kid", "invalid"),
        ("epk", "invalid"),
        ("apu", "invalid"),
        ("apv", "invalid"),
        ("category", "invalid"),
        ("purpose", "invalid"),
        ("iat", "invalid"),
        ("jti", "invalid"),
    ];
    let header = URL_SAFE_NO_PAD.encode(bad.to_string());
    assert_eq!(defects(&format!("{header}.AAAA.AAAA..AAAA")), expected);
    let said = format!("{:?}", Envelope::parse(&format!("{header}.AAAA.AAAA..AAAA")).unwrap_err());
    assert!(!said.contains("Finance!") && !said.contains("RSA-OAEP"), "nothing of the input is repeated: {said}");
}

#[test]
fn what_could_be_read_in_two_ways_or_asks_for_more_is_refused() {
    let key = PrivateKey::generate("k", Curve::P256).unwrap();
    let jwe = encrypted(&key, b"{}");
    let header = header_of(&jwe).to_string();
    assert!(Envelope::parse(&under(&jwe, &header)).is_ok(), "the same header, written again");
    let twice = header.replacen('{', "{\"category\":\"mental-health\",", 1);
    assert_eq!(defects(&under(&jwe, &twice)), [("header", "invalid")], "of two parsers each takes another one");
    let inside = header.replacen("\"epk\":{", "\"epk\":{\"kty\":\"OKP\",", 1);
    assert_eq!(defects(&under(&jwe, &inside)), [("header", "invalid")]);
    let with = |name: &str, value: Value| {
        let mut header = header_of(&jwe);
        header[name] = value;
        defects(&under(&jwe, &header.to_string()))
    };
    for (name, value) in [
        ("zip", json!("DEF")),
        ("jku", json!("https://elsewhere.example/keys")),
        ("x5u", json!("https://elsewhere.example/certificate")),
        ("jwk", json!({})),
        ("resident", json!("M. de Graaf")),
        ("b64", json!(false)),
    ] {
        assert_eq!(with(name, value), [("header", "not-expected")], "{name}");
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("dir")),
        ("alg", json!("ECDH-ES+A256KW")),
        ("alg", json!("ecdh-es")),
        ("enc", json!("A128GCM")),
        ("crit", json!(["category"])),
        ("crit", json!(["category", "purpose", "exp"])),
        ("crit", json!([])),
        ("crit", json!("category")),
        ("kid", json!("k".repeat(101))),
        ("kid", json!("k k")),
        ("iat", json!(-1)),
        ("iat", json!(253_402_300_800_i64)),
        ("iat", json!("1780000000")),
        ("jti", json!("j".repeat(65))),
        ("category", json!("mental health")),
    ] {
        assert_eq!(with(name, value.clone()), [(name, "invalid")], "{name} {value}");
    }
    let large = header.replacen('{', &format!("{{{}", " ".repeat(4000)), 1);
    assert_eq!(defects(&under(&jwe, &large)), [("header", "invalid")]);
    assert_eq!(defects(&"A".repeat(LARGEST_JWE + 1)), [("", "too-large")]);
}

#[test]
fn a_point_that_leads_to_no_secret_or_tells_of_the_key_is_refused() {
    let jwe = encrypted(&PrivateKey::generate("k", Curve::P256).unwrap(), b"{}");
    let with = |epk: Value| {
        let mut header = header_of(&jwe);
        header["epk"] = epk;
        defects(&under(&jwe, &header.to_string()))
    };
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let one = URL_SAFE_NO_PAD.encode([1; 32]);
    let good = header_of(&jwe)["epk"].clone();
    let mut with_private = good.clone();
    with_private["d"] = json!(one);
    let mut short = good.clone();
    short["x"] = json!(URL_SAFE_NO_PAD.encode([1; 31]));
    for epk in [
        json!({ "kty": "EC", "crv": "P-256", "x": one, "y": one }),
        json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero }),
        json!({ "kty": "EC", "crv": "P-384", "x": one, "y": one }),
        json!({ "kty": "OKP", "crv": "X25519", "x": zero }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": one }),
        json!({ "kty": "OKP", "crv": "X25519", "x": one, "y": one }),
        with_private,
        short,
        json!("epk"),
    ] {
        assert_eq!(with(epk.clone()), [("epk", "invalid")], "{epk}");
    }
}

#[test]
fn a_section_is_as_large_as_it_may_be_and_no_larger() {
    let key = [PrivateKey::generate("k", Curve::P256).unwrap()];
    let to = published(&key[0]);
    let sealed = |size: usize| encrypt(&vec![b'x'; size], &label("finance"), &to, &Entropy::system(), NOW);
    assert_eq!(sealed(0).unwrap_err(), EncryptError::Empty);
    // What the header, the vector, the tag and the dots take, and a third for Base64.
    let most = (LARGEST_JWE - (sealed(3).unwrap().len() - 4)) / 4 * 3;
    let largest = sealed(most).unwrap();
    assert!(largest.len() <= LARGEST_JWE && largest.len() > LARGEST_JWE - 8, "{}", largest.len());
    assert_eq!(decrypt(&largest, &label("finance"), &key).unwrap().content.len(), most);
    for size in [most + 3, LARGEST_JWE / 4 * 3, LARGEST_JWE, LARGEST_JWE * 2] {
        assert_eq!(sealed(size).unwrap_err(), EncryptError::TooLarge, "{size}");
    }
}

#[test]
fn a_private_key_is_read_as_it_was_written_and_never_shown() {
    for curve in [Curve::P256, Curve::X25519] {
        let key = PrivateKey::generate("with\"quotes\\", curve).unwrap();
        let text = key.to_jwk().unwrap();
        let again = PrivateKey::from_jwk(text.as_bytes()).unwrap();
        assert_eq!((again.key_id(), again.public()), (key.key_id(), key.public()));
        let jwk: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(jwk["use"], "enc");
        let secret = jwk["d"].as_str().unwrap();
        assert!(!format!("{key:?}").contains(secret) && !key.public_jwk().to_string().contains(secret));
        assert_eq!(PublicKey::from_jwk(&jwk).unwrap_err(), KeyError::Private, "it is no public key");
        assert_eq!(PublicKey::from_jwk(&key.public_jwk()).as_ref(), Ok(key.public()));
        let other = PrivateKey::generate("k", curve).unwrap().public_jwk();
        for (name, value) in [
            ("x", other["x"].clone()),
            ("d", json!(URL_SAFE_NO_PAD.encode([1; 31]))),
            ("d", json!("=")),
            ("crv", json!("P-384")),
            ("kid", json!("")),
        ] {
            let mut wrong = jwk.clone();
            wrong[name] = value;
            assert!(PrivateKey::from_jwk(wrong.to_string().as_bytes()).is_err(), "{name}");
        }
    }
    for name in ["", "two words", "é", &"k".repeat(101)] {
        assert_eq!(PrivateKey::generate(name, Curve::P256).unwrap_err(), KeyError::Name, "{name:?}");
    }
    assert!(PrivateKey::from_jwk(b"{").is_err());
}

fn any_code() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_encrypted_opens_under_its_own_label_alone(
        content in proptest::collection::vec(any::<u8>(), 1..2000), category in any_code(), other in any_code(), purpose in any_code(), p256 in any::<bool>(),
    ) {
        let curve = if p256 { Curve::P256 } else { Curve::X25519 };
        let key = [PrivateKey::generate("k", curve).unwrap()];
        let label = Label { category: category.parse().unwrap(), purpose: purpose.parse().unwrap(), ..label("finance") };
        let jwe = encrypt(&content, &label, &published(&key[0]), &Entropy::system(), NOW).unwrap();
        let envelope = Envelope::parse(&jwe).unwrap();
        prop_assert_eq!(envelope.label(), &label);
        let opened = decrypt(&jwe, &label, &key).unwrap();
        prop_assert_eq!(opened.content.as_slice(), content.as_slice());
        if other != category {
            let under_another = Label { category: other.parse().unwrap(), ..label };
            prop_assert_eq!(decrypt(&jwe, &under_another, &key).unwrap_err(), DecryptError::Label(vec!["category"]));
        }
    }

    #[test]
    fn no_text_makes_the_parser_fail_otherwise_than_with_a_list(text in "\\PC*", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 5)) {
        for jwe in [text, parts.join(".")] {
            if let Err(defects) = Envelope::parse(&jwe) {
                prop_assert!(!defects.is_empty());
            }
        }
    }

    #[test]
    fn no_header_makes_the_parser_fail_otherwise_than_with_a_list(
        names in proptest::collection::vec(prop_oneof![Just("epk"), Just("crit"), Just("iat"), Just("apu"), Just("kid"), Just("category")], 0..6),
        numbers in proptest::collection::vec(any::<i64>(), 6), texts in proptest::collection::vec("\\PC{0,20}", 6), kinds in proptest::collection::vec(0_u8..5, 6),
    ) {
        let mut header = json!({});
        for (place, name) in names.iter().enumerate() {
            header[*name] = match kinds[place] {
                0 => json!(numbers[place]),
                1 => json!(texts[place]),
                2 => json!([texts[place], numbers[place]]),
                3 => json!({ "kty": "EC", "crv": "P-256", "x": texts[place] }),
                _ => Value::Null,
            };
        }
        let jwe = format!("{}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", URL_SAFE_NO_PAD.encode(header.to_string()));
        prop_assert!(!Envelope::parse(&jwe).unwrap_err().is_empty());
    }
}
