//! What no function and no procedure can be (`compute_function_attributes`, `interpret_function_parameter_list`).

use zdm_postgres::Ident;
use zdm_postgres::effects::Refusal;
use zdm_postgres::statement::CreateFunction;

use super::{Mode, Parameter};
use crate::cursor::Cursor;
use crate::lexer::Kind;

fn refusal(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { sqlstate, message: message.into() }
}

pub(super) fn table_and_results() -> Refusal {
    refusal("42601", "OUT and INOUT arguments aren't allowed in TABLE functions")
}

/// The first fault of the arguments in their order.
pub(super) fn of_arguments(all: &[Parameter], procedure: bool) -> Option<Refusal> {
    let (mut variadic, mut defaults) = (false, false);
    for (place, parameter) in all.iter().enumerate() {
        let output = parameter.is_output_alone();
        let fault = |message: &str| Some(refusal("42P13", message));
        if variadic && !output {
            return fault("VARIADIC parameter must be the last input parameter");
        }
        if variadic && procedure {
            return fault("VARIADIC parameter must be the last parameter");
        }
        if parameter.mode == Mode::Variadic {
            variadic = true;
            if parameter.data_type.as_ref().is_some_and(|data_type| {
                let name = data_type.name.name.as_str();
                !data_type.is_array() && !name.starts_with("any") && !name.starts_with('_') && !name.ends_with("vector")
            }) {
                return fault("VARIADIC parameter must be an array");
            }
        }
        if let Some(name) = &parameter.name
            && all.iter().take(place).any(|known| known.name.as_ref() == Some(name) && conflict(known, parameter))
        {
            return fault(&format!("parameter name \"{name}\" used more than once"));
        }
        if parameter.has_default {
            if output {
                return fault("only input parameters can have default values");
            }
            defaults = true;
        } else if defaults && !output {
            return fault("input parameters after one with a default value must also have defaults");
        } else if defaults && procedure {
            return fault("procedure OUT parameters cannot appear after one with a default value");
        }
    }
    None
}

/// What is given alone and what is returned alone may have one name.
const fn conflict(one: &Parameter, other: &Parameter) -> bool {
    const fn given_alone(mode: Mode) -> bool {
        matches!(mode, Mode::In | Mode::Variadic)
    }
    const fn returned_alone(mode: Mode) -> bool {
        matches!(mode, Mode::Out | Mode::Table)
    }
    !(given_alone(one.mode) && returned_alone(other.mode) || returned_alone(one.mode) && given_alone(other.mode))
}

/// The options as they are met.
#[derive(Debug, Default)]
pub(super) struct Options {
    met: Vec<&'static str>,
    fault: Option<Refusal>,
    /// Of a value, which is looked at behind all of them.
    value: Option<Refusal>,
    rows: bool,
    /// AS has two texts.
    symbol: bool,
    text: bool,
}

impl Options {
    /// One option by its words.
    pub(super) fn note(&mut self, words: &Cursor<'_>, procedure: bool) {
        let (class, of_functions) = match words {
            words if words.is("LANGUAGE") => ("language", false),
            words if words.is_any(&["IMMUTABLE", "STABLE", "VOLATILE"]) => ("volatility", true),
            words if words.is_any(&["STRICT", "CALLED", "RETURNS"]) => ("strict", true),
            words if words.is_any(&["LEAKPROOF", "NOT"]) => ("leakproof", true),
            words if words.is("WINDOW") => ("window", true),
            words if words.is_any(&["SECURITY", "EXTERNAL"]) => ("security", false),
            words if words.is("PARALLEL") => ("parallel", true),
            words if words.is("COST") => ("cost", true),
            words if words.is("ROWS") => ("rows", true),
            words if words.is("SUPPORT") => ("support", true),
            words if words.is("TRANSFORM") => ("transform", false),
            words if words.is("AS") => ("as", false),
            _ => return,
        };
        if self.fault.is_some() {
            return;
        }
        if procedure && of_functions {
            self.fault = Some(refusal("42P13", "invalid attribute in procedure definition"));
        } else if self.met.contains(&class) {
            self.fault = Some(refusal("42601", "conflicting or redundant options"));
        }
        self.met.push(class);
        let value = words.tokens.get(1).map(|token| words.source(*token)).unwrap_or_default();
        let is_zero = value.parse::<f64>().is_ok_and(|number| number <= 0.0);
        match class {
            "cost" if is_zero => self.value = Some(refusal("22023", "COST must be positive")),
            "rows" if is_zero => {
                self.value.get_or_insert_with(|| refusal("22023", "ROWS must be positive"));
            }
            "parallel" if !["safe", "restricted", "unsafe"].contains(&value.to_ascii_lowercase().as_str()) => {
                let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                self.value.get_or_insert_with(|| refusal("42601", message));
            }
            _ => {}
        }
        self.rows |= class == "rows";
        self.text |= class == "as";
        self.symbol |= class == "as" && words.tokens.iter().any(|token| token.kind == Kind::Comma);
    }

    pub(super) fn fault(&self, function: &CreateFunction) -> Option<Refusal> {
        let unnamed = function.language.is_none() && !function.standard_body;
        let unnamed = unnamed.then(|| refusal("42P13", "no language specified"));
        self.fault.clone().or_else(|| self.value.clone()).or(unnamed)
    }

    /// `returns`: what it gives is written.
    pub(super) fn fault_of_result(&self, function: &CreateFunction, returns: bool) -> Option<Refusal> {
        if !returns {
            return Some(refusal("42P13", "function result type must be specified"));
        }
        let language = function.language.as_ref().map_or("sql", |language| language.as_str());
        if function.standard_body {
            if self.text {
                return Some(refusal("42P13", "duplicate function body specified"));
            }
            if language != "sql" {
                return Some(refusal("42P13", "inline SQL function body only valid for language SQL"));
            }
        } else if !self.text {
            return Some(refusal("42P13", "no function body specified"));
        }
        if self.symbol && language != "c" {
            return Some(refusal("42P13", format!("only one AS item needed for language \"{language}\"")));
        }
        let idle_rows = self.rows && !function.returns_set;
        idle_rows.then(|| refusal("22023", "ROWS is not applicable when function does not return a set"))
    }
}

/// What REFERENCING of a trigger names.
pub(super) struct Transition {
    pub(super) new: bool,
    pub(super) table: bool,
    pub(super) name: Ident,
}

/// `CreateTriggerFiringOn`, beside what its timing, its events and its columns do not go with.
pub(super) fn of_transitions(transitions: &[Transition], events: &[String]) -> Option<Refusal> {
    let fires = |wanted: &[&str]| events.iter().any(|event| wanted.contains(&event.as_str()));
    for (place, transition) in transitions.iter().enumerate() {
        if !transition.table {
            return Some(refusal("0A000", "ROW variable naming in the REFERENCING clause is not supported"));
        }
        let (word, wanted) = if transition.new { ("NEW", ["INSERT", "UPDATE"]) } else { ("OLD", ["DELETE", "UPDATE"]) };
        if !fires(&wanted) {
            let article = if transition.new { "an" } else { "a" };
            let [first, second] = wanted;
            let message = format!("{word} TABLE can only be specified for {article} {first} or {second} trigger");
            return Some(refusal("42P17", message));
        }
        if transitions.iter().take(place).any(|known| known.new == transition.new) {
            return Some(refusal("42P17", format!("{word} TABLE cannot be specified multiple times")));
        }
    }
    let same = matches!(transitions, [one, other] if one.name == other.name);
    same.then(|| refusal("42P17", "OLD TABLE name and NEW TABLE name cannot be the same"))
}
