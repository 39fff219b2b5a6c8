//! `zdm migrate` as a black box: real Django in a child process, real servers, real sessions beside it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod site;

mod basics;

mod locks;

mod gate;

mod ends;

mod kills;

mod resume;

mod others;

mod connect;
