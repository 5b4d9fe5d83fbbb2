//! From a file and the environment to a [`Config`], or to the list of everything that is wrong with them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use super::keys::{Mistake, Section};
use super::secrets::EnvironmentKeys;
use super::{
    AnchorSettings, ApiSettings, AssertionAudience, Config, GatewaySettings, KeySettings, LogSettings, OauthSettings,
    OperationsSettings, PkiSettings, PolicySettings, RelaySettings, limits,
};
use crate::storage::StorageSettings;
use crate::storage::seal::Key;

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file that was read.
    pub file: PathBuf,
    /// All mistakes, in the order of the file's sections.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}: {mistake}", self.file.display())?;
        }
        Ok(())
    }
}

/// Reads the file, lets `environment` override it, and checks all of it.
///
/// # Errors
/// Every mistake at once, each with its key and what was expected.
pub fn load(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    load_with(file, environment, |_| Vec::new())
}

/// The same for who only asks what is wrong, and hears of the keys with the rest.
///
/// # Errors
/// As [`load`], with what is wrong with the keys where anything else is.
pub fn check(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    load_with(file, environment, |keys| keys.read().err().unwrap_or_default())
}

fn load_with(
    file: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    look_at: fn(&KeySettings) -> Vec<Mistake>,
) -> Result<Config, ConfigError> {
    let fail = |mistakes| ConfigError { file: file.to_owned(), mistakes };
    let text = std::fs::read_to_string(file)
        .map_err(|error| fail(vec![Mistake { key: "file".into(), reason: super::unreadable(&error) }]))?;
    let mut document: Table = text.parse().map_err(|error: toml::de::Error| {
        // Only the place and the library's message, never the line itself: it may hold a secret.
        let line = error.span().map_or(0, |span| text.get(..span.start).map_or(0, |head| head.lines().count().max(1)));
        fail(vec![Mistake { key: format!("line {line}"), reason: error.message().to_owned() }])
    })?;
    let mut mistakes = Vec::new();
    let secrets = apply_environment(&mut document, environment, &mut mistakes);
    let base = file.parent().unwrap_or_else(|| Path::new("."));
    match read(&mut document, base, secrets, &mut mistakes, look_at) {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(fail(mistakes)),
    }
}

fn apply_environment(
    document: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Vec<Mistake>,
) -> EnvironmentKeys {
    let mut secrets = EnvironmentKeys::default();
    for (name, value) in environment {
        let Some(path) = name.strip_prefix("SLUIS_") else { continue };
        let Some((section, key)) = path.split_once("__") else { continue };
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        let slot = match (section.as_str(), key.as_str()) {
            ("keys", "key_encryption_key") => &mut secrets.key_encryption_key,
            ("keys", "pseudonym_key") => &mut secrets.pseudonym_key,
            _ => {
                let table = document.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(table) = table {
                    table.insert(key, Value::String(value));
                }
                continue;
            }
        };
        *slot = Key::from_hex(&value);
        if slot.is_none() {
            mistakes.push(Mistake { key: name, reason: "expected 64 hexadecimal digits".into() });
        }
    }
    secrets
}

fn read(
    document: &mut Table,
    base: &Path,
    secrets: EnvironmentKeys,
    mistakes: &mut Vec<Mistake>,
    look_at: fn(&KeySettings) -> Vec<Mistake>,
) -> Option<Config> {
    let gateway = read_gateway(Section::take(document, "gateway", base, mistakes));
    let api = read_api(Section::take(document, "api", base, mistakes));
    let limits = limits::read(Section::take(document, "limits", base, mistakes));
    let operations = read_operations(Section::take(document, "operations", base, mistakes));
    let (storage, key_store) = read_storage(Section::take(document, "storage", base, mistakes));
    let keys = read_keys(Section::take(document, "keys", base, mistakes), secrets);
    let pki = read_pki(Section::take(document, "pki", base, mistakes));
    let oauth = read_oauth(Section::take(document, "oauth", base, mistakes));
    let policies = read_policies(Section::take(document, "policies", base, mistakes));
    let relay = read_relay(Section::take(document, "relay", base, mistakes));
    let log = read_log(Section::take(document, "log", base, mistakes));
    for name in document.keys() {
        mistakes.push(Mistake {
            key: name.clone(),
            reason:
                "is unknown; the sections are: gateway, api, limits, operations, storage, key_store, keys, pki, oauth, \
                     policies, relay, log"
                    .into(),
        });
    }
    // Whoever mends the rest would find out of the keys only then.
    if !mistakes.is_empty() {
        mistakes.extend(look_at(&keys));
    }
    let (gateway, api, pki) = (gateway?, api?, pki?);
    Some(Config { gateway, api, limits, operations, storage, key_store, keys, pki, oauth, policies, relay, log })
}

fn read_gateway(mut section: Section<'_>) -> Option<GatewaySettings> {
    let oin = section.required("oin", "the gateway's OIN (20 characters)");
    let public_url = section.required::<url::Url>("public_url", "an https address such as https://sluis.example.nl");
    if let Some(url) = &public_url
        && (url.scheme() != "https" || url.path() != "/" || url.query().is_some() || !url.username().is_empty())
    {
        section.mistake("public_url", "expected an https address without a path, such as https://sluis.example.nl");
    }
    section.finish();
    Some(GatewaySettings { oin: oin?, public_url: public_url? })
}

fn read_api(mut section: Section<'_>) -> Option<ApiSettings> {
    let listen = section.parsed("listen", "an address with a port, such as 0.0.0.0:8443");
    let certificate = required_path(&mut section, "certificate", "the server certificate (PEM)");
    let private_key = required_path(&mut section, "private_key", "the server's private key (PEM)");
    let allow_tls12 = section.flag("allow_tls12", false);
    let max_body_bytes = section.number("max_body_bytes", 5 * 1024 * 1024, 1024, 64 * 1024 * 1024);
    let workers = section.number("workers", 0, 0, 256);
    let drain_delay = Duration::from_secs(section.number("drain_delay_seconds", 0, 0, 600));
    let shutdown = Duration::from_secs(section.number("shutdown_seconds", 30, 0, 600));
    section.finish();
    Some(ApiSettings {
        listen: listen.unwrap_or_else(|| ([0, 0, 0, 0], 8443).into()),
        certificate: certificate?,
        private_key: private_key?,
        allow_tls12,
        max_body_bytes: usize::try_from(max_body_bytes).unwrap_or(usize::MAX),
        workers: usize::try_from(workers).unwrap_or(0),
        drain_delay,
        shutdown,
    })
}

fn read_operations(mut section: Section<'_>) -> OperationsSettings {
    let listen = match section.text("listen") {
        None => Some(([127, 0, 0, 1], 9090).into()),
        Some(text) if text.is_empty() || text == "off" => None,
        Some(text) => {
            let listen = text.parse().ok();
            if listen.is_none() {
                section.mistake("listen", "expected an address with a port, such as 127.0.0.1:9090, or off");
            }
            listen
        }
    };
    section.finish();
    OperationsSettings { listen }
}

fn required_path(section: &mut Section<'_>, key: &'static str, what: &str) -> Option<PathBuf> {
    let path = section.path(key);
    if path.is_none() {
        section.mistake(key, format!("is missing; expected the path of {what}"));
    }
    path
}

/// The gateway's database and the key store.
fn read_storage(mut section: Section<'_>) -> (StorageSettings, StorageSettings) {
    let url = section.text("url").unwrap_or_else(|| "sqlite:sluis.db".into());
    let url = read_address(&mut section, "url", url);
    let keys_url = match section.text("keys_url") {
        Some(keys_url) => read_address(&mut section, "keys_url", keys_url),
        None => beside(&url).unwrap_or_else(|| {
            let expected = "is missing; expected the address of the key store, a database other than that of url: whoever \
                            backs up the one must be able to leave the other out";
            section.mistake("keys_url", expected);
            String::new()
        }),
    };
    if keys_url == url {
        section.mistake("keys_url", "expected another database than that of url");
    }
    let readers = section.number("readers", 8, 1, 256);
    let writers = section.number("writers", 4, 1, 64);
    section.finish();
    let settings = StorageSettings {
        url,
        readers: u32::try_from(readers).unwrap_or(8),
        writers: usize::try_from(writers).unwrap_or(1),
    };
    let key_store = StorageSettings { url: keys_url, writers: 1, ..settings.clone() };
    (settings, key_store)
}

fn read_address(section: &mut Section<'_>, key: &'static str, url: String) -> String {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return format!("sqlite:{}", section.base().join(path).display());
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        section.mistake(key, "expected sqlite:PATH or postgres://USER@HOST:PORT/DATABASE");
    }
    url
}

/// The key store of an embedded database: a file beside it. On a server nobody can tell where it should be, so there it must be said.
fn beside(url: &str) -> Option<String> {
    let path = Path::new(url.strip_prefix("sqlite:")?);
    let stem = path.file_stem()?.to_str()?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("db");
    Some(format!("sqlite:{}", path.with_file_name(format!("{stem}-keys.{extension}")).display()))
}

fn read_keys(mut section: Section<'_>, from_environment: EnvironmentKeys) -> KeySettings {
    let settings = KeySettings {
        key_encryption_key_file: section.path("key_encryption_key_file"),
        former_key_encryption_key_files: section.paths("former_key_encryption_key_files"),
        pseudonym_key_file: section.path("pseudonym_key_file"),
        from_environment,
    };
    section.finish();
    settings
}

fn read_pki(mut section: Section<'_>) -> Option<PkiSettings> {
    let ca_certificate =
        required_path(&mut section, "ca_certificate", "the certification authority's certificate (PEM)");
    let ca_private_key = section.path("ca_private_key");
    let certificate_days = section.number("certificate_days", 365, 1, 366);
    let crl_hours = section.number("crl_hours", 24, 1, 24 * 30);
    let tables = section.tables("anchors");
    let anchors = tables.into_iter().filter_map(|table| read_anchor(&mut section, table)).collect();
    section.finish();
    Some(PkiSettings {
        ca_certificate: ca_certificate?,
        ca_private_key,
        certificate_days: u32::try_from(certificate_days).unwrap_or(365),
        crl_hours: u32::try_from(crl_hours).unwrap_or(24),
        anchors,
    })
}

fn read_anchor(parent: &mut Section<'_>, table: Table) -> Option<AnchorSettings> {
    let base = parent.base();
    let mut mistakes = Vec::new();
    let mut wrapped = Table::from_iter([("pki.anchors".to_owned(), Value::Table(table))]);
    let mut section = Section::take(&mut wrapped, "pki.anchors", base, &mut mistakes);
    let name = section.required::<String>("name", "a name for messages");
    let certificate = required_path(&mut section, "certificate", "the anchor's certificate chain (PEM)");
    let crl = required_path(&mut section, "crl", "the anchor's revocation list");
    let texts = section.texts("oins");
    let oins: Vec<_> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    if oins.is_empty() || oins.len() != texts.len() {
        section.mistake("oins", "expected the OINs that this anchor may vouch for, at least one");
    }
    section.finish();
    for mistake in mistakes {
        parent.mistake(mistake.key.strip_prefix("pki.").unwrap_or(&mistake.key), mistake.reason);
    }
    Some(AnchorSettings { name: name?, certificate: certificate?, crl: crl?, oins })
}

fn read_oauth(mut section: Section<'_>) -> OauthSettings {
    let settings = OauthSettings {
        token_lifetime: Duration::from_secs(section.number("token_lifetime_seconds", 300, 30, 6 * 3600)),
        assertion_audience: section.choice(
            "assertion_audience",
            &[
                ("both", AssertionAudience::Both),
                ("token-endpoint", AssertionAudience::TokenEndpoint),
                ("issuer", AssertionAudience::Issuer),
            ],
            AssertionAudience::Both,
        ),
        signing_key_lifetime: Duration::from_hours(24 * section.number("signing_key_lifetime_days", 90, 1, 3650)),
    };
    section.finish();
    settings
}

fn read_policies(mut section: Section<'_>) -> PolicySettings {
    let folder = section.path("folder").unwrap_or_else(|| section.base().join("policies"));
    section.finish();
    PolicySettings { folder }
}

fn read_relay(mut section: Section<'_>) -> RelaySettings {
    let settings = RelaySettings {
        allow_loopback: section.flag("allow_loopback", false),
        trusted_ca: section.paths("trusted_ca"),
        client_certificate: section.path("client_certificate"),
        client_private_key: section.path("client_private_key"),
        give_up_after: Duration::from_hours(section.number("give_up_after_hours", 72, 1, 24 * 14)),
    };
    if settings.client_certificate.is_some() != settings.client_private_key.is_some() {
        section.mistake("client_certificate", "needs client_private_key beside it, and the other way round");
    }
    section.finish();
    settings
}

fn read_log(mut section: Section<'_>) -> LogSettings {
    let json = section.choice("format", &[("human", false), ("json", true)], false);
    let filter = section.text("filter").unwrap_or_else(|| "info,actix_server=warn".into());
    if filter.parse::<tracing_subscriber::filter::EnvFilter>().is_err() {
        section.mistake("filter", "expected filter directives such as info or sluis=debug,info");
    }
    section.finish();
    LogSettings { json, filter }
}
