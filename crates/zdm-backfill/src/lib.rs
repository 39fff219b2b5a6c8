//! Fills columns from expressions on a table of any size while the application runs.
//!
//! The pure half, in reading order: [`definition`] (what is to be filled), [`facts`] (what the catalog says),
//! [`plan`] (strategy and SQL), [`pace`] (how many rows a step may take), [`throttle`] (when to hold).
//! The half that talks to the server: [`catalog`] (reads the facts), [`store`] (the job's tables), [`monitor`]
//! (load signals), [`driver`] (the run), [`verify`] (what is left, and whether all is right), [`event`] (what the
//! shell is told).
//!
//! # How rows are found and updated
//! A part (a table, or one partition) is walked in *windows*: ranges of its key, or ranges of its pages. A window's
//! pending rows are collected by their physical address (`ctid`) and updated in *steps*, one short transaction each. With
//! *sub-passes*, each pass takes the same few rows of every page, so that the dead versions of one pass are pruned
//! and give their room to the next: its updates are HOT and touch no index. A row that moved between collecting and
//! updating is met again when the window is collected once more at its end.
//!
//! # Why it may be killed at any instant
//! A row is pending by value: its column differs from the expression. A step's counters commit with its rows, in one
//! statement. Whatever is done twice finds nothing to do.

pub mod definition;

pub mod facts;

pub mod plan;

pub mod pace;

pub mod throttle;

pub mod tid;

pub mod catalog;

pub mod store;

pub mod monitor;

pub mod driver;

pub mod verify;

pub mod event;

mod error;

pub use definition::{Assignment, Definition};
pub use error::Error;
pub use event::{Event, Outcome};
