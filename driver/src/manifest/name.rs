//! Names of instances, as `run` and files give them.

use openctrl_core::ids::InstanceId;

/// The longest name, in bytes. The master takes 256 bytes; names have to fit a list.
const NAME_MAX_BYTES: usize = 128;

/// Checks a name.
///
/// # Errors
/// The error, and the rule for names.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name is needed".to_owned());
    }
    if InstanceId::is_like(name) {
        return Err(format!(
            "the name {name:?} looks like an id; choose one that is not 8 hex digits"
        ));
    }
    if name.len() > NAME_MAX_BYTES {
        let length = name.len();
        return Err(format!("the name has {length} bytes; the limit is {NAME_MAX_BYTES}"));
    }
    if name.starts_with('-') {
        return Err(format!("the name {name:?} begins with a dash, as options do"));
    }
    if name.trim() != name || name.contains(char::is_control) {
        return Err(format!("the name {name:?} has control characters or spaces at its ends"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_an_id_nor_an_option_nor_endless() {
        for good in ["web", "a", "deadbee", "deadbeef0", "w eb", "好", "api.v2/x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(230);
        for bad in ["", "deadbeef", "DEADBEEF", "12345678", "-x", " a", "a\n", "\u{1b}[2J", &long] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
