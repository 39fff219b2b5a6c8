//! Predicted effects against PostgreSQL: what the model says, what was recorded, and what live servers do.
//!
//! - [`truth`]: the recorded measurements (`truth.json`) of versions 12 to 18.
//! - [`predict`]: the model's answer to the same case.
//! - [`measure`]: what a live server does.
//! - [`observed`]: what both are compared as.
//!
//! The tests hold the three together: `recorded` needs no server, `live` and `random` start one per version.

pub mod observed;

pub mod predict;

pub mod truth;

pub mod measure;

pub mod compare;

pub mod script;

pub mod report;

pub mod known;

pub mod cases;

pub mod generate;

mod generate_forms;
mod generate_rich;

mod generate_tree;
