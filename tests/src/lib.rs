//! crm-tests
