//! The lines of an order: one aggregate with it, loaded, changed and saved whole.

use crm_closeout::{
    money::{Currency, MAX_MINOR, Money},
    refusal::{Refusal, Violation},
    wording,
};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is sold.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// How many of them were fulfilled.
    pub fulfilled: i64,
    /// How many of them were cancelled.
    pub cancelled: i64,
    /// Price of one, in minor units of the order's currency.
    pub unit_minor: i64,
}

impl Line {
    /// How many are neither fulfilled nor cancelled.
    pub const fn remaining(&self) -> i64 {
        self.quantity - self.fulfilled - self.cancelled
    }
}

/// The lines of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(pub Vec<Line>);

impl Lines {
    /// What was ordered and not cancelled.
    pub fn total(&self, currency: Currency) -> Money {
        self.sum(currency, |line| line.quantity - line.cancelled)
    }

    /// What was ordered, whatever of it was cancelled since.
    pub fn ordered(&self, currency: Currency) -> Money {
        self.sum(currency, |line| line.quantity)
    }

    /// What was cancelled.
    pub fn cancelled(&self, currency: Currency) -> Money {
        self.sum(currency, |line| line.cancelled)
    }

    /// Whether the order as a whole is worth no more than any amount may be.
    pub fn fits(&self) -> bool {
        self.0.iter().map(|line| i128::from(line.unit_minor) * i128::from(line.quantity)).sum::<i128>()
            <= i128::from(MAX_MINOR)
    }

    fn sum(&self, currency: Currency, count: impl Fn(&Line) -> i64) -> Money {
        // `fits` was checked when the lines were taken.
        let minor = self.0.iter().map(|line| line.unit_minor.saturating_mul(count(line))).sum();
        Money { minor, currency }
    }

    /// Whether anything was fulfilled.
    pub fn any_fulfilled(&self) -> bool {
        self.0.iter().any(|line| line.fulfilled > 0)
    }

    /// Indices of the lines with something still to do.
    pub fn unfinished(&self) -> Vec<usize> {
        self.0.iter().enumerate().filter(|(_, line)| line.remaining() > 0).map(|(index, _)| index).collect()
    }

    /// The same with more of each of these lines, by index, counted in `count`: no more than are neither fulfilled nor cancelled.
    pub fn having(&self, more: &[(usize, i64)], count: fn(&mut Line) -> &mut i64) -> Result<Self, Refusal> {
        let (mut lines, mut violations) = (self.clone(), Vec::new());
        for (position, (index, quantity)) in more.iter().enumerate() {
            let field = format!("lines[{position}]");
            match lines.0.get_mut(*index) {
                None => violations.push(Violation::new(field, &wording::UNKNOWN_LINE).with("line", index)),
                Some(line) if *quantity > line.remaining() => {
                    let violation = Violation::new(field, &wording::TOO_MANY);
                    violations.push(violation.with("remaining", line.remaining()).with("line", index));
                }
                Some(line) => *count(line) += quantity,
            }
        }
        if violations.is_empty() { Ok(lines) } else { Err(Refusal::invalid(violations)) }
    }

    /// How many of each line are cancelled.
    pub fn cancelled_counts(&self) -> Vec<i64> {
        self.0.iter().map(|line| line.cancelled).collect()
    }

    /// Cancels what is still to do.
    pub fn cancel_rest(&mut self) {
        for line in &mut self.0 {
            line.cancelled += line.remaining();
        }
    }

    /// Goes back to these cancelled counts.
    pub fn restore(&mut self, cancelled: &[i64]) {
        for (line, cancelled) in self.0.iter_mut().zip(cancelled) {
            line.cancelled = *cancelled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_the_rest_and_restoring_is_exact() {
        let line = |quantity, fulfilled, cancelled| Line {
            product: "GTX Pro".into(),
            quantity,
            fulfilled,
            cancelled,
            unit_minor: 100,
        };
        let currency = Currency::parse("USD").unwrap();
        let mut lines = Lines(vec![line(5, 2, 1), line(3, 0, 0)]);
        let (before, counts) = (lines.clone(), lines.cancelled_counts());
        assert_eq!((lines.total(currency).minor, lines.cancelled(currency).minor), (700, 100));
        assert_eq!(lines.unfinished(), [0, 1]);
        lines.cancel_rest();
        assert_eq!((lines.total(currency).minor, lines.cancelled(currency).minor), (200, 600));
        assert!(lines.unfinished().is_empty());
        lines.restore(&counts);
        assert_eq!(lines, before);
    }
}
