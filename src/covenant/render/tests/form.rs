//! The document as a browser, a printer and a reader with a screen reader meet it; and texts that would do harm.

use super::*;

/// The elements in their order, with their attributes and without what they hold.
fn elements(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(element, _)| element).collect()
}

#[test]
fn it_needs_nothing_from_elsewhere_and_runs_nothing() {
    let html = &shipped().html;
    for element in elements(html) {
        let name = element.split_whitespace().next().unwrap();
        assert!(!["script", "link", "img", "iframe", "object", "embed", "form", "base"].contains(&name), "<{element}>");
        let attributes = element.split(' ').filter_map(|part| part.split_once('=')).map(|(name, _)| name);
        assert!(attributes.into_iter().all(|name| !name.starts_with("on") && name != "style"), "<{element}>");
    }
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(html.contains(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    ));
    // What leads away are the addresses of the register, and only when somebody follows them.
    let away = values(html, "href").into_iter().filter(|target| !target.starts_with('#'));
    assert!(
        away.into_iter().all(|target| target.starts_with("https://gemeente-wassenaar.example/verwerkingsregister/"))
    );
}

#[test]
fn elements_are_closed_in_the_order_in_which_they_were_opened() {
    const EMPTY: [&str; 2] = ["meta", "br"];
    let mut open = Vec::new();
    for element in elements(&shipped().html) {
        let name = element.trim_start_matches('/').split_whitespace().next().unwrap();
        if name.starts_with('!') || EMPTY.contains(&name) {
            continue;
        }
        if element.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn it_can_be_read_without_seeing_it() {
    let html = &shipped().html;
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"nl\">"), "{}", &html[..60]);
    let headings: Vec<u32> = elements(html)
        .into_iter()
        .filter_map(|element| element.strip_prefix('h')?.chars().next()?.to_digit(10))
        .collect();
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1);
    assert_eq!(headings[0], 1);
    for pair in headings.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "a heading of level {} follows one of level {}", pair[1], pair[0]);
    }
    for table in html.split("<table").skip(1).map(|rest| rest.split("</table>").next().unwrap()) {
        assert!(table.contains("<caption>") && table.contains("<thead>"), "{table}");
        assert!(!table.replace("<th scope=", "").replace("<thead>", "").contains("<th"), "{table}");
    }
    for label in values(html, "aria-labelledby") {
        assert!(values(html, "id").contains(&label), "{label}");
    }
}

/// The relative luminance of WCAG 2.2.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
    let linear = |value: f64| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
    0.2126 * linear(part(1)) + 0.7152 * linear(part(3)) + 0.0722 * linear(part(5))
}

#[test]
fn every_colour_of_text_stands_out_from_what_is_behind_it() {
    let style = include_str!("../../../../templates/covenant/style.css");
    let colour = |name: &str| style.split(&format!("--{name}: ")).nth(1).unwrap().get(..7).unwrap();
    for text in ["ink", "soft", "link", "open"] {
        for behind in ["#ffffff", colour("tint"), "#fff3c4"] {
            let (text, behind) = (luminance(colour(text)), luminance(behind));
            let contrast = (behind + 0.05) / (text + 0.05);
            assert!(contrast >= 4.5, "{contrast}");
        }
    }
}

const HOSTILE: &str = "</dd></style><script>alert('x')</script>&amp;\"";

#[test]
fn hostile_texts_are_shown_and_change_nothing_of_the_page() {
    let toml = HOSTILE.replace('"', "\\\"");
    let mut files = with_covenant(|text| {
        let free = [
            "name",
            "nl",
            "title-nl",
            "complaints",
            "contact",
            "data-protection-officer",
            "description",
            "source",
            "secrecy-source",
            "bsn-law",
            "arrangement",
            "contact-point",
            "transfers-outside-eea",
            "agreement",
        ];
        let line = |line: &str| match line.split_once(" = \"") {
            Some((key, value)) if free.contains(&key) => format!("{key} = \"{}{toml}\"\n", &value[..value.len() - 1]),
            _ => format!("{}\n", line.replace("data-subjects = [\"", &format!("data-subjects = [\"{toml}"))),
        };
        text.lines().map(line).collect()
    });
    for (name, content) in &mut files {
        let mut text = String::from_utf8(content.clone()).unwrap();
        if name != COVENANT_FILE {
            text = text
                .replace("@nl(\"", &format!("@nl(\"{toml}"))
                .replace("@remedy_nl(\"", &format!("@remedy_nl(\"{toml}"));
            text = text.replace("forbid (", &format!("// {HOSTILE}\nforbid ("));
            text = format!("{text}// {HOSTILE}\n");
        }
        *content = text.into_bytes();
    }
    let shipped_guards = invariants();
    let guards = shipped_guards.files().iter().map(|(name, content)| {
        let text = String::from_utf8(content.clone()).unwrap().replace("@nl(\"", &format!("@nl(\"{toml}"));
        (name.clone(), text.into_bytes())
    });
    let guards = Invariants::from_files(guards.collect()).unwrap();
    let hostile = render(&Bundle::from_files(files).unwrap(), &guards).unwrap_or_else(|findings| panic!("{findings}"));

    let times = hostile.html.matches(escaped(HOSTILE).as_str()).count();
    assert!(times > 400, "the texts are shown: {times}");
    assert_eq!(hostile.html.matches("<script").count(), 0);
    assert_eq!(elements(&hostile.html), elements(&shipped().html), "no text became an element or an attribute");
}

#[test]
fn an_address_that_is_no_page_is_shown_and_leads_nowhere() {
    let rendered = of_files(with_covenant(|text| {
        text.replace("https://gemeente-wassenaar.example/verwerkingsregister/triage", "javascript:alert(1)")
    }));
    let html = rendered.unwrap().html;
    assert!(html.contains("<code>javascript:alert(1)</code>") && !html.contains("href=\"javascript"));
}

#[test]
fn a_text_that_reads_otherwise_than_it_is_written_is_refused_with_its_place() {
    // What comes after it would be shown from right to left.
    let mut files = files();
    let text = String::from_utf8(files["never.cedar"].clone()).unwrap();
    let changed = text.replacen(
        "// A refusal of this file has no remedy.",
        "// A refusal of this file has no\u{202e} remedy.",
        1,
    );
    assert_ne!(changed, text);
    files.insert("never.cedar".to_owned(), changed.into_bytes());
    assert!(findings_of(files).contains("never.cedar line 2: holds the character U+202E"));

    // A zero-width space, as it is and by its number, in TOML and in Cedar.
    for written in ["Kwadraad\u{200b} maat", "Kwadraad\\u200b maat"] {
        let findings = findings_of(with_covenant(|text| text.replacen("Kwadraad maat", written, 1)));
        assert!(findings.contains("holds the character U+200B"), "{findings}");
    }
    let mut files = super::files();
    let text = String::from_utf8(files["never.cedar"].clone()).unwrap();
    files.insert(
        "never.cedar".to_owned(),
        text.replacen("@nl(\"Een partij", "@nl(\"Een\\u{2066} partij", 1).into_bytes(),
    );
    assert!(findings_of(files).contains("holds the character U+2066"));
}

#[test]
fn an_example_and_a_draft_say_so_on_the_front() {
    let front = |rendered: &Rendered| rendered.html.split("</header>").next().unwrap().to_owned();
    assert!(front(shipped()).contains("<p class=\"warning\" role=\"note\">Voorbeeld. Niemand heeft dit afgesproken"));
    let of = |status: &str| {
        of_files(with_covenant(|text| text.replace("status = \"example\"", &format!("status = \"{status}\""))))
    };
    assert!(front(&of("draft").unwrap()).contains("<p class=\"warning\" role=\"note\">Concept."));
    let signed = front(&of("final").unwrap());
    assert!(!signed.contains("class=\"warning\"") && signed.contains("vastgesteld om te ondertekenen"));
}
