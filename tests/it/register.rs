//! `sluis covenant render`, as an operator types it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn render(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
    command.current_dir(folder).args(["covenant", "render"]).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder of its own with a copy of the policies.
fn copied(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sluis-render-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("policies/invariants")).unwrap();
    for inside in ["", "invariants"] {
        for entry in std::fs::read_dir(policies().join(inside)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, folder.join("policies").join(inside).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    folder
}

#[test]
fn it_writes_the_document_to_standard_output_or_to_a_file_of_the_folder_or_the_covenant_in_it() {
    let folder = copied("written");
    let (of_folder, of_file) = (render(&folder, &["policies"]), render(&folder, &["policies/covenant.toml"]));
    assert_eq!(of_folder.status.code(), Some(0), "{}", text(&of_folder.stderr));
    assert_eq!(of_folder.stdout, of_file.stdout);
    let html = text(&of_folder.stdout);
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
    assert!(text(&of_folder.stderr).contains("places open; the document lists them"), "{}", text(&of_folder.stderr));

    let written = render(&folder, &["policies", "--out", "convenant.html"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    assert_eq!(std::fs::read_to_string(folder.join("convenant.html")).unwrap().trim_end(), html.trim_end());
    let checked =
        Command::new(env!("CARGO_BIN_EXE_sluis")).current_dir(&folder).args(["covenant", "check", "policies"]).output();
    let digest =
        text(&checked.unwrap().stdout).split_whitespace().find(|word| word.starts_with("sha-256:")).unwrap().to_owned();
    assert!(text(&written.stdout).contains(&digest) && html.contains(&digest), "the digest that is signed");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn without_a_folder_it_takes_the_one_of_the_configuration() {
    let folder = copied("configured");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sluis.example.toml");
    std::fs::copy(example, folder.join("sluis.toml")).unwrap();
    let (named, configured) = (render(&folder, &["policies"]), render(&folder, &[]));
    assert_eq!(configured.status.code(), Some(0), "{}", text(&configured.stderr));
    assert_eq!(named.stdout, configured.stdout);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_does_not_run_is_not_written_down_and_all_findings_are_named() {
    let folder = copied("wrong");
    let change = |file: &str, from: &str, to: &str| {
        let path = folder.join("policies").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    change("never.cedar", "@nl(\"Een partij verwijst niet naar zichzelf.\")\n", "");
    change("covenant.toml", "[register]\n", "[register]\nphone = \"070\"\n");
    let output = render(&folder, &["policies", "--out", "convenant.html"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("never.cedar: sender-is-not-recipient: needs @nl"), "{said}");
    assert!(said.contains("covenant.toml: register.phone: unknown key"), "{said}");
    assert!(!folder.join("convenant.html").exists());

    let missing = render(&folder, &["nowhere"]);
    assert_eq!((missing.status.code(), missing.stdout), (Some(1), Vec::new()));
    assert_eq!(render(&folder, &["policies", "--paper"]).status.code(), Some(2));
    std::fs::remove_dir_all(folder).unwrap();
}
