//! `closeout import` against a running pair: twice the same, and files that are broken.

use crate::program::{FILES, Up, folder_with, path, run, sound_folder};
use serde_json::json;

const TENANT: &str = "01900000-0000-7000-8000-0000000000aa";

#[test]
fn a_second_import_changes_nothing() {
    let (up, folder) = (Up::start(), sound_folder());
    let args = ["import", "--data", path(&folder), "--tenant", TENANT, "--json"];
    let first = up.run(&args).ended_with(0).json();
    let import = &first["import"];
    for (name, count) in [("customers", 2), ("opportunities", 5), ("won", 1), ("lost", 1), ("engaging", 2)] {
        assert_eq!(import[name], count, "{name}");
    }
    for (name, count) in [("prospecting", 1), ("orders", 1), ("tasks", 6), ("mended", 3), ("won_amount", 4_514)] {
        assert_eq!(import[name], count, "{name}");
    }
    let stands = up.everything(TENANT);
    let mut second = up.run(&args).ended_with(0).json();
    second["import"]["seconds"] = import["seconds"].clone();
    assert_eq!(second, first);
    assert_eq!(up.everything(TENANT), stands);
}

/// The new rows change who has most to do with a customer, and the newest day.
#[test]
fn data_that_has_grown_is_imported_on_top() {
    let (up, folder) = (Up::start(), sound_folder());
    let args = |folder| ["import", "--data", folder, "--tenant", TENANT, "--json"];
    up.run(&args(path(&folder))).ended_with(0);
    let old = up.everything(TENANT);
    let mut grown = FILES[3].1.to_owned();
    for (number, day) in [("E3", "01"), ("E4", "02")] {
        grown.push_str(&format!("{number},Moses Frase,MG Special,Betasoloin,Engaging,2017-05-{day},,\n"));
    }
    std::fs::write(folder.path().join("sales_pipeline.csv"), grown).unwrap();
    let team = format!("{}Moses Frase,Dustin Brinkmann,Central\n", FILES[2].1);
    std::fs::write(folder.path().join("sales_teams.csv"), team).unwrap();

    let second = up.run(&args(path(&folder))).ended_with(0).json();
    let import = &second["import"];
    for (name, count) in [("customers", 2), ("opportunities", 7), ("tasks", 10), ("refused", 0)] {
        assert_eq!(import[name], count, "{name}");
    }
    let now = up.everything(TENANT);
    let count = |of: &serde_json::Value, what: &str| of[what].as_array().unwrap().len();
    assert_eq!([count(&now[0], "customers"), count(&now[1], "opportunities")], [2, 7]);
    let selling = |of: &[serde_json::Value]| of[3]["tasks"]["opportunity"].as_array().unwrap().len();
    assert_eq!(selling(&now), selling(&old) + 4);
}

#[test]
fn a_broken_row_is_refused_with_its_line_and_the_rest_is_taken() {
    let (_, sound) = FILES[3];
    let broken =
        format!("{sound}X1,Anna Snelling,GTX Pro,Acme Corporation,Won,2016-10-20\nX2,Nobody,GTX Pro,,Prospecting,,,\n");
    let (up, folder) = (Up::start(), folder_with("sales_pipeline.csv", broken.as_bytes()));
    let import = up.run(&["import", "--data", path(&folder), "--tenant", TENANT, "--json"]).ended_with(3).json();
    let import = &import["import"];
    assert_eq!((&import["refused"], &import["opportunities"]), (&json!(2), &json!(5)));
    let file = "sales_pipeline.csv";
    let reason = "6 cells instead of 8; nothing in column `close_date`";
    assert_eq!(import["refused_rows"][0], json!({ "file": file, "line": 7, "column": null, "reason": reason }));
    let reason = "`Nobody` is not in sales_teams.csv";
    assert_eq!(
        import["refused_rows"][1],
        json!({ "file": file, "line": 8, "column": "sales_agent", "reason": reason })
    );
    let told = up.run(&["import", "--data", path(&folder), "--tenant", TENANT]).ended_with(3).stdout;
    assert!(told.contains("2 rows refused:") && told.contains(&format!("{file} line 8, column sales_agent: {reason}")));
    let taken = up.everything(TENANT)[1]["opportunities"].as_array().unwrap().len();
    assert_eq!(taken, 5);
}

#[test]
fn a_file_that_cannot_be_read_as_a_whole_stops_the_import_before_anything_is_written() {
    let utf_16: Vec<u8> = FILES[0].1.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1 = FILES[0].1.replace("Betasoloin", "Caf?").into_bytes();
    let latin_1: Vec<u8> = latin_1.into_iter().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    let no_column = FILES[3].1.replace("close_value", "value");
    let cases: [(&str, &[u8], &str); 6] = [
        ("accounts.csv", &latin_1, "accounts.csv: line 3, column `account` is not UTF-8 text"),
        ("accounts.csv", &utf_16, "accounts.csv: is UTF-16"),
        ("products.csv", b"", "products.csv: is empty; a header line with the columns product, sales_price is missing"),
        ("sales_teams.csv", b"\n\n", "sales_teams.csv: is empty"),
        ("sales_pipeline.csv", no_column.as_bytes(), "sales_pipeline.csv: column `close_value` is missing"),
        ("sales_pipeline.csv", FILES[3].1.lines().next().unwrap().as_bytes(), "sales_pipeline.csv: no row"),
    ];
    let up = Up::start();
    let nothing = up.everything(TENANT);
    for (file, bytes, message) in cases {
        let folder = folder_with(file, bytes);
        let args = ["import", "--data", path(&folder), "--tenant", TENANT];
        let told = up.run(&[&args[..], &["--json"]].concat()).ended_with(1).json();
        let error = &told["error"];
        assert_eq!(error["code"], "FAILED");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
        let ran = up.run(&args).ended_with(1);
        assert!(ran.stderr.contains(message) && ran.stdout.is_empty(), "{ran:?}");
    }
    assert_eq!(up.everything(TENANT), nothing);
}

#[test]
fn a_folder_without_the_files_is_told_before_a_demo_starts() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&["demo", "--data", path(&folder)]).ended_with(1);
    assert!(ran.stderr.contains("accounts.csv: cannot read"), "{ran:?}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn services_that_do_not_run_are_told_at_once() {
    let folder = sound_folder();
    let args = ["import", "--data", path(&folder), "--opportunity-url", "http://127.0.0.1:1", "--json"];
    let error = &run(&args).ended_with(1).json()["error"];
    assert_eq!(error["code"], "UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().starts_with("reaching the opportunity service"), "{error}");
    assert!(error["next"].as_str().unwrap().contains("closeout up"), "{error}");
}
