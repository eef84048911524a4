//! What is reported of instances.

/// What is reported of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Its status became `error`.
    Error,
    /// It is well again after an error, or has done its work.
    Recovered,
    /// It restarts again and again.
    Flapping,
    /// It became ready.
    Ready,
}

impl Occasion {
    /// Every occasion. The order is part of the trace format.
    pub const ALL: [Self; 4] = [Self::Error, Self::Recovered, Self::Flapping, Self::Ready];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Recovered => "recovered",
            Self::Flapping => "flapping",
            Self::Ready => "ready",
        }
    }
}

/// A set of occasions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Occasions(u8);

impl Occasions {
    /// All of them.
    pub const ALL: Self = Self(0b1111);

    /// Reads words with commas between them. `None` for none, for an unknown word, and for one
    /// that is there twice.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').try_fold(Self(0), |set, word| {
            let one = Occasion::ALL.into_iter().find(|one| one.as_str() == word)?;
            (!set.contains(one)).then_some(Self(set.0 | 1 << one as u8))
        })
    }

    /// Whether it is among them.
    pub const fn contains(self, occasion: Occasion) -> bool {
        self.0 & 1 << occasion as u8 != 0
    }

    /// As a number, for the trace.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set with this number. Unknown bits have no meaning.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_word_by_word() {
        assert_eq!(Occasions::parse("error,recovered,flapping,ready"), Some(Occasions::ALL));
        let some = Occasions::parse("ready,error").expect("two words");
        let has = Occasion::ALL.map(|one| some.contains(one));
        assert_eq!(has, [true, false, false, true]);
        for bad in ["", "error,", "Error", "error,error", "errors", "error, ready"] {
            assert_eq!(Occasions::parse(bad), None, "{bad:?}");
        }
    }
}
