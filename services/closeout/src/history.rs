//! What the services answered to every mutation of a demo, to be compared with what stands in their databases.

use crate::identity::Identity;
use crm_checker::{History, OkAnswer};
use crm_closeout::ids::TenantId;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Takes answers from calls that run at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<OkAnswer>>>);

/// What an answer was about: resource name and etag.
pub(crate) type About = (String, String);

impl Recorder {
    /// Notes that `method` was answered with OK.
    pub(crate) fn note(&self, identity: &Identity, method: &str, request_id: &str, about: About) {
        // A call without an id of its own cannot be found again.
        let Ok(request_id) = request_id.parse::<Uuid>() else { return };
        let (resource, etag) = about;
        let answer = OkAnswer {
            tenant: TenantId(identity.tenant()),
            principal: identity.principal().to_owned(),
            method: method.to_owned(),
            request_id,
            resource,
            etag,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }

    /// Everything noted so far.
    pub(crate) fn history(&self) -> History {
        History { answers: self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }
}
