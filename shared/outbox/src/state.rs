//! In which state each subject is, in a table of its own. Lists by state walk it; the subject's row has no index of what a close-out
//! changes, so that closing it out writes that row and no index. Written with the subject, in the same commit.

use crate::{
    cell::{Column, Kind},
    cells,
    db::{Error, Tx},
    sql::{Args, Sql, columns},
    table::{self, Table},
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

static MOVED: LazyLock<Sql> = LazyLock::new(|| {
    let on = "t.tenant_id = r.tenant_id AND t.state = r.before AND t.subject_id = r.subject_id";
    Sql::overwrite(InState::statements().name, "state = r.state", on, &MOVES)
});

static MOVES: LazyLock<Vec<Column>> = LazyLock::new(|| {
    columns([("tenant_id", Kind::Uuid), ("state", Kind::Small), ("subject_id", Kind::Uuid), ("before", Kind::Small)])
});

/// Writes the states of subjects: each with the state that was loaded, if it was, and the one that it has now. Those that have not
/// moved are passed over.
pub async fn save<S: Code + PartialEq>(
    tx: &mut Tx,
    subjects: impl Iterator<Item = ((TenantId, Uuid), Option<S>, S)>,
) -> Result<(), Error> {
    let (mut new, mut moved, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    for ((tenant_id, subject_id), before, after) in subjects {
        let row = InState { tenant_id, state: after.code(), subject_id };
        match before {
            None => new.push(row),
            Some(before) if before != after => {
                moves.push(cells![tenant_id, row.state, subject_id, before.code()]);
                moved.push(row);
            }
            Some(_) => {}
        }
    }
    if !moves.is_empty() && tx.execute(&MOVED, Args::rows(&MOVES, moves)).await? < moved.len() as u64 {
        // One may be missing where a version that does not know of them made the subject, or moved it.
        new.append(&mut moved);
    }
    new.sort_by_key(Keyed::key);
    table::insert_missing(tx, &new).await
}
