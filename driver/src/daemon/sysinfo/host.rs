//! The constant figures of the host: its platform in Go's names, and its CPUs. Clients of this API
//! match on those names (Contract §1, §9).

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;

/// The operating system as Go names it: `linux`, `darwin`, `windows` …
pub(crate) fn go_os() -> &'static str {
    go_os_of(OS)
}

/// The architecture as Go names it: `amd64`, `arm64`, `386` …
pub(crate) fn go_arch() -> &'static str {
    go_arch_of(ARCH, cfg!(target_endian = "little"))
}

/// The CPUs that this process may use, at least 1, as they were at the first call. A container's CPU
/// quota counts; in Go it does not.
pub(crate) fn cpu_count() -> usize {
    // The system has to read several files of cgroups for it.
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *COUNT
}

/// Most names are the same.
fn go_os_of(os: &'static str) -> &'static str {
    match os {
        "macos" => "darwin",
        other => other,
    }
}

fn go_arch_of(arch: &'static str, little_endian: bool) -> &'static str {
    match (arch, little_endian) {
        ("x86_64", _) => "amd64",
        ("x86", _) => "386",
        ("aarch64", _) => "arm64",
        ("loongarch64", _) => "loong64",
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        ("powerpc", _) => "ppc",
        ("mips", true) => "mipsle",
        ("mips64", true) => "mips64le",
        ("wasm32", _) => "wasm",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_their_go_names() {
        let systems = ["linux", "macos", "freebsd", "windows"].map(go_os_of);
        assert_eq!(systems, ["linux", "darwin", "freebsd", "windows"]);
        let little = ["x86_64", "x86", "aarch64", "arm", "riscv64", "powerpc64", "mips64"];
        let names = ["amd64", "386", "arm64", "arm", "riscv64", "ppc64le", "mips64le"];
        assert_eq!(little.map(|arch| go_arch_of(arch, true)), names);
        let big = ["s390x", "powerpc64", "mips64"].map(|arch| go_arch_of(arch, false));
        assert_eq!(big, ["s390x", "ppc64", "mips64"]);
        assert!(cpu_count() >= 1);
    }
}
