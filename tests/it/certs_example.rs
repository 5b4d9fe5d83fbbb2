//! The commands in `certs-example/README.md` are run as they stand there, by the program that was just built.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MARK: &str = "<!-- tested -->";

/// The command blocks that are marked as tested, in order.
fn blocks(readme: &str) -> Vec<String> {
    readme
        .split(MARK)
        .skip(1)
        .map(|rest| {
            let body = rest.trim_start().strip_prefix("```sh\n").expect("a block of commands follows the mark");
            body.split("```").next().unwrap().to_owned()
        })
        .collect()
}

/// A folder with the example's files, and `sluis` on the path.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("sluis-certs-example-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sluis"), folder.join("bin/sluis")).unwrap();
        for file in ["gateway.toml", "organisation.cnf"] {
            std::fs::copy(example().join(file), folder.join(file)).unwrap();
        }
        Self(folder)
    }

    fn run(&self, commands: &str) -> Output {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", commands]).current_dir(&self.0).env("PATH", path);
        shell.output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certs-example")
}

#[test]
fn the_commands_of_the_readme_work_as_written() {
    if !Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "the openssl command is missing");
        eprintln!("NOT RUN: the commands of certs-example need the openssl command (apt-get install openssl)");
        return;
    }
    let readme = std::fs::read_to_string(example().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert_eq!(blocks.len(), 7, "one marked block in each numbered section");
    let place = Place::new();
    for block in &blocks {
        let output = place.run(block);
        assert!(
            output.status.success(),
            "{block}\nended with {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    again_is_refused(&place);
}

/// What the commands must not do, in the folder that they left behind.
fn again_is_refused(place: &Place) {
    let before = std::fs::read(place.0.join("pki/ca.pem")).unwrap();
    for (command, reason) in [
        ("sluis pki init --config gateway.toml", "is not overwritten"),
        ("sluis pki server --config gateway.toml", "is not overwritten"),
        (
            "sluis pki issue --config gateway.toml --csr request.pem --organisation kredietbank --out certificate.pem",
            "is not overwritten",
        ),
        (
            "sluis pki issue --config gateway.toml --csr request.pem --organisation nobody --out n.pem",
            "no organisation is called",
        ),
        (
            "sluis pki issue --config gateway.toml --csr certificate.pem --organisation kredietbank --out n.pem",
            "signing request",
        ),
        ("sluis pki revoke 00ff --config gateway.toml", "not-found"),
        (
            "sluis pki revoke \"$(openssl x509 -in certificate.pem -noout -serial | cut -d= -f2)\" --config gateway.toml",
            "already",
        ),
        ("sluis organisation add kredietbank --config gateway.toml --oin 00000099000000006000 --name K", "already"),
        (
            "sluis organisation retire kredietbank --config gateway.toml && sluis organisation resume kredietbank --config gateway.toml",
            "for good",
        ),
        (
            "sluis pki issue --config gateway.toml --csr request.pem --organisation kredietbank --out n.pem",
            "does not take part",
        ),
    ] {
        let output = place.run(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains(reason), "{command}: {said}");
    }
    assert_eq!(std::fs::read(place.0.join("pki/ca.pem")).unwrap(), before);
    assert!(!place.0.join("n.pem").exists());
}

#[test]
fn the_example_holds_public_files_only() {
    for folder in [example(), example().join("example")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                assert!(!text.contains("PRIVATE KEY"), "{} holds a private key", path.display());
            }
        }
    }
}
