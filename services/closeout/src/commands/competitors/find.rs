//! Which competitor a person means: by its resource name, or by what it is called. Another case of a name will do where nothing is
//! called exactly so.

use super::read;
use crate::api::Api;
use crate::failure;
use crate::request_id;
use anyhow::Context;
use crm_proto::opportunity::{Competitor, CreateCompetitorRequest, GetCompetitorRequest};
use tonic::Status;
use tonic_types::StatusExt;

/// The competitor that is meant.
pub(super) async fn one(meant: &str, api: &Api) -> anyhow::Result<Competitor> {
    if is_name(meant) {
        return by_name(meant, api).await;
    }
    Ok(called(meant, &read(false, api).await?).ok_or_else(|| unknown(meant))?.clone())
}

/// The resource name of the one that is meant.
pub(super) async fn name(meant: &str, api: &Api) -> anyhow::Result<String> {
    known(meant, api).await?.ok_or_else(|| unknown(meant).into())
}

/// The resource names of those that are meant, in order.
pub(super) async fn names(meant: &[&str], api: &Api) -> anyhow::Result<Vec<String>> {
    let all = if meant.iter().all(|meant| is_name(meant)) { Vec::new() } else { read(false, api).await? };
    let name = |meant: &&str| {
        if is_name(meant) {
            return Ok((*meant).to_owned());
        }
        Ok(called(meant, &all).ok_or_else(|| unknown(meant))?.name.clone())
    };
    meant.iter().map(name).collect()
}

/// The resource name of a competitor by what it is called, or by that name itself.
pub(crate) async fn known(meant: &str, api: &Api) -> anyhow::Result<Option<String>> {
    if is_name(meant) {
        return Ok(Some(meant.to_owned()));
    }
    Ok(called(meant, &read(false, api).await?).map(|found| found.name.clone()))
}

/// The same; one that is not known yet is made.
pub(crate) async fn or_made(meant: &str, api: &Api) -> anyhow::Result<String> {
    if let Some(known) = known(meant, api).await? {
        return Ok(known);
    }
    let request = CreateCompetitorRequest {
        competitor: Some(Competitor { display_name: meant.to_owned(), ..Competitor::default() }),
        request_id: request_id::new(),
        ..CreateCompetitorRequest::default()
    };
    Ok(api.create_competitor(request).await?.competitor.context("a reply without its competitor")?.name)
}

/// A refusal that names what a competitor was merged into says what that is called, too.
pub(crate) async fn explained(refused: Status, api: &Api) -> anyhow::Error {
    let merged = failure::reason(&refused).is_some_and(|reason| reason == "COMPETITOR_MERGED");
    let info = refused.get_details_error_info().filter(|_| merged);
    let target = info.and_then(|info| info.metadata.get("merged_into").cloned());
    let error = anyhow::Error::from(refused);
    let Some(target) = target else { return error };
    match by_name(&target, api).await {
        Ok(target) => error.context(format!("it was merged into {:?}", target.display_name)),
        Err(_) => error, // the refusal itself names it
    }
}

fn is_name(meant: &str) -> bool {
    meant.starts_with("competitors/")
}

async fn by_name(name: &str, api: &Api) -> anyhow::Result<Competitor> {
    let reply = api.get_competitor(GetCompetitorRequest { name: name.to_owned() }).await?;
    reply.competitor.context("a reply without its competitor")
}

/// The one that is called exactly so; else, in another case, one that is in use; else the oldest.
fn called<'a>(meant: &str, all: &'a [Competitor]) -> Option<&'a Competitor> {
    let lower = meant.to_lowercase();
    let alike = all.iter().filter(|one| one.display_name.to_lowercase() == lower);
    alike.min_by_key(|one| (one.display_name != meant, !one.active))
}

fn unknown(meant: &str) -> Status {
    Status::not_found(format!("no competitor is called {meant:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(meant: &str, all: &[(&str, bool)]) -> Option<String> {
        let one = |(index, (called, active)): (usize, &(&str, bool))| Competitor {
            name: format!("{index}"),
            display_name: (*called).to_owned(),
            active: *active,
            ..Competitor::default()
        };
        called(meant, &all.iter().enumerate().map(one).collect::<Vec<_>>()).map(|one| one.name.clone())
    }

    #[test]
    fn a_name_is_found_whatever_its_case_and_best_as_it_is_written() {
        let all = [("acme", false), ("ACME", true), ("Globex", true)];
        assert_eq!(found("acme", &all).as_deref(), Some("0"));
        assert_eq!(found("Acme", &all).as_deref(), Some("1"), "one in use comes first");
        assert_eq!(found("globex", &all).as_deref(), Some("2"));
        assert_eq!(found("Acme Ltd", &all), None);
        assert_eq!(found("Acme", &all[..1]).as_deref(), Some("0"));
    }
}
