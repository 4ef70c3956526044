//! Exchange rates: what a unit of one currency is worth of another, and from when on; and what an amount comes to by that. Exact
//! integers, never a float. A close-out keeps the rate of its time, so what becomes of rates later is nothing to it.

use crate::{
    cascade::Change,
    ids::TenantId,
    money::{Currency, MAX_MINOR, Money},
    time::Time,
    working_set::{Cause, Common, Keyed},
};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// Collection part of the names of exchange rates.
pub const COLLECTION: &str = "exchangeRates";

/// Most digits before the point of a rate.
const WHOLE: usize = 6;
/// Most digits after it.
const FRACTION: usize = 12;
/// Units of a rate of 1.
const ONE: i64 = 10_i64.pow(FRACTION as u32);

/// What a unit of one currency is worth of another: above zero, below a million, in units of 10^-12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(i64);

impl Rate {
    /// Of a currency in itself.
    pub const ONE: Self = Self(ONE);

    /// A rate of so many units of 10^-12; none: it is zero, negative or too large.
    pub fn of_units(units: i64) -> Option<Self> {
        (1..10_i64.pow(WHOLE as u32) * ONE).contains(&units).then_some(Self(units))
    }

    /// In units of 10^-12.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Reads a decimal number such as `7.1234`.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let fits = |digits: &str, most| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !fits(whole, WHOLE) || !fits(fraction, FRACTION) {
            return None;
        }
        Self::of_units(format!("{whole}{fraction:0<FRACTION$}").parse().ok()?)
    }

    /// What an amount comes to in the currency that the rate leads to, rounded to the nearest minor unit, of two as near to the even
    /// one, so that sums do not drift. None: more than an amount may be.
    pub fn convert(self, amount: Money, to: Currency) -> Option<Money> {
        let of_currency = 10_i128.pow(to.digits()).checked_mul(self.0.into())?;
        let product = i128::from(amount.minor).checked_mul(of_currency)?;
        let divisor = 10_i128.pow(amount.currency.digits()) * i128::from(ONE);
        let (below, rest) = (product.div_euclid(divisor), product.rem_euclid(divisor));
        let up = match (rest * 2).cmp(&divisor) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => below % 2 != 0,
            std::cmp::Ordering::Greater => true,
        };
        let minor = i64::try_from(below + i128::from(up)).ok()?;
        (minor.unsigned_abs() <= MAX_MINOR.unsigned_abs()).then_some(Money { minor, currency: to })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:0FRACTION$}", self.0 / ONE, self.0 % ONE);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What an amount comes to in the tenant's currency, and by which rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What a unit of the amount's currency was worth.
    pub rate: Rate,
    /// The amount in the currency that was the tenant's.
    pub amount: Money,
}

/// Which rate: of which currency, in which, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// In which currency.
    pub to: Currency,
    /// A unit of this one.
    pub currency: Currency,
    /// From when on, until the next rate of the same currencies.
    pub effective_at: Time,
}

/// The bits of a UUID that say it is of version 8, and what is beside them.
const MARKED: u128 = 0x8 << 76 | 0b10 << 62;
const BELOW: u64 = (1 << 62) - 1;
const SIGN: u64 = 1 << 63;

impl Key {
    /// The id of such a rate: its currencies and its time themselves, so that ids are in the order of keys and a key can be told by
    /// its id.
    pub fn id(self) -> Uuid {
        let letters = self.to.as_str().bytes().chain(self.currency.as_str().bytes());
        let letters = letters.fold(0, |all, letter| all << 8 | u128::from(letter));
        let at = self.effective_at.0.cast_unsigned() ^ SIGN;
        Uuid::from_u128(letters << 80 | u128::from(at >> 62) << 64 | u128::from(at & BELOW) | MARKED)
    }

    /// The rate that has this id; none: there can be none.
    pub fn of_id(id: Uuid) -> Option<Self> {
        let bits = id.as_u128();
        let currency = |place: u32| {
            let letters = [place + 16, place + 8, place].map(|place| (bits >> place) as u8);
            Currency::parse(std::str::from_utf8(&letters).ok()?)
        };
        let at = ((bits >> 64) as u64 & 0b11) << 62 | bits as u64 & BELOW;
        let (to, currency) = (currency(104)?, currency(80)?);
        let key = Self { to, currency, effective_at: Time((at ^ SIGN).cast_signed()) };
        (key.id() == id).then_some(key)
    }
}

/// A rate as both services know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub key: Key,
    /// What a unit is worth; none: it was deleted.
    pub rate: Option<Rate>,
    /// Raised by one at each change; the etag.
    pub revision: i64,
}

/// A tenant's row. One that was deleted stays, as its messages are numbered on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub tenant_id: TenantId,
    /// The rate.
    pub told: Told,
    /// How many messages about it were sent; 0: it is a copy.
    pub sent: i64,
    /// When it last changed.
    pub updated_at: Time,
}

impl Keyed for Entry {
    type Key = (TenantId, Uuid);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.told.key.id())
    }
}

/// What a close-out needs to know of a rate: of whom, of which currency, when.
pub type Asked = (TenantId, Currency, Time);

/// The currencies of tenants and the rates in them that close-outs of a batch need, as they stood when it began: what the batch itself
/// changes of them comes after it.
#[derive(Debug, Default)]
pub struct Rates {
    /// Currencies of tenants that have one.
    pub currencies: BTreeMap<TenantId, Currency>,
    /// The rates that were known.
    pub found: BTreeMap<Asked, Rate>,
}

impl Rates {
    /// In which currency a rate is needed for this; none: it is the tenant's own, or there is no amount, or the tenant has no currency.
    pub fn needed(&self, (tenant, currency, _): Asked) -> Option<Currency> {
        self.currencies.get(&tenant).copied().filter(|to| *to != currency && currency != Currency::NONE)
    }

    /// What an amount came to in the tenant's currency at this time; none: there was no amount, the tenant has no currency, no rate is
    /// known, or it came to more than an amount may be.
    pub fn exchange(&self, tenant: TenantId, amount: Money, at: Time) -> Option<Exchange> {
        let to = *self.currencies.get(&tenant).filter(|_| amount.currency != Currency::NONE)?;
        let known = || self.found.get(&(tenant, amount.currency, at)).copied();
        let rate = if amount.currency == to { Rate::ONE } else { known()? };
        Some(Exchange { rate, amount: rate.convert(amount, to)? })
    }
}

impl Common {
    /// Puts a rate in the place of what it was.
    pub fn put_rate(&mut self, cause: &Cause, told: Told, sent: i64) -> Entry {
        let entry = Entry { tenant_id: cause.tenant_id, told, sent, updated_at: self.now };
        let before = self.rates.get(&entry.key()).map(|before| before.told);
        let word = |told: Option<Told>| told.map_or("", |told| if told.rate.is_some() { "SET" } else { "DELETED" });
        let change = Change {
            from: before.map_or(0, |before| before.revision),
            to: told.revision,
            state_before: word(before),
            state_after: word(Some(told)),
            close_out: None,
        };
        let rate = told.rate.map_or_else(String::new, |rate| rate.to_string());
        self.audit_with_note(cause, format!("{COLLECTION}/{}", told.key.id()), change, &rate);
        self.rates.put(entry);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn converted(minor: i64, from: &str, rate: &str, to: &str) -> Option<i64> {
        let amount = Money { minor, currency: currency(from) };
        let converted = Rate::parse(rate).unwrap().convert(amount, currency(to))?;
        assert_eq!(converted.currency, currency(to));
        Some(converted.minor)
    }

    #[test]
    fn a_rate_is_a_decimal_number_and_reads_as_it_was_written() {
        for text in ["7.1234", "1", "0.000000000001", "999999.999999999999", "0.1", "100"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("07.50").unwrap().to_string(), "7.5");
        assert_eq!(Rate::parse("1"), Some(Rate::ONE));
        let wrong = ["", "0", "0.0", ".5", "5.", "-1", "+1", "1e3", "1,5", " 1", "1000000", "0.0000000000001", "１"];
        assert!(wrong.iter().all(|text| Rate::parse(text).is_none()), "{wrong:?}");
    }

    #[test]
    fn an_amount_is_converted_exactly_between_currencies_of_any_minor_unit() {
        assert_eq!(converted(10_000, "USD", "7.1234", "CNY"), Some(71_234));
        assert_eq!(converted(10_000, "JPY", "0.0481", "CNY"), Some(48_100), "a yen has no minor unit");
        assert_eq!(converted(48_100, "CNY", "20.79", "JPY"), Some(10_000), "9,999.99 yen");
        assert_eq!(converted(1_234, "KWD", "23.2", "CNY"), Some(2_863), "1.234 dinars are 28.6288");
        assert_eq!(converted(2_863, "CNY", "0.0431", "KWD"), Some(1_234), "1.233953 dinars");
        assert_eq!(converted(5_000, "JPY", "0.00204", "KWD"), Some(10_200));
    }

    #[test]
    fn halves_go_to_the_even_neighbour_so_that_sums_do_not_drift() {
        let halves = [1, 3, 5, 7].map(|minor| converted(minor, "USD", "0.5", "EUR").unwrap());
        assert_eq!(halves, [0, 2, 2, 4]);
        assert_eq!(converted(-1, "USD", "0.5", "EUR"), Some(0));
        assert_eq!(converted(-3, "USD", "0.5", "EUR"), Some(-2));
        assert_eq!(converted(1, "USD", "0.500000000001", "EUR"), Some(1));
        assert_eq!(converted(1, "USD", "0.499999999999", "EUR"), Some(0));
    }

    #[test]
    fn what_is_too_large_for_an_amount_is_none_and_never_wraps() {
        assert_eq!(converted(MAX_MINOR, "USD", "1", "EUR"), Some(MAX_MINOR));
        assert_eq!(converted(MAX_MINOR, "USD", "1.000000000001", "EUR"), None);
        for minor in [i64::MAX, i64::MIN] {
            assert_eq!(converted(minor, "JPY", "999999.999999999999", "CLF"), None);
        }
    }

    #[test]
    fn an_id_tells_its_rate_and_ids_are_in_the_order_of_their_rates() {
        let key = |to, of, at| Key { to: currency(to), currency: currency(of), effective_at: Time(at) };
        let keys = [
            key("CNY", "USD", i64::MIN),
            key("CNY", "USD", -1),
            key("CNY", "USD", 0),
            key("CNY", "USD", 1 << 62),
            key("CNY", "USD", i64::MAX),
            key("CNY", "USE", 5),
            key("EUR", "AAA", 5),
        ];
        assert!(keys.map(Key::id).is_sorted());
        for key in keys {
            assert_eq!((Key::of_id(key.id()), key.id().get_version_num()), (Some(key), 8));
            assert_eq!(key.id().get_variant(), uuid::Variant::RFC4122);
        }
        let other = Uuid::from_u128(keys[2].id().as_u128() | 1 << 70);
        assert_eq!([Uuid::now_v7(), Uuid::nil(), other].map(Key::of_id), [None; 3]);
    }

    #[test]
    fn only_an_amount_in_another_currency_than_the_tenants_needs_a_rate() {
        let (tenant, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let (cny, usd, at) = (currency("CNY"), currency("USD"), Time(5));
        let rate = Rate::parse("7").unwrap();
        let rates = Rates { currencies: [(tenant, cny)].into(), found: [((tenant, usd, at), rate)].into() };
        assert_eq!(rates.needed((tenant, usd, at)), Some(cny));
        let not = [(tenant, cny, at), (tenant, Currency::NONE, at), (other, usd, at)];
        assert!(not.iter().all(|asked| rates.needed(*asked).is_none()));
        let exchange = |tenant, currency, at| rates.exchange(tenant, Money { minor: 300, currency }, at);
        let came_to = |rate, minor| Some(Exchange { rate, amount: Money { minor, currency: cny } });
        assert_eq!(exchange(tenant, usd, at), came_to(rate, 2_100));
        assert_eq!(exchange(tenant, cny, Time(9)), came_to(Rate::ONE, 300));
        assert_eq!([exchange(tenant, usd, Time(6)), exchange(other, usd, at)], [None; 2]);
        assert_eq!(exchange(tenant, Currency::NONE, at), None);
    }
}
