//! Counted nouns in messages: `1 instance`, `2 instances`.

/// `1 instance`, `2 instances`, `0 processes`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = match noun {
        _ if count == 1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let shown = [0, 1, 2].map(|count| counted(count, "instance"));
        assert_eq!(shown, ["0 instances", "1 instance", "2 instances"]);
        assert_eq!([1, 3].map(|count| counted(count, "process")), ["1 process", "3 processes"]);
    }
}
