//! A covenant is published only when its invariants are proven, or when somebody says in so many words that they are not.
//!
//! What needs the solver says that it did not run where there is none.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::app::TestApp;

/// A program that is not there.
const NOWHERE: &str = "/nowhere/cvc5";

#[expect(clippy::print_stdout, reason = "whoever runs the tests is told what did not run")]
fn solver_is_there() -> bool {
    let program = std::env::var_os("CVC5").unwrap_or_else(|| "cvc5".into());
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "cvc5 is missing");
        println!("NOT RUN: what needs a proof; install cvc5 (apt-get install cvc5) or name it in CVC5");
    }
    there
}

/// Runs `sluis`; `solver` is the program that it finds.
fn sluis(app: Option<&TestApp>, solver: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
    command.args(arguments);
    if let Some(app) = app {
        command.arg("--config").arg(app.folder.join("sluis.toml")).env("SLUIS_STORAGE__URL", &app.storage);
    }
    if let Some(solver) = solver {
        command.env("CVC5", solver);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The published text under another version, in force from now, with one file changed.
async fn version(app: &TestApp, version: &str, file: &str, change: impl Fn(&str) -> String) -> Value {
    let page = app.get("privacy-officer", "/v1/covenants").await;
    let in_force = page.body["items"][0]["version"].as_str().unwrap().to_owned();
    let mut files = app.get("privacy-officer", format!("/v1/covenants/{in_force}")).await.body["files"].clone();
    files[file] = change(files[file].as_str().unwrap()).into();
    let renewed = |line: &str| match line.split(" = ").next() {
        Some("version") => format!("version = \"{version}\"\n"),
        Some("effective-from") => format!("effective-from = \"{}\"\n", app.app().now()),
        _ => format!("{line}\n"),
    };
    files["covenant.toml"] = files["covenant.toml"].as_str().unwrap().lines().map(renewed).collect::<String>().into();
    files
}

/// Lets a health worker's words reach the credit bank.
fn without_its_rule(rules: &str) -> String {
    let start = rules.find("@id(\"credit-bank-no-health\")").unwrap();
    let end = rules.find("@id(\"credit-bank-gives-core-and-finance\")").unwrap();
    format!("{}{}", &rules[..start], &rules[end..])
}

async fn last_record(app: &TestApp) -> Value {
    app.app().sequence().await.unwrap();
    let page = app.get("privacy-officer", "/v1/audit/records?kind=covenant&limit=1000").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let records = page.body["items"].as_array().unwrap();
    let published = records.iter().find(|record| record["action"].as_str().unwrap().starts_with("published"));
    published.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_covenant_that_breaks_an_invariant_is_not_published() {
    let app = TestApp::start().await;
    let broken = version(&app, "8.1", "never.cedar", without_its_rule).await;
    let refused = app.post("privacy-officer", "/v1/covenants", json!({ "files": broken })).await;
    if !solver_is_there() {
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("not-proven")), "{}", refused.text);
        return app.finish().await;
    }
    assert_eq!(refused.status, 400, "{}", refused.text);
    let named: Vec<_> = refused.body["invalidParams"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(named, ["invariants/credit-bank-never-health.cedar"], "{}", refused.text);
    let reason = refused.body["invalidParams"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("gives Kredietbank"), "{reason}");
    let page = app.get("privacy-officer", "/v1/covenants").await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "nothing was stored");

    // The same without the change: proven, recorded and shown.
    let sound = version(&app, "8.2", "never.cedar", str::to_owned).await;
    let published = app.post("privacy-officer", "/v1/covenants", json!({ "files": sound })).await;
    assert_eq!(published.status, 201, "{}", published.text);
    let proof = &published.body["proof"];
    assert!(proof["invariants"].as_u64().unwrap() >= 12, "{proof}");
    assert_eq!(&app.get("privacy-officer", "/v1/covenants/8.2").await.body["proof"], proof);
    let record = last_record(&app).await;
    assert_eq!((&record["action"], &record["facts"]["proof"]), (&json!("published"), proof), "{record}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_solver_nothing_is_published_unless_it_is_said_so_and_then_it_is_recorded() {
    let app = TestApp::start().await;
    let files = version(&app, "8.3", "never.cedar", str::to_owned).await;
    let folder = app.folder.join("next");
    std::fs::create_dir_all(folder.join("invariants")).unwrap();
    for (name, text) in files.as_object().unwrap() {
        std::fs::write(folder.join(name), text.as_str().unwrap()).unwrap();
    }
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/invariants")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join("invariants").join(path.file_name().unwrap())).unwrap();
    }
    let publish = ["covenant", "publish", folder.to_str().unwrap()];
    let refused = sluis(Some(&app), Some(NOWHERE), &publish);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("cvc5") && said.contains("--without-proof"), "{said}");
    assert_eq!(app.get("privacy-officer", "/v1/covenants/8.3").await.status, 404, "nothing was stored");

    let published = sluis(Some(&app), Some(NOWHERE), &[&publish[..], &["--without-proof"]].concat());
    assert!(published.status.success(), "{}", text(&published.stderr));
    assert!(text(&published.stdout).contains("WITHOUT PROOF"), "{}", text(&published.stdout));
    let status = sluis(Some(&app), Some(NOWHERE), &["covenant", "status"]);
    let line = text(&status.stdout).lines().find(|line| line.starts_with("8.3")).unwrap().to_owned();
    assert!(line.ends_with("WITHOUT PROOF"), "{line}");
    assert_eq!(app.get("kwadraad", "/v1/covenants/8.3").await.body["proof"], Value::Null);
    let page = app.get("privacy-officer", "/v1/audit/records?kind=covenant&limit=1000").await;
    let records = page.body["items"].as_array().unwrap();
    let of_it = |record: &&Value| record["resource"] == "/v1/covenants/8.3";
    let record = records.iter().find(of_it).expect("it is on record");
    assert_eq!(record["action"], "published-without-proof", "{record}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_publishes_over_the_api_without_proof_says_so_and_is_on_record() {
    let app = TestApp::start().await;
    let files = version(&app, "8.4", "never.cedar", without_its_rule).await;
    let body = json!({ "files": files, "withoutProof": true });
    let published = app.post("privacy-officer", "/v1/covenants", body).await;
    assert_eq!((published.status, &published.body["proof"]), (201, &Value::Null), "{}", published.text);
    let record = last_record(&app).await;
    assert_eq!(record["action"], "published-without-proof", "{record}");
    assert_eq!(record["resource"], "/v1/covenants/8.4");
    app.finish().await;
}

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

#[test]
fn without_a_solver_the_command_says_what_to_install_and_ends_with_2() {
    let folder = policies();
    let output = sluis(None, Some(NOWHERE), &["policy", "prove", "--policies", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("apt-get install cvc5"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "", "nothing is claimed");
}

#[test]
fn the_command_tells_people_and_programs_that_the_invariants_hold() {
    if !solver_is_there() {
        return;
    }
    let folder = policies();
    let prove = ["policy", "prove", "--policies", folder.to_str().unwrap()];
    let output = sluis(None, None, &[&prove[..], &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let proof: Value = serde_json::from_slice(&output.stdout).unwrap();
    let invariants = proof["invariants"].as_array().unwrap();
    assert!(invariants.iter().all(|invariant| invariant["outcome"] == "holds"), "{proof}");
    assert!(invariants.iter().any(|invariant| invariant["id"] == "credit-bank-never-health"));
    assert_eq!(proof["findings"], json!([]));
}
