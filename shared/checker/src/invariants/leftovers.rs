//! What is left when everything is done: nothing.

use super::{Found, named};
use crate::picture::Picture;

/// I16: a parked message about a record that no test has poisoned; a session of the database that has been idle in a transaction,
/// or has waited for a lock, for over a second; a duty that should have been done a minute ago, if the history is whole: else the
/// services may have been down until now.
pub(super) fn nothing_is_left(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        for (key, messages) in &side.outbox {
            let expected = picture.told.poisoned.contains(key);
            for message in messages {
                found.expect(expected || !message.parked, || {
                    format!("{}: message {} of {} is parked", side.name, message.number, named(key))
                });
            }
        }
        let unfinished = side.unfinished.iter().filter(|_| picture.told.whole);
        found.texts.extend(unfinished.map(|text| format!("{}: {text}", side.name)));
        found.texts.extend(side.sessions.iter().map(|text| format!("{}: {text}", side.name)));
    }
}
