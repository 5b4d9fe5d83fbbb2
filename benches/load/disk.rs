//! What the disk can do: the floor below which no durable write goes.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::statistics::{Measured, micros};

/// Appends 8 KiB and waits until they are on disk (`fdatasync`), again and again, in this folder.
pub fn durable_appends(folder: &Path, time: Duration) -> Outcome<Measured> {
    let path = folder.join("durable-appends");
    let mut file = std::fs::File::create(&path)?;
    let block = [0x5a_u8; 8 * 1024];
    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed() < time {
        let sent = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        latencies.push(micros(sent.elapsed()));
    }
    let took = start.elapsed();
    std::fs::remove_file(&path)?;
    Measured::of(latencies, took).ok_or_else(|| "nothing could be written".into())
}
