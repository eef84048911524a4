//! Who sees the secrets of instances, and what comes back from readers that do not.
//!
//! Does not own: which parts of a URL are secret ([`crate::url`]), nor who holds the API key.

use alloc::format;

use super::status::Rejection;
use crate::url::{InstanceUrl, MASK, masked_part};

/// How a reader sees the API key and the secrets of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As they are stored: the reader holds the API key.
    Shown,
    /// Masked: the reader has a token, or is the user of the master on the Unix socket.
    Masked,
}

impl Secrets {
    /// Checks a URL that such a reader sends: one that was read with masks may come back.
    ///
    /// # Errors
    /// 400 that names the masked part. Holders of the key never see a mask, and may send any text.
    pub(super) fn check_url(self, url: &InstanceUrl) -> Result<(), Rejection> {
        match masked_part(url.as_str()) {
            Some(part) if self == Self::Masked => Err(masked(&format!("{part} in url"))),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the value of a variable that such a reader sends.
    ///
    /// # Errors
    /// As [`Self::check_url`].
    pub(super) fn check_variable(self, name: &str, value: &str) -> Result<(), Rejection> {
        if self == Self::Masked && value == MASK {
            return Err(masked(&format!("env.{name}")));
        }
        Ok(())
    }
}

fn masked(what: &str) -> Rejection {
    Rejection::Bad(format!(
        "{what} is the mask {MASK}, not a value; send the real value, which a token cannot read"
    ))
}
