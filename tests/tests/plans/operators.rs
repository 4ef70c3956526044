//! What operators do on both services: they list what is parked, have it sent again, give it up, and resend a record.

use crate::{data::Data, work::Known};
use crm_proto::{opportunity as sales, order as trade};
use crm_runtime::channel::{Identity, connect_as};
use crm_tests::{pair::Pair, until};
use std::time::Duration;

/// Both services have these methods, in packages of their own.
macro_rules! operate {
    ($pb:ident, $url:expr, $tenant:expr, $record:expr) => {{
        let channel = connect_as($url, Identity::new($tenant, "olga").unwrap().with(&["operator"], &[])).unwrap();
        let client = $pb::operator_service_client::OperatorServiceClient::new(channel);
        let justification = "nobody can read it".to_owned();
        let list = async |page_token: String| {
            let request = $pb::ListParkedMessagesRequest { page_size: 20, page_token };
            client.clone().list_parked_messages(request).await.unwrap().into_inner()
        };
        // The relay parks them as soon as the other service has seen them.
        let first = until("two pages are parked", Duration::from_secs(60), async || {
            let page = list(String::new()).await;
            (!page.next_page_token.is_empty()).then_some(page)
        })
        .await;
        list(first.next_page_token).await;
        let name = |n: usize| first.parked_messages[n].name.clone();
        let retry = $pb::RetryParkedMessageRequest { name: name(0), ..Default::default() };
        client.clone().retry_parked_message(retry).await.unwrap();
        let skip =
            $pb::SkipParkedMessageRequest { name: name(1), justification: justification.clone(), ..Default::default() };
        client.clone().skip_parked_message(skip).await.unwrap();
        let resend = $pb::ResendLaneRequest { record: $record.clone(), justification, ..Default::default() };
        client.clone().resend_lane(resend).await.unwrap();
    }};
}

/// Every method once.
pub(crate) async fn operate(pair: &Pair, data: &Data, known: &Known) {
    operate!(sales, &pair.opportunity.url(), pair.tenant, known.lost);
    operate!(sales, &pair.opportunity.url(), pair.tenant, known.customer);
    operate!(trade, &pair.order.url(), pair.tenant, known.confirmed);
    data.quiet().await;
}
