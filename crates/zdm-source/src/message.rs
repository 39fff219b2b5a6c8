//! A message is words with the user's names among them, each in backticks.

/// The names that a message has.
pub fn names(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

/// What a message says, whatever of and of however many: its words, with one mark for each name or list of names.
///
/// ``drops `a` and `b` `` and ``drops `c` `` have the same wording.
pub fn wording(message: &str) -> String {
    let mut texts = message.split('`').step_by(2);
    let mut words = texts.next().unwrap_or_default().to_owned();
    for text in texts.filter(|text| !matches!(*text, ", " | " and ")) {
        words.push('`');
        words.push_str(text);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_words() {
        let message = "creating `a` also locks `b`, `c` and `d` until the end";
        assert_eq!(names(message).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(wording(message), "creating ` also locks ` until the end");
        assert_eq!(wording("creating `a` also locks `b` until the end"), wording(message));
        assert_ne!(wording("dropping `a` also locks `b` until the end"), wording(message));
        assert_eq!(wording("`a` and `b`"), wording("`c`"));
        assert_eq!(wording("no name"), "no name");
        // A list that was cut says how many are left out.
        assert_ne!(wording("`a` and 12 more"), wording("`a`"));
    }
}
