//! How a text that a person types is compared with numbers and names: both are folded alike, and a name is cut into the parts
//! that begin at each of its letters, so that "contains" is "begins with" for one of the parts. Knows no table.

use crate::codes;
use unicode_normalization::UnicodeNormalization;

/// Most letters of a folded text; the rest is not searched.
pub const LONGEST: usize = 200;
/// Letters of a part within a name. A longer query is narrowed by so many, then compared with the whole name.
pub const PART: usize = 24;

codes! {
    /// Why a record was found, the best first.
    pub enum Match {
        /// Its number is what was asked for.
        Number = 1 "NUMBER",
        /// Its number begins with it.
        NumberPrefix = 2 "NUMBER_PREFIX",
        /// Its customer is called so.
        Name = 3 "NAME",
        /// The name of its customer begins with it.
        NamePrefix = 4 "NAME_PREFIX",
        /// The name of its customer contains it.
        NameContained = 5 "NAME_CONTAINED",
    }
}

/// A text as it is compared: full and half width (ＡＣＭＥ, １), upper and lower case and all white space are one.
pub fn fold(text: &str) -> String {
    let plain = |text: &str| text.nfkc().flat_map(char::to_lowercase).nfkc().collect::<String>();
    let words = plain(text);
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let folded: String = words.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect();
    folded.trim_end().to_owned()
}

/// One of the parts of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins: how many letters stand before it.
    pub at: usize,
    /// Its letters: of the whole name where it begins the name, else [`PART`] at most.
    pub text: String,
}

/// The parts of a folded name: one for each letter that begins one. A query has no space in front, so no part has.
pub fn parts(folded: &str) -> Vec<Part> {
    let letters = folded.char_indices().enumerate().filter(|(_, (_, letter))| *letter != ' ');
    letters.map(|(at, (byte, _))| Part { at, text: part(folded.get(byte..).unwrap_or_default(), at) }).collect()
}

fn part(rest: &str, at: usize) -> String {
    rest.chars().take(if at == 0 { LONGEST } else { PART }).collect()
}

/// What a person typed, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// Folds it; none if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let folded = fold(text);
        (!folded.is_empty()).then_some(Self(folded))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its letters that a part within a name has, too.
    pub fn narrowed(&self) -> String {
        part(&self.0, PART)
    }

    /// How a folded number matches.
    pub fn number(&self, folded: &str) -> Option<Match> {
        let rest = folded.strip_prefix(self.text())?;
        Some(if rest.is_empty() { Match::Number } else { Match::NumberPrefix })
    }

    /// How a folded name matches, and by which of its parts: a name that contains the query twice is found by the first.
    pub fn name(&self, folded: &str) -> Option<(Match, Part)> {
        let byte = folded.find(self.text())?;
        let at = folded.get(..byte)?.chars().count();
        let found = match at {
            0 if folded == self.text() => Match::Name,
            0 => Match::NamePrefix,
            _ => Match::NameContained,
        };
        Some((found, Part { at, text: part(folded.get(byte..)?, at) }))
    }
}

/// A text beyond every text that begins with this one, byte by byte.
pub fn end(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str, name: &str) -> Option<(Match, usize)> {
        Query::new(query).unwrap().name(&fold(name)).map(|(found, part)| (found, part.at))
    }

    #[test]
    fn width_case_and_white_space_make_no_difference() {
        assert_eq!(fold("  ＡＣＭＥ　Corp\t１２ "), "acme corp 12");
        assert_eq!(fold("ΣΑΣ Éclair ﾃｽﾄ"), "σασ éclair テスト");
        assert_eq!(fold("深圳云帆科技（集团）"), "深圳云帆科技(集团)");
        assert_eq!(fold("\u{1}e\u{301}"), "é");
        assert_eq!(Query::new(" \u{3000} "), None);
        for text in ["İstanbul", "ﬃ ㍿ ﷺ", "ｶﾞ"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_folded_up_to_a_length() {
        assert_eq!(fold(&"ﷺ".repeat(200)).chars().count(), LONGEST);
    }

    #[test]
    fn a_name_matches_as_a_whole_at_its_beginning_or_within() {
        assert_eq!(found("acme corp", "ＡＣＭＥ Corp"), Some((Match::Name, 0)));
        assert_eq!(found("acme", "ACME Corp"), Some((Match::NamePrefix, 0)));
        assert_eq!(found("科", "深圳云帆科技"), Some((Match::NameContained, 4)));
        assert_eq!(found("a", "banana"), Some((Match::NameContained, 1)));
        assert_eq!(found("acme", "Betasoloin"), None);
    }

    #[test]
    fn a_number_matches_as_a_whole_or_at_its_beginning() {
        let query = Query::new("SO-1").unwrap();
        let found = ["so-1", "so-12", "xso-1"].map(|number| query.number(number));
        assert_eq!(found, [Some(Match::Number), Some(Match::NumberPrefix), None]);
    }

    #[test]
    fn what_a_name_contains_begins_one_of_its_parts() {
        let name = fold("Hangzhou Hikvision 海康威视 Digital Technology Co., Ltd. (International)");
        let parts = parts(&name);
        for query in [
            "hikvision",
            "海",
            "威视 d",
            "ltd",
            "hangzhou hikvision 海康威视 digital",
            "technology co., ltd. (international)",
        ] {
            let query = Query::new(query).unwrap();
            let (found, part) = query.name(&name).unwrap();
            assert!(parts.contains(&part), "{part:?}");
            let narrowed = if found == Match::NameContained { query.narrowed() } else { query.text().to_owned() };
            assert!(*part.text >= *narrowed && part.text < end(&narrowed), "{part:?}");
        }
        assert!(parts.iter().all(|part| !part.text.starts_with(' ')));
        assert!(parts[1..].iter().all(|part| part.text.chars().count() <= PART));
    }
}
