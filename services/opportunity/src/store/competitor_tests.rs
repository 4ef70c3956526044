//! Competitors on both databases, through whole batches: what is locked and read for a merge, and what is kept of it.

use super::tests::{OTHER, TENANT, call, close, customer, done, fresh, opportunities, refused, run};
use crate::domain::{Command, Competitor, CompetitorCommand};
use crm_closeout::{
    episode::CloseOut,
    ids::{CompetitorId, OpportunityId, TenantId},
    reason,
    time::Time,
};
use crm_outbox::{
    batch::{Item, Verdict},
    db::Db,
    select::{Order, Select},
    sql::{Args, Sql},
};
use crm_proto::opportunity as pb;
use prost::Message;
use uuid::Uuid;

fresh::on_both!(crate::MIGRATIONS;
    what_is_changed_is_read_back,
    what_was_merged_before_follows_in_the_same_batch_and_in_a_later_one,
    a_merge_of_one_tenant_leaves_the_others_alone,
    a_name_that_a_rename_needs_is_free,
    a_close_out_keeps_the_competitor_that_it_named,
    copies_of_a_merge_are_one_merge,
    a_merge_that_is_only_judged_changes_nothing,
    statements_do_not_depend_on_how_many_are_merged,
    only_those_in_use_are_listed_if_that_is_asked,
    a_row_without_what_came_later_is_read,
);

fn about(tenant: TenantId, command: CompetitorCommand) -> Item<Command> {
    call(tenant, Uuid::now_v7().as_u128(), "Competitor", Command::Competitor(command))
}

fn create(tenant: TenantId, name: &str) -> Item<Command> {
    about(tenant, CompetitorCommand::Create { display_name: name.into() })
}

fn rename(id: CompetitorId, etag: &str, name: &str) -> Item<Command> {
    about(TENANT, CompetitorCommand::Update { id, etag: etag.into(), display_name: Some(name.into()) })
}

fn set_active(id: CompetitorId, active: bool) -> Item<Command> {
    about(TENANT, CompetitorCommand::SetActive { id, etag: String::new(), active })
}

fn merge(sources: &[CompetitorId], target: CompetitorId) -> Item<Command> {
    about(TENANT, CompetitorCommand::Merge { sources: sources.to_vec(), target })
}

async fn made<const N: usize>(db: &Db, names: [&str; N]) -> [CompetitorId; N] {
    let items = names.map(|name| create(TENANT, name));
    let ids: Vec<_> = run(db, &items).await.into_iter().map(made_by).collect();
    ids.try_into().unwrap()
}

fn made_by(verdict: Verdict) -> CompetitorId {
    CompetitorId::parse(&pb::Competitor::decode(&*done(verdict).reply).unwrap().name).unwrap()
}

async fn row(db: &Db, id: CompetitorId) -> Competitor {
    db.get::<Competitor>(&(TENANT, id)).await.unwrap().unwrap()
}

fn lost_to(id: OpportunityId, competitor: CompetitorId) -> Item<Command> {
    let Item::Call(mut call) = close(id, Uuid::now_v7().as_u128()) else { panic!() };
    let Command::CloseOut(closing) = &mut call.command else { panic!() };
    closing.reason = reason::name("COMPETITOR_PRICE");
    closing.detail = "They were much cheaper than we are".into();
    closing.competitor = Some(competitor);
    Item::Call(call)
}

async fn what_is_changed_is_read_back(db: &Db) {
    let [acme] = made(db, ["Acme"]).await;
    let items = [rename(acme, "\"1\"", "Acme 集团"), set_active(acme, false), rename(acme, "\"1\"", "Late")];
    let mut verdicts = run(db, &items).await;
    assert_eq!(refused(verdicts.pop().unwrap()), "VERSION_MISMATCH");
    verdicts.into_iter().for_each(|verdict| drop(done(verdict)));
    let kept = row(db, acme).await;
    assert_eq!((&*kept.display_name, kept.active, kept.version, kept.merged_into), ("Acme 集团", false, 3, None));
    assert!(kept.updated_at >= kept.created_at);
    done(run(db, &[set_active(acme, true)]).await.remove(0));
    assert!(row(db, acme).await.active);
}

async fn what_was_merged_before_follows_in_the_same_batch_and_in_a_later_one(db: &Db) {
    let [acme, ltd, gmbh, group] = made(db, ["Acme", "Acme Ltd", "Acme GmbH", "Acme Group"]).await;
    done(run(db, &[merge(&[ltd], acme)]).await.remove(0));
    // The second one finds what the first one has merged, and what stood in the table.
    let verdicts = run(db, &[merge(&[gmbh], acme), merge(&[acme], group), set_active(ltd, true)]).await;
    let [first, second, third] = <[Verdict; 3]>::try_from(verdicts).unwrap();
    done(first);
    let reply = pb::MergeCompetitorsResponse::decode(&*done(second).reply).unwrap();
    assert_eq!((reply.sources.len(), reply.sources[0].merged_into.clone()), (1, group.to_string()));
    assert_eq!(reply.target.unwrap().etag, "\"1\"");
    assert_eq!(refused(third), "COMPETITOR_MERGED");
    for id in [acme, ltd, gmbh] {
        let row = row(db, id).await;
        assert_eq!((row.merged_into, row.active), (Some(group), false));
    }
    assert_eq!([row(db, ltd).await.version, row(db, acme).await.version], [3, 2]);
}

async fn a_merge_of_one_tenant_leaves_the_others_alone(db: &Db) {
    let [acme, ltd] = made(db, ["Acme", "Acme Ltd"]).await;
    let theirs = made_by(run(db, &[create(OTHER, "Acme")]).await.remove(0));
    assert_eq!(refused(run(db, &[merge(&[theirs], acme)]).await.remove(0)), "NOT_FOUND");
    assert_eq!(refused(run(db, &[merge(&[ltd], theirs)]).await.remove(0)), "NOT_FOUND");
    let command = CompetitorCommand::Merge { sources: vec![ltd], target: theirs };
    assert_eq!(refused(run(db, &[about(OTHER, command)]).await.remove(0)), "NOT_FOUND");
    assert_eq!(row(db, ltd).await.merged_into, None);
}

async fn a_name_that_a_rename_needs_is_free(db: &Db) {
    let [acme, globex] = made(db, ["Acme", "Globex"]).await;
    assert_eq!(refused(run(db, &[rename(acme, "", "Globex")]).await.remove(0)), "NAME_TAKEN");
    let verdicts = run(db, &[rename(acme, "", "Acme Group"), create(TENANT, "Acme Group")]).await;
    let [first, second] = <[Verdict; 2]>::try_from(verdicts).unwrap();
    done(first);
    assert_eq!(refused(second), "NAME_TAKEN");
    done(run(db, &[rename(globex, "", "Acme")]).await.remove(0));
    done(run(db, &[create(TENANT, "Globex")]).await.remove(0));
}

async fn a_close_out_keeps_the_competitor_that_it_named(db: &Db) {
    let [acme, ltd] = made(db, ["Acme", "Acme Ltd"]).await;
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 3).await;
    // In one batch: the first one names it while it is in use, the second one no more.
    let verdicts = run(db, &[lost_to(ids[0], ltd), merge(&[ltd], acme), lost_to(ids[1], ltd)]).await;
    let [first, second, third] = <[Verdict; 3]>::try_from(verdicts).unwrap();
    let close_out = done(first).close_out_id.unwrap();
    done(second);
    let Verdict::Refused(refusal) = third else { panic!("{third:?}") };
    assert_eq!((refusal.reason(), &refusal.values[2]), ("COMPETITOR_MERGED", &("merged_into", acme.to_string())));
    let kept = db.get::<CloseOut>(&(TENANT, close_out)).await.unwrap().unwrap();
    assert_eq!(kept.competitor_id, Some(ltd));
    assert_eq!(refused(run(db, &[lost_to(ids[1], ltd)]).await.remove(0)), "COMPETITOR_MERGED");
    done(run(db, &[lost_to(ids[1], acme)]).await.remove(0));
    let verdicts = run(db, &[set_active(acme, false), lost_to(ids[2], acme)]).await;
    assert_eq!(verdicts.into_iter().map(|v| matches!(v, Verdict::Done(_))).collect::<Vec<_>>(), [true, false]);
}

async fn copies_of_a_merge_are_one_merge(db: &Db) {
    let [acme, ltd] = made(db, ["Acme", "Acme Ltd"]).await;
    let copy = || {
        let command = CompetitorCommand::Merge { sources: vec![ltd], target: acme };
        call(TENANT, 7, "MergeCompetitors", Command::Competitor(command))
    };
    let answers: Vec<_> = run(db, &[copy(), copy()]).await.into_iter().map(done).collect();
    assert_eq!((answers[0].repeated, answers[1].repeated), (false, true));
    // Later the target is merged itself: a copy is answered as before, another call is not.
    let [group] = made(db, ["Acme Group"]).await;
    done(run(db, &[merge(&[acme], group)]).await.remove(0));
    assert_eq!(done(run(db, &[copy()]).await.remove(0)).reply, answers[0].reply);
    assert_eq!(refused(run(db, &[merge(&[ltd], acme)]).await.remove(0)), "COMPETITOR_MERGED");
}

async fn a_merge_that_is_only_judged_changes_nothing(db: &Db) {
    let [acme, ltd, group] = made(db, ["Acme", "Acme Ltd", "Acme Group"]).await;
    done(run(db, &[merge(&[ltd], acme)]).await.remove(0));
    let Item::Call(mut asked) = merge(&[acme], group) else { panic!() };
    asked.validate_only = true;
    // The next one in the batch finds the followers where they were.
    let verdicts = run(db, &[Item::Call(asked), merge(&[ltd], group)]).await;
    let [judged, moved] = <[Verdict; 2]>::try_from(verdicts).unwrap();
    let reply = pb::MergeCompetitorsResponse::decode(&*done(judged).reply).unwrap();
    assert_eq!(reply.sources[0].merged_into, group.to_string());
    done(moved);
    assert_eq!((row(db, acme).await.active, row(db, acme).await.version), (true, 1));
    assert_eq!((row(db, ltd).await.merged_into, row(db, ltd).await.version), (Some(group), 3));
}

async fn statements_do_not_depend_on_how_many_are_merged(db: &Db) {
    let mut counts = Vec::new();
    for size in [1_usize, 16, 100] {
        let names: Vec<_> = (0..2 * size + 1).map(|n| format!("{size}-{n}")).collect();
        let items: Vec<_> = names.iter().map(|name| create(TENANT, name)).collect();
        let ids: Vec<_> = run(db, &items).await.into_iter().map(made_by).collect();
        let (target, followers, sources) = (ids[0], &ids[1..=size], &ids[size + 1..]);
        let items: Vec<_> = followers.iter().zip(sources).map(|(one, source)| merge(&[*one], *source)).collect();
        run(db, &items).await.into_iter().for_each(|verdict| drop(done(verdict)));
        let before = db.statement_count();
        done(run(db, &[merge(sources, target)]).await.remove(0));
        counts.push(db.statement_count() - before);
        for id in &ids[1..] {
            assert_eq!(row(db, *id).await.merged_into, Some(target));
        }
    }
    println!("statements of a merge of 1, 16 and 100 with a follower each: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

async fn only_those_in_use_are_listed_if_that_is_asked(db: &Db) {
    let [acme, ltd, globex, initech] = made(db, ["Acme", "Acme Ltd", "Globex", "Initech"]).await;
    run(db, &[merge(&[ltd], acme), set_active(globex, false)]).await;
    let page = async |active: bool, after: Option<CompetitorId>| {
        let select = Select::<Competitor>::of(TENANT);
        let select = if active { select.holds("active") } else { select };
        let rows = select.page(db, "competitor_id", Order::Oldest, after.map(|id| id.0), 10).await.unwrap();
        rows.iter().map(|row| row.competitor_id).collect::<Vec<_>>()
    };
    assert_eq!(page(false, None).await, [acme, ltd, globex, initech]);
    assert_eq!(page(true, None).await, [acme, initech]);
    assert_eq!(page(true, Some(acme)).await, [initech]);
}

async fn a_row_without_what_came_later_is_read(db: &Db) {
    let text = "INSERT INTO competitor (tenant_id, competitor_id, display_name, active, created_at) \
                VALUES ({1}, {2}, 'Acme', true, 5)";
    let acme = CompetitorId(Uuid::from_u128(7));
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain(text), Args::none().with(&TENANT).with(&acme)).await.unwrap();
    tx.commit().await.unwrap();
    let kept = row(db, acme).await;
    assert_eq!((kept.version, kept.updated_at, kept.merged_into), (1, Time(0), None));
    let shown = crate::convert::competitor(&kept);
    assert_eq!((shown.update_time, &*shown.etag), (shown.create_time, "\"1\""));
    done(run(db, &[rename(acme, "\"1\"", "Acme Group")]).await.remove(0));
    assert_eq!(row(db, acme).await.version, 2);
}
