//! Figures from `/proc`. Owns which interfaces, disks and CPU times count; the file formats are the
//! `procfs` crate's. A file that cannot be read gives zeros and no word about it, as it would be the
//! same word every two seconds.

use std::path::Path;

use procfs::net::{DeviceStatus, InterfaceDeviceStatus};
use procfs::{CpuTime, Current, CurrentSI, DiskStat, DiskStats, KernelStats, Meminfo, Uptime};

use super::Sample;

/// Loopback, and the host side of containers and virtual machines, whose traffic is counted again
/// where it leaves the host.
const UNCOUNTED_INTERFACES: [&str; 6] = ["lo", "veth", "docker", "podman", "br-", "virbr"];

/// Devices in memory, and those built on other devices, whose traffic is counted there.
const UNCOUNTED_DISKS: [&str; 5] = ["loop", "ram", "zram", "dm-", "md"];

/// Disks whose partitions are a number after letters: `sda1`.
const LETTERED_DISKS: [&str; 5] = ["sd", "hd", "vd", "xvd", "dasd"];

/// The unit of `/proc/diskstats`, whatever a disk's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// Lists whole disks, partitions not among them.
const SYS_BLOCK: &str = "/sys/block";

/// Takes samples, and remembers the CPU times of the last one.
#[derive(Debug)]
pub(super) struct Probe {
    last: Option<Ticks>,
    cpu: i32,
}

impl Probe {
    /// Always there on Linux.
    pub(super) fn open() -> Option<Self> {
        Some(Self { last: None, cpu: 0 })
    }

    /// Reads everything; the CPU figure covers the time since the call before.
    pub(super) fn sample(&mut self) -> Sample {
        let mut sample = Sample { cpu: self.cpu_percent(), ..Sample::default() };
        if let Ok(memory) = Meminfo::current() {
            // Kernels before 3.14 do not report available memory; free memory is the closest
            // figure.
            let available = memory.mem_available.unwrap_or(memory.mem_free);
            sample.mem_total = memory.mem_total;
            sample.mem_used = memory.mem_total.saturating_sub(available);
            sample.swap_total = memory.swap_total;
            sample.swap_used = memory.swap_total.saturating_sub(memory.swap_free);
        }
        if let Ok(InterfaceDeviceStatus(interfaces)) = InterfaceDeviceStatus::current() {
            (sample.netrx, sample.nettx) = network_bytes(interfaces.values());
        }
        if let Ok(DiskStats(disks)) = DiskStats::current() {
            (sample.diskr, sample.diskw) = disk_bytes(&disks, Path::new(SYS_BLOCK));
        }
        // The fraction of a second is dropped.
        sample.sysup = Uptime::current().map_or(0, |time| time.uptime as u64);
        sample
    }

    fn cpu_percent(&mut self) -> i32 {
        let now = KernelStats::current().ok().map(|stats| Ticks::of(&stats.total));
        self.cpu = match (self.last, now) {
            // No tick between two samples: the figure before is the best there is.
            (Some(before), Some(now)) => busy_percent(before, now).unwrap_or(self.cpu),
            (None, _) | (_, None) => 0,
        };
        self.last = now;
        self.cpu
    }
}

/// CPU times since boot, over all CPUs.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    busy: u64,
    idle: u64,
}

impl Ticks {
    /// Waiting for a disk is idling. A guest's time is part of `user` and `nice` already.
    fn of(time: &CpuTime) -> Self {
        let sum = |parts: &[Option<u64>]| {
            parts.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part))
        };
        Self {
            busy: sum(&[
                Some(time.user),
                Some(time.nice),
                Some(time.system),
                time.irq,
                time.softirq,
                time.steal,
            ]),
            idle: sum(&[Some(time.idle), time.iowait]),
        }
    }
}

/// Rounded to the nearest; `None` if no time has passed. The kernel's idle counts may step back.
fn busy_percent(before: Ticks, now: Ticks) -> Option<i32> {
    let busy = u128::from(now.busy.saturating_sub(before.busy));
    let idle = u128::from(now.idle.saturating_sub(before.idle));
    let percent = (busy * 100 + (busy + idle) / 2).checked_div(busy + idle)?;
    Some(i32::try_from(percent).expect("a part is at most 100 percent of the whole"))
}

fn network_bytes<'a>(interfaces: impl Iterator<Item = &'a DeviceStatus>) -> (u64, u64) {
    interfaces.filter(|interface| is_counted_interface(&interface.name)).fold(
        (0, 0),
        |(received, sent), interface| {
            (
                received.saturating_add(interface.recv_bytes),
                sent.saturating_add(interface.sent_bytes),
            )
        },
    )
}

fn is_counted_interface(name: &str) -> bool {
    !UNCOUNTED_INTERFACES.iter().any(|prefix| name.starts_with(prefix))
}

fn disk_bytes(disks: &[DiskStat], sys_block: &Path) -> (u64, u64) {
    let listed = sys_block.is_dir();
    let (mut read, mut written) = (0_u64, 0_u64);
    for disk in disks {
        if UNCOUNTED_DISKS.iter().any(|prefix| disk.name.starts_with(prefix)) {
            continue;
        }
        // Names alone mislead (a Xen guest's `xvda1` may be a whole disk), so they come second.
        let whole = match listed {
            true => sys_block.join(disk.name.replace('/', "!")).exists(),
            false => !looks_like_partition(&disk.name),
        };
        if whole {
            read = read.saturating_add(disk.sectors_read.saturating_mul(SECTOR_BYTES));
            written = written.saturating_add(disk.sectors_written.saturating_mul(SECTOR_BYTES));
        }
    }
    (read, written)
}

/// `sda1`, `nvme0n1p1`, `mmcblk0p1`; not `sda`, `nvme0n1`, `mmcblk0`, `sr0`.
fn looks_like_partition(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    let numbered =
        stem.strip_suffix('p').is_some_and(|disk| disk.ends_with(|c: char| c.is_ascii_digit()));
    let lettered = LETTERED_DISKS.iter().any(|prefix| {
        stem.strip_prefix(prefix).is_some_and(|letters| {
            !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase())
        })
    });
    numbered || lettered
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::FromRead;

    fn ticks(busy: u64, idle: u64) -> Ticks {
        Ticks { busy, idle }
    }

    #[test]
    fn the_busy_share_is_that_of_the_time_between() {
        assert_eq!(busy_percent(ticks(10, 100), ticks(40, 170)), Some(30));
        assert_eq!(busy_percent(ticks(0, 0), ticks(2, 1)), Some(67));
        assert_eq!(busy_percent(ticks(0, 0), ticks(0, 9)), Some(0));
        assert_eq!(busy_percent(ticks(0, 0), ticks(u64::MAX, 0)), Some(100));
        assert_eq!(busy_percent(ticks(5, 5), ticks(5, 5)), None, "no time has passed");
        assert_eq!(busy_percent(ticks(5, 5), ticks(6, 4)), Some(100), "idle stepped back");
    }

    #[test]
    fn cpu_times_are_sorted_into_busy_and_idle() {
        let text = "cpu  1 2 4 8 16 32 64 128 256 512\nctxt 1\nbtime 1\nprocesses 1\n";
        let stats = procfs::FromReadSI::from_read(text.as_bytes(), procfs::current_system_info());
        let stats: KernelStats = stats.expect("the kernel's format");
        let got = Ticks::of(&stats.total);
        assert_eq!((got.busy, got.idle), (1 + 2 + 4 + 32 + 64 + 128, 8 + 16));
    }

    #[test]
    fn a_probe_reads_this_host() {
        let mut probe = Probe::open().expect("Linux");
        assert_eq!(probe.sample().cpu, 0, "one look gives no figure");
        let sample = probe.sample();
        assert!((0..=100).contains(&sample.cpu), "{sample:?}");
        let kib = std::fs::read_to_string("/proc/meminfo").expect("there is a /proc");
        let kib = kib.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        assert_eq!(Some(sample.mem_total), kib.map(|kib| kib * 1024), "bytes");
    }

    #[test]
    fn only_the_hosts_own_interfaces_count() {
        let line = |name: &str, rx: u64, tx: u64| {
            format!("{name}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n")
        };
        let mut text = "Inter-|\n face |\n".to_owned();
        for name in ["lo", "veth1a", "docker0", "podman1", "br-0f1e", "virbr0"] {
            text += &line(name, 1000, 1000);
        }
        text += &line("eth0", 1, 2);
        text += &line("br0", 4, 8);
        text += &line("wlp2s0", 16, u64::MAX);
        let interfaces = InterfaceDeviceStatus::from_read(text.as_bytes()).expect("the format");
        assert_eq!(network_bytes(interfaces.0.values()), (21, u64::MAX));
    }

    #[test]
    fn whole_disks_count_as_the_kernel_lists_them() {
        let mut text = String::new();
        for name in ["loop0", "ram0", "zram0", "dm-0", "md127", "sda1", "nvme0n1p1"] {
            text += &format!("8 0 {name} 1 0 100 0 1 0 100 0 0 0 0\n");
        }
        for name in ["sda", "nvme0n1", "cciss/c0d0"] {
            text += &format!("8 0 {name} 1 0 1 0 1 0 2 0 0 0 0\n");
        }
        text += "202 1 xvda1 1 0 10 0 1 0 20 0 0 0 0\n";
        let DiskStats(disks) = DiskStats::from_read(text.as_bytes()).expect("the format");

        let sys = tempfile::tempdir().expect("a temporary directory");
        for name in
            ["loop0", "ram0", "zram0", "dm-0", "md127", "sda", "nvme0n1", "cciss!c0d0", "xvda1"]
        {
            std::fs::create_dir(sys.path().join(name)).expect("created");
        }
        assert_eq!(disk_bytes(&disks, sys.path()), (13 * 512, 26 * 512));
        let unlisted = disk_bytes(&disks, Path::new("/no/such/list"));
        assert_eq!(unlisted, (3 * 512, 6 * 512), "xvda1 looks like a partition");
    }

    #[test]
    fn partitions_are_told_by_name() {
        for part in [
            "sda1",
            "sdaa12",
            "vda1",
            "xvda1",
            "hdb2",
            "dasda1",
            "nvme0n1p1",
            "mmcblk0p2",
            "nbd0p1",
        ] {
            assert!(looks_like_partition(part), "{part}");
        }
        for disk in [
            "sda",
            "sdaa",
            "vda",
            "nvme0n1",
            "nvme10n12",
            "mmcblk0",
            "mmcblk0boot0",
            "nbd0",
            "sr0",
            "pmem0",
            "fd0",
        ] {
            assert!(!looks_like_partition(disk), "{disk}");
        }
    }
}
