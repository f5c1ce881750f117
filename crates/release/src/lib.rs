//! The way of a model into service, and back.
//!
//! | module | what is in it |
//! |---|---|
//! | [`state`] | the state machine: what is done, what comes next, what a failure means |
//! | [`record`], [`store`] | what is written down of a release, and where |
//! | [`settings`] | `deploy.yaml` |
//! | [`plan`] | what a release will do, found out before it does anything |
//! | [`flow`] | release, rollback, and what becomes of an interrupted one |
//! | [`steps`] | what each step does |
//! | [`probe`] | asking a version, and telling a right answer from a wrong one |
//! | [`service`] | what is in service |
//! | [`cloud`], [`images`], [`project`] | what is asked of AWS, of whoever makes images, of the project |
//! | [`checkout`], [`container`] | the project as it lies here; images by the crate `image` |
//! | [`list`], [`voice`] | what a person reads |
//! | [`task`] | what the binary does |
//!
//! Invariants: the alias is moved by [`steps`] only, after the record says that it may be; [`state`] decides what comes
//! next and asks nobody; no secret is in an argument, a record or a message.

pub mod checkout;
pub mod cloud;
pub mod container;
pub mod flow;
pub mod images;
pub mod list;
pub mod plan;
pub mod probe;
pub mod project;
pub mod record;
pub mod service;
pub mod settings;
pub mod state;
pub mod steps;
pub mod store;
pub mod task;
pub mod voice;
