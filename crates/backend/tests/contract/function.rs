//! Functions.

use std::sync::Arc;

use causeway_model::registry::{PageRequest, Sealed};
use causeway_model::{AppId, Code, RecordNo, Spaces};
use causeway_platform::function::{Function, FunctionBody, FunctionFilter};

use crate::fixture::{T0, app, at, refused};
use crate::place::Place;

fn script(app: Option<&AppId>, name: &str) -> Function {
    Function {
        no: RecordNo(0),
        id: format!("id of {name} in {app:?}"),
        app_id: app.cloned(),
        name: name.to_owned(),
        description: Some("说明".to_owned()),
        body: FunctionBody::JavaScript { source: "function handler() { return '函数' }".to_owned() },
        timeout_ms: 3_000,
        memory: 16 << 20,
        created_at: T0,
        updated_at: at(1),
    }
}

pub(crate) async fn functions_are_kept_and_counted(place: Arc<Place>) {
    let store = place.open().await;
    let space = store.insert_app(app("space"), 10).await.expect("a space").id;
    let own = store.insert_function(script(None, "f"), 3).await.expect("a function");
    let of_space = store.insert_function(script(Some(&space), "f"), 3).await.expect("a function");
    refused(store.insert_function(Function { id: "x".to_owned(), ..script(None, "f") }, 9).await, Code::FunctionExists);
    let again = Function { id: "x".to_owned(), ..script(Some(&space), "f") };
    refused(store.insert_function(again, 9).await, Code::FunctionExists);
    refused(store.insert_function(script(Some(&AppId::trusted("no")), "g"), 9).await, Code::AppNotFound);
    store.insert_function(script(None, "g"), 3).await.expect("a function");
    refused(store.insert_function(script(None, "h"), 3).await, Code::TooManyFunctions);
    assert_eq!(own, Function { no: own.no, ..script(None, "f") });
    assert_eq!(store.function(&own.id).await.expect("an answer"), Some(own.clone()));
    assert_eq!(store.function("nothing").await.expect("an answer"), None);
    assert_eq!(store.function_by_name(None, "f").await.expect("an answer"), Some(own.clone()));
    assert_eq!(store.function_by_name(Some(&space), "f").await.expect("an answer"), Some(of_space));
    assert_eq!(store.function_by_name(Some(&space), "g").await.expect("an answer"), None);
    let changed = Function {
        description: None,
        body: FunctionBody::Http { url: "http://a/".to_owned(), token: Some(Sealed(vec![1, 0, 255].into())) },
        timeout_ms: 10,
        memory: 1 << 20,
        updated_at: at(2),
        ..own
    };
    assert!(store.update_function(&changed).await.expect("an answer"));
    assert_eq!(store.function(&changed.id).await.expect("an answer"), Some(changed.clone()));
    assert!(store.delete_function(changed.no).await.expect("an answer"));
    assert!(!store.delete_function(changed.no).await.expect("an answer"));
    assert!(!store.update_function(&changed).await.expect("an answer"));
}

pub(crate) async fn lists_are_filtered_and_functions_go_with_their_space(place: Arc<Place>) {
    let store = place.open().await;
    let space = store.insert_app(app("space"), 10).await.expect("a space").id;
    for (app, name) in [(None, "a-1"), (Some(&space), "a-2"), (Some(&space), "b-1"), (Some(&space), "a-3")] {
        store.insert_function(script(app, name), 10).await.expect("a function");
    }
    let first = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 2 };
    let list = async |spaces: Spaces, name: Option<&str>, page| {
        let filter = FunctionFilter { spaces, name: name.map(str::to_owned) };
        store.list_functions(&filter, page).await.expect("a page")
    };
    let names = |items: &[Function]| items.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    let page = list(Spaces::All, Some("a-"), first).await;
    assert_eq!((names(&page.items), page.count), (vec!["a-3".to_owned(), "a-2".to_owned()], 3));
    let next = list(Spaces::All, Some("a-"), PageRequest { marker: page.marker, ..first }).await;
    assert_eq!(names(&next.items), ["a-1"]);
    assert_eq!(list(Spaces::one(space.clone()), None, first).await.count, 3);
    assert_eq!(list(Spaces::Only(Arc::from([])), None, first).await.count, 0);
    assert!(store.delete_app(&space).await.expect("an answer"));
    assert_eq!(names(&list(Spaces::All, None, first).await.items), ["a-1"]);
}
