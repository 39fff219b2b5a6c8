//! The configuration as a JSON schema.
