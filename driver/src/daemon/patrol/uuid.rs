//! Ids as UUIDs, version 4.

use openctrl_core::ids::RunId;

/// An id as a random UUID, version 4.
pub(super) fn uuid(RunId(bits): RunId) -> String {
    uuid_of(bits.to_be_bytes())
}

/// Random bytes as a UUID, version 4.
pub(super) fn uuid_of(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_runs_are_random_uuids() {
        assert_eq!(uuid(RunId(0)), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(RunId(u128::MAX)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
