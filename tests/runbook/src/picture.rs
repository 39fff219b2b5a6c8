//! Latency over time as a picture: what the application's requests met while a change was made, each way below the other.
//!
//! The picture is SVG that stands by itself. It has a title and a description for those who do not see it, follows the
//! reader's light or dark scheme, and tells failed requests by place and form, not by colour alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::measure::{self, Request, Span, duration};

/// One way of making the change.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Whose way.
    pub name: &'a str,
    /// What the application sent.
    pub requests: &'a [Request],
    /// What was done meanwhile.
    pub spans: &'a [Span],
}

const LEFT: f64 = 64.0;
const WIDTH: f64 = 720.0;
const RIGHT: f64 = 16.0;
const HEIGHT: f64 = 130.0;
/// Of a series with its heading, its axis and the strip of commands.
const ROW: f64 = 225.0;
const TOP: f64 = 44.0;

/// Colours keep apart for every kind of colour vision (Okabe and Ito), in both schemes with a contrast of 3 : 1 or more.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.name{font-weight:600}.small{font-size:11px;fill:#59636e}
.back{fill:#ffffff}.grid{stroke:#d1d9e0}.limit{stroke:#59636e;stroke-dasharray:4 3}
.ok{fill:#0072b2}.failed{fill:none;stroke:#c04000;stroke-width:1.6}
.migrate{fill:#6e5494}.backfill{fill:#2f7d5b}.roll-out{fill:#8c6d1f}.check{fill:#8c959f}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.small{fill:#9198a1}.back{fill:#0d1117}.grid{stroke:#30363d}.limit{stroke:#9198a1}
.ok{fill:#56b4e9}.failed{stroke:#ff9e64}
.migrate{fill:#b79be0}.backfill{fill:#5ac08e}.roll-out{fill:#d8b04c}.check{fill:#6e7681}}";

/// The kinds of commands that the strip shows, with the words of the legend.
const KINDS: [(&str, &str); 3] =
    [("migrate", "migrations run"), ("backfill", "rows are filled"), ("roll-out", "roll-out")];

/// What the picture shows, in words: the text alternative.
pub fn description(series: &[Series<'_>]) -> String {
    let mut text = String::new();
    for Series { name, requests, .. } in series {
        let _ = write!(
            text,
            "{}{name}: {} requests in {}, the longest took {}, {} failed.",
            if text.is_empty() { "" } else { " " },
            requests.len(),
            duration(length(requests)),
            duration(measure::longest(requests)),
            measure::failed(requests).len()
        );
    }
    text
}

/// The picture.
pub fn picture(title: &str, series: &[Series<'_>]) -> String {
    let most = series.iter().map(|series| measure::longest(series.requests)).fold(1_000.0, f64::max);
    let top = most.log10().ceil();
    #[expect(clippy::cast_precision_loss, reason = "a handful of series")]
    let total = TOP + series.len() as f64 * ROW + 14.0;
    let width = LEFT + WIDTH + RIGHT;
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total}\" viewBox=\"0 0 {width} {total}\" \
         role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n\
         <style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"100%\" height=\"100%\"/>\n<text class=\"title\" x=\"{LEFT}\" y=\"26\">{}</text>",
        escaped(title),
        escaped(&description(series)),
        escaped(title)
    );
    let mut y = TOP;
    for series in series {
        row(&mut svg, *series, y, top);
        y += ROW;
    }
    let mut x = LEFT;
    for (class, words) in KINDS {
        if series.iter().any(|series| series.spans.iter().any(|span| span.kind == class)) {
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{:.0}\" width=\"12\" height=\"8\"/><text class=\"small\" \
                 x=\"{:.0}\" y=\"{:.0}\">{words}</text>",
                total - 20.0,
                x + 17.0,
                total - 12.0
            );
            x += 130.0;
        }
    }
    if series.iter().any(|series| !measure::failed(series.requests).is_empty()) {
        let _ = writeln!(
            svg,
            "<path class=\"failed\" d=\"M{:.0} {:.0}l6 6m0 -6l-6 6\"/><text class=\"small\" x=\"{:.0}\" y=\"{:.0}\">a \
             request failed</text>",
            x + 3.0,
            total - 19.0,
            x + 17.0,
            total - 12.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(svg: &mut String, series: Series<'_>, y: f64, top: f64) {
    let Series { name, requests, spans } = series;
    let first = requests.iter().map(|request| request.start).fold(f64::INFINITY, f64::min);
    let length = length(requests).max(1.0);
    let scale = WIDTH / length;
    let height = |took: f64| HEIGHT * (took.max(1.0).log10() / top);
    let base = y + 34.0 + HEIGHT;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.0}\"><tspan class=\"name\">{}</tspan> – longest {}, {} of {} requests failed</text>",
        y + 14.0,
        escaped(name),
        duration(measure::longest(requests)),
        measure::failed(requests).len(),
        requests.len()
    );
    let mut decade = 1.0;
    while decade <= 10_f64.powf(top) {
        let line = base - height(decade);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/><text class=\"small\" \
             x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + WIDTH,
            LEFT - 6.0,
            line + 4.0,
            axis(decade)
        );
        decade *= 10.0;
    }
    let every = tick(length);
    let mut at = 0.0;
    while at <= length {
        let x = LEFT + at * scale;
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 28.0,
            axis(at)
        );
        at += every;
    }
    // The slowest of each pixel, so that the picture stays small however many requests there were.
    let mut slowest: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.error.is_none()) {
        let x = LEFT + (request.start - first) * scale;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pixel of the picture")]
        let slot = slowest.entry(x as u32).or_insert((x, request.took));
        if request.took > slot.1 {
            *slot = (x, request.took);
        }
    }
    let mut path = String::new();
    for (x, took) in slowest.values() {
        let wide = (took * scale).max(0.8).min(LEFT + WIDTH - x).max(0.8);
        let _ = write!(path, "M{x:.1} {base:.1}v-{high:.1}h{wide:.1}v{high:.1}z", high = height(*took));
    }
    if !path.is_empty() {
        let _ = writeln!(svg, "<path class=\"ok\" d=\"{path}\"/>");
    }
    let mut crosses = String::new();
    let mut last = f64::NEG_INFINITY;
    for request in measure::failed(requests) {
        let x = LEFT + (request.start - first) * scale;
        if x - last >= 2.0 {
            let middle = base - HEIGHT - 8.0;
            let _ = write!(crosses, "M{:.1} {:.1}l6 6m0 -6l-6 6", x - 3.0, middle - 3.0);
            last = x;
        }
    }
    if !crosses.is_empty() {
        let _ = writeln!(svg, "<path class=\"failed\" d=\"{crosses}\"/>");
    }
    for Span { start, end, kind } in spans {
        if KINDS.iter().any(|(known, _)| known == kind) {
            let x = LEFT + ((start - first) * scale).clamp(0.0, WIDTH);
            let wide = ((end - start) * scale).clamp(1.0, (LEFT + WIDTH - x).max(1.0));
            let _ = writeln!(
                svg,
                "<rect class=\"{kind}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"8\"/>",
                base + 5.0
            );
        }
    }
}

/// From the first request to the end of the last, in milliseconds.
fn length(requests: &[Request]) -> f64 {
    let first = requests.iter().map(|request| request.start).fold(f64::INFINITY, f64::min);
    let last = requests.iter().map(|request| request.start + request.took).fold(f64::NEG_INFINITY, f64::max);
    (last - first).max(0.0)
}

/// The distance between two labels of the time axis: between five and ten of them.
fn tick(length: f64) -> f64 {
    let mut unit = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if length <= unit * factor * 10.0 {
                return unit * factor;
            }
        }
        unit *= 10.0;
    }
}

/// Milliseconds on an axis: `0`, `500 ms`, `2 s`.
fn axis(milliseconds: f64) -> String {
    if milliseconds < 0.5 {
        "0".to_owned()
    } else if milliseconds < 1_000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{} s", milliseconds / 1_000.0)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_counts_and_every_text_is_escaped() {
        let request = |start: f64, took: f64, failed: bool| Request {
            start,
            took,
            error: failed.then(|| "Error".to_owned()),
            name: "save a.B".to_owned(),
        };
        let requests = [request(1000.0, 2.5, false), request(1010.0, 7.0, true)];
        let spans = [Span { start: 1001.0, end: 1005.0, kind: "migrate" }];
        let svg = picture("a & b", &[Series { name: "naive", requests: &requests, spans: &spans }]);
        assert!(svg.contains(">a &amp; b</title>"), "{svg}");
        assert!(svg.contains("naive: 2 requests in 17 ms, the longest took 7 ms, 1 failed."), "{svg}");
        assert!(svg.contains("class=\"failed\" d=\"M") && svg.contains("<rect class=\"migrate\""), "{svg}");
        assert!(!picture("", &[Series { name: "", requests: &[], spans: &[] }]).contains("NaN"));
    }

    #[test]
    fn an_axis_has_five_to_ten_labels() {
        for length in [17.0, 999.0, 5_001.0, 61_000.0, 3e6] {
            let labels = length / tick(length);
            assert!((2.0..=10.0).contains(&labels), "{length}: {labels}");
        }
    }
}
