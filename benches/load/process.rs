//! What the kernel says of a process: memory, threads, processor time (Linux, `/proc`).

use std::time::Duration;

use crate::Outcome;

/// Of one process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub resident: u64,
    /// The most that it ever was, in KiB.
    pub peak: u64,
    /// Threads.
    pub threads: u64,
}

/// What this process uses now.
pub fn usage(pid: u32) -> Outcome<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let (Some(resident), Some(peak), Some(threads)) = (number("VmRSS:"), number("VmHWM:"), number("Threads:")) else {
        return Err("the kernel tells nothing of the process".into());
    };
    Ok(Usage { resident, peak, threads })
}

/// Processor time of a process so far, in user and kernel mode.
pub fn busy(pid: u32) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold spaces; utime and stime are the 14th and 15th field.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1_000 / ticks_per_second()))
}

fn ticks_per_second() -> u64 {
    let told = std::process::Command::new("getconf").arg("CLK_TCK").output().ok();
    told.and_then(|told| String::from_utf8(told.stdout).ok()?.trim().parse().ok()).unwrap_or(100)
}
