//! Why a close-out waits for another person's approval, as it is stored: JSON; NULL where it needed none.

use crate::{
    cell::JsonText,
    part_json,
    remarks::optional,
    tables::{int, text},
};
use crm_closeout::{
    approval::{Approval, ApprovalCause, Ruled},
    fact::WonPolicy,
    plan::Planned,
    time::Time,
};
use serde_json::{Value, json};
use uuid::Uuid;

part_json!(Approval);

impl JsonText for Approval {
    fn to_json(&self) -> Value {
        let causes: Vec<_> = self.causes.iter().map(|cause| cause.word()).collect();
        let ruling =
            self.ruling.as_ref().map(|ruled| json!({ "at": ruled.at.0, "actor": ruled.actor, "note": ruled.note }));
        // A hash of a plan has as many bytes as a UUID, and is written like one.
        let hash = |hash: &[u8]| Uuid::from_slice(hash).unwrap_or_default().to_string();
        let peer =
            self.peer.as_ref().map(|peer| json!({ "effects": peer.effects.to_json(), "hash": hash(&peer.hash) }));
        json!({
            "causes": causes, "asked_at": self.asked_at.0, "expires_at": self.expires_at.0,
            "planned": self.planned.to_json(), "peer": peer, "won_policy": self.won_policy.map(WonPolicy::word),
            "refund_reference": self.refund_reference, "paid_minor": self.paid_minor, "ruling": ruling,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let cause = |value: &Value| ApprovalCause::ALL.iter().copied().find(|cause| value == cause.word());
        let policy = |value: &Value| WonPolicy::ALL.iter().copied().find(|policy| value == policy.word());
        let ruled = |value: &Value| {
            Some(Ruled { at: Time(int(value, "at")?), actor: text(value, "actor")?, note: text(value, "note")? })
        };
        let peer = |value: &Value| {
            let hash = Uuid::try_parse(value["hash"].as_str()?).ok()?.into_bytes().to_vec();
            Some(Planned { effects: JsonText::from_json(&value["effects"])?, hash })
        };
        Some(Self {
            causes: value["causes"].as_array()?.iter().map(cause).collect::<Option<_>>()?,
            asked_at: Time(int(value, "asked_at")?),
            expires_at: Time(int(value, "expires_at")?),
            planned: JsonText::from_json(&value["planned"])?,
            peer: optional(value, "peer", peer)?,
            won_policy: optional(value, "won_policy", policy)?,
            refund_reference: text(value, "refund_reference")?,
            paid_minor: int(value, "paid_minor").unwrap_or_default(),
            ruling: optional(value, "ruling", ruled)?,
        })
    }
}
