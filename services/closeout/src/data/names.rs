//! Names that rows refer to (products, accounts, people), found also where only blanks, hyphens or capitals differ, and
//! the words that are known to be spelt wrongly.

use std::collections::HashMap;

/// Words that the data set is known to spell wrongly.
const SPELLINGS: [(&str, &str); 2] = [("technolgy", "technology"), ("Philipines", "Philippines")];

/// Known names, each with what it stands for.
#[derive(Debug)]
pub(super) struct Names<T> {
    exact: HashMap<String, T>,
    /// By their letters and digits alone; none where two names have the same.
    loose: HashMap<String, Option<String>>,
}

/// What a name was found to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a, T> {
    /// The name as it stands.
    Exact(&'a T),
    /// Only blanks, hyphens or capitals differ: the right name, and what it stands for.
    Mended(&'a str, &'a T),
    /// Nothing like it.
    Unknown,
}

impl<T> Names<T> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { exact: HashMap::new(), loose: HashMap::new() }
    }

    /// Adds a name; false if it is there already.
    pub(super) fn add(&mut self, name: &str, value: T) -> bool {
        if self.exact.contains_key(name) {
            return false;
        }
        self.exact.insert(name.to_owned(), value);
        self.loose.entry(letters(name)).and_modify(|other| *other = None).or_insert_with(|| Some(name.to_owned()));
        true
    }

    /// Looks a name up.
    pub(super) fn find(&self, name: &str) -> Found<'_, T> {
        if let Some(value) = self.exact.get(name) {
            return Found::Exact(value);
        }
        let right = self.loose.get(&letters(name)).and_then(Option::as_deref);
        match right.and_then(|right| Some((right, self.exact.get(right)?))) {
            Some((right, value)) => Found::Mended(right, value),
            None => Found::Unknown,
        }
    }
}

/// The right spelling of a word that is known to be spelt wrongly.
pub(super) fn spelling(word: &str) -> Option<&'static str> {
    SPELLINGS.iter().find(|(wrong, _)| *wrong == word).map(|(_, right)| *right)
}

/// A principal for a person's name: `moses.frase` for `Moses Frase`.
pub(super) fn principal(name: &str) -> String {
    let mut slug = String::new();
    for part in name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-') {
        if !part.is_empty() {
            if !slug.is_empty() {
                slug.push('.');
            }
            slug.push_str(&part.to_ascii_lowercase());
        }
    }
    if slug.is_empty() || !name.is_ascii() {
        // A name in another script has no slug of its own; its code points tell it from others.
        let code = name.chars().fold(0_u64, |code, letter| code.wrapping_mul(31).wrapping_add(u64::from(letter)));
        slug = format!("person-{code:x}");
    }
    slug.truncate(128);
    slug
}

fn letters(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products() -> Names<i64> {
        let mut names = Names::new();
        assert!(names.add("GTX Pro", 4821));
        assert!(names.add("GTX Plus Pro", 5482));
        names
    }

    #[test]
    fn a_name_that_differs_only_in_blanks_is_mended() {
        assert_eq!(products().find("GTXPro"), Found::Mended("GTX Pro", &4821));
        assert_eq!(products().find("GTX Pro"), Found::Exact(&4821));
        assert_eq!(products().find("GTX"), Found::Unknown);
    }

    #[test]
    fn a_name_that_could_be_two_is_not_guessed() {
        let mut names = products();
        assert!(names.add("GTX-Pro", 1));
        assert!(!names.add("GTX Pro", 2));
        assert_eq!(names.find("gtxpro"), Found::Unknown);
    }

    #[test]
    fn known_misspellings_have_a_right_spelling() {
        assert_eq!((spelling("technolgy"), spelling("Philipines")), (Some("technology"), Some("Philippines")));
        assert_eq!(spelling("medical"), None);
    }

    #[test]
    fn people_become_principals() {
        assert_eq!(principal("Mei-Mei Johns"), "mei-mei.johns");
        assert_eq!(principal("  O'Neil  Jr. "), "o.neil.jr");
        assert!(principal("王伟").starts_with("person-"));
        assert_ne!(principal("王伟"), principal("李娜"));
    }
}
