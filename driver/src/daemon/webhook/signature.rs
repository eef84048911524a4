//! The signature of a report.

use ring::hmac;

/// The header that has it.
pub(super) const SIGNATURE: &str = "x-openctrl-signature";

/// The key that reports are signed with.
pub(super) struct Key(hmac::Key);

impl Key {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// `t=<seconds>,v1=<hex>`: the HMAC-SHA256 of the seconds since 1970, a dot and the body.
    pub(super) fn sign(&self, seconds: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        let hex: String =
            context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={seconds},v1={hex}")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of `printf '1780999200.{}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn a_signature_is_the_hmac_of_time_and_body() {
        let signed = Key::new(b"secret").sign(1_780_999_200, b"{}");
        assert_eq!(
            signed,
            "t=1780999200,v1=d01e4e6ded51f7967a66c801169f3bb46070233ac386b80ab321f1b45aa93b6e"
        );
    }
}
