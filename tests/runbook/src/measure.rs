//! What the application's requests met, and the picture of it.

use std::fmt::Write as _;
use std::path::Path;

/// One request of the application.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// When it began, in Unix milliseconds.
    pub start: f64,
    /// How long it took, in milliseconds.
    pub took: f64,
    /// Why it failed.
    pub error: Option<String>,
    /// What it was.
    pub name: String,
}

/// The requests in a log of `traffic.py`; a last line that is not written to its end does not count.
///
/// # Errors
/// The log cannot be read, or is no such log.
pub fn read(log: &Path) -> Result<Vec<Request>, String> {
    let text = std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| request(line).ok_or_else(|| format!("{}: {line:?}", log.display()))).collect()
}

fn request(line: &str) -> Option<Request> {
    let mut fields = line.splitn(5, '\t');
    let start = fields.next()?.parse().ok()?;
    let took = fields.next()?.parse().ok()?;
    let failed = fields.next()? == "failed";
    let name = fields.next()?.to_owned();
    let error = fields.next()?.to_owned();
    Some(Request { start, took, error: failed.then_some(error), name })
}

/// The longest request, in milliseconds.
pub fn longest(requests: &[Request]) -> f64 {
    requests.iter().map(|request| request.took).fold(0.0, f64::max)
}

/// Those that failed.
pub fn failed(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.error.is_some()).collect()
}

/// A picture of latency over time, each series above the next: every request a line from its start to its end, as high
/// as it took, failed ones in red.
pub fn picture(title: &str, series: &[(&str, &[Request])]) -> String {
    const WIDTH: f64 = 860.0;
    const HEIGHT: f64 = 150.0;
    const LEFT: f64 = 70.0;
    let most = series.iter().map(|(_, requests)| longest(requests)).fold(100.0, f64::max);
    let top = most.log10().ceil();
    #[expect(clippy::cast_precision_loss, reason = "a handful of series")]
    let total = 40.0 + series.len() as f64 * (HEIGHT + 60.0);
    let mut svg = String::new();
    let width = WIDTH + LEFT + 20.0;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\" \
         font-size=\"15\">{}</text>",
        escaped(title)
    );
    let mut y = 50.0;
    for (name, requests) in series {
        let first = requests.iter().map(|request| request.start).fold(f64::INFINITY, f64::min);
        let last = requests.iter().map(|request| request.start + request.took).fold(first, f64::max);
        let scale = WIDTH / (last - first).max(1.0);
        let height = |took: f64| HEIGHT * (took.max(1.0).log10() / top);
        let base = y + 14.0 + HEIGHT;
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{y}\">{}: {} requests in {:.0} s, longest {}, {} failed</text>",
            escaped(name),
            requests.len(),
            (last - first).max(0.0) / 1000.0,
            duration(longest(requests)),
            failed(requests).len()
        );
        let mut decade = 1.0;
        while decade <= 10_f64.powf(top) {
            let line = base - height(decade);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{line:.1}\" y2=\"{line:.1}\" stroke=\"#ddd\"/><text x=\"{:.0}\" \
                 y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
                LEFT + WIDTH,
                LEFT - 6.0,
                line + 4.0,
                duration(decade)
            );
            decade *= 10.0;
        }
        for (colour, wanted) in [("#2b6cb0", false), ("#c53030", true)] {
            let mut path = String::new();
            let mut slowest: std::collections::BTreeMap<u32, (f64, f64)> = std::collections::BTreeMap::new();
            for request in requests.iter().filter(|request| request.error.is_some() == wanted) {
                let x = LEFT + (request.start - first) * scale;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pixel of the picture")]
                let column = x as u32;
                let slot = slowest.entry(column).or_insert((x, request.took));
                if request.took > slot.1 {
                    *slot = (x, request.took);
                }
            }
            for (x, took) in slowest.values() {
                let end = (x + took * scale).max(x + 0.8);
                let _ = write!(path, "M{x:.1} {base:.1}V{:.1}H{end:.1}V{base:.1}Z", base - height(*took));
            }
            if !path.is_empty() {
                let _ = writeln!(svg, "<path d=\"{path}\" fill=\"{colour}\" fill-opacity=\"0.7\"/>");
            }
        }
        y += HEIGHT + 60.0;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Milliseconds for people.
pub fn duration(milliseconds: f64) -> String {
    if milliseconds < 1000.0 { format!("{milliseconds:.0} ms") } else { format!("{:.1} s", milliseconds / 1000.0) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_up_to_its_last_whole_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "1000\t2.5\tok\tread a.B\t\n1010\t7.0\tfailed\tsave a.B\tError: x\n10")
            .expect("written");
        let requests = read(file.path()).expect("a log");
        assert_eq!(requests.len(), 2);
        assert!((longest(&requests) - 7.0).abs() < 1e-9);
        assert_eq!(failed(&requests)[0].error.as_deref(), Some("Error: x"));
        let svg = picture("a & b", &[("naive", &requests)]);
        assert!(svg.contains("a &amp; b") && svg.contains("2 requests in 0 s, longest 7 ms, 1 failed"), "{svg}");
    }
}
