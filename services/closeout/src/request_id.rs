//! Ids of requests. Those of an import are derived from what the row is, so that a second import makes nothing twice.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// A new id, for a call that a person makes.
pub(crate) fn new() -> String {
    Uuid::now_v7().to_string()
}

/// The id of one step of one row: always the same for the same tenant, source, row and step.
pub(crate) fn derived(tenant: Uuid, source: &str, row: &str, step: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(tenant.as_bytes());
    for part in [source, row, step] {
        hash.update((part.len() as u64).to_be_bytes()); // so that no two lists of parts run together
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_step_of_the_same_row_has_the_same_id() {
        let tenant = Uuid::from_u128(1);
        assert_eq!(derived(tenant, "csv", "1C1I7A6R", "win"), derived(tenant, "csv", "1C1I7A6R", "win"));
    }

    #[test]
    fn tenant_row_and_step_all_matter() {
        let tenant = Uuid::from_u128(1);
        let ids = [
            derived(tenant, "csv", "A", "win"),
            derived(Uuid::from_u128(2), "csv", "A", "win"),
            derived(tenant, "seed", "A", "win"),
            derived(tenant, "csv", "B", "win"),
            derived(tenant, "csv", "A", "create"),
            derived(tenant, "csv", "Aw", "in"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[index + 1..].contains(id));
            assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 8);
        }
    }
}
