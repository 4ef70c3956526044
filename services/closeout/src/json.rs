//! Messages of the API as JSON, field by field as the protos name them, so that nothing is lost or renamed here.

use anyhow::Context;
use crm_proto::DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use std::sync::OnceLock;

/// What fits on one line.
const ONE_LINE: usize = 220;

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

/// The JSON of each of `messages`, without the fields that are not set.
pub(crate) fn brief<M: Message>(name: &str, messages: &[M]) -> anyhow::Result<Value> {
    let mut all = list(name, messages)?;
    for message in all.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        message.retain(|_, value| !value.is_null() && *value != "");
    }
    Ok(all)
}

/// Text that people can read, too: what is short stands on one line.
pub(crate) fn readable(value: &Value) -> String {
    let mut text = String::new();
    write_readable(value, 0, &mut text);
    text
}

fn write_readable(value: &Value, depth: usize, text: &mut String) {
    let plain = value.to_string();
    let (open, close, items): (char, char, Vec<(String, &Value)>) = match value {
        Value::Object(fields) if plain.len() > ONE_LINE => {
            let key = |name: &String| format!("{}: ", Value::from(name.as_str()));
            ('{', '}', fields.iter().map(|(name, value)| (key(name), value)).collect())
        }
        Value::Array(items) if plain.len() > ONE_LINE => {
            ('[', ']', items.iter().map(|value| (String::new(), value)).collect())
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return text.push_str(&plain);
        }
    };
    text.push(open);
    for (index, (key, value)) in items.into_iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        text.push_str(&key);
        write_readable(value, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
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
        let brief = brief("crm.common.v1.Task", &[task]).unwrap();
        assert_eq!((brief[0]["title"].as_str(), brief[0].get("closed_by")), (Some("Call"), None));
    }

    #[test]
    fn what_is_short_stands_on_one_line_and_all_of_it_is_json() {
        let value = serde_json::json!({ "long": "x".repeat(ONE_LINE), "short": [{ "a": "\"" }, null], "none": {} });
        let text = readable(&value);
        assert_eq!(text.lines().count(), 5);
        assert!(text.contains(r#""short": [{"a":"\""},null]"#));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
