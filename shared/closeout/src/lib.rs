//! The kernel both services stand on, written once: ids, money, reasons, tasks, close-out episodes and their effects.
//! Pure: no clock, no database, no protobuf; time and new ids come in as arguments.

pub mod ids;
