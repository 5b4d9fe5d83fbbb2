//! The `sluis` program; everything it does is in the library.

fn main() -> std::process::ExitCode {
    sluis::cli::run()
}
