//! Messages of the API as JSON, field by field as the protos name them, so that nothing is lost or renamed here.

use anyhow::Context;
use crm_proto::DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use std::sync::OnceLock;

/// The JSON of `message`, whose full name in the protos is `name` (`crm.common.v1.Task`).
pub(crate) fn message<M: Message>(name: &str, message: &M) -> anyhow::Result<Value> {
    let descriptor = pool()?.get_message_by_name(name).with_context(|| format!("no message {name} in the protos"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false).skip_default_fields(false);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// The JSON of each of `messages`.
pub(crate) fn list<M: Message>(name: &str, messages: &[M]) -> anyhow::Result<Value> {
    messages.iter().map(|one| message(name, one)).collect::<anyhow::Result<Vec<_>>>().map(Value::Array)
}

fn pool() -> anyhow::Result<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(DESCRIPTOR_SET).ok()).as_ref().context("the protos cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::common::{Task, TaskState};

    #[test]
    fn a_message_reads_as_the_protos_name_it() {
        let task = Task { title: "Call".into(), state: TaskState::Open.into(), ..Task::default() };
        let json = message("crm.common.v1.Task", &task).unwrap();
        assert_eq!((json["title"].as_str(), json["state"].as_str()), (Some("Call"), Some("TASK_STATE_OPEN")));
        assert_eq!(json["closed_by"], "");
    }
}
