//! Users and access keys.

use std::sync::Arc;

use causeway_model::Code;
use causeway_model::registry::Sealed;
use causeway_platform::iam::{AccessKey, User};

use crate::fixture::{T0, at, refused};
use crate::place::Place;

fn user(name: &str) -> User {
    User { no: 0, name: name.to_owned(), password_hash: "$argon2id$…".to_owned(), created_at: T0 }
}

pub(crate) async fn users(place: Arc<Place>) {
    let store = place.open().await;
    assert_eq!(store.user("admin").await.expect("an answer"), None);
    let admin = store.insert_user(user("admin")).await.expect("a user");
    assert_eq!(admin, User { no: admin.no, ..user("admin") });
    let other = store.insert_user(user("Admin")).await.expect("another name");
    assert_ne!(admin.no, other.no);
    assert_eq!(store.user("admin").await.expect("an answer"), Some(admin));
    refused(store.insert_user(user("admin")).await, Code::InvalidInput);
}

pub(crate) async fn access_keys(place: Arc<Place>) {
    let store = place.open().await;
    let user = store.insert_user(user("admin")).await.expect("a user");
    let key = AccessKey { ak: "AK1".to_owned(), sk: Sealed(vec![0, 1, 2].into()), user: user.no, created_at: at(1) };
    store.insert_access_key(&key).await.expect("a key");
    assert_eq!(store.access_key("AK1").await.expect("an answer"), Some(key.clone()));
    assert_eq!(store.access_key("ak1").await.expect("an answer"), None);
    refused(store.insert_access_key(&key).await, Code::InvalidInput);
}
