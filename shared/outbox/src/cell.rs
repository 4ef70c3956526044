//! Values on their way between Rust and a database: what kinds of columns there are, and how each type of the kernel is
//! written to and read from one or several of them. The one list that both databases share.

use crate::db::{Error, Row};
use crm_closeout::{
    codes::Record,
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, OpportunityId, OrderId, TaskId, TenantId, WinBackPlanId},
    money::{Currency, Money},
    pipeline::StageName,
    time::Time,
};
use serde_json::Value;
use std::borrow::Cow;
use uuid::Uuid;

/// Kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `uuid`; 16 bytes in SQLite.
    Uuid,
    /// `bigint`.
    Int,
    /// `smallint`.
    Small,
    /// `boolean`.
    Bool,
    /// `text`.
    Text,
    /// `bytea`.
    Bytes,
}

/// The cells of a row, one after the other, each as PostgreSQL takes it: its length and its bytes, highest first. Written straight
/// from the record, so that no text of it is copied before it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells(Vec<u8>);

/// The length of what is NULL.
const NULL: i32 = -1;

impl Cells {
    /// With room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a cell; none: NULL. A value of over 2 GiB is none that a database would take.
    pub fn push(&mut self, value: Option<&[u8]>) {
        let value = value.and_then(|bytes| Some((i32::try_from(bytes.len()).ok()?, bytes)));
        let (length, bytes) = value.unwrap_or((NULL, &[]));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// All of them, as PostgreSQL's binary COPY takes the fields of a row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Each with its length, as they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RawCell<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let length = i32::from_be_bytes(*rest.first_chunk()?);
            let (cell, behind) = rest.split_at_checked(LENGTH + usize::try_from(length).unwrap_or_default())?;
            rest = behind;
            Some(RawCell(cell))
        })
    }
}

/// Bytes of a length.
const LENGTH: usize = size_of::<i32>();

/// One cell with its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawCell<'a>(&'a [u8]);

impl<'a> RawCell<'a> {
    /// Its length and its bytes.
    pub(crate) const fn whole(self) -> &'a [u8] {
        self.0
    }

    /// Its bytes; none: NULL.
    pub(crate) fn value(self) -> Option<&'a [u8]> {
        let (length, bytes) = self.0.split_first_chunk()?;
        (i32::from_be_bytes(*length) != NULL).then_some(bytes)
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
}

/// A type that fills one or several columns.
pub trait Part: Sized {
    /// The columns of a field with this name.
    fn columns(name: &str) -> Vec<Column>;

    /// Writes the cells of a value; none: NULL in each.
    fn write(value: Option<&Self>, cells: &mut Cells);

    /// Reads the next cells of a row; none: NULL.
    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error>;
}

impl<T: Part> Part for Option<T> {
    fn columns(name: &str) -> Vec<Column> {
        T::columns(name)
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        T::write(value.and_then(Option::as_ref), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        T::read(row, at).map(Some)
    }
}

macro_rules! plain {
    ($type:ty, $kind:ident, |$value:ident| $bytes:expr) => {
        impl Part for $type {
            fn columns(name: &str) -> Vec<Column> {
                vec![Column { name: name.to_owned(), kind: Kind::$kind }]
            }

            fn write(value: Option<&Self>, cells: &mut Cells) {
                match value {
                    Some($value) => cells.push(Some(&$bytes[..])),
                    None => cells.push(None),
                }
            }

            fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
                *at += 1;
                row.cell::<$type>(*at - 1)
            }
        }
    };
}

plain!(Uuid, Uuid, |id| id.as_bytes());
plain!(i64, Int, |number| number.to_be_bytes());
plain!(i16, Small, |number| number.to_be_bytes());
plain!(bool, Bool, |flag| [u8::from(*flag)]);
plain!(String, Text, |text| text.as_bytes());
plain!(Vec<u8>, Bytes, |bytes| bytes);

/// Implements [`Part`] for a type by way of a simpler one.
#[macro_export]
macro_rules! part_as {
    ($type:ty, $plain:ty, $to:expr, $from:expr) => {
        impl $crate::cell::Part for $type {
            fn columns(name: &str) -> Vec<$crate::cell::Column> {
                <$plain as $crate::cell::Part>::columns(name)
            }

            fn write(value: Option<&Self>, cells: &mut $crate::cell::Cells) {
                let to: fn(&$type) -> $plain = $to;
                $crate::cell::Part::write(value.map(to).as_ref(), cells);
            }

            fn read(row: &$crate::db::Row, at: &mut usize) -> Result<Option<Self>, $crate::db::Error> {
                let from: fn($plain) -> Result<$type, String> = $from;
                let plain = <$plain as $crate::cell::Part>::read(row, at)?;
                plain.map(from).transpose().map_err($crate::db::Error::Corrupt)
            }
        }
    };
}

/// Implements [`Part`] for enumerations with stable codes.
#[macro_export]
macro_rules! part_code {
    ($($type:ty),+ $(,)?) => {
        $($crate::part_as!(
            $type,
            i16,
            |value| crm_closeout::codes::Code::code(*value),
            |code| crm_closeout::codes::Code::from_code(i32::from(code)).map_err(|e| e.to_string())
        );)+
    };
}

part_as!(i32, i64, |value| i64::from(*value), |value| i32::try_from(value).map_err(|e| e.to_string()));
part_as!(Cow<'static, str>, String, |text| text.to_string(), |text| Ok(text.into()));
part_as!(TenantId, Uuid, |id| id.0, |id| Ok(TenantId(id)));
part_as!(CustomerId, Uuid, |id| id.0, |id| Ok(CustomerId(id)));
part_as!(OpportunityId, Uuid, |id| id.0, |id| Ok(OpportunityId(id)));
part_as!(OrderId, Uuid, |id| id.0, |id| Ok(OrderId(id)));
part_as!(TaskId, Uuid, |id| id.0, |id| Ok(TaskId(id)));
part_as!(CloseOutId, Uuid, |id| id.0, |id| Ok(CloseOutId(id)));
part_as!(CompetitorId, Uuid, |id| id.0, |id| Ok(CompetitorId(id)));
part_as!(GroupId, Uuid, |id| id.0, |id| Ok(GroupId(id)));
part_as!(WinBackPlanId, Uuid, |id| id.0, |id| Ok(WinBackPlanId(id)));
part_as!(Time, i64, |time| time.0, |micros| Ok(Time(micros)));
part_as!(Currency, String, |currency| currency.to_string(), |text| {
    Currency::parse(&text).ok_or_else(|| format!("{text:?} is no currency"))
});

/// Implements [`Part`] for a type that fills two columns, named after the field with these endings.
macro_rules! pair {
    ($type:ty, $first:literal: $a:ty, $second:literal: $b:ty, $to:expr, $from:expr) => {
        impl Part for $type {
            fn columns(name: &str) -> Vec<Column> {
                let mut columns = <$a>::columns(&format!("{name}{}", $first));
                columns.extend(<$b>::columns(&format!("{name}{}", $second)));
                columns
            }

            fn write(value: Option<&Self>, cells: &mut Cells) {
                let to: fn(&$type) -> ($a, $b) = $to;
                let (first, second) = value.map(to).unzip();
                Part::write(first.as_ref(), cells);
                Part::write(second.as_ref(), cells);
            }

            fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
                let from: fn($a, $b) -> $type = $from;
                Ok(<$a>::read(row, at)?.zip(<$b>::read(row, at)?).map(|(first, second)| from(first, second)))
            }
        }
    };
}

pair!(Record, "_kind": crm_closeout::codes::RecordKind, "_id": Uuid, |r| (r.kind, r.id), Record::new);
pair!(Money, "_minor": i64, "_currency": Currency, |m| (m.minor, m.currency), |minor, currency| Money { minor, currency });

/// A stage fills the column `pipeline`, too, which stands before its own.
impl Part for StageName {
    fn columns(name: &str) -> Vec<Column> {
        let text = |name: &str| Column { name: name.to_owned(), kind: Kind::Text };
        vec![text("pipeline"), text(name)]
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|name| &name.pipeline), cells);
        Part::write(value.map(|name| &name.stage), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let (pipeline, stage) = (String::read(row, at)?, String::read(row, at)?);
        Ok(pipeline.zip(stage).map(|(pipeline, stage)| Self { pipeline, stage }))
    }
}

/// A value kept as JSON text: it is loaded and saved whole and never searched.
pub trait JsonText: Sized {
    /// As JSON.
    fn to_json(&self) -> Value;

    /// Back; none: not written by this program.
    fn from_json(value: &Value) -> Option<Self>;
}

/// Implements [`Part`] for types that are kept as JSON text.
#[macro_export]
macro_rules! part_json {
    ($($type:ty),+ $(,)?) => {
        $($crate::part_as!($type, String, |value| $crate::cell::JsonText::to_json(value).to_string(), |text| {
            let value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            $crate::cell::JsonText::from_json(&value).ok_or_else(|| format!("not a {}: {text}", stringify!($type)))
        });)+
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_their_lengths_and_bytes_and_tell_null_from_empty() {
        let cells = crate::cells![7_i16, String::new(), None::<String>, Some(true)];
        assert_eq!(cells.as_bytes(), b"\0\0\0\x02\0\x07\0\0\0\0\xff\xff\xff\xff\0\0\0\x01\x01");
        let values: Vec<_> = cells.iter().map(RawCell::value).collect();
        assert_eq!(values, [Some(&[0_u8, 7][..]), Some(&[]), None, Some(&[1])]);
    }
}
