//! `#[durable::test]`, as users write such tests: in virtual time, with steps that fail, crashes, and orders.

mod failing;
mod features;
mod shop;
