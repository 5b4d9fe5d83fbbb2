//! The example file is the documentation: these tests hold it, and the promise to report everything at once.

use std::path::Path;

use super::{Config, ConfigError, check, load};

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    with_text(text, |file| {
        load(file, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    })
}

fn with_text(text: &str, read: impl Fn(&Path) -> Result<Config, ConfigError>) -> Result<Config, ConfigError> {
    let folder = std::env::temp_dir().join(format!("sluis-config-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("sluis.toml");
    std::fs::write(&file, text).unwrap();
    let result = read(&file);
    std::fs::remove_dir_all(folder).unwrap();
    result
}

const LEAST: &str = r#"
[gateway]
oin = "00000099000000099000"
public_url = "https://localhost:8443"
[api]
certificate = "a.pem"
private_key = "a.key"
[pki]
ca_certificate = "ca.pem"
"#;

#[test]
fn the_least_configuration_has_defaults_for_the_rest() {
    let config = load_text(LEAST, &[]).unwrap();
    assert_eq!(config.api.listen.port(), 8443);
    assert!(config.storage.url.starts_with("sqlite:/"), "relative to the file: {}", config.storage.url);
    assert!(!config.relay.allow_loopback);
}

#[test]
fn every_mistake_is_named_at_once() {
    let text = r#"
surprise = 1
[gateway]
oin = "123"
[api]
listen = "nowhere"
max_body_bytes = "many"
certificate = "a.pem"
private_key = "a.key"
[oauth]
assertion_audience = "anyone"
[pki]
"#;
    let error = load_text(text, &[]).unwrap_err();
    let keys: Vec<_> = error.mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "gateway.oin",
            "gateway.public_url",
            "api.listen",
            "api.max_body_bytes",
            "pki.ca_certificate",
            "oauth.assertion_audience",
            "surprise"
        ]
    );
    // Who only asks what is wrong hears of the keys with the rest, and not once the rest is mended.
    let asked = with_text(text, |file| check(file, [])).unwrap_err();
    let more: Vec<_> = asked.mistakes.iter().map(|mistake| mistake.key.as_str()).skip(keys.len()).collect();
    assert_eq!(more, ["keys.key_encryption_key_file", "keys.pseudonym_key_file"]);
}

#[test]
fn the_environment_overrides_the_file_and_a_secret_in_it_is_not_printed() {
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let environment = [("SLUIS_API__LISTEN", "127.0.0.1:9"), ("SLUIS_KEYS__PSEUDONYM_KEY", secret)];
    let config = load_text(LEAST, &environment).unwrap();
    assert_eq!(config.api.listen.port(), 9);
    assert!(!format!("{config:?}").contains(&secret[..16]));
    let error =
        load_text(LEAST, &[("SLUIS_KEYS__PSEUDONYM_KEY", "hunter2"), ("SLUIS_API__NONSENSE", "1")]).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(error.mistakes.len(), 2);
}

#[test]
fn a_syntax_error_names_the_line_but_does_not_repeat_it() {
    let error = load_text("[gateway]\noin = \"hunter2", &[]).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn the_example_file_is_valid_and_names_every_default() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sluis.example.toml");
    let config = load(&example, []).unwrap();
    let least = load_text(LEAST, &[]).unwrap();
    assert_eq!(config.api.max_body_bytes, least.api.max_body_bytes);
    assert_eq!(format!("{:?}", config.oauth), format!("{:?}", least.oauth));
    assert_eq!(format!("{:?}", config.log), format!("{:?}", least.log));
    assert_eq!(config.storage.readers, least.storage.readers);
    assert_eq!(config.storage.writers, least.storage.writers);
    assert_eq!(config.pki.certificate_days, least.pki.certificate_days);
    assert_eq!(config.relay.give_up_after, least.relay.give_up_after);
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", least.limits));
    assert_eq!(format!("{:?}", config.operations), format!("{:?}", least.operations));
    assert_eq!((config.api.drain_delay, config.api.shutdown), (least.api.drain_delay, least.api.shutdown));
}

#[test]
fn the_example_file_names_every_limit() {
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sluis.example.toml")).unwrap();
    let document: toml::Table = example.parse().unwrap();
    let given: Vec<&str> = document["limits"].as_table().unwrap().keys().map(String::as_str).collect();
    // Asking for a key that does not exist names all that do.
    let error = load_text(&format!("{LEAST}[limits]\nsurprise = 1\n"), &[]).unwrap_err().to_string();
    let mut known: Vec<&str> = error.trim().rsplit(": ").next().unwrap().split(", ").collect();
    known.sort_unstable();
    let mut sorted = given.clone();
    sorted.sort_unstable();
    assert_eq!(known, sorted);
}

#[test]
fn the_operators_listener_can_be_moved_and_switched_off_but_not_misspelled() {
    let listen = |value: &str| load_text(&format!("{LEAST}[operations]\nlisten = \"{value}\"\n"), &[]);
    assert_eq!(load_text(LEAST, &[]).unwrap().operations.listen, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(listen("off").unwrap().operations.listen, None);
    assert_eq!(listen("").unwrap().operations.listen, None);
    assert_eq!(listen("10.0.0.7:9000").unwrap().operations.listen, Some("10.0.0.7:9000".parse().unwrap()));
    assert!(listen("on").is_err());
}

#[test]
fn a_rate_of_nought_is_no_limit_and_a_limit_of_nought_is_a_mistake() {
    let limits = |text: &str| load_text(&format!("{LEAST}[limits]\n{text}\n"), &[]);
    assert_eq!(limits("organisation_requests_per_second = 0").unwrap().limits.organisation, None);
    let rate = limits("organisation_burst = 7").unwrap().limits.organisation.unwrap();
    assert_eq!((rate.per_second.get(), rate.burst.get()), (2_000, 7));
    for mistake in ["connections = 0", "concurrent_requests = 0", "organisation_burst = 0", "header_bytes = 1"] {
        assert!(limits(mistake).is_err(), "{mistake}");
    }
}

#[test]
fn the_key_store_is_a_database_of_its_own_and_on_a_server_it_must_be_named() {
    let storage = |text: &str| load_text(&format!("{LEAST}[storage]\n{text}\n"), &[]);
    let keys = |text: &str| storage(text).unwrap().key_store.url;
    assert!(load_text(LEAST, &[]).unwrap().key_store.url.ends_with("/sluis-keys.db"));
    assert!(keys("url = \"sqlite:gateway.sqlite\"").ends_with("/gateway-keys.sqlite"));
    assert!(keys("keys_url = \"sqlite:apart/k.db\"").ends_with("/apart/k.db"));
    let server = "url = \"postgres://gateway@localhost/sluis\"";
    for wrong in [
        server.to_owned(),
        format!("{server}\nkeys_url = \"postgres://gateway@localhost/sluis\""),
        "keys_url = \"sqlite:sluis.db\"".to_owned(),
        "keys_url = \"keys.db\"".to_owned(),
    ] {
        let error = storage(&wrong).unwrap_err();
        let named: Vec<_> = error.mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(named, ["storage.keys_url"], "{wrong}");
    }
    let apart = format!("{server}\nkeys_url = \"postgres://keeper@elsewhere/keys\"");
    assert_eq!(keys(&apart), "postgres://keeper@elsewhere/keys");
}
