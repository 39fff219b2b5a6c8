//! Work on several threads, for crates that have none of their own.

use rayon::prelude::*;

/// Does the work of each number below the count, on all threads, and returns when all is done.
pub fn for_each(count: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().for_each(work);
}

/// Gives a value back beside other work, or not at all where the program ends before: taking many small pieces apart takes
/// a while, and nobody waits for it.
pub fn leave(value: impl Send + 'static) {
    rayon::spawn(move || drop(value));
}
