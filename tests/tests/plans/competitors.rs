//! Everything that is done about competitors, in batches of several sizes.

use crate::lists::pages;
use crm_proto::opportunity as sales;
use crm_tests::client::Client;
use futures::future::join_all;

async fn made(client: &Client, count: usize) -> Vec<String> {
    let make = |_| {
        let competitor = sales::Competitor { display_name: uuid::Uuid::now_v7().to_string(), ..Default::default() };
        let request = sales::CreateCompetitorRequest { competitor: Some(competitor), ..Default::default() };
        client.create_competitor(request)
    };
    let made = join_all((0..count).map(make)).await.into_iter();
    made.map(|reply| reply.unwrap().competitor.unwrap().name).collect()
}

/// Makes some, changes them, and merges most of them, those to which others were merged before among them; answers one that is in
/// use.
pub(crate) async fn manage(client: &Client) -> String {
    let names = made(client, 101).await;
    let (target, others) = names.split_first().unwrap();
    let rename = |name: &String| {
        let competitor = sales::Competitor {
            name: name.clone(),
            display_name: uuid::Uuid::now_v7().to_string(),
            ..Default::default()
        };
        client.update_competitor(sales::UpdateCompetitorRequest { competitor: Some(competitor), ..Default::default() })
    };
    join_all(others.iter().map(rename)).await.into_iter().for_each(|reply| drop(reply.unwrap()));
    let name = others[0].clone();
    let request = sales::DeactivateCompetitorRequest { name: name.clone(), ..Default::default() };
    client.deactivate_competitor(request).await.unwrap();
    client.activate_competitor(sales::ActivateCompetitorRequest { name, ..Default::default() }).await.unwrap();
    for sources in [&others[..1], &others[1..17], &others[17..]] {
        let (target, earlier) = (target.clone(), made(client, 1).await.remove(0));
        let into_source =
            sales::MergeCompetitorsRequest { sources: vec![earlier], target: sources[0].clone(), ..Default::default() };
        client.merge_competitors(into_source).await.unwrap();
        let request = sales::MergeCompetitorsRequest { sources: sources.to_vec(), target, ..Default::default() };
        let merged = client.merge_competitors(request).await.unwrap();
        assert_eq!(merged.sources.len(), sources.len());
    }
    client.get_competitor(target).await.name
}

/// The list, whole and of those in use.
pub(crate) async fn reads(client: &Client) {
    for active_only in [false, true] {
        let request = sales::ListCompetitorsRequest { active_only, ..Default::default() };
        pages!(client.competitors, list_competitors, request);
    }
}
