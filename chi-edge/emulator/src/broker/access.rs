//! The three questions that the embedded broker asks, all answered by the provisioning crate's one table.

use std::sync::Arc;

use async_trait::async_trait;
use hearthwatch_provision::acl::{Action, Identity, allows};
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, Register, ReturnType, Type};
use rmqtt::session::Session;
use rmqtt::types::{AuthResult, ConnectInfo, LastWill, PublishAclResult, Subscribe, SubscribeAclResult};
use tokio::sync::Notify;

use super::revoked::Revoked;

/// Above every plugin's, so that no other handler speaks first.
const PRIORITY: u32 = u32::MAX;

/// Hooks in and switches on. Without it the broker would allow everything, so it comes before the listener.
pub(super) async fn install(context: &ServerContext, revoked: &Revoked, started: Arc<Notify>) -> Box<dyn Register> {
    let register = context.extends.hook_mgr().register();
    for question in [Type::ClientAuthenticate, Type::ClientSubscribeCheckAcl, Type::MessagePublishCheckAcl] {
        register.add_priority(question, PRIORITY, Box::new(Access(revoked.clone()))).await;
    }
    register.add_priority(Type::BeforeStartup, PRIORITY, Box::new(Started(started))).await;
    register.start().await;
    register
}

/// Says when the server's loop has begun.
struct Started(Arc<Notify>);

#[async_trait]
impl Handler for Started {
    #[expect(elided_lifetimes_in_paths, reason = "the trait's own signature elides it; naming it does not match")]
    async fn hook(&self, _: &Parameter, accumulated: Option<HookResult>) -> ReturnType {
        self.0.notify_one();
        (true, accumulated)
    }
}

struct Access(Revoked);

#[async_trait]
impl Handler for Access {
    #[expect(elided_lifetimes_in_paths, reason = "the trait's own signature elides it; naming it does not match")]
    async fn hook(&self, parameter: &Parameter, accumulated: Option<HookResult>) -> ReturnType {
        // `false`: nobody after us is asked.
        match parameter {
            Parameter::ClientAuthenticate(info) => (false, Some(HookResult::AuthResult(connect(info, &self.0)))),
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let decision = subscribe_decision(identity_of(session).await, subscribe);
                (false, Some(HookResult::SubscribeAclResult(decision)))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                let topic: &str = &publish.topic;
                let allowed = identity_of(session)
                    .await
                    .is_some_and(|identity| permitted(&identity, &Action::Publish { topic }, topic));
                let decision =
                    if allowed { PublishAclResult::allow() } else { PublishAclResult::rejected(false, None) };
                (false, Some(HookResult::PublishAclResult(decision)))
            }
            _ => (true, accumulated),
        }
    }
}

/// Who the certificate says it is. The user name is not looked at: the client may send any.
fn identity(info: &ConnectInfo) -> Option<Identity> {
    let name = info.cert()?.common_name.as_deref()?;
    Identity::from_common_name(name).ok()
}

async fn identity_of(session: &Session) -> Option<Identity> {
    identity(session.connect_info().await.ok()?.as_ref())
}

fn connect(info: &ConnectInfo, revoked: &Revoked) -> AuthResult {
    let refused = |why: &str| {
        tracing::info!(client.id = %info.id().client_id, "connection refused: {why}");
        AuthResult::NotAuthorized
    };
    let Some(identity) = identity(info) else { return refused("the certificate names nobody of ours") };
    if info.cert().is_none_or(|cert| revoked.covers(cert)) {
        return refused("the certificate was taken back");
    }
    if !identity.may_use_client_id(&info.id().client_id) {
        return refused("the client id is another's");
    }
    if let Some(will) = info.last_will() {
        let topic: &str = match &will {
            LastWill::V3(will) => &will.topic,
            LastWill::V5(will) => &will.topic,
        };
        // The broker publishes wills itself and asks nobody then.
        if !allows(&identity, &Action::Publish { topic }) {
            return refused("the will is for another's topic");
        }
    }
    AuthResult::Allow(false, None)
}

fn subscribe_decision(identity: Option<Identity>, subscribe: &Subscribe) -> SubscribeAclResult {
    let refused = SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized);
    let Some(identity) = identity else { return refused };
    let topic: &str = &subscribe.topic_filter;
    // The broker has taken a `$share/GROUP/` prefix off; the table wants to see it.
    let filter = match subscribe.opts.shared_group() {
        Some(group) => format!("$share/{group}/{topic}"),
        None => topic.to_owned(),
    };
    if permitted(&identity, &Action::Subscribe { filter: &filter }, &filter) {
        SubscribeAclResult::new_success(subscribe.opts.qos(), None)
    } else {
        refused
    }
}

fn permitted(identity: &Identity, action: &Action<'_>, topic: &str) -> bool {
    let allowed = allows(identity, action);
    if !allowed {
        tracing::info!(client.name = %identity, topic, "refused by the access rules");
    }
    allowed
}
