//! What the operating system says about this process.

/// The memory that the process occupies, in bytes; none where the system does not say it in `/proc`.
pub(super) fn resident_bytes() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmRSS` of `/proc/self/status`, which is in kibibytes whatever the size of a page.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tsluis\nVmRSS:\t   12345 kB\nThreads:\t4\n"), Some(12_345 * 1024));
        assert_eq!(resident("Name:\tsluis\n"), None);
        assert!(resident_bytes().is_none_or(|bytes| bytes > 1024 * 1024));
    }
}
