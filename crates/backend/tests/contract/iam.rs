//! Users, groups, policies and access keys.

use std::sync::Arc;

use causeway_model::Code;
use causeway_model::registry::Sealed;
use causeway_platform::Store;
use causeway_platform::iam::{
    ADMIN_GROUP, AccessKey, AccessMode, CustomPolicy, GrantScope, Granted, PolicyContent, User, UserChange, UserGroup,
    UserProfile,
};

use crate::fixture::{T0, at, refused};
use crate::place::Place;

pub(crate) fn user(name: &str) -> User {
    User {
        no: 0,
        id: format!("id-{name}"),
        name: name.to_owned(),
        password_hash: Some("$argon2id$…".to_owned()),
        profile: UserProfile {
            description: "描述".to_owned(),
            email: "a@example.com".to_owned(),
            areacode: "0049".to_owned(),
            phone: "123".to_owned(),
            access: AccessMode::Programmatic,
            password_is_first: true,
        },
        enabled: true,
        epoch: 0,
        created_at: T0,
        password_at: at(1),
    }
}

pub(crate) fn group(name: &str) -> UserGroup {
    let (id, description) = (format!("id-{name}"), "about it".to_owned());
    UserGroup { no: 0, id, name: name.to_owned(), description, created_at: T0 }
}

pub(crate) fn policy(name: &str) -> CustomPolicy {
    CustomPolicy { no: 0, id: format!("id-{name}"), content: content(name), created_at: T0, updated_at: T0 }
}

fn content(name: &str) -> PolicyContent {
    PolicyContent {
        display_name: name.to_owned(),
        kind: "XA".to_owned(),
        description: "d".to_owned(),
        description_cn: "说明".to_owned(),
        document: format!(r#"{{"of":"{name}"}}"#),
    }
}

pub(crate) fn key(ak: &str, user: i64) -> AccessKey {
    let (ak, sk) = (ak.to_owned(), Sealed(vec![0, 1, 2].into()));
    AccessKey { ak, sk, user, active: true, description: "k".to_owned(), created_at: at(1) }
}

async fn some_user(store: &dyn Store, name: &str) -> User {
    store.insert_user(user(name), 100).await.expect("a user")
}

async fn some_group(store: &dyn Store, name: &str) -> UserGroup {
    store.insert_user_group(group(name), 100).await.expect("a group")
}

pub(crate) async fn users(place: Arc<Place>) {
    let store = place.open().await;
    assert_eq!(store.user("admin").await.expect("an answer"), None);
    let admin = store.insert_user(user("admin"), 2).await.expect("a user");
    assert_eq!(admin, User { no: admin.no, ..user("admin") });
    let keyless = User { password_hash: None, enabled: false, ..user("Admin") };
    let other = store.insert_user(keyless.clone(), 2).await.expect("another name");
    assert_eq!(other, User { no: other.no, ..keyless });
    assert_ne!(admin.no, other.no);
    assert_eq!(store.user("admin").await.expect("an answer"), Some(admin.clone()));
    assert_eq!(store.user_by_id("id-Admin").await.expect("an answer"), Some(other.clone()));
    assert_eq!(store.user_by_id("admin").await.expect("an answer"), None);
    assert_eq!(store.users().await.expect("users"), [admin, other]);
    refused(store.insert_user(user("third"), 2).await, Code::TooManyUsers);
    refused(store.insert_user(user("admin"), 3).await, Code::UserExists);
}

pub(crate) async fn users_change(place: Arc<Place>) {
    let store = place.open().await;
    let (ann, _bob) = (some_user(&*store, "ann").await, some_user(&*store, "bob").await);
    let change = |change: UserChange| store.change_user(ann.no, change);
    let same = change(UserChange::default()).await.expect("an answer").expect("the user");
    assert_eq!(same, ann);
    let changed = change(UserChange {
        name: Some("anne".to_owned()),
        description: Some(String::new()),
        email: Some("b@example.com".to_owned()),
        phone: Some(("0086".to_owned(), "7".to_owned())),
        access: Some(AccessMode::Console),
        password_is_first: Some(false),
        ..UserChange::default()
    });
    let changed = changed.await.expect("an answer").expect("the user");
    assert_eq!(store.user("anne").await.expect("an answer"), Some(changed.clone()));
    assert_eq!(store.user("ann").await.expect("an answer"), None);
    let profile = UserProfile {
        description: String::new(),
        email: "b@example.com".to_owned(),
        areacode: "0086".to_owned(),
        phone: "7".to_owned(),
        access: AccessMode::Console,
        password_is_first: false,
    };
    assert_eq!(changed, User { name: "anne".to_owned(), profile, ..ann.clone() });
    refused(change(UserChange { name: Some("bob".to_owned()), ..UserChange::default() }).await, Code::UserExists);

    // A password and disabling end tokens; enabling does not bring them back.
    let password = Some(("new".to_owned(), at(5)));
    change(UserChange { password, ..UserChange::default() }).await.expect("an answer");
    for enabled in [false, false, true] {
        change(UserChange { enabled: Some(enabled), ..UserChange::default() }).await.expect("an answer");
    }
    let changed = store.user("anne").await.expect("an answer").expect("the user");
    assert_eq!((changed.epoch, changed.enabled), (2, true));
    assert_eq!((changed.password_hash.as_deref(), changed.password_at), (Some("new"), at(5)));

    assert!(store.delete_user(ann.no).await.expect("an answer"));
    assert!(!store.delete_user(ann.no).await.expect("an answer"));
    assert_eq!(change(UserChange::default()).await.expect("an answer"), None);
    assert_eq!(store.users().await.expect("users").len(), 1);
}

pub(crate) async fn the_limits_hold_against_concurrent_callers(place: Arc<Place>) {
    let store = place.open().await;
    let owner = some_user(&*store, "owner").await.no;
    let callers: Vec<_> = (0..8)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                (
                    store.insert_user(user(&format!("u{i}")), 4).await.is_ok(),
                    store.insert_user_group(group(&format!("g{i}")), 3).await.is_ok(),
                    store.insert_custom_policy(policy(&format!("p{i}")), 3).await.is_ok(),
                    store.insert_access_key(&key(&format!("k{i}"), owner), 2).await.is_ok(),
                )
            })
        })
        .collect();
    let mut made = [0; 4];
    for caller in callers {
        let (users, groups, policies, keys) = caller.await.expect("no panic");
        for (count, one) in made.iter_mut().zip([users, groups, policies, keys]) {
            *count += usize::from(one);
        }
    }
    assert_eq!(made, [3, 3, 3, 2]);
    refused(store.insert_user_group(group("more"), 3).await, Code::TooManyUserGroups);
    refused(store.insert_custom_policy(policy("more"), 3).await, Code::TooManyRoles);
    refused(store.insert_access_key(&key("more", owner), 2).await, Code::TooManyAccessKeys);
}

pub(crate) async fn groups_and_members(place: Arc<Place>) {
    let store = place.open().await;
    let (g1, g2) = (some_group(&*store, "g1").await, some_group(&*store, "g2").await);
    assert_eq!(g1, UserGroup { no: g1.no, ..group("g1") });
    assert_eq!(store.user_group("id-g2").await.expect("an answer"), Some(g2.clone()));
    assert_eq!(store.user_group("g2").await.expect("an answer"), None);
    assert_eq!(store.user_groups().await.expect("groups"), [g1.clone(), g2.clone()]);
    refused(store.insert_user_group(group("g1"), 100).await, Code::UserGroupExists);
    let renamed = store.change_user_group(g1.no, Some("g3".to_owned()), None).await.expect("an answer");
    let renamed = renamed.expect("the group");
    assert_eq!(renamed, UserGroup { name: "g3".to_owned(), ..g1.clone() });
    let told = store.change_user_group(g1.no, Some("g3".to_owned()), Some("x".to_owned())).await.expect("its own name");
    assert_eq!(told, Some(UserGroup { description: "x".to_owned(), ..renamed }));
    refused(store.change_user_group(g1.no, Some("g2".to_owned()), None).await, Code::UserGroupExists);
    assert_eq!(store.change_user_group(999, None, None).await.expect("an answer"), None);

    let (ann, bob) = (some_user(&*store, "ann").await, some_user(&*store, "bob").await);
    for (group, user) in [(g1.no, bob.no), (g1.no, ann.no), (g1.no, ann.no), (g2.no, ann.no)] {
        assert!(store.add_member(group, user).await.expect("an answer"));
    }
    assert!(!store.add_member(999, ann.no).await.expect("an answer"));
    assert!(!store.add_member(g1.no, 999).await.expect("an answer"));
    assert_eq!(store.members(g1.no).await.expect("members"), [ann.clone(), bob.clone()]);
    assert_eq!(store.groups_of(ann.no).await.expect("groups").len(), 2);
    assert!(store.remove_member(g1.no, ann.no).await.expect("an answer"));
    assert!(!store.remove_member(g1.no, ann.no).await.expect("an answer"));
    assert_eq!(store.groups_of(ann.no).await.expect("groups"), std::slice::from_ref(&g2));
    assert!(store.delete_user(ann.no).await.expect("an answer"));
    assert_eq!(store.members(g2.no).await.expect("members"), []);
    assert!(store.delete_user_group(g1.no).await.expect("an answer"));
    assert!(!store.delete_user_group(g1.no).await.expect("an answer"));
    assert_eq!(store.groups_of(bob.no).await.expect("groups"), []);
}

pub(crate) async fn policies_and_grants(place: Arc<Place>) {
    let store = place.open().await;
    let p1 = store.insert_custom_policy(policy("p1"), 10).await.expect("a policy");
    let p2 = store.insert_custom_policy(policy("p2"), 10).await.expect("another policy");
    assert_eq!(p1, CustomPolicy { no: p1.no, ..policy("p1") });
    assert_eq!(store.custom_policy("id-p2").await.expect("an answer"), Some(p2.clone()));
    assert_eq!(store.custom_policies().await.expect("policies"), [p1.clone(), p2.clone()]);
    refused(store.insert_custom_policy(policy("p1"), 10).await, Code::RoleExists);
    let changed = store.change_custom_policy(p1.no, content("p3"), at(9)).await.expect("an answer");
    assert_eq!(changed, Some(CustomPolicy { content: content("p3"), updated_at: at(9), ..p1.clone() }));
    refused(store.change_custom_policy(p1.no, content("p2"), at(9)).await, Code::RoleExists);
    assert_eq!(store.change_custom_policy(999, content("x"), at(9)).await.expect("an answer"), None);

    let g = some_group(&*store, "g").await.no;
    use GrantScope::{AllProjects, Domain, Project};
    for (policy, custom, scope) in
        [("system", false, Project), ("id-p1", true, Project), ("id-p1", true, Project), ("id-p1", true, Domain)]
    {
        assert!(store.grant(g, policy, custom, scope).await.expect("an answer"));
    }
    assert!(!store.grant(g, "unknown", true, Project).await.expect("an answer"));
    assert!(!store.grant(999, "system", false, Project).await.expect("an answer"));
    assert_eq!(store.grants(g, Project).await.expect("grants"), ["system", "id-p1"]);
    assert_eq!(store.grants(g, Domain).await.expect("grants"), ["id-p1"]);
    assert_eq!(store.grants(g, AllProjects).await.expect("grants"), [""; 0]);
    assert_eq!(store.grant_count("id-p1").await.expect("a count"), 1);
    refused(store.delete_custom_policy(p1.no).await, Code::RoleInUse);
    assert!(!store.revoke(g, "id-p1", AllProjects).await.expect("an answer"));
    assert!(store.revoke(g, "id-p1", Project).await.expect("an answer"));
    refused(store.delete_custom_policy(p1.no).await, Code::RoleInUse);
    assert!(store.delete_user_group(g).await.expect("an answer"));
    assert_eq!(store.grant_count("id-p1").await.expect("a count"), 0);
    assert!(store.delete_custom_policy(p1.no).await.expect("an answer"));
    assert!(!store.delete_custom_policy(p1.no).await.expect("an answer"));
    assert_eq!(store.custom_policies().await.expect("policies"), [p2]);
}

pub(crate) async fn what_reaches_a_user(place: Arc<Place>) {
    let store = place.open().await;
    let (ann, bob) = (some_user(&*store, "ann").await, some_user(&*store, "bob").await);
    let (g1, g2) = (some_group(&*store, "g1").await.no, some_group(&*store, "g2").await.no);
    store.insert_custom_policy(policy("p"), 10).await.expect("a policy");
    for (group, user) in [(g1, ann.no), (g2, ann.no), (g2, bob.no)] {
        store.add_member(group, user).await.expect("an answer");
    }
    for (group, policy, custom) in [(g1, "id-p", true), (g2, "id-p", true), (g1, "a-system", false)] {
        store.grant(group, policy, custom, GrantScope::Domain).await.expect("an answer");
    }
    store.grant(g2, "id-p", true, GrantScope::Project).await.expect("an answer");
    let system = Granted { policy: "a-system".to_owned(), document: None };
    let custom = Granted { policy: "id-p".to_owned(), document: Some(content("p").document) };
    let standing = |user: &User| {
        let store = Arc::clone(&store);
        let no = user.no;
        async move { store.standing(no).await.expect("an answer") }
    };
    assert_eq!(standing(&ann).await, Some((ann.clone(), vec![system, custom.clone()])));
    assert_eq!(standing(&bob).await, Some((bob.clone(), vec![custom])));
    store.remove_member(g2, bob.no).await.expect("an answer");
    assert_eq!(standing(&bob).await, Some((bob.clone(), vec![])));
    store.delete_user(bob.no).await.expect("an answer");
    assert_eq!(standing(&bob).await, None);
}

pub(crate) async fn an_administrator_is_always_left(place: Arc<Place>) {
    let store = place.open().await;
    // Users that were there before there were groups become administrators.
    let (ann, bob) = (some_user(&*store, "ann").await, some_user(&*store, "bob").await);
    assert!(store.ensure_admin_group(&group(ADMIN_GROUP)).await.expect("an answer"));
    let late = some_user(&*store, "late").await;
    assert!(!store.ensure_admin_group(&group(ADMIN_GROUP)).await.expect("an answer"));
    let admins = store.user_group("id-admin").await.expect("an answer").expect("the group").no;
    assert_eq!(store.members(admins).await.expect("members"), [ann.clone(), bob.clone()]);

    assert!(store.delete_user(late.no).await.expect("an answer"));
    let disable = UserChange { enabled: Some(false), ..UserChange::default() };
    store.change_user(ann.no, disable.clone()).await.expect("an answer");
    refused(store.change_user(bob.no, disable).await, Code::LastAdministrator);
    refused(store.remove_member(admins, bob.no).await, Code::LastAdministrator);
    refused(store.delete_user(bob.no).await, Code::LastAdministrator);
    assert_eq!(store.user("bob").await.expect("an answer"), Some(bob.clone()));
    assert_eq!(store.members(admins).await.expect("members").len(), 2);
    let enable = UserChange { enabled: Some(true), ..UserChange::default() };
    store.change_user(ann.no, enable).await.expect("an answer");

    // Both leave at once: one of them stays.
    let leave = |no: i64| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.delete_user(no).await.is_ok() })
    };
    let (a, b) = (leave(ann.no), leave(bob.no));
    assert_ne!(a.await.expect("no panic"), b.await.expect("no panic"));
    assert_eq!(store.members(admins).await.expect("members").len(), 1);
}

pub(crate) async fn the_first_user_is_an_administrator(place: Arc<Place>) {
    let store = place.open().await;
    assert!(store.ensure_admin_group(&group(ADMIN_GROUP)).await.expect("an answer"));
    let admins = store.user_group("id-admin").await.expect("an answer").expect("the group").no;
    assert!(store.insert_first_user(user("root"), admins, key("AK1", 0)).await.expect("an answer"));
    assert!(!store.insert_first_user(user("other"), admins, key("AK2", 0)).await.expect("an answer"));
    let root = store.user("root").await.expect("an answer").expect("the user");
    assert_eq!(store.members(admins).await.expect("members"), std::slice::from_ref(&root));
    assert_eq!(store.access_keys(root.no).await.expect("keys"), [key("AK1", root.no)]);
    assert_eq!(store.access_key("AK2").await.expect("an answer"), None);
}

pub(crate) async fn access_keys(place: Arc<Place>) {
    let store = place.open().await;
    let user = some_user(&*store, "ann").await.no;
    let first = key("AK1", user);
    store.insert_access_key(&first, 2).await.expect("a key");
    assert_eq!(store.access_key("AK1").await.expect("an answer"), Some(first.clone()));
    assert_eq!(store.access_key("ak1").await.expect("an answer"), None);
    refused(store.insert_access_key(&first, 2).await, Code::InvalidInput);
    refused(store.insert_access_key(&key("AK2", 999), 2).await, Code::UserNotFound);
    store.insert_access_key(&AccessKey { created_at: at(2), ..key("AK0", user) }, 2).await.expect("another key");
    refused(store.insert_access_key(&key("AK3", user), 2).await, Code::TooManyAccessKeys);
    let names: Vec<_> = store.access_keys(user).await.expect("keys").into_iter().map(|k| k.ak).collect();
    assert_eq!(names, ["AK1", "AK0"]);

    let changed = store.change_access_key("AK1", Some(false), None).await.expect("an answer");
    assert_eq!(changed, Some(AccessKey { active: false, ..first.clone() }));
    let changed = store.change_access_key("AK1", None, Some("new".to_owned())).await.expect("an answer");
    assert_eq!(changed, Some(AccessKey { active: false, description: "new".to_owned(), ..first }));
    assert_eq!(store.change_access_key("AK9", None, None).await.expect("an answer"), None);

    assert!(store.delete_access_key("AK0").await.expect("an answer"));
    assert!(!store.delete_access_key("AK0").await.expect("an answer"));
    store.delete_user(user).await.expect("an answer");
    assert_eq!(store.access_key("AK1").await.expect("an answer"), None);
}
