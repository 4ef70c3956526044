//! The gate of a public listener: before every method, and the only one who says who calls.

use super::*;
use crate::{
    auth::Claims,
    channel::{Identity, connect_as},
};
use crm_closeout::{access::Access, ids::TenantId};
use uuid::Uuid;

#[tokio::test]
async fn a_call_reaches_a_method_through_the_gate_alone_and_with_the_caller_that_it_names() {
    let gate: Gate = Arc::new(|path, headers| {
        Box::pin(async move {
            if path != GET {
                return Ok(None);
            }
            let Claims { tenant, principal, .. } = Claims::read(headers)?;
            if principal == "eve" {
                return Err(answer::refusal(&OWN, &[]));
            }
            Ok(Some(Caller { tenant, principal, access: Access::EVERYTHING }))
        })
    });
    let server = Running::behind(Door::Public(gate), Limits::PUBLIC).await;
    let ask = async |principal: &str| {
        let identity = Identity::new(TenantId(Uuid::from_u128(1)), principal).unwrap();
        let channel = connect_as(&format!("http://{}", server.address), identity).unwrap();
        let request = pb::GetCustomerRequest { name: "caller".into() };
        let answer = CustomerServiceClient::new(channel).get_customer(request).await;
        answer.map(|answer| answer.into_inner().customer.unwrap().display_name)
    };
    assert_eq!(ask("ann").await.unwrap(), "ann");
    assert_eq!(told(&ask("eve").await.unwrap_err()), (Code::Internal, "OWN".into()));
    assert_eq!(told(&server.get("caller").await.unwrap_err()), (Code::Unauthenticated, "TENANT_MISSING".into()));
    let mut health = HealthClient::new(server.channel(None));
    let serving = health.check(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner().status;
    assert_eq!(serving, 1, "what the gate is not about needs no caller");
}

#[tokio::test]
async fn without_a_word_of_the_gate_a_method_has_no_caller_whatever_the_headers_say() {
    let server = Running::behind(Door::Public(open_to_all()), Limits::PUBLIC).await;
    assert_eq!(server.get("caller").await.unwrap().display_name, "");
}
