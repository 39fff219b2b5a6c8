//! What is left, and whether all is right.
