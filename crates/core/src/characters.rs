//! The characters of a sentence, counted in one way for the reference and for what is recorded in operation: drift is
//! seen between the two, so a difference in counting would be taken for one.

/// How many characters a sentence has, and of what kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Characters {
    /// Unicode scalar values, without white space at the ends.
    pub count: u32,
    /// The share of them that is not ASCII, from 0 to 1; 0 where there are none.
    pub non_ascii_share: f64,
}

impl Characters {
    /// Counts those of a sentence.
    pub fn of(sentence: &str) -> Self {
        let sentence = sentence.trim();
        let count = sentence.chars().count();
        let others = sentence.chars().filter(|c| !c.is_ascii()).count();
        Self {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            non_ascii_share: if count == 0 { 0.0 } else { others as f64 / count as f64 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Characters;

    #[test]
    fn white_space_at_the_ends_does_not_count_and_nothing_has_no_share() {
        assert_eq!(Characters::of(" Zoë ran. "), Characters { count: 8, non_ascii_share: 0.125 });
        assert_eq!(Characters::of("  "), Characters { count: 0, non_ascii_share: 0.0 });
    }
}
