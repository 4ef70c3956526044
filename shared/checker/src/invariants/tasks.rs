//! Tasks follow the record they are for, on both sides.

use super::{Found, named};
use crate::picture::{Picture, Side, Subject};
use crm_closeout::{
    codes::RecordKind,
    episode::CloseOutState,
    fact::MirrorState,
    task::{Task, TaskKind, TaskState},
};

/// I11: a closed subject with a related task still open and nothing that says why; a task still closed by a close-out that was
/// reversed, or by one that nobody knows. A win-back task may be open on a closed subject; collect and invoice tasks stay open on
/// the order side while a processed order is not paid in full. A task that a person has changed is nobody's but that
/// person's. A parked message about the record has not come yet.
pub(super) fn follow_their_subject(picture: &Picture, found: &mut Found) {
    for (side, other) in picture.sides() {
        for task in &side.tasks {
            let key = (task.tenant_id, task.root);
            if other.is_stuck(&key) {
                continue;
            }
            let own = side.subjects.get(&key);
            if let Some(subject) = own.or_else(|| other.subjects.get(&key)).filter(|subject| subject.is_closed()) {
                let allowed = !task.state.is_open() || may_stay_open(task, subject, own.is_some());
                found.expect(allowed, || {
                    format!("{}: {} is {}, but {} is closed", side.name, task.task_id, task.state.word(), named(&key))
                });
            }
            closed_by(side, other, task, found);
            if task.root.kind != RecordKind::Customer {
                let known = own.is_some() || other.subjects.contains_key(&key);
                found.expect(known, || {
                    format!("{}: {} is for {}, which is not there", side.name, task.task_id, named(&key))
                });
            }
        }
    }
}

fn may_stay_open(task: &Task, subject: &Subject, own: bool) -> bool {
    let money = matches!(task.kind, TaskKind::Collect | TaskKind::Invoice);
    // Paid later, or closed with a date of the past: what was unpaid then can't be told now.
    let was_unpaid = subject.unpaid || Some(subject.updated_at) != subject.closed_at;
    task.kind == TaskKind::WinBack || (money && own && subject.state == MirrorState::Processed && was_unpaid)
}

fn closed_by(side: &Side, other: &Side, task: &Task, found: &mut Found) {
    let Some(id) = task.closed_by else { return };
    let key = (task.tenant_id, id);
    let close_out = side.close_outs.get(&key).or_else(|| other.close_outs.get(&key));
    let holds = close_out.is_some_and(|close_out| close_out.state == CloseOutState::Effective);
    found.expect(holds && task.state == TaskState::Cancelled, || {
        let state = close_out.map_or("unknown", |close_out| close_out.state.word());
        format!("{}: {} is {} by {id}, which is {state}", side.name, task.task_id, task.state.word())
    });
}
