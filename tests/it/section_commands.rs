//! `sluis section` as a partner uses it, against a running gateway.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::app::{KREDIETBANK, SMOW, TestApp, consent};
use crate::encryption::{DEBTS, named, referral, wrong};

const BANK: &[&str] =
    &["--cert", "organisations/kredietbank/certificate.pem", "--cert-key", "organisations/kredietbank/private-key.pem"];
const OF_SMOW: &[&str] =
    &["--cert", "organisations/smow/certificate.pem", "--cert-key", "organisations/smow/private-key.pem"];
const PARTIES: &[&str] = &["--sender", SMOW, "--recipient", KREDIETBANK, "--purpose", "debt-counselling"];
const PINNED: &[&str] = &["--recipient-cert", "organisations/kredietbank/certificate.pem"];
const FINANCE: &[&str] = &["--category", "finance", "--in", "finance.json"];

/// The machine of a partner, with the demo's folder on it.
struct Machine {
    folder: PathBuf,
    /// How to reach the gateway.
    at: [String; 4],
}

impl Machine {
    fn of(app: &TestApp) -> Self {
        let at = ["--url", app.app().issuer(), "--ca", "ca.pem"].map(str::to_owned);
        let machine = Self { folder: app.folder.clone(), at };
        machine.write("finance.json", DEBTS);
        machine
    }

    fn at(&self) -> [&str; 4] {
        self.at.each_ref().map(String::as_str)
    }

    fn run(&self, arguments: &[&[&str]]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        command.arg("section").args(arguments.concat()).current_dir(&self.folder).output().unwrap()
    }

    /// What the command prints, which succeeds.
    fn fine(&self, arguments: &[&[&str]]) -> Vec<u8> {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        output.stdout
    }

    /// What the command complains of.
    fn failed(&self, arguments: &[&[&str]]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        said
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(file)).unwrap()
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&self.read(file)).unwrap()
    }

    fn write(&self, file: &str, content: &[u8]) {
        std::fs::write(self.folder.join(file), content).unwrap();
    }

    fn mode(&self, file: &str) -> u32 {
        std::fs::metadata(self.folder.join(file)).unwrap().permissions().mode() & 0o777
    }

    /// The bank's first key, made and published.
    fn publish(&self) {
        self.fine(&[&["key", "--kid", "sections-2026", "--out", "sections.jwk", "--set", "keys.json"], BANK]);
        self.fine(&[&["publish", "--set", "keys.json"], BANK, &self.at()]);
    }
}

async fn consented(app: &TestApp) {
    let given = app.post("smow", "/v1/consents", consent(app, KREDIETBANK, "debt-counselling", &["finance"])).await;
    assert_eq!(given.status, 201, "{}", given.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_makes_a_key_publishes_it_encrypts_and_decrypts_with_the_commands() {
    let app = TestApp::start().await;
    let machine = Machine::of(&app);
    machine.publish();
    assert_eq!(machine.mode("sections.jwk"), 0o600);
    let public = String::from_utf8(machine.read("keys.json")).unwrap();
    assert!(!public.contains(machine.json("sections.jwk")["d"].as_str().unwrap()));
    let again = machine.failed(&[&["key", "--kid", "k", "--out", "sections.jwk", "--set", "other.json"], BANK]);
    assert!(again.contains("is not overwritten"), "{again}");

    machine.fine(&[&["encrypt", "--out", "section.json"], PARTIES, FINANCE, PINNED, OF_SMOW, &machine.at()]);
    consented(&app).await;
    let created = app.post("smow", "/v1/referrals", referral("reject", json!([machine.json("section.json")]))).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let given = app.get("kredietbank", format!("{}/sections", created.headers["location"])).await;
    let given = given.body["sections"][0].to_string();
    machine.write("given.json", given.as_bytes());
    let decrypting: &[&str] = &["decrypt", "--key", "sections.jwk", "--in", "given.json"];
    assert_eq!(machine.fine(&[decrypting, PARTIES]), DEBTS, "byte for byte");
    machine.fine(&[decrypting, PARTIES, &["--out", "opened.json"]]);
    assert_eq!((machine.mode("opened.json"), machine.read("opened.json")), (0o600, DEBTS.to_vec()));

    // A label that was swapped on the way is found out, and nothing is printed.
    let swapped = given.replace("\"category\":\"finance\"", "\"category\":\"housing\"");
    assert_ne!(swapped, given);
    machine.write("swapped.json", swapped.as_bytes());
    let output = machine.run(&[&["decrypt", "--key", "sections.jwk", "--in", "swapped.json"], PARTIES]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{said}");
    assert!(said.contains("bound to something else") && !said.contains("18400"), "{said}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_encrypted_to_a_key_of_which_the_sender_does_not_know_whose_it_is() {
    let app = TestApp::start().await;
    let machine = Machine::of(&app);
    machine.publish();
    let to_stdout: &[&str] = &["encrypt", "--recipient-keys", "keys.json"];
    let another: &[&str] = &["--recipient-cert", "organisations/smow/certificate.pem"];
    assert!(machine.failed(&[to_stdout, PARTIES, FINANCE, another]).contains("ask the recipient"));
    let thumbprint: &[&str] = &["--recipient-thumbprint", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"];
    assert!(machine.failed(&[to_stdout, PARTIES, FINANCE, thumbprint]).contains("ask the recipient"));
    let nothing = machine.run(&[to_stdout, PARTIES, FINANCE]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(2), 0), "something must be known");
    machine.fine(&[to_stdout, PARTIES, FINANCE, &["--authority", "ca.pem"]]);
    // For another organisation than the set is of, and what is no content.
    let for_smow = ["--sender", SMOW, "--recipient", SMOW, "--purpose", "debt-counselling"];
    assert!(machine.failed(&[to_stdout, &for_smow, FINANCE, PINNED]).contains("another OIN"));
    machine.write("text.json", b"\"only a text\"");
    let text: &[&str] = &["--category", "finance", "--in", "text.json"];
    assert!(machine.failed(&[to_stdout, PARTIES, text, PINNED]).contains("JSON object"));
    let large = json!({ "text": "x".repeat(800_000) }).to_string();
    machine.write("large.json", large.as_bytes());
    let large: &[&str] = &["--category", "finance", "--in", "large.json"];
    assert!(machine.failed(&[to_stdout, PARTIES, large, PINNED]).contains("1 MiB"));
    // The set is signed with the key of the certificate, or not at all.
    let mixed =
        ["--cert", "organisations/kredietbank/certificate.pem", "--cert-key", "organisations/smow/private-key.pem"];
    let refused = machine.failed(&[&["key", "--kid", "k", "--out", "k.jwk", "--set", "k.json"], &mixed]);
    assert!(refused.contains("does not belong to the certificate"), "{refused}");
    assert!(!machine.folder.join("k.jwk").exists() && !machine.folder.join("k.json").exists());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_keys_follow_each_other_with_the_commands() {
    let app = TestApp::start().await;
    let machine = Machine::of(&app);
    machine.publish();
    consented(&app).await;
    machine.fine(&[&["encrypt", "--out", "to-old.json"], PARTIES, FINANCE, PINNED, OF_SMOW, &machine.at()]);
    let next: &[&str] =
        &["key", "--kid", "sections-2027", "--curve", "x25519", "--former", "keys.json", "--out", "next.jwk"];
    machine.fine(&[next, &["--set", "next.json"], BANK]);
    machine.fine(&[&["publish", "--set", "next.json"], BANK, &machine.at()]);
    let next = machine.json("next.json");
    let keys: Vec<_> = next["keys"].as_array().unwrap().iter().map(|key| (&key["kid"], key["exp"].is_i64())).collect();
    assert_eq!(keys, [(&json!("sections-2027"), false), (&json!("sections-2026"), true)], "the former one has an end");
    let section = machine.fine(&[&["encrypt"], PARTIES, FINANCE, PINNED, OF_SMOW, &machine.at()]);
    machine.write("to-new.json", &section);
    let both: &[&str] = &["decrypt", "--key", "sections.jwk", "--key", "next.jwk"];
    for file in ["to-old.json", "to-new.json"] {
        assert_eq!(machine.fine(&[both, &["--in", file], PARTIES]), DEBTS, "{file}");
    }
    let old_alone = machine.failed(&[&["decrypt", "--key", "sections.jwk", "--in", "to-new.json"], PARTIES]);
    assert!(old_alone.contains("not at hand"), "{old_alone}");
    let send =
        async || app.post("smow", "/v1/referrals", referral("reject", json!([machine.json("to-old.json")]))).await;
    assert_eq!(send().await.status, 201, "still accepted");
    let retire: &[&str] = &["renew", "--former", "next.json", "--retire", "sections-2026", "--set", "renewed.json"];
    machine.fine(&[retire, BANK]);
    machine.fine(&[&["publish", "--set", "renewed.json"], BANK, &machine.at()]);
    assert_eq!(wrong(&send().await), named("sections[0].jwe.kid", "retired-key"));
    let unknown = machine.failed(&[&["renew", "--former", "next.json", "--retire", "x", "--set", "x.json"], BANK]);
    assert!(unknown.contains("no key is called x"), "{unknown}");
    // The gateway says what is wrong with a set.
    let mut changed = machine.json("renewed.json");
    changed["keys"][0]["kid"] = json!("another");
    machine.write("changed.json", changed.to_string().as_bytes());
    let refused = machine.failed(&[&["publish", "--set", "changed.json"], BANK, &machine.at()]);
    assert!(refused.contains("signed: expected the same keys"), "{refused}");
    app.finish().await;
}
