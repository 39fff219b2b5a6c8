//! Reads the files named on standard input, one in a line, and parses them with tree-sitter alone: the floor that
//! `cargo xtask bench` measures everything else against. The argument is the number of threads, default 1.

use std::io::Read as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads: usize = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let mut list = String::new();
    std::io::stdin().read_to_string(&mut list)?;
    let files: Vec<&str> = list.lines().collect();
    let share = files.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for part in files.chunks(share) {
            scope.spawn(move || parse(part));
        }
    });
    Ok(())
}

fn parse(files: &[&str]) {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).expect("the grammar fits the library");
    for file in files {
        let text = std::fs::read(file).expect("the file was listed a moment ago");
        assert!(parser.parse(text, None).is_some(), "{file}");
    }
}
