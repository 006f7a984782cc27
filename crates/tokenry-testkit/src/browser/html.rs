//! Just enough HTML to find the forms and links of test pages.

use url::Url;

/// A form on a page, ready to be submitted with [`Browser::submit`](super::Browser::submit).
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it is sent to.
    pub action: Url,
    /// Whether it is sent with POST. Otherwise its fields go into the query of a GET.
    pub posts: bool,
    /// What a person can fill in or press, and what is hidden.
    pub fields: Vec<Field>,
    /// The page it is on.
    pub(super) page: Url,
}

/// One input or button of a [`Form`] that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value on the page.
    pub value: String,
    /// What it is.
    pub kind: FieldKind,
    /// Whether a radio button or checkbox is chosen on the page.
    pub checked: bool,
}

/// The kinds of fields that behave differently when a form is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Hidden, text, password and all other inputs that simply have a value.
    Value,
    /// One of several with the same name.
    Radio,
    /// Sent only when ticked.
    Checkbox,
    /// Sent only when it is the one that was pressed.
    Button,
}

impl Form {
    /// The values of all fields with this name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|field| field.name == name).map(|field| field.value.as_str()).collect()
    }

    /// What is sent: the page's own values, with all fields that `filled` names replaced by what it says.
    pub(super) fn filled_with(&self, filled: &[(&str, &str)]) -> Vec<(String, String)> {
        let untouched = self
            .fields
            .iter()
            .filter(|field| match field.kind {
                FieldKind::Value => true,
                FieldKind::Radio | FieldKind::Checkbox => field.checked,
                FieldKind::Button => false,
            })
            .filter(|field| filled.iter().all(|(name, _)| *name != field.name))
            .map(|field| (field.name.clone(), field.value.clone()));
        untouched.chain(filled.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()))).collect()
    }
}

/// The forms of the page at `page`.
pub(super) fn forms(page: &Url, html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut inside = false;
    for tag in tags(html) {
        match tag.name.as_str() {
            "form" => {
                inside = true;
                let action = tag.attribute("action").filter(|action| !action.is_empty());
                forms.push(Form {
                    action: action.and_then(|action| page.join(action).ok()).unwrap_or_else(|| page.clone()),
                    posts: tag.attribute("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
                    fields: Vec::new(),
                    page: page.clone(),
                });
            }
            "/form" => inside = false,
            "input" | "button" if inside => {
                if let (Some(form), Some(field)) = (forms.last_mut(), tag.field()) {
                    form.fields.push(field);
                }
            }
            _ => {}
        }
    }
    forms
}

/// Where the links of the page at `page` lead.
pub(super) fn links(page: &Url, html: &str) -> Vec<Url> {
    let anchors = tags(html).into_iter().filter(|tag| tag.name == "a");
    anchors.filter_map(|tag| page.join(tag.attribute("href")?).ok()).collect()
}

/// A tag; the name of a closing one starts with a slash.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn field(&self) -> Option<Field> {
        let input_type = self.attribute("type").unwrap_or_default().to_ascii_lowercase();
        let kind = match (self.name.as_str(), input_type.as_str()) {
            ("button", _) | (_, "submit" | "image" | "reset" | "button") => FieldKind::Button,
            (_, "radio") => FieldKind::Radio,
            (_, "checkbox") => FieldKind::Checkbox,
            _ => FieldKind::Value,
        };
        let default = if matches!(kind, FieldKind::Radio | FieldKind::Checkbox) { "on" } else { "" };
        Some(Field {
            name: self.attribute("name")?.to_owned(),
            value: self.attribute("value").unwrap_or(default).to_owned(),
            kind,
            checked: self.attribute("checked").is_some(),
        })
    }
}

/// All tags, in order. Comments, scripts and styles are passed over.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
            let (tag, after) = read_tag(rest);
            rest = after;
            if matches!(tag.name.as_str(), "script" | "style") {
                rest = after.find(&format!("</{}", tag.name)).map_or("", |end| &after[end..]);
            }
            tags.push(tag);
        }
    }
    tags
}

/// Reads a tag from just behind its `<`, and returns what follows its `>`.
fn read_tag(text: &str) -> (Tag, &str) {
    let name_end = text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len());
    let name = text[..name_end].trim_end_matches('/').to_ascii_lowercase();
    let mut tag = Tag { name, attributes: Vec::new() };
    let mut rest = &text[name_end..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return (tag, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        // At least one character, so that a stray `=` does not hold us here for ever.
        let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
        let attribute = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = "";
        if let Some(after) = rest.trim_start().strip_prefix('=') {
            (value, rest) = read_value(after.trim_start());
        }
        tag.attributes.push((attribute, decode(value)));
    }
}

/// Reads an attribute's value, quoted or bare, and returns what follows it.
fn read_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len()))
}

/// Replaces the character references that templates write: the five of XML and the numbered ones.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded.push_str(&rest[..start]);
        rest = &rest[start..];
        let reference = rest[1..].split_once(';').and_then(|(name, after)| Some((referenced(name)?, after)));
        if let Some((character, after)) = reference {
            decoded.push(character);
            rest = after;
        } else {
            decoded.push('&');
            rest = &rest[1..];
        }
    }
    decoded + rest
}

fn referenced(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!-- <form action="/no"> --><script>"<form action='/no'>"</script>
        <FORM Action=/sub?a=1&amp;b=2 method='POST'>
          <input type=hidden name="state" value="&lt;a &#38; &#x62;&gt; &quot;&unknown; &">
          <label><input type="radio" name="who" value="ann" checked> Ann</label>
          <input type="radio" name="who" value="bob"/>
          <input type="checkbox" name="scope" value="read" checked><input type="checkbox" name="scope" value="write">
          <input type="text" name="note" value='a > b'><input value="nameless">
          <button name="decision" value="allow">Allow</button>
        </FORM>
        <input name="outside"><a href="../next?x=1">next</a><form></form>"#;

    fn page() -> Url {
        "http://127.0.0.1:1/dir/page?q=1".parse().unwrap()
    }

    #[test]
    fn a_form_is_found_with_its_address_and_its_decoded_fields() {
        let forms = forms(&page(), PAGE);
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].action.as_str(), "http://127.0.0.1:1/sub?a=1&b=2");
        assert!(forms[0].posts);
        assert_eq!(forms[0].values("state"), ["<a & b> \"&unknown; &"]);
        assert_eq!(forms[0].values("who"), ["ann", "bob"]);
        assert_eq!(forms[0].values("note"), ["a > b"]);
        assert_eq!(forms[0].values("outside"), Vec::<&str>::new());
        assert_eq!(forms[1].action, page());
        assert!(!forms[1].posts);
    }

    #[test]
    fn a_form_sends_what_is_chosen_and_what_is_filled_in() {
        let form = forms(&page(), PAGE).remove(0);
        let sent = form.filled_with(&[("who", "bob"), ("decision", "allow")]);
        let sent: Vec<(&str, &str)> =
            sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let state = "<a & b> \"&unknown; &";
        let rest = [("scope", "read"), ("note", "a > b"), ("who", "bob"), ("decision", "allow")];
        assert_eq!(sent, [&[("state", state)], &rest[..]].concat());
    }

    #[test]
    fn links_are_made_whole() {
        assert_eq!(links(&page(), PAGE)[0].as_str(), "http://127.0.0.1:1/next?x=1");
    }

    #[test]
    fn broken_html_is_read_to_its_end() {
        for html in [
            "<",
            "<form",
            "<form action",
            "<form action=",
            "<form =>",
            "<form action=\"",
            "<!--",
            "<script>",
            "</",
            "&#x",
        ] {
            forms(&page(), html);
        }
    }
}
