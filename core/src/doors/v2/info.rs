//! The info object (Contract §9): 22 fields about the master and its machine.

use bytes::Bytes;
use serde::Serialize;

/// What `GET /info` answers. Fields in the order of the wire; bytes and seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Info<'a> {
    /// Master id.
    pub mid: &'a str,
    /// Master alias.
    pub alias: &'a str,
    /// Operating system, by its Go name.
    pub os: &'a str,
    /// Architecture, by its Go name.
    pub arch: &'a str,
    /// Number of CPUs.
    pub noc: usize,
    /// The figures of the machine.
    #[serde(flatten)]
    pub system: SystemSample,
    /// Version of the master.
    pub ver: &'a str,
    /// Host of the master URL.
    pub name: &'a str,
    /// Seconds since the master started.
    pub uptime: u64,
    /// Kept for old clients: `default`.
    pub log: &'a str,
    /// TLS mode: `0`, `1` or `2`.
    pub tls: &'a str,
    /// Certificate file of TLS mode 2.
    pub crt: &'a str,
    /// Key file of TLS mode 2.
    pub key: &'a str,
}

/// The last sample of the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SystemSample {
    /// Percent of all CPUs, or -1 where it is not known.
    pub cpu: i32,
    /// Memory in bytes.
    pub mem_total: u64,
    /// Memory in use: total less available.
    pub mem_used: u64,
    /// Swap in bytes.
    pub swap_total: u64,
    /// Swap in use.
    pub swap_used: u64,
    /// Bytes received since the machine started.
    pub netrx: u64,
    /// Bytes sent.
    pub nettx: u64,
    /// Bytes read from disks.
    pub diskr: u64,
    /// Bytes written to disks.
    pub diskw: u64,
    /// Seconds since the machine started.
    pub sysup: u64,
}

impl Info<'_> {
    /// The JSON of the object.
    pub fn json(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("strings and integers always encode"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_22_fields_are_there_in_order() {
        let system = SystemSample { cpu: -1, mem_total: 1, sysup: 9, ..SystemSample::default() };
        let info = Info {
            mid: "m",
            alias: "a",
            os: "linux",
            arch: "amd64",
            noc: 2,
            system,
            ver: "dev",
            name: "localhost",
            uptime: 3,
            log: "default",
            tls: "0",
            crt: "",
            key: "",
        };
        assert_eq!(
            info.json(),
            concat!(
                r#"{"mid":"m","alias":"a","os":"linux","arch":"amd64","noc":2,"cpu":-1,"#,
                r#""mem_total":1,"mem_used":0,"swap_total":0,"swap_used":0,"netrx":0,"nettx":0,"#,
                r#""diskr":0,"diskw":0,"sysup":9,"ver":"dev","name":"localhost","uptime":3,"#,
                r#""log":"default","tls":"0","crt":"","key":""}"#
            )
        );
    }
}
