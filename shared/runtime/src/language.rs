//! In which language a caller wants to be told why a call is refused. In flows `accept-language`; while the call is answered,
//! everything that makes a status finds the language here.

use crm_closeout::wording::Language;
use http::{HeaderMap, header::ACCEPT_LANGUAGE};
use std::future::Future;

tokio::task_local! {
    static ASKED: Option<Language>;
}

/// The language that the headers of a request ask for; none if they do not.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Language> {
    headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).map(Language::preferred)
}

/// Answers a call in this language.
pub(crate) fn answer_in<F: Future>(language: Option<Language>, work: F) -> impl Future<Output = F::Output> {
    ASKED.scope(language, work)
}

/// Does a piece of the answer to a call in this language.
pub(crate) fn say_in<T>(language: Option<Language>, piece: impl FnOnce() -> T) -> T {
    ASKED.sync_scope(language, piece)
}

/// The language that the call asks for which is being answered; none if it does not, or if there is none.
pub(crate) fn current() -> Option<Language> {
    ASKED.try_get().ok().flatten()
}
