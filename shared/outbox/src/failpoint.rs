//! Steps at which a test can stop a process: with `CLOSEOUT_FAILPOINT=STEP` in its environment, a build with debug
//! assertions that reaches STEP says so on standard error and stands still until it is killed. In a release build there are none.

/// Stands still for ever if this step is the one to stop at.
pub(crate) async fn reach(step: &str) {
    if cfg!(debug_assertions) && std::env::var("CLOSEOUT_FAILPOINT").is_ok_and(|wanted| wanted == step) {
        eprintln!("failpoint reached: {step}");
        std::future::pending::<()>().await;
    }
}
