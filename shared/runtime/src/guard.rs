//! What every call of a listener passes: trace, token or gate, room, language, deadline, and on the way back a status that means what it says.
//! In flows an HTTP request, out comes a response that is never an error and never a panic. Methods are not known here.

use crate::{
    auth::{Caller, PeerToken},
    deadline::{Deadline, Terms},
    language,
    server::Limits,
    status,
    trace::{self, Scope},
};
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tower::Service;
use tracing::Span;

/// Health is answered however full the process is, or it would be restarted for being busy.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Decides, by path and headers, for whom a call of a method is made and whether that may call it; none: no method that is asked of here.
/// A method that takes its caller from the extensions of its request has none then.
pub type Gate =
    Arc<dyn for<'a> Fn(&'a str, &'a HeaderMap) -> BoxFuture<'a, Result<Option<Caller>, Status>> + Send + Sync>;

/// Whom a listener lets in.
#[derive(Clone)]
pub(crate) enum Door {
    /// Who shows the token, if there is one.
    Peer(Option<PeerToken>),
    /// Who is let in by the gate.
    Public(Gate),
}

/// The routes of a listener behind everything that all its calls have in common.
#[derive(Clone)]
pub(crate) struct Guard {
    routes: Routes,
    rules: Arc<Rules>,
}

struct Rules {
    door: Door,
    limits: Limits,
    room: Semaphore,
    stopping: CancellationToken,
}

impl Guard {
    pub(crate) fn new(routes: Routes, door: Door, limits: Limits, stopping: CancellationToken) -> Self {
        let room = Semaphore::new(limits.in_flight);
        Self { routes: routes.prepare(), rules: Arc::new(Rules { door, limits, room, stopping }) }
    }
}

impl Rules {
    async fn answer(&self, mut routes: Routes, mut request: Request<Body>) -> Response<Body> {
        if let Door::Peer(Some(token)) = &self.door
            && let Err(status) = token.check(request.headers())
        {
            return status.into_http();
        }
        let path = request.uri().path().to_owned();
        tracing::debug!(rpc.method = path, "called");
        let place = self.room.try_acquire();
        if place.is_err() && !path.starts_with(HEALTH) {
            return status::overloaded().into_http();
        }
        let deadline = Deadline::of(request.headers(), self.limits.timeout);
        let terms = Terms::of(request.headers(), self.stopping.clone());
        request.extensions_mut().insert(deadline);
        request.extensions_mut().insert(terms);
        let asked = path.as_str();
        let call = AssertUnwindSafe(async move {
            if let Door::Public(gate) = &self.door {
                match gate(asked, request.headers()).await {
                    Ok(caller) => drop(caller.and_then(|caller| request.extensions_mut().insert(caller))),
                    Err(status) => return Ok(status.into_http()),
                }
            }
            routes.call(request).await
        })
        .catch_unwind();
        match deadline.limit(call).await {
            None => status::out_of_time().into_http(),
            Some(Err(panic)) => status::panicked(&path, &*panic).into_http(),
            Some(Ok(Ok(response))) => status::translate(response, path, &self.stopping),
        }
    }
}

impl Service<Request<Body>> for Guard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (routes, rules) = (self.routes.clone(), Arc::clone(&self.rules));
        let (language, scope) = (language::asked(request.headers()), Scope::of(&request));
        scope.around(async move {
            let response = language::answer_in(language, rules.answer(routes, request)).await;
            trace::ended(&Span::current(), response.headers());
            Ok(response)
        })
    }
}
