//! Search: what a batch writes so that records are found, and how they are found by it, always along an index. What is searched
//! changes when a record is made, renamed, moved or priced, never when its state does.
//!
//! [`save_names`] and [`save_subjects`] are the writer's part, in the commit of the change itself. [`walk`] reads: every walk goes
//! along one index from a place in it, and says where it has come to.

mod source;
pub mod walk;

pub use source::Source;

use crate::{
    db::{Db, Error, Tx},
    sql::{Args, Sql},
    table::{self, Statements, Table},
};
use crm_closeout::{
    ids::{CustomerId, TenantId},
    money::Money,
    search::{fold, parts},
    time::Time,
    working_set::Keyed,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

/// A part of a customer's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePart {
    /// Whose.
    pub tenant_id: TenantId,
    /// It begins within the name; false: it is the name.
    pub inside: bool,
    /// Its letters, folded.
    pub part: String,
    /// Whose name it is.
    pub customer_id: CustomerId,
    /// Letters before it.
    pub place: i64,
}

impl Keyed for NamePart {
    type Key = Self;

    fn key(&self) -> Self {
        self.clone()
    }
}

crate::table!(
    NamePart = "search_name",
    key |key| [tenant_id: TenantId = key.tenant_id, inside: bool = key.inside, part: String = key.part,
        customer_id: CustomerId = key.customer_id, place: i64 = key.place],
    { tenant_id: TenantId, inside: bool, part: String, customer_id: CustomerId, place: i64 }
);

/// What an opportunity or an order is found by. A close-out is read in the same shape: its actor as the owner, closed instead of
/// created, with the number of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub tenant_id: TenantId,
    /// The record's id.
    pub subject_id: Uuid,
    /// Its number, folded.
    pub number: String,
    /// Its customer.
    pub customer_id: Option<CustomerId>,
    /// Who owns it.
    pub owner: String,
    /// When it was created.
    pub created_at: Time,
    /// What it is worth; of an order: what was ordered, whatever of it was cancelled since.
    pub amount: Money,
}

impl Keyed for Entry {
    type Key = (TenantId, Uuid);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.subject_id)
    }
}

crate::table!(Entry = "search_subject", key |key| [tenant_id: TenantId = key.0, subject_id: Uuid = key.1], {
    tenant_id: TenantId, subject_id: Uuid, number: String, customer_id: Option<CustomerId>, owner: String,
    created_at: Time, amount: Money,
});

/// A customer with its name before and after a batch; before: empty if there was none.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// Which.
    pub customer: (TenantId, CustomerId),
    /// What it was called.
    pub before: &'a str,
    /// What it is called.
    pub after: &'a str,
}

static UNNAME: LazyLock<Sql> = LazyLock::new(|| {
    Sql::delete("search_name", &["tenant_id", "inside", "part", "customer_id", "place"], &NamePart::statements().key)
});

/// Writes the parts of new names and removes those of old ones. Where no name has changed nothing is run.
pub async fn save_names<'a>(tx: &mut Tx, namings: impl Iterator<Item = Naming<'a>>) -> Result<(), Error> {
    let (mut gone, mut new) = (BTreeSet::new(), BTreeSet::new());
    for naming in namings.filter(|naming| naming.before != naming.after) {
        gone.extend(name_parts(naming.customer, naming.before));
        new.extend(name_parts(naming.customer, naming.after));
    }
    let keys: Vec<_> = gone.difference(&new).map(NamePart::key_cells).collect();
    if !keys.is_empty() {
        let Statements { name, key, .. } = NamePart::statements();
        tx.change(name, &UNNAME, Args::rows(key, keys), None).await?;
    }
    table::insert_missing(tx, &new).await
}

fn name_parts((tenant_id, customer_id): (TenantId, CustomerId), name: &str) -> impl Iterator<Item = NamePart> {
    parts(&fold(name)).into_iter().map(move |part| NamePart {
        tenant_id,
        inside: part.at > 0,
        part: part.text,
        customer_id,
        place: i64::try_from(part.at).unwrap_or(i64::MAX),
    })
}

static KEEP: LazyLock<Sql> = LazyLock::new(|| {
    let Statements { name, columns, .. } = Entry::statements();
    let names = |prefix: &str| columns.iter().map(|c| format!("{prefix}{}", c.name)).collect::<Vec<_>>().join(", ");
    let set = columns.iter().map(|c| format!("{0} = excluded.{0}", c.name)).collect::<Vec<_>>().join(", ");
    let (all, values) = (names(""), names("r."));
    // An entry may be missing where a version that does not know of it made the subject.
    let text = format!(
        "INSERT INTO {name} ({all}) SELECT {values} FROM {{rows}} WHERE true \
         ON CONFLICT (tenant_id, subject_id) DO UPDATE SET {set}"
    );
    Sql::new(&text, columns)
});

/// Writes the entries of subjects that are new, or are found by something else than before; the numbers are as the subjects have
/// them, and folded here. Where none has changed nothing is folded and nothing is run.
pub async fn save_subjects(tx: &mut Tx, changes: impl Iterator<Item = (Option<Entry>, Entry)>) -> Result<(), Error> {
    let changed = changes.filter(|(before, after)| before.as_ref() != Some(after));
    let folded = changed.map(|(_, after)| Entry { number: fold(&after.number), ..after });
    let rows: Vec<_> = folded.map(|entry| entry.cells()).collect();
    if !rows.is_empty() {
        let Statements { name, columns, .. } = Entry::statements();
        tx.change(name, &KEEP, Args::rows(columns, rows), None).await?;
    }
    Ok(())
}

/// What a customer is called; both services keep it in a table of that name.
#[derive(Clone, Debug)]
struct CustomerName {
    tenant_id: TenantId,
    customer_id: CustomerId,
    display_name: String,
}

impl Keyed for CustomerName {
    type Key = (TenantId, CustomerId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.customer_id)
    }
}

crate::table!(CustomerName = "customer", key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1], {
    tenant_id: TenantId, customer_id: CustomerId, display_name: String,
});

/// The names of customers.
pub type Names = BTreeMap<CustomerId, String>;

/// Reads the names of these customers that are not known yet.
pub async fn learn_names(
    db: &Db,
    tenant: TenantId,
    customers: impl Iterator<Item = CustomerId>,
    known: &mut Names,
) -> Result<(), Error> {
    let new: BTreeSet<_> = customers.filter(|customer| !known.contains_key(customer)).collect();
    let rows = db.by_key::<CustomerName>(new.into_iter().map(|customer| (tenant, customer)).collect()).await?;
    known.extend(rows.into_iter().map(|row| (row.customer_id, row.display_name)));
    Ok(())
}
