use super::*;
use crate::{
    approval::{ApprovalCause, ApprovalPolicy, Ruled},
    codes::{Record, RecordKind},
    episode::{CloseOut, CloseOutState, Delivery, Outcome, Snapshot},
    ids::TenantId,
    money::Money,
    remarks::Remarks,
    working_set::Rows,
};
use uuid::Uuid;

/// Ann's close-out of bob's opportunity, with an id that tells when it was made.
fn close_out(at: Time) -> CloseOut {
    let id = (at.0 as u128 / 1_000) << 80 | 7 << 76 | 8 << 60;
    CloseOut {
        tenant_id: TenantId(Uuid::nil()),
        close_out_id: CloseOutId(Uuid::from_u128(id)),
        subject: Record::new(RecordKind::Opportunity, Uuid::from_u128(5)),
        customer_id: None,
        episode: 1,
        outcome: Outcome::Lost,
        reason_code: "UNRESPONSIVE".into(),
        reason_version: 1,
        class: None,
        win_back_days: 0,
        detail: String::new(),
        competitor_id: None,
        remarks: Remarks::default(),
        snapshot: Snapshot {
            state: 1,
            state_word: "OPEN".into(),
            stage: None,
            days_in_stage: 0,
            days_open: 0,
            amount: Money::NONE,
            exchange: None,
            owner: "bob".into(),
            team: String::new(),
            won_at: None,
            cancelled: Vec::new(),
        },
        actor: "ann".into(),
        closed_at: at,
        historical: false,
        state: CloseOutState::Effective,
        cause: None,
        hop: 0,
        group_id: None,
        request_id: None,
        effects: Vec::new(),
        delivery: Delivery::PENDING,
        reversal: None,
        reversal_delivery: None,
        amendments: Vec::new(),
        approval: None,
    }
}

fn caller(rights: Rights, teams: &[&str]) -> Cause {
    let teams = teams.iter().map(|team| (*team).to_owned()).collect();
    Cause {
        tenant_id: TenantId(Uuid::nil()),
        actor: "ann".into(),
        access: Access { rights, teams },
        method: "Test",
        request_id: None,
        message_id: None,
    }
}

#[test]
fn a_right_reaches_what_its_scope_says_and_no_further() {
    let may = |scope, teams: &[&str], owner, team| {
        let cause = caller(Rights::NONE.with(&[CloseOut], scope), teams);
        cause.may(CloseOut, "orders/1", Owned { owner, team }).is_ok()
    };
    assert!(may(Scope::Own, &["north"], "ann", "south"));
    assert!(!may(Scope::Own, &["north"], "bob", "north"));
    assert!(may(Scope::Team, &["south", "north"], "bob", "north"));
    assert!(may(Scope::Team, &[], "ann", "north"));
    assert!(!may(Scope::Team, &["south"], "bob", "north"));
    assert!(!may(Scope::Team, &[""], "bob", ""), "no team is no common team");
    assert!(may(Scope::All, &[], "bob", "north"));
}

#[test]
fn a_refusal_says_which_right_and_whose_the_record_is() {
    let refusal = caller(Rights::NONE, &[]).may_import().unwrap_err();
    assert_eq!((refusal.reason(), refusal.values), ("RIGHT_MISSING", vec![("right", "data.import".into())]));
    let own = caller(Rights::NONE.with(&[CancelOrders], Scope::Own), &[]);
    let refusal = own.may(CancelOrders, "orders/1", Owned { owner: "bob", team: "" }).unwrap_err();
    assert_eq!((refusal.reason(), refusal.subject.as_str()), ("OUT_OF_REACH", "orders/1"));
    assert!(refusal.values.contains(&("owner", "bob".into())));
}

#[test]
fn who_closed_it_out_may_take_that_back_for_fifteen_minutes_and_what_it_caused_not_by_itself() {
    const MINUTE: i64 = 60_000_000;
    let (asked, approved) = (Time(1_000), Time(90 * MINUTE));
    let seller = |actor: &str| Cause { actor: actor.into(), ..caller(*built_in("sales").unwrap(), &[]) };
    let takes_back = |change: fn(&mut CloseOut), cause: &Cause, now: Time| {
        let mut close_out = close_out(asked);
        change(&mut close_out);
        let id = close_out.close_out_id;
        let mut common = Common::new(now, Box::new(Uuid::nil));
        common.close_outs = Rows::loaded([close_out]);
        let owned = Owned { owner: "bob", team: "" };
        common.may_take_back(cause, ReopenOpportunities, id, owned).map_err(|refusal| refusal.reason())
    };
    let as_it_is: fn(&mut CloseOut) = |_| {};
    let (in_time, late) = (Time(asked.0 + 15 * MINUTE), Time(asked.0 + 15 * MINUTE + 1));
    assert_eq!(takes_back(as_it_is, &seller("ann"), in_time), Ok(()), "though it is bob's");
    assert_eq!(takes_back(as_it_is, &seller("ann"), late), Err("RIGHT_MISSING"));
    assert_eq!(takes_back(as_it_is, &seller("bob"), in_time), Err("RIGHT_MISSING"));
    let historical: fn(&mut CloseOut) = |close_out| close_out.closed_at = Time(-900 * MINUTE);
    assert_eq!(takes_back(historical, &seller("ann"), in_time), Ok(()), "it counts from when it was entered");
    let caused: fn(&mut CloseOut) = |close_out| close_out.cause = Some(CloseOutId(Uuid::from_u128(9)));
    assert_eq!(takes_back(caused, &seller("ann"), in_time), Err("RIGHT_MISSING"));
    let waited: fn(&mut CloseOut) = |close_out| {
        let mut approval = ApprovalPolicy::DEFAULT.approval(vec![ApprovalCause::Won], Time(1_000));
        approval.ruling = Some(Ruled { at: Time(90 * MINUTE), actor: "eve".into(), note: String::new() });
        close_out.approval = Some(approval);
    };
    let after = |minutes: i64| Time(approved.0 + minutes * MINUTE);
    assert_eq!(takes_back(waited, &seller("ann"), after(15)), Ok(()));
    assert_eq!(takes_back(waited, &seller("eve"), after(1)), Err("RIGHT_MISSING"), "eve has only approved it");
    assert_eq!(takes_back(waited, &seller("ann"), after(16)), Err("RIGHT_MISSING"));
    let manager =
        Cause { access: Access { rights: *built_in("manager").unwrap(), teams: Vec::new() }, ..seller("eve") };
    assert_eq!(takes_back(as_it_is, &manager, late), Err("OUT_OF_REACH"));
}

#[test]
fn grants_are_read_as_they_are_written() {
    for role in ROLES {
        let read = role.rights.grants().try_fold(Rights::NONE, |rights, grant| rights.granted(&grant));
        assert_eq!(read, Some(role.rights), "{}", role.name);
    }
    let scope = |grant: &str, right| Rights::NONE.granted(grant).unwrap().scope(right);
    assert_eq!(scope("closeout.create", CloseOut), Some(Scope::All));
    assert_eq!(scope("order.cancel.own", CancelOrders), Some(Scope::Own));
    assert_eq!(scope("order.cancel.fulfilling.team", CancelFulfilling), Some(Scope::Team));
    for wrong in ["", "closeout", "task.manage.own", "order.cancel.none", "Order.cancel"] {
        assert_eq!(Rights::NONE.granted(wrong), None, "{wrong}");
    }
}

#[test]
fn two_roles_together_reach_as_far_as_either() {
    let both = ROLES[0].rights.and(&ROLES[3].rights);
    assert_eq!((both.scope(CloseOut), both.scope(ReadAnalytics)), (Some(Scope::Own), Some(Scope::All)));
    assert_eq!(both.scope(Approve), None);
}
