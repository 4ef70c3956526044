//! The generated protobuf code of both services and of the contract between them. No hand-written logic.
//!
//! The documentation of every message and field stands in `proto/`; it is the documentation of these types, too.
#![allow(missing_docs, reason = "generated from proto/, where each item has its comment")]
#![allow(unreachable_pub, clippy::all, reason = "generated code")]

/// Types of the packages `crm.*`.
pub mod crm {
    /// What both public APIs share.
    pub mod common {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("crm.common.v1");
        }
    }
    /// The public API of the opportunity service.
    pub mod opportunity {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("crm.opportunity.v1");
        }
    }
    /// The public API of the order service.
    pub mod order {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("crm.order.v1");
        }
    }
    /// The contract between the two.
    pub mod closeout {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("crm.closeout.v1");
        }
    }
}

/// Google's types that the APIs use.
#[allow(rustdoc::broken_intra_doc_links, reason = "Google's comments link to what is not here")]
pub mod google {
    /// `google.rpc`.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
    /// `google.type`.
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

pub use crm::closeout::v1 as peer;
pub use crm::common::v1 as common;
pub use crm::opportunity::v1 as opportunity;
pub use crm::order::v1 as order;
pub use google::{rpc::Status, r#type::Money};

/// Every file of `proto/` with its comments and options, encoded, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// Every method of the public APIs by its path, sorted, with its option `right`: any of these rights lets a caller in.
pub static METHODS: &[(&str, &[&str])] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));
