//! The same matters in forms that the pages do not show: `forms.md`, and `python.md`
//! for the code of a `RunPython`, in the format of a page.

use zdm_source::Severity;

use crate::check;
use crate::common::Block;

/// In these files a section's `given` blocks are for that section; those in front of the first are for all.
#[test]
fn every_form_is_judged_as_its_page_says() {
    let forms = forms_hold(include_str!("forms.md"), Severity::Warning);
    println!("{forms} forms");
}

#[test]
fn every_body_of_run_python_is_judged_as_its_page_says() {
    let bodies = forms_hold(include_str!("python.md"), Severity::Info);
    println!("{bodies} bodies of RunPython");
}

/// How many there are.
fn forms_hold(text: &str, least: Severity) -> u32 {
    let (mut for_all, mut given) = (Vec::new(), Vec::new());
    let (mut section, mut forms) = (None, 0);
    let mut failures = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            section = Some(title);
            given.clone_from(&for_all);
        }
        let Some(info) = line.strip_prefix("```python") else { continue };
        let mut block = Block { line: index + 2, text: String::new() };
        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            block.text.push_str(line);
            block.text.push('\n');
        }
        if info.trim() == "given" {
            given.push(block);
            if section.is_none() {
                for_all.clone_from(&given);
            }
            continue;
        }
        forms += 1;
        check("ZDM101", section.expect("a title in front of the form"), &given, &[], &block, least, &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
    forms
}
