//! Ranges, which are kept in a form of their own where their elements are discrete.

/// `range_parse`, `range_canonical` of integers, and `range_deparse`.
pub(super) fn canonical(value: &str, data_type: &str) -> Option<String> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("empty") {
        return Some("empty".to_owned());
    }
    if matches!(data_type, "int4range" | "int8range")
        && let Some(bounds) = integers(value)
    {
        return Some(show(bounds));
    }
    let inner = value.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let (from, to) = inner.split_once(',').filter(|(_, to)| !to.contains(','))?;
    // An edge that is not there is not part of the range.
    let open = if from.trim().is_empty() { "(" } else { value.get(..1)? };
    let close = if to.trim().is_empty() { ")" } else { value.get(value.len() - 1..)? };
    let own = match data_type {
        "tsrange" => Some("timestamp"),
        "tstzrange" => Some("timestamptz"),
        "daterange" => Some("date"),
        _ => None,
    };
    let endless = from.trim().is_empty() || to.trim().is_empty();
    let dates = data_type == "daterange" && (open == "(" && !from.trim().is_empty() || close == "]");
    let edge = |text: &str| {
        let bare = text.trim().trim_matches('"');
        if bare.is_empty() {
            return Some(String::new());
        }
        let text = match own {
            Some(own) => super::canonical(bare, own).or_else(|| endless.then(|| text.trim().to_owned()))?,
            None => endless.then(|| text.trim().to_owned())?,
        };
        // `range_bound_escape`
        let quoted = text.contains(char::is_whitespace) && !text.contains('"');
        Some(if quoted { format!("\"{text}\"") } else { text })
    };
    if dates {
        return None;
    }
    Some(format!("{open}{},{}{close}", edge(from)?, edge(to)?))
}

/// From and up to, the latter not included.
type Bounds = Option<(Option<i64>, Option<i64>)>;

/// `None` inside is the empty range.
fn integers(value: &str) -> Option<Bounds> {
    if value.eq_ignore_ascii_case("empty") {
        return Some(None);
    }
    let inner = value.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let (from, to) = inner.split_once(',')?;
    let edge = |text: &str, step: bool| match text.trim() {
        "" => Some(None),
        number => number.parse::<i64>().ok()?.checked_add(i64::from(step)).map(Some),
    };
    let from = edge(from, value.starts_with('('))?;
    let to = edge(to, value.ends_with(']'))?;
    match (from, to) {
        (Some(from), Some(to)) if from == to => Some(None),
        // The server refuses it.
        (Some(from), Some(to)) if from > to => None,
        bounds => Some(Some(bounds)),
    }
}

fn show(bounds: Bounds) -> String {
    let Some((from, to)) = bounds else { return "empty".to_owned() };
    let shown = |edge: Option<i64>| edge.map(|number| number.to_string()).unwrap_or_default();
    format!("{}{},{})", if from.is_some() { "[" } else { "(" }, shown(from), shown(to))
}

/// `{[1,3),[5,8)}`: in order, and what touches is one.
pub(super) fn of_several(value: &str, data_type: &str) -> Option<String> {
    if !matches!(data_type, "int4multirange" | "int8multirange") {
        return None;
    }
    let inner = value.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut parts = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let end = rest.find([']', ')'])?;
        parts.extend(integers(rest.get(..=end)?.trim())?);
        rest = rest.get(end + 1..)?.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    parts.sort_by_key(|(from, _)| from.map_or((0, 0), |from| (1, from)));
    let mut merged: Vec<(Option<i64>, Option<i64>)> = Vec::new();
    for (from, to) in parts {
        match merged.last_mut() {
            Some((_, last)) if last.is_none() || from.is_none() || from <= *last => {
                *last = if last.is_none() || to.is_none() { None } else { (*last).max(to) };
            }
            _ => merged.push((from, to)),
        }
    }
    let shown: Vec<String> = merged.into_iter().map(|bounds| show(Some(bounds))).collect();
    Some(format!("{{{}}}", shown.join(",")))
}
