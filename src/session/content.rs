//! What a message holds once its fragments are together: a text or a named file.
//!
//! type 1 (1 text, 2 file) | name length 2 | name | data to the end. A text has no name.

/// The longest file name that travels: what common file systems take.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest header: type, name length, name.
pub const MAX_HEADER_BYTES: usize = 1 + 2 + MAX_NAME_BYTES;
/// The longest name that [`safe_name`] makes: 255 less room for " (123)" and a temporary suffix.
pub const MAX_SAFE_NAME_BYTES: usize = 200;

const TEXT: u8 = 1;
const FILE: u8 = 2;

/// A message, borrowed from its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content<'a> {
    /// A text; UTF-8 by convention, not by rule.
    Text(&'a [u8]),
    /// A file.
    File {
        /// As its sender named it, at most 255 bytes: not to be used before [`safe_name`].
        name: &'a str,
        /// Its bytes.
        data: &'a [u8],
    },
}

/// Why bytes are not a message, or a message cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContentError {
    /// Shorter than its header says.
    #[error("the message is cut off")]
    Short,
    /// Neither text nor file.
    #[error("unknown kind of message; the sender's software may be newer")]
    Kind,
    /// A name of a text, a name that is too long, or not UTF-8.
    #[error("a file name must be UTF-8 of at most {MAX_NAME_BYTES} bytes: rename the file")]
    Name,
}

impl<'a> Content<'a> {
    /// The bytes that are cut into fragments.
    ///
    /// # Errors
    /// If the name is too long.
    pub fn encode(&self) -> Result<Vec<u8>, ContentError> {
        let (kind, name, data) = match *self {
            Content::Text(data) => (TEXT, "", data),
            Content::File { name, data } => (FILE, name, data),
        };
        if name.len() > MAX_NAME_BYTES {
            return Err(ContentError::Name);
        }
        let length = (name.len() as u16).to_le_bytes();
        Ok([&[kind], length.as_slice(), name.as_bytes(), data].concat())
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// Which rule the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ContentError> {
        let ([kind, low, high], rest) = bytes.split_first_chunk().ok_or(ContentError::Short)?;
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (name, data) = rest.split_at_checked(length).ok_or(ContentError::Short)?;
        match *kind {
            TEXT if length == 0 => Ok(Content::Text(data)),
            FILE if length <= MAX_NAME_BYTES => {
                let name = std::str::from_utf8(name).map_err(|_| ContentError::Name)?;
                Ok(Content::File { name, data })
            }
            TEXT | FILE => Err(ContentError::Name),
            _ => Err(ContentError::Kind),
        }
    }
}

/// The name under which a received file may be saved in a directory: no path, nothing invisible, not hidden, no option,
/// nothing that a file system reserves, 1 to 200 bytes. The extension stays where it fits.
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = last.chars().filter(|c| !c.is_control() && !is_invisible(*c));
    let plain: String = visible.map(|c| if "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    let mut safe = trim(&plain).to_owned();
    if safe.starts_with(['-', '~']) {
        safe.replace_range(..1, "_");
    }
    if is_reserved(&safe) {
        safe.insert(0, '_');
    }
    safe = trim(&shorten(&safe)).to_owned();
    if safe.is_empty() { "file".to_owned() } else { safe }
}

/// Leading dots hide a file; trailing dots and spaces are dropped by some systems.
fn trim(name: &str) -> &str {
    name.trim_start_matches(|c: char| c == '.' || c.is_whitespace())
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Zero-width characters, and those that reverse the direction of writing to make `exe.txt` of `txt.exe`.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Names of devices on Windows, with any extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix).is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9"))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// Cuts the stem, not a short extension.
fn shorten(name: &str) -> String {
    const MAX_EXTENSION_BYTES: usize = 16;
    if name.len() <= MAX_SAFE_NAME_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= MAX_EXTENSION_BYTES { extension } else { "" };
    let mut end = MAX_SAFE_NAME_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", trim(&name[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_comes_back_and_nothing_else_is_content() {
        for content in [Content::Text(b""), Content::Text(b"hello"), Content::File { name: "a.txt", data: b"x" }] {
            let bytes = content.encode().expect("valid");
            assert_eq!(Content::decode(&bytes), Ok(content));
        }
        assert_eq!(Content::decode(b""), Err(ContentError::Short));
        assert_eq!(Content::decode(&[2, 5, 0, b'a']), Err(ContentError::Short));
        assert_eq!(Content::decode(&[3, 0, 0]), Err(ContentError::Kind));
        assert_eq!(Content::decode(&[1, 1, 0, b'a']), Err(ContentError::Name));
        assert_eq!(Content::decode(&[2, 1, 0, 0xff]), Err(ContentError::Name));
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(Content::File { name: &long, data: b"" }.encode(), Err(ContentError::Name));
        assert_eq!(Content::decode(&[[2, 0, 1].as_slice(), long.as_bytes()].concat()), Err(ContentError::Name));
    }

    #[test]
    fn names_lose_what_is_dangerous_and_keep_the_rest() {
        let long = format!("{}.tar.gz", "é".repeat(120));
        for (name, safe) in [
            ("report 2.pdf", "report 2.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("/", "file"),
            ("", "file"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            (" . .x. ", "x"),
            ("a\0b\nc\u{1b}[2J", "abc[2J"),
            ("txt.\u{202e}exe", "txt.exe"),
            ("nul", "_nul"),
            ("Com1 .txt", "_Com1 .txt"),
            ("COM10", "COM10"),
            ("-rf", "_rf"),
            ("a:b?", "a_b_"),
            ("имя.txt", "имя.txt"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        assert!(safe_name(&long).ends_with("é.gz"));
    }

    proptest! {
        #[test]
        fn every_name_becomes_safe_and_stays_so(name in "\\PC{0,300}|[./\\\\ a-cCONul1\u{0}-\u{1f}\u{200b}-\u{202e}-]{0,30}") {
            let safe = safe_name(&name);
            prop_assert!((1..=MAX_SAFE_NAME_BYTES).contains(&safe.len()));
            prop_assert!(!safe.starts_with(['.', '-', ' ']) && !safe.ends_with(['.', ' ']));
            let forbidden = |c: char| c.is_control() || "/\\<>:\"|?*".contains(c) || is_invisible(c);
            prop_assert!(!safe.contains(forbidden) && !is_reserved(&safe));
            prop_assert_eq!(safe_name(&safe), safe);
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(content) = Content::decode(&bytes) {
                prop_assert_eq!(content.encode().expect("decoded"), bytes);
            }
        }
    }
}
