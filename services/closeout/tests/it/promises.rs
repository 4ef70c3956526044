//! The README's table of what can be relied upon: each promise has its story, and its commands are there.

use crate::program::run;

const README: &str = include_str!("../../../../README.md");
const STORIES: &str = include_str!("../../../../tests/tests/capabilities.rs");

#[test]
fn each_promise_has_a_story_on_both_databases_and_a_command() {
    let list = STORIES.split_once("stories!(").unwrap().1.split_once(");").unwrap().0;
    let stories: Vec<_> = list.split(',').map(str::trim).filter(|story| !story.is_empty()).collect();
    let table = README.split_once("| promise | the story | by hand |").unwrap().1.split_once("\n\n").unwrap().0;
    let mut told = Vec::new();
    for row in table.lines().skip(2) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        told.push(cells[1].trim_matches('`'));
        for command in cells[2].split('`').skip(1).step_by(2) {
            let words =
                command.split(' ').skip(1).take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            let words: Vec<_> = words.filter(|word| !word.starts_with("--")).chain(["--help"]).collect();
            assert!(words.len() > 1, "{command}");
            run(&words).ended_with(0);
        }
    }
    assert_eq!(told, stories);
    assert_eq!(told.len(), 10);
}
