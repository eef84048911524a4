//! How long a text is in JSON.

/// How many bytes a text takes between the quotes of a JSON string.
pub(crate) fn escaped_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_as_long_as_the_encoder_makes_it(text: String) {
            let json = serde_json::to_string(&text).expect("a string always encodes");
            prop_assert_eq!(escaped_bytes(&text), json.len() - 2);
        }
    }
}
