//! Money as minor units and a currency, never a float; and sums of it, kept for each currency apart.

use std::{collections::BTreeMap, fmt};

/// Largest amount that is taken, in minor units: sums of thousands of them still fit.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An ISO 4217 currency code: three capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// No currency (ISO 4217 `XXX`): of an amount that was never given.
    pub const NONE: Self = Self(*b"XXX");

    /// Reads three capitals.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The three capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the point of the minor unit (ISO 4217, column "minor unit").
    pub fn digits(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// In minor units of the currency.
    pub minor: i64,
    /// Of which currency.
    pub currency: Currency,
}

impl Money {
    /// Nothing, of no currency.
    pub const NONE: Self = Self { minor: 0, currency: Currency::NONE };

    /// Nothing, of a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.digits();
        let unit = 10_u64.pow(digits);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        write!(f, "{sign}{}", minor / unit)?;
        if digits > 0 {
            write!(f, ".{:0width$}", minor % unit, width = digits as usize)?;
        }
        write!(f, " {}", self.currency)
    }
}

/// `N` running sums for each currency. A currency whose sums are all zero is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums<const N: usize>(pub BTreeMap<Currency, [i64; N]>);

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<const N: usize> Sums<N> {
    /// Adds to one of the sums. Addition wraps, so that taking the same amount away again is always exact.
    pub fn add(&mut self, sum: usize, amount: Money) {
        self.shift(sum, amount.currency, amount.minor);
    }

    /// Takes away from one of the sums.
    pub fn subtract(&mut self, sum: usize, amount: Money) {
        self.shift(sum, amount.currency, amount.minor.wrapping_neg());
    }

    fn shift(&mut self, sum: usize, currency: Currency, minor: i64) {
        if minor == 0 {
            return;
        }
        let sums = self.0.entry(currency).or_insert([0; N]);
        if let Some(value) = sums.get_mut(sum) {
            *value = value.wrapping_add(minor);
        }
        if sums.iter().all(|value| *value == 0) {
            self.0.remove(&currency);
        }
    }

    /// One of the sums as text, every currency that has something in it: `12.00 CNY, 3.50 USD`.
    pub fn text(&self, sum: usize) -> String {
        let amounts = self.0.iter().filter_map(|(currency, sums)| {
            let minor = sums.get(sum).copied().filter(|minor| *minor != 0)?;
            Some(Money { minor, currency: *currency }.to_string())
        });
        let text = amounts.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "0".into() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_the_digits_of_its_currency() {
        let money = |minor, code| Money { minor, currency: Currency::parse(code).unwrap() }.to_string();
        assert_eq!(money(123_456, "CNY"), "1234.56 CNY");
        assert_eq!(money(-5, "USD"), "-0.05 USD");
        assert_eq!(money(1_234, "JPY"), "1234 JPY");
        assert_eq!(money(1_234, "KWD"), "1.234 KWD");
    }

    #[test]
    fn what_is_added_and_taken_away_leaves_nothing() {
        let mut sums = Sums::<2>::default();
        let amount = Money { minor: i64::MAX, currency: Currency::parse("USD").unwrap() };
        sums.add(0, amount);
        sums.add(0, amount);
        sums.subtract(0, amount);
        assert_eq!(sums.text(0), amount.to_string());
        sums.subtract(0, amount);
        assert_eq!(sums, Sums::default());
        assert_eq!(sums.text(0), "0");
    }
}
