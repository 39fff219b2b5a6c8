//! A value's `Debug` text without what says nothing: for tests that are read by people.

/// `AlterTable(AlterTable { keyword: Table, name: QualifiedName { schema: None, name: "t" }, … })` as `AlterTable{keyword:Table, name:t, …}`.
pub(crate) fn compact(debug: &str) -> String {
    let mut reader = Reader { rest: debug };
    let tree = reader.value();
    assert!(reader.rest.trim().is_empty(), "the whole text is read: {}", reader.rest);
    tree.to_text()
}

enum Tree {
    /// A word, a number or a string.
    Atom(String),
    /// `Name { field: value }`.
    Struct(String, Vec<(String, Tree)>),
    /// `Name(value, …)`; tuples have no name.
    Tuple(String, Vec<Tree>),
    List(Vec<Tree>),
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn accept(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start();
        if let Some(rest) = rest.strip_prefix(text) {
            self.rest = rest;
            return true;
        }
        false
    }

    fn word(&mut self) -> String {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '.')).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn string(&mut self) -> String {
        let rest = self.rest.trim_start();
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let (string, rest) = rest.split_at(index + 1);
                    self.rest = rest;
                    return string.to_owned();
                }
                _ => {}
            }
        }
        panic!("a string without an end: {rest}");
    }

    fn items(&mut self, end: &str) -> Vec<Tree> {
        let mut items = Vec::new();
        while !self.accept(end) {
            items.push(self.value());
            self.accept(",");
        }
        items
    }

    fn value(&mut self) -> Tree {
        let rest = self.rest.trim_start();
        if rest.starts_with('"') {
            return Tree::Atom(self.string());
        }
        if self.accept("[") {
            return Tree::List(self.items("]"));
        }
        let word = self.word();
        if self.accept("(") {
            return Tree::Tuple(word, self.items(")"));
        }
        if self.rest.starts_with(" {") && self.accept("{") {
            let mut fields = Vec::new();
            while !self.accept("}") {
                let name = self.word();
                assert!(self.accept(":"), "a field of {word}: {}", self.rest);
                fields.push((name, self.value()));
                self.accept(",");
            }
            return Tree::Struct(word, fields);
        }
        Tree::Atom(word)
    }
}

impl Tree {
    fn says_nothing(&self) -> bool {
        match self {
            Self::Atom(word) => matches!(word.as_str(), "None" | "false" | "Permanent" | "Restrict"),
            Self::Tuple(name, items) => name == "Only" && items.iter().all(Self::says_nothing),
            Self::List(items) => items.is_empty(),
            Self::Struct(name, fields) => match name.as_str() {
                "ConstraintAttributes" => fields
                    .iter()
                    .all(|(name, value)| value.says_nothing() || (name == "enforced" && value.to_text() == "true")),
                "SequenceOptions" | "AttributeWords" => fields.iter().all(|(_, value)| value.says_nothing()),
                _ => false,
            },
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Atom(word) => word.clone(),
            Self::List(items) => format!("[{}]", join(items)),
            Self::Tuple(name, items) => match (name.as_str(), items.as_slice()) {
                ("Some", [value]) => value.to_text(),
                // `CreateTable(CreateTable { … })` and a typed node's box.
                (name, [Self::Struct(inner, _)]) if name == inner => items[0].to_text(),
                ("Only", [Self::Atom(word)]) => word.clone(),
                _ => format!("{name}({})", join(items)),
            },
            Self::Struct(name, fields) => {
                let field =
                    |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.to_text());
                match name.as_str() {
                    "QualifiedName" => {
                        let name = field("name").unwrap_or_default();
                        let name = name.trim_matches('"');
                        match field("schema").filter(|schema| schema != "None") {
                            Some(schema) => format!("{}.{name}", schema.trim_matches('"')),
                            None => name.to_owned(),
                        }
                    }
                    "DataType" => {
                        let modifiers = field("modifiers").unwrap_or_default();
                        let modifiers = modifiers.trim_matches(['[', ']']);
                        let fields = field("fields").filter(|fields| fields != "None");
                        let fields = fields.map_or(String::new(), |fields| format!(" {}", fields.trim_matches('"')));
                        let modifiers = if modifiers.is_empty() { String::new() } else { format!("({modifiers})") };
                        let dimensions = field("array_dimensions").and_then(|count| count.parse().ok()).unwrap_or(0);
                        format!("{}{fields}{modifiers}{}", field("name").unwrap_or_default(), "[]".repeat(dimensions))
                    }
                    "SqlExpr" => field("text").unwrap_or_default().replace("\\\"", "\""),
                    _ => {
                        let fields: Vec<String> = fields
                            .iter()
                            .filter(|(name, value)| {
                                let default = name == "enforced" && value.to_text() == "true";
                                // The text in other words.
                                let repeated = name == "words";
                                !default && !repeated && !value.says_nothing()
                            })
                            .map(|(name, value)| format!("{name}:{}", value.to_text()))
                            .collect();
                        format!("{name}{{{}}}", fields.join(", "))
                    }
                }
            }
        }
    }
}

fn join(items: &[Tree]) -> String {
    items.iter().map(Tree::to_text).collect::<Vec<_>>().join(", ")
}
