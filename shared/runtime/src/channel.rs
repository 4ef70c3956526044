//! Channels to the services. In flow a URL and what to show with each call; out comes a channel for the generated clients that
//! connects at the first call and again whenever it must. What is called is not known here.

use crate::{
    auth::{self, PRINCIPAL, PeerToken, ROLES, TEAMS, TENANT, is_principal, principal_rule},
    status,
};
use crm_closeout::{ids::TenantId, wording::Language};
use std::{sync::Arc, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{self, Channel, Endpoint},
};
use tower::{ServiceExt, util::MapErr};

/// How long a call to the peer may take, unless the request says otherwise; well below the lease of the messages in it.
pub const PEER_DEADLINE: Duration = Duration::from_secs(5);

/// A connection to the peer that is silent for so long is asked whether it lives, and given up after as long again: before a lease
/// of 15 s ends, so that what is claimed then does not go over a connection that has died unnoticed.
const PEER_SILENCE: Duration = Duration::from_millis(2_500);

/// A channel to the other service's peer listener.
pub type PeerChannel = InterceptedService<PlainChannel, PeerCredentials>;
/// A channel to a public listener.
pub type PublicChannel = InterceptedService<PlainChannel, Identity>;

type PlainChannel = MapErr<Channel, fn(transport::Error) -> Status>;

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Not a URL of a service.
    #[error("`{0}` is not a URL of a service; write it as http://host:port")]
    Url(String),
    /// The principal cannot be sent.
    #[error("{0}")]
    Principal(String),
}

/// A channel to the peer. It shows the token, if there is one, and gives each call [`PEER_DEADLINE`].
/// Must be called within a tokio runtime; an unreachable peer shows at the first call, as UNAVAILABLE.
pub fn connect(url: &str, token: Option<PeerToken>) -> Result<PeerChannel, ChannelError> {
    let channel = endpoint(url)?
        .http2_keep_alive_interval(PEER_SILENCE)
        .keep_alive_timeout(PEER_SILENCE)
        .initial_stream_window_size(256 * 1024)
        .concurrency_limit(32)
        .connect_lazy();
    Ok(InterceptedService::new(plain(channel), PeerCredentials { token }))
}

/// A channel to a public listener, on which every call is made by `identity`. Must be called within a tokio runtime.
pub fn connect_as(url: &str, identity: Identity) -> Result<PublicChannel, ChannelError> {
    let channel = endpoint(url)?
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(64 * 1024)
        .connect_lazy();
    Ok(InterceptedService::new(plain(channel), identity))
}

fn endpoint(url: &str) -> Result<Endpoint, ChannelError> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| ChannelError::Url(url.to_owned()))?;
    let uri = endpoint.uri();
    if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") {
        return Err(ChannelError::Url(url.to_owned()));
    }
    Ok(endpoint
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(1024 * 1024)
        .buffer_size(64))
}

fn plain(channel: Channel) -> PlainChannel {
    channel.map_err(status::of_transport as fn(transport::Error) -> Status)
}

/// What the peer is shown with each call.
#[derive(Clone, Debug)]
pub struct PeerCredentials {
    token: Option<PeerToken>,
}

impl Interceptor for PeerCredentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            let header = token.header();
            let mut value = MetadataValue::try_from(header.as_bytes())
                .map_err(|_| Status::internal("the peer token cannot be sent"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        if !request.metadata().contains_key("grpc-timeout") {
            request.set_timeout(PEER_DEADLINE);
        }
        Ok(request)
    }
}

/// Who a client says it is.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Vec<(&'static str, MetadataValue<Ascii>)>>);

impl Identity {
    /// Of a principal in a tenant; the principal needs 1 to 128 visible ASCII characters.
    pub fn new(tenant: TenantId, principal: &str) -> Result<Self, ChannelError> {
        let refused = || ChannelError::Principal(principal_rule());
        if !is_principal(principal) {
            return Err(refused());
        }
        let tenant = MetadataValue::try_from(tenant.to_string()).map_err(|_| refused())?;
        let principal = MetadataValue::try_from(principal).map_err(|_| refused())?;
        Ok(Self(Arc::new(vec![(TENANT, tenant), (PRINCIPAL, principal)])))
    }

    /// With these roles, in these teams.
    pub fn with(self, roles: &[&str], teams: &[&str]) -> Self {
        let list = |names: &[&str]| MetadataValue::try_from(auth::list(names)).ok();
        self.saying(ROLES, list(roles)).saying(TEAMS, list(teams))
    }

    /// Wants to be told in this language why a call is refused.
    pub fn speaking(self, language: Language) -> Self {
        self.saying("accept-language", Some(MetadataValue::from_static(language.tag())))
    }

    fn saying(mut self, key: &'static str, value: Option<MetadataValue<Ascii>>) -> Self {
        Arc::make_mut(&mut self.0).extend(value.map(|value| (key, value)));
        self
    }
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in self.0.iter() {
            request.metadata_mut().insert(*key, value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Claims;
    use uuid::Uuid;

    #[test]
    fn an_identity_reads_back_as_the_caller() {
        let tenant = TenantId(Uuid::from_u128(7));
        let mut identity = Identity::new(tenant, "users/ana").unwrap().with(&["sales", "key-accounts"], &["华东"]);
        let request = identity.call(Request::new(())).unwrap();
        let claims = Claims::read(request.metadata().as_ref()).unwrap();
        let roles = Some(vec!["sales".to_owned(), "key-accounts".to_owned()]);
        assert_eq!(claims, Claims { tenant, principal: "users/ana".into(), roles, teams: vec!["华东".into()] });
        assert!(Identity::new(TenantId(Uuid::nil()), "ana smith").is_err());
    }

    #[test]
    fn a_call_to_the_peer_has_a_deadline_and_keeps_a_given_one() {
        let mut credentials = PeerCredentials { token: None };
        let request = credentials.call(Request::new(())).unwrap();
        assert!(request.metadata().contains_key("grpc-timeout"));
        let mut request = Request::new(());
        request.metadata_mut().insert("grpc-timeout", MetadataValue::from_static("1S"));
        assert_eq!(credentials.call(request).unwrap().metadata().get("grpc-timeout").unwrap(), "1S");
    }

    #[tokio::test]
    async fn only_urls_of_services_are_taken() {
        assert!(connect("http://127.0.0.1:50051", None).is_ok());
        for url in ["", "127.0.0.1:50051", "https://host:1", "http://", "http://host/path", "host"] {
            let error = connect(url, None).map(drop).unwrap_err();
            assert!(error.to_string().contains("http://host:port"), "{url}");
        }
    }
}
