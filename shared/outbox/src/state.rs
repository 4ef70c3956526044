//! In which state each subject is, in a table of its own. Lists by state walk it; the subject's row has no index of what a close-out
//! changes, so that closing it out writes that row and no index. Written with the subject, in the same commit.

use crate::{
    cells,
    db::{Db, Error, Tx},
    sql::{Args, Sql},
    table::{self, Statements, Table},
};
use crm_closeout::{
    codes::{Code, RecordKind},
    episode::{CloseOut, CloseOutState},
    ids::TenantId,
    working_set::Keyed,
};
use std::sync::LazyLock;
use uuid::Uuid;

/// A subject and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InState {
    /// Whose.
    pub tenant_id: TenantId,
    /// The code of its state.
    pub state: i16,
    /// Which.
    pub subject_id: Uuid,
}

impl Keyed for InState {
    type Key = (TenantId, i16, Uuid);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.state, self.subject_id)
    }
}

crate::table!(InState = "subject_in_state", key |key| [tenant_id: TenantId = key.0, state: i16 = key.1, subject_id: Uuid = key.2], {
    tenant_id: TenantId, state: i16, subject_id: Uuid,
});

static LEFT: LazyLock<Sql> = LazyLock::new(|| {
    let Statements { name, key, .. } = InState::statements();
    Sql::delete(name, &["tenant_id", "state", "subject_id"], key)
});

/// Writes the states of subjects: each with the state that was loaded, if it was, and the one that it has now. Those that have not
/// moved are passed over.
pub async fn save<S: Code + PartialEq>(
    tx: &mut Tx,
    subjects: impl Iterator<Item = ((TenantId, Uuid), Option<S>, S)>,
) -> Result<(), Error> {
    let (mut left, mut entered) = (Vec::new(), Vec::new());
    for ((tenant_id, subject_id), before, after) in subjects.filter(|(_, before, after)| before.as_ref() != Some(after))
    {
        left.extend(before.map(|before| cells![tenant_id, before.code(), subject_id]));
        entered.push(InState { tenant_id, state: after.code(), subject_id });
    }
    if !left.is_empty() {
        let Statements { name, key, .. } = InState::statements();
        tx.change(name, &LEFT, Args::rows(key, left), None).await?;
    }
    // One may be there where a version that does not know of them moved the subject.
    entered.sort_by_key(Keyed::key);
    table::insert_missing(tx, &entered).await
}

/// Close-outs that wait for approval, by way of the subjects in that state: those beyond `after` by the subject's id, the newest first,
/// one more than `size` to see whether another page follows.
pub async fn close_outs<S: Code>(
    db: &Db,
    tenant: TenantId,
    state: S,
    after: Option<Uuid>,
    size: usize,
) -> Result<Vec<CloseOut>, Error> {
    static PENDING: LazyLock<Sql> = LazyLock::new(|| {
        let list = &CloseOut::statements().list;
        let [opportunity, order] = [RecordKind::Opportunity, RecordKind::Order].map(Code::code);
        let on = format!(
            "t.tenant_id = w.tenant_id AND t.subject_kind IN ({opportunity}, {order}) AND t.subject_id = w.subject_id \
             AND t.state = {}",
            CloseOutState::PendingApproval.code()
        );
        let text = |from: &str| {
            format!(
                "SELECT {list} FROM subject_in_state AS w {from} WHERE w.tenant_id = {{1}} AND w.state = {{2}} \
                 AND w.subject_id < {{3}} ORDER BY w.subject_id DESC LIMIT {{4}}"
            )
        };
        let postgres = format!("CROSS JOIN LATERAL (SELECT * FROM close_out AS t WHERE {on} OFFSET 0) AS t");
        Sql::each(&text(&postgres), &text(&format!("CROSS JOIN close_out AS t ON {on}")), &[])
    });
    let limit = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let args = Args::none().with(&tenant).with(&state.code()).with(&after.unwrap_or(Uuid::max())).with(&limit);
    db.read_table(&PENDING, args).await
}

/// Subjects in a state by id, those beyond `after`, so many at most.
pub async fn subjects<S: Code>(
    db: &Db,
    tenant: TenantId,
    state: S,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<Uuid>, Error> {
    static SUBJECTS: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "SELECT w.subject_id FROM subject_in_state AS w WHERE w.tenant_id = {1} AND w.state = {2} \
             AND w.subject_id > {3} ORDER BY w.subject_id LIMIT {4}",
        )
    });
    let (after, most) = (after.unwrap_or(Uuid::nil()), i64::try_from(most).unwrap_or(i64::MAX));
    let args = Args::none().with(&tenant).with(&state.code()).with(&after).with(&most);
    db.read(&SUBJECTS, args).await?.iter().map(|row| row.get(0)).collect()
}
