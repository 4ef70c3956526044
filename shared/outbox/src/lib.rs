//! crm-outbox
