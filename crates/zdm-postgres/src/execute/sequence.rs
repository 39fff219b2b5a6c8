//! What a sequence counts, and within which bounds (`sequence.c`).

use super::{Run, Step, refuse};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::name::QualifiedName;
use crate::statement::SequenceOptions;

/// Which numbers a sequence gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    step: i128,
    least: i128,
    most: i128,
    start: i128,
}

impl Run {
    pub(super) fn no_sequence(&self, name: &QualifiedName) -> Step {
        let name = &name.name;
        let message = if self.version.at_least(17) {
            format!("cannot open relation \"{name}\"")
        } else {
            format!("\"{name}\" is not a sequence")
        };
        refuse("42809", message)
    }

    /// `init_params` of a sequence that is there.
    pub(super) fn change_sequence(&mut self, name: &QualifiedName, options: &SequenceOptions) -> Step {
        if let Some(data_type) = &options.data_type {
            need_sequence_type(&self.resolve_type(data_type)?)?;
        }
        let known = self.catalog().sequence(name).map(|sequence| sequence.options.clone());
        let (data_type, before) = match known {
            Some(known) => (options.data_type.clone().or_else(|| known.data_type.clone()), extent(&known, None)),
            None => (options.data_type.clone(), None),
        };
        check_written(options, data_type.as_ref())?;
        let Some(before) = before else { return Ok(()) };
        let old = bound(self.catalog().sequence(name).and_then(|sequence| sequence.options.data_type.as_ref()));
        let new = bound(data_type.as_ref());
        // Bounds that were those of its type go with it.
        let base = Extent {
            most: if before.most == old { new } else { before.most },
            least: if before.least == -old - 1 { -new - 1 } else { before.least },
            ..before
        };
        let options_of_type = SequenceOptions { data_type: data_type.clone(), ..options.clone() };
        let Some(after) = extent(&options_of_type, Some(base)) else {
            self.catalog_mut().edit_sequence(name, |sequence| sequence.options.data_type = data_type);
            return Ok(());
        };
        check_bounds(after)?;
        if let Some(value) = options.restart_with.map(i128::from) {
            within("RESTART", value, after)?;
        }
        check_cache(options)?;
        self.catalog_mut().edit_sequence(name, |sequence| {
            sequence.options.data_type = data_type;
            sequence.options.other.retain(|option| kind_of(option).is_none());
            sequence.options.other.extend(after.options());
        });
        Ok(())
    }

    /// `setval` with numbers.
    pub(super) fn check_set_values(&self, node: &ExprNode) -> Step {
        let mut outside = None;
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node
                && function.name == "setval"
                && let [ExprNode::Text(sequence), value, ..] = args.as_slice()
                && let Some(value) = number_of(value)
                && let Some(name) = self.find(&crate::catalog::regclass(sequence))
                && let Some(known) = self.catalog().sequence(&name)
                && let Some(Extent { least, most, .. }) = extent(&known.options, None)
                && !(least..=most).contains(&value)
            {
                outside.get_or_insert_with(|| {
                    format!("setval: value {value} is out of bounds for sequence \"{}\" ({least}..{most})", name.name)
                });
            }
        });
        outside.map_or(Ok(()), |message| refuse("22003", message))
    }
}

impl Extent {
    fn options(self) -> [String; 4] {
        [
            format!("INCREMENT BY {}", self.step),
            format!("MINVALUE {}", self.least),
            format!("MAXVALUE {}", self.most),
            format!("START WITH {}", self.start),
        ]
    }
}

fn number_of(node: &ExprNode) -> Option<i128> {
    match node {
        ExprNode::Number(number) => number.parse().ok(),
        ExprNode::Prefix { operator, expr } if operator == "-" => number_of(expr).map(|number| -number),
        _ => None,
    }
}

pub(super) fn need_sequence_type(base: &DataType) -> Step {
    if matches!(base.name.name.as_str(), "int2" | "int4" | "int8") {
        return Ok(());
    }
    refuse("22023", "sequence type must be smallint, integer, or bigint")
}

/// The greatest value of the type.
fn bound(data_type: Option<&DataType>) -> i128 {
    match data_type.map(|data_type| data_type.name.name.as_str()) {
        Some("int2") => i128::from(i16::MAX),
        Some("int4") => i128::from(i32::MAX),
        _ => i128::from(i64::MAX),
    }
}

/// The option without its value, of those that say what is counted.
fn kind_of(option: &str) -> Option<&'static str> {
    let option = option.strip_prefix("NO ").unwrap_or(option).trim_start();
    ["INCREMENT", "MINVALUE", "MAXVALUE", "START"].into_iter().find(|kind| option.starts_with(kind))
}

/// The number of an option; `Err` where it is a parameter's.
fn written(options: &SequenceOptions, words: &[&str]) -> Result<Option<i128>, ()> {
    let found = options.other.iter().find_map(|option| words.iter().find_map(|word| option.strip_prefix(word)));
    found.map(|number| number.replace(' ', "").parse::<i128>().map_err(|_| ())).transpose()
}

/// What the options say of a new sequence, or of one that counts like `base`; `None` where a number is not known.
fn extent(options: &SequenceOptions, base: Option<Extent>) -> Option<Extent> {
    let number = |words: &[&str]| written(options, words).ok();
    let back = |kind: &str| {
        options
            .other
            .iter()
            .any(|option| option.starts_with("NO ") && kind_of(option).is_some_and(|known| known == kind))
    };
    let step = number(&["INCREMENT BY", "INCREMENT"])?.or(base.map(|base| base.step)).unwrap_or(1);
    let bound = bound(options.data_type.as_ref());
    let (usual_least, usual_most) = if step > 0 { (1, bound) } else { (-bound - 1, -1) };
    let kept = |kind: &str, value: fn(Extent) -> i128| base.filter(|_| !back(kind)).map(value);
    let most = number(&["MAXVALUE"])?.or(kept("MAXVALUE", |base| base.most)).unwrap_or(usual_most);
    let least = number(&["MINVALUE"])?.or(kept("MINVALUE", |base| base.least)).unwrap_or(usual_least);
    let usual_start = if step > 0 { least } else { most };
    let start = number(&["START WITH", "START"])?.or(base.map(|base| base.start)).unwrap_or(usual_start);
    Some(Extent { step, least, most, start })
}

/// The increment, and the values' bounds, as far as they are written.
fn check_written(options: &SequenceOptions, data_type: Option<&DataType>) -> Step {
    let number = |words: &[&str]| written(options, words).ok().flatten();
    if number(&["INCREMENT BY", "INCREMENT"]) == Some(0) {
        return refuse("22023", "INCREMENT must not be zero");
    }
    let name = match data_type.map(|data_type| data_type.name.name.as_str()) {
        Some("int2") => "smallint",
        Some("int4") => "integer",
        _ => "bigint",
    };
    let bound = bound(data_type);
    for kind in ["MAXVALUE", "MINVALUE"] {
        if let Some(value) = number(&[kind]).filter(|value| !(-bound - 1..=bound).contains(value)) {
            return refuse("22023", format!("{kind} ({value}) is out of range for sequence data type {name}"));
        }
    }
    Ok(())
}

fn check_bounds(extent: Extent) -> Step {
    let Extent { least, most, start, .. } = extent;
    if least >= most {
        return refuse("22023", format!("MINVALUE ({least}) must be less than MAXVALUE ({most})"));
    }
    within("START", start, extent)
}

fn within(what: &str, value: i128, Extent { least, most, .. }: Extent) -> Step {
    if value < least {
        return refuse("22023", format!("{what} value ({value}) cannot be less than MINVALUE ({least})"));
    }
    if value > most {
        return refuse("22023", format!("{what} value ({value}) cannot be greater than MAXVALUE ({most})"));
    }
    Ok(())
}

fn check_cache(options: &SequenceOptions) -> Step {
    match written(options, &["CACHE"]) {
        Ok(Some(cache)) if cache <= 0 => refuse("22023", format!("CACHE ({cache}) must be greater than zero")),
        _ => Ok(()),
    }
}

/// `init_params` of a new sequence.
pub(super) fn check_new_sequence(options: &SequenceOptions, data_type: Option<&DataType>) -> Step {
    check_written(options, data_type)?;
    let options = &SequenceOptions { data_type: data_type.cloned(), ..options.clone() };
    if let Some(extent) = extent(options, None) {
        check_bounds(extent)?;
    }
    check_cache(options)
}
