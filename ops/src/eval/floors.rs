//! What the measures must reach, for a check that fails by its exit code.

use workers::eval::Report;

/// All are shares from 0 to 1; one that is not given holds anything.
#[derive(clap::Args, Default)]
pub struct Floors {
    /// Fails when fewer of the answerable questions find an expected document first.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_hit1: Option<f32>,
    /// Fails when fewer of them find one among the first five.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_hit5: Option<f32>,
    /// Fails when the mean reciprocal rank is lower.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_mrr: Option<f32>,
    /// Fails when fewer of the quotes stand verbatim in a passage.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_verbatim: Option<f32>,
    /// Fails when more of the answerable questions are declined.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_declined: Option<f32>,
    /// Fails when more of the unanswerable questions are answered.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_answered: Option<f32>,
}

/// A percentage would hold everything, or nothing.
fn share(text: &str) -> Result<f32, String> {
    let share: f32 = text.parse().map_err(|_| "is no number".to_owned())?;
    if !(0.0..=1.0).contains(&share) {
        return Err("is no share: it must be between 0 and 1".to_owned());
    }
    Ok(share)
}

impl Floors {
    /// Each bound that the measures miss, in words.
    pub fn missed(&self, report: &Report) -> Vec<String> {
        let least = [
            ("hit@1", report.hit_at_1, self.min_hit1),
            ("hit@5", report.hit_at_5, self.min_hit5),
            ("MRR", report.mean_reciprocal_rank, self.min_mrr),
            ("verbatim", report.verbatim_quotes, self.min_verbatim),
        ];
        let most = [
            ("declined", report.wrongly_declined, self.max_declined),
            ("answered", report.wrongly_answered, self.max_answered),
        ];
        let low = least.into_iter().filter_map(|(name, share, bound)| {
            let bound = bound.filter(|bound| share < *bound)?;
            Some(format!("{name} is {share:.3}, below {bound}"))
        });
        let high = most.into_iter().filter_map(|(name, share, bound)| {
            let bound = bound.filter(|bound| share > *bound)?;
            Some(format!("{name} is {share:.3}, above {bound}"))
        });
        low.chain(high).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workers::eval::report;

    #[test]
    fn only_bounds_that_are_given_and_missed_are_named() {
        let nothing = report(&[]);
        assert!(Floors::default().missed(&nothing).is_empty());
        let floors = Floors {
            min_hit5: Some(0.95),
            min_mrr: Some(0.0),
            max_answered: Some(0.0),
            ..Floors::default()
        };
        assert_eq!(floors.missed(&nothing), ["hit@5 is 0.000, below 0.95"]);
    }

    #[test]
    fn only_shares_are_taken() {
        for (text, taken) in [
            ("0", true),
            ("0.95", true),
            ("1", true),
            ("95", false),
            ("-0.1", false),
            ("NaN", false),
            ("95%", false),
        ] {
            assert_eq!(share(text).is_ok(), taken, "{text}");
        }
    }
}
