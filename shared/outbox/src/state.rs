//! In which state each subject is, in a table of its own. Lists by state walk it; the subject's row has no index of what a close-out
//! changes, so that closing it out writes that row and no index. Written with the subject, in the same commit.

use crate::{
    cells,
    db::{Error, Tx},
    sql::{Args, Sql},
    table::{self, Statements, Table},
};
use crm_closeout::{codes::Code, ids::TenantId, working_set::Keyed};
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
